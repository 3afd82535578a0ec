"""Open a dump by what it holds, not by what it is called: plain, bz2 (any number of streams), gzip or xz.

Reading goes through a value that knows how far it is in the file on disk, so progress is honest whatever the
compression.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Generator
from pathlib import Path

from gptlab.pipeline.observe import progress
from gptlab.sources.errors import SourceError

CHUNK = 1 << 18
"""Bytes of XML per read: parsing speed is flat from 64 KiB on, memory is not."""

_AGAIN = "Download the file again and compare its checksum with the one published beside it."


class Truncated(Exception):  # noqa: N818 - not an error to the user: it becomes a message
    """The compressed stream ended before its end mark; what came before is whole."""


def read_chunks(path: Path, task: str = "read dump") -> Generator[bytes, None, None]:
    """The decompressed bytes of `path`, in order, reporting progress in bytes of the file on disk.

    Raises:
        SourceError: when there is no such file, it cannot be read, or its compression is corrupt.
        Truncated: when a compressed file ends too early, after all whole chunks were yielded.
    """
    with open_raw(path) as raw:
        total = path.stat().st_size
        for chunk in read_stream(raw, path):
            yield chunk
            progress(task, min(raw.tell(), total), total, "bytes")


def read_stream(raw: io.BufferedReader, path: Path) -> Generator[bytes, None, None]:
    """The decompressed bytes of an open file, from where it stands to its end; errors as of `read_chunks`."""
    stream = _decompressed(raw)
    while chunk := _read(stream, path):
        yield chunk


def read_one_bz2(raw: io.BufferedReader, path: Path) -> Generator[bytes, None, None]:
    """The decompressed bytes of the one bz2 stream that begins where an open file stands, which then stands behind.

    One that ends too early just ends; other errors as of `read_chunks`.
    """
    decompressor = bz2.BZ2Decompressor()
    while not decompressor.eof:
        block = raw.read(1 << 16) if decompressor.needs_input else b""
        if decompressor.needs_input and not block:
            return
        try:
            yield decompressor.decompress(block, CHUNK)
        except OSError as error:
            raise damaged_compression(path, error) from None
    raw.seek(-len(decompressor.unused_data), io.SEEK_CUR)


def damaged_compression(where: object, error: Exception) -> SourceError:
    """The error for compressed bytes that are not what was compressed."""
    wanted = "a compressed stream without damage"
    return SourceError(where, got=f"damaged compression ({error})", wanted=wanted, do=_AGAIN)


def open_raw(path: Path) -> io.BufferedReader:
    """The file as it is on disk, or an error that says what is wrong with the path."""
    wanted = "a MediaWiki XML export, plain or compressed with bz2, gzip or xz"
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise SourceError(path, got="no such file", wanted=wanted, do="Check the path for a typing error.") from None
    except IsADirectoryError:
        raise SourceError(path, got="a folder", wanted=wanted, do="Name the file inside it.") from None
    except OSError as error:
        raise SourceError(
            path, got=str(error), wanted="a file that may be read", do="Check its permissions."
        ) from None


def _decompressed(raw: io.BufferedReader) -> io.BufferedIOBase:
    position = raw.tell()
    magic = raw.read(6)
    raw.seek(position)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(raw)
    return raw


def _read(stream: io.BufferedIOBase, path: Path) -> bytes:
    """One chunk: of a compressed stream as much as one block gives, so that nothing before a fault is lost."""
    try:
        return stream.read1(CHUNK)
    except EOFError:
        raise Truncated from None
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise damaged_compression(path, error) from None
