"""Documents as Markdown files that people can read: written once, atomically, and read back exactly.

A file holds `# Title`, an empty line and the text. What Markdown cannot carry (identity, flags, link spans, which
in source code no notation marks) stands in `index.jsonl` beside the files, one line per document in the order of
their identities, with the lines' byte offsets in `offsets.npy`: random access reads one line and one file, and
looking up a title is a binary search, so nothing is loaded. The files are a cache: to change the text, change the
source.

Millions of documents are written in runs: a run's files are on the disk before its part of the index, sorted, gets
its name, and a killed writing goes on behind its last run. The source is read again from its beginning (what it
drops is counted once, whatever happened), but no file that was finished is written again. At the end the runs are
merged. Memory holds a run and 16 to 32 bytes per document, by which names are kept apart.
"""

import contextlib
import hashlib
import heapq
import json
import re
import shutil
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import attrs
import numpy as np

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.pipeline.protocols import Source
from gptlab.storage import (
    LOCATION,
    FromMapping,
    fingerprint,
    is_complete,
    keeping_drops,
    tell_drops,
    unfinished_directory,
    write_atomically,
)
from gptlab.storage.flushing import flush_tree
from gptlab.types import Document, DocumentId, Link, document_id

LONGEST_NAME = 255
"""Bytes of a file name that every common file system allows."""
LARGEST_FOLDER = 1000
"""Files in one folder; a second folder of the same letters follows."""
LONGEST_RUN = 20_000
"""Documents in a run: 350 of them hold English Wikipedia, few enough to be open at once."""
LARGEST_RUN = 1 << 26
"""Bytes of a run's index in memory, at which it ends as well."""
_STORED_AS = "articles-2"  # the number goes up when what is stored changes
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f-\x9f\u2028\u2029]|^[ .~-]|[ .]$')
_DEVICES = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=\.|$)")
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?$")


def file_name(title: str, *, is_taken: bool = False) -> str:
    """A name for the document's file that is safe on every file system and leads back to the title.

    What some system refuses (separators, control characters, a device's name, a last dot) is percent-encoded.
    A name that is too long, or that another title has taken on a disk that ignores case, ends in `%~` and a hash
    of the title; `%~` comes from no title, as `%` is encoded.

    >>> file_name("AC/DC"), file_name("nul"), file_name("../../etc/passwd")
    ('AC%2FDC.md', '%6Eul.md', '%2E.%2F..%2Fetc%2Fpasswd.md')
    """
    safe = _UNSAFE.sub(_percent, title)
    if _DEVICES.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if is_taken or len(safe.encode()) + len(".md") > LONGEST_NAME:
        suffix = f"%~{hashlib.blake2b(title.encode(), digest_size=8).hexdigest()}"
        room = LONGEST_NAME - len(suffix) - len(".md")
        safe = _CUT_ESCAPE.sub("", safe.encode()[:room].decode(errors="ignore")) + suffix
    return f"{safe}.md"


def title_of_file(name: str) -> str:
    """The title that `file_name` made this name from; of a name that was cut, the beginning of it.

    >>> title_of_file("AC%2FDC.md")
    'AC/DC'
    """
    return unquote(name.removesuffix(".md").partition("%~")[0])


