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
import heapq
import json
from array import array
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.pipeline.protocols import Source
from gptlab.sources.article_names import Names
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

LONGEST_RUN = 20_000
"""Documents in a run: 350 of them hold English Wikipedia, few enough to be open at once."""
LARGEST_RUN = 1 << 26
"""Bytes of a run's index in memory, at which it ends as well."""
_STORED_AS = "articles-2"  # the number goes up when what is stored changes


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
            with unfinished_directory(self.directory, kind=_STORED_AS, finished=".run-*") as directory:
                if not is_complete(self.directory, _STORED_AS):  # another process may have finished it meanwhile
                    with keeping_drops(directory):
                        _write_folder(directory, self.documents.get_data_generator())
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


def _write_folder(directory: Path, documents: Iterator[Document]) -> None:
    """Write the files as the documents come, behind those that an earlier writing finished; then the index."""
    names = Names()
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
