"""A dump cut into parts that can be read apart: whole bz2 streams where there are many, else pieces of the XML.

Wikipedia's multistream files begin a new bz2 stream every hundred pages. Where they begin is found by looking for
the ten bytes that open a stream while the file is read, which it is anyhow, and which cannot disagree with the file,
as an index can; reading and searching take a thousandth of the time that the parts take (2026-11-24).
All else (one long stream, gzip, xz, plain XML) is decompressed here and cut behind a page.

A cut may fall anywhere: `split` tells what is whole pages and what belongs to a neighbour.
"""

import bz2
import io
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import attrs

from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.decoding import encoding_of
from gptlab.sources.wikipedia.export import Reader
from gptlab.sources.wikipedia.opening import (
    CHUNK,
    Truncated,
    damaged_compression,
    open_raw,
    read_one_bz2,
    read_stream,
)
from gptlab.sources.wikipedia.siteinfo import SiteInfo

PAGE, PAGE_END = b"<page>", b"</page>"
"""As MediaWiki writes them; in the text of a page `<` is always escaped."""
PACKED = 1 << 17
"""Bytes of bz2 in a part, a tenth of a second of work: little, so that at the end a processor waits for none long."""
PLAIN = 1 << 20
"""Bytes of XML in a part."""
LONGEST_STREAM = 1 << 22
"""Bytes of one bz2 stream that are gathered; a longer one is decompressed as it is read."""
BLOCK = 1 << 20
"""Bytes read from the disk at a time."""
_OPENING = 1 << 20
_STREAM = re.compile(rb"BZh[1-9]1AY&SY")


@attrs.frozen(kw_only=True)
class Part:
    """Consecutive bytes of a dump.

    Attributes:
        data: whole bz2 streams where `is_packed`, else XML.
        start, end: offsets in the file on disk, for messages and progress; of XML not exact.
    """

    data: bytes
    is_packed: bool
    start: int
    end: int


def opening(path: Path) -> tuple[SiteInfo, int] | None:
    """The wiki that a dump comes from, and the bytes of XML before its first page.

    None where it cannot be read in parts: it is no UTF-8, writes its pages in another way, or is no export, which
    reading it as a whole tells best.

    Raises:
        SourceError: the file is missing, or its first bytes are damaged or no export.
    """
    start = b""
    try:
        with open_raw(path) as raw, closing(read_stream(raw, path)) as chunks:
            for chunk in chunks:
                start += chunk
                if PAGE in start or len(start) > _OPENING:
                    break
    except Truncated:
        return None
    length = start.find(PAGE)
    if length < 0 or encoding_of(start, path) not in ("utf-8", "utf-8-sig"):
        return None
    reader = Reader(path)
    reader.feed(start[:length])
    return reader.site, length


def read_parts(path: Path) -> Generator[Part, None, None]:
    """All of a dump as parts, in order. One that is cut off just ends.

    Raises:
        SourceError: when the file cannot be read, or its compression is damaged where it is decompressed here.
    """
    with open_raw(path) as raw:
        magic = raw.read(3)
        raw.seek(0)
        yield from _streams(raw, path) if magic == b"BZh" else _pieces(read_stream(raw, path), raw)


def _streams(raw: io.BufferedReader, path: Path) -> Generator[Part, None, None]:
    """Runs of whole streams; a stream that is too long to gather as pieces of XML."""
    gathered = bytearray()
    begin = searched = 0
    while block := raw.read(BLOCK):
        gathered += block
        while found := _STREAM.search(gathered, max(PACKED, searched)):
            yield Part(data=bytes(gathered[: found.start()]), is_packed=True, start=begin, end=begin + found.start())
            begin += found.start()
            searched = 0
            del gathered[: found.start()]
        searched = len(gathered) - 9
        if len(gathered) > LONGEST_STREAM:
            gathered.clear()
            raw.seek(begin)
            yield from _pieces(read_one_bz2(raw, path), raw)
            begin = raw.tell()
    if gathered:
        yield Part(data=bytes(gathered), is_packed=True, start=begin, end=begin + len(gathered))


def _pieces(chunks: Iterator[bytes], raw: io.BufferedReader) -> Generator[Part, None, None]:
    """XML in pieces that end behind a page, where one ends there."""
    gathered = b""
    begin = raw.tell()
    error: SourceError | None = None
    try:
        for chunk in chunks:
            gathered += chunk
            if len(gathered) < PLAIN:
                continue
            cut = gathered.rfind(PAGE_END) + len(PAGE_END)
            cut = cut if cut >= len(PAGE_END) else len(gathered)
            yield Part(data=gathered[:cut], is_packed=False, start=begin, end=raw.tell())
            begin, gathered = raw.tell(), gathered[cut:]
    except Truncated:
        pass  # what is missing shows as a page without an end
    except SourceError as damage:
        error = damage  # what was read before it is whole
    if gathered:
        yield Part(data=gathered, is_packed=False, start=begin, end=raw.tell())
    if error:
        raise error


@attrs.frozen(kw_only=True)
class Opened:
    """A part decompressed and split.

    Attributes:
        head: what belongs to a page that began in an earlier part.
        body: from the first page that begins here to the last that ends.
        tail: what belongs to a page that ends in a later part.
        is_cut: whether a compressed stream ended before its end mark, which only the last of a dump may.
        error: what stopped the decompression after these bytes.
    """

    head: bytes
    body: bytes
    tail: bytes
    is_cut: bool = False
    error: SourceError | None = None


def open_part(part: Part, where: object) -> Opened:
    """Decompress a part and split it.

    >>> open_part(Part(data=b"b</page><page>c</page><page>d", is_packed=False, start=0, end=0), "a.xml").head
    b'b</page>'
    """
    data, is_cut, error = _unpacked(part.data, where) if part.is_packed else (part.data, False, None)
    first = data.find(PAGE)
    end = data.rfind(PAGE_END)
    if first < 0:
        first = last = len(data)
    else:
        last = end + len(PAGE_END) if end > first else first
    return Opened(head=data[:first], body=data[first:last], tail=data[last:], is_cut=is_cut, error=error)


def _unpacked(packed: bytes, where: object) -> tuple[bytes, bool, SourceError | None]:
    """All bz2 streams of `packed`, whether the last is cut, and what is wrong; what follows them is ignored."""
    pieces: list[bytes] = []
    is_cut = False
    while packed.startswith(b"BZh"):
        decompressor = bz2.BZ2Decompressor()
        try:
            pieces.append(decompressor.decompress(packed, CHUNK))
            while not (decompressor.eof or decompressor.needs_input):
                pieces.append(decompressor.decompress(b"", CHUNK))
        except OSError as error:
            return b"".join(pieces), False, damaged_compression(where, error)
        packed, is_cut = decompressor.unused_data, not decompressor.eof
    return b"".join(pieces), is_cut, None