@attrs.frozen
class ArticleFolder:
    """The documents of a source as a folder of Markdown files, with random access; itself a seekable source.

    Attributes:
        documents: where they come from; read once.
        cache: where the folder is kept, and found again.

    Documents come in the order of their identities (by code point). A second document of one identity is dropped
    and counted, and so is one whose text is no Unicode.
    """

    documents: Source[Document]
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False, kw_only=True)

    @cached_property
    def directory(self) -> Path:
        """Where the files are, or will be."""
        return self.cache / f"{_STORED_AS}-{fingerprint(self)}"

    def pre_cache(self) -> None:
        """Write the files where they are missing: all of them or, when interrupted, none that is seen.

        What was interrupted goes on behind its last run when it is called again.
        What was dropped on the way is kept beside them and told again, once, when they are found: a dump that was
        cut off is still cut off the second time.
        """
        if not is_complete(self.directory, _STORED_AS):
            self._told.append(True)
            with unfinished_directory(self.directory, kind=_STORED_AS) as directory:
                if not is_complete(self.directory, _STORED_AS):  # another process may have finished it meanwhile
                    try:
                        with keeping_drops(directory):
                            _write_folder(directory, self.documents.get_data_generator())
                    except Exception:
                        if not any(directory.glob(".run-*")):  # nothing is finished that could be gone on with
                            shutil.rmtree(directory, ignore_errors=True)
                        raise
        elif not self._told:
            self._told.append(True)
            tell_drops(self.directory)

    @cached_property
    def _told(self) -> list[bool]:
        """Whether the drops have been told, once they have: no part of the value."""
        return []

    def get_data_generator(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on."""
        self.pre_cache()
        offsets = self._offsets()
        with (self.directory / "index.jsonl").open("rb") as index:
            if start < len(offsets):
                index.seek(int(offsets[start]))
                for line in index:
                    yield self._read(json.loads(line))

    __or__ = then
    initialize = FromMapping()

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self._offsets())

    def __getitem__(self, number: int) -> Document:
        """Document `number`; negative numbers count from the end.

        Raises:
            IndexError: there are fewer documents.
        """
        offsets = self._offsets()
        size = len(offsets)
        if not -size <= number < size:
            raise IndexError(f"ArticleFolder holds {size} documents, so there is no document {number}")
        with (self.directory / "index.jsonl").open("rb") as index:
            return self._read(_line(index, offsets, number % size))

    def by_title(self, title: str) -> Document:
        """The document of this title; the first letter's case is forgiven where no document has it exactly.

        Raises:
            KeyError: no document has this title.
        """
        offsets = self._offsets()
        with (self.directory / "index.jsonl").open("rb") as index:
            for wanted in (document_id(title, "case-sensitive"), document_id(title), title):
                low, high = 0, len(offsets)
                while low < high:
                    middle = (low + high) // 2
                    if _line(index, offsets, middle)["id"] < wanted:
                        low = middle + 1
                    else:
                        high = middle
                if low < len(offsets) and (entry := _line(index, offsets, low))["id"] == wanted:
                    return self._read(entry)
        raise KeyError(f"no document is titled {title!r} among the {len(offsets)} of {self.directory}")

    def _offsets(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        # The directory appears as a whole, so one of its files stands for all; `is_complete` looks at every file.
        if not (self.directory / "offsets.npy").exists():
            self.pre_cache()
        offsets: np.ndarray[Any, np.dtype[np.int64]] = np.load(self.directory / "offsets.npy", mmap_mode="r")
        return offsets

    def _read(self, entry: dict[str, Any]) -> Document:
        content = (self.directory / entry["file"]).read_bytes().decode()
        return Document(
            id=DocumentId(entry["id"]),
            title=entry["title"],
            text=content.partition("\n\n")[2].removesuffix("\n"),
            links=tuple(
                Link(start=start, end=end, target=DocumentId(target)) for start, end, target in entry["links"]
            ),
            flags=frozenset(entry["flags"]),
        )


def _line(index: BinaryIO, offsets: np.ndarray[Any, np.dtype[np.int64]], number: int) -> dict[str, Any]:
    index.seek(int(offsets[number]))
    entry: dict[str, Any] = json.loads(index.readline())
    return entry


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


class _Hashes:
    """A set of 64-bit numbers in an array, a tenth of what Python's takes.

    >>> hashes = _Hashes()
    >>> [hashes.add(number) for number in (7, 9, 7)]
    [True, True, False]
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 10))
        self._size = 0

    def add(self, number: int) -> bool:
        """Whether the number is new."""
        number = number or 1  # 0 marks a free slot
        if 2 * self._size >= len(self._slots):
            old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for each in filter(None, old):
                self._slots[self._place(each)] = each
        place = self._place(number)
        if self._slots[place] == number:
            return False
        self._slots[place] = number
        self._size += 1
        return True

    def _place(self, number: int) -> int:
        """Where a number is or, in a table that is half full at most, may be put."""
        slots, last = self._slots, len(self._slots) - 1
        place = number & last
        while slots[place] and slots[place] != number:
            place = (place + 1) & last
        return place


@attrs.define
class _Names:
    """Which paths are taken, on a disk that ignores case and composes accents its own way."""

    taken: _Hashes = attrs.Factory(_Hashes)
    sizes: Counter[str] = attrs.Factory(Counter)

    def path_for(self, title: str) -> Path:
        """A free path for a title: a folder of its first two letters, and the file's name."""
        letters = re.sub(r"[\W_]", "", _folded(title))[:2]
        folder = file_name(letters or "_").removesuffix(".md")
        number = self.sizes[folder] // LARGEST_FOLDER
        self.sizes[folder] += 1
        name = file_name(title)
        if not self._take(name):
            name = file_name(title, is_taken=True)
            self._take(name)
        return Path(f"{folder}-{number + 1}" if number else folder) / name

    def _take(self, name: str) -> bool:
        digest = hashlib.blake2b(_folded(name).encode(), digest_size=8).digest()
        return self.taken.add(int.from_bytes(digest, "little"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def _write_folder(directory: Path, documents: Iterator[Document]) -> None:
    """Write the files as the documents come, behind those that an earlier writing finished; then the index."""
    names = _Names()
    runs = sorted(directory.glob(".run-*.jsonl"))
    finished = int(runs[-1].stem.rpartition("-")[2]) if runs else 0
    run: list[tuple[str, bytes]] = []
    size = number = 0
    for document in track(documents, "write articles", unit="documents"):
        try:
            content = f"# {' '.join(document.title.split())}\n\n{document.text}\n".encode()
        except UnicodeEncodeError:
            drop("text is no unicode", example=ascii(document.title))
            continue
        path = names.path_for(document.title)
        number += 1
        if number <= finished:
            continue
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_bytes(content)
        run.append((document.id, _entry(document, path)))
        size += len(run[-1][1])
        if len(run) >= LONGEST_RUN or size >= LARGEST_RUN:
            runs.append(_end_run(directory, run, number))
            run, size = [], 0
    if run:
        runs.append(_end_run(directory, run, number))
    _write_index(directory, runs)
    for each in reversed(runs):  # what a kill leaves are the first ones, behind which it can go on
        each.unlink()


def _end_run(directory: Path, run: list[tuple[str, bytes]], number: int) -> Path:
    """Keep the index of a run that ends with document `number`, once its files are on the disk."""
    flush_tree(directory)
    path = directory / f".run-{number:012}.jsonl"
    run.sort(key=itemgetter(0))
    write_atomically(path, b"".join(line for _, line in run))
    return path


def _write_index(directory: Path, runs: list[Path]) -> None:
    """Merge the runs; of two documents with one identity the first stays."""
    offsets = array("q")
    last = None
    with contextlib.ExitStack() as files, (directory / "index.jsonl").open("wb") as index:
        opened = [files.enter_context(path.open("rb")) for path in runs]
        entries = [((json.loads(line), line) for line in lines) for lines in opened]
        for entry, line in heapq.merge(*entries, key=lambda each: each[0]["id"]):
            if entry["id"] == last:
                drop("second document of one identity", example=entry["title"])
                (directory / entry["file"]).unlink(missing_ok=True)  # gone already, where an earlier merge was killed
                continue
            last = entry["id"]
            offsets.append(index.tell())
            index.write(line)
    np.save(directory / "offsets.npy", np.asarray(offsets, dtype=np.int64))


def _entry(document: Document, path: Path) -> bytes:
    entry = {
        "id": document.id,
        "title": document.title,
        "file": path.as_posix(),
        "flags": sorted(document.flags),
        "links": [(link.start, link.end, link.target) for link in document.links],
    }
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode()
