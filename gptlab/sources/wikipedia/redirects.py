"""Where redirects lead, found in one quick pass over a dump and kept on disk for every later run.

Links can only be written with their final target once all redirects are known, so the dump is read twice the first
time (titles alone, at the speed of decompression) and once from then on. English Wikipedia has 11 million redirects:
they are a sorted array of 64-bit hashes over a text file of `title<TAB>target` lines, both mapped, not loaded, and a
look-up is a binary search. The same pass finds the titles that occur twice.
"""

import bisect
import contextlib
import hashlib
import json
import mmap
import sys
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
import numpy as np
from jaxtyping import Bool, UInt8, UInt64

from gptlab.pipeline.observe import drop
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.storage import new_directory
from gptlab.types import DocumentId

LONGEST_CHAIN = 5
"""Redirects to redirects are followed this far; MediaWiki follows one."""
KIND = "wikipedia-redirects"
CYCLE = "redirect in a circle"
TOO_LONG = f"redirect through more than {LONGEST_CHAIN} others"
_REMEMBERED = 1 << 17
_Numbers = UInt64[np.ndarray, "..."]


def title_hash(title: str) -> int:
    """64 bits that stand for a title: the same in every process."""
    return int.from_bytes(hashlib.blake2b(title.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def redirect_of(written: str, site: SiteInfo) -> DocumentId:
    """The identity that a redirect leads to; empty where it leads nowhere.

    >>> redirect_of("tea#Green", SiteInfo())
    'Tea'
    """
    title = written.partition("#")[0]
    prefix, colon, _ = title.partition(":")
    namespace = site.namespace_of(prefix) if colon else 0
    return site.identity_of(title, namespace if namespace and namespace > 0 else 0)


def build_redirects(directory: Path, found: Iterable[tuple["array[int]", Iterable[tuple[str, str]]]]) -> None:
    """Write the table of a dump into `directory`, whole or not at all.

    Args:
        directory: where `Redirects` will find it.
        found: of some pages at a time, the hashes of the documents' identities, and (redirect, target) identities.
    """
    with new_directory(directory, kind=KIND) as temporary:
        with contextlib.ExitStack() as files:
            raw = {name: files.enter_context((temporary / name).open("wb")) for name in _RAW}
            lines = files.enter_context((temporary / "redirects.tsv").open("wb"))
            for titles, redirects in found:
                titles.tofile(raw["titles"])
                for source, target in redirects:
                    entry = (title_hash(source), title_hash(target), lines.tell())
                    for name, number in zip(_RAW[1:], entry, strict=True):
                        raw[name].write(number.to_bytes(8, sys.byteorder))
                    lines.write(f"{source}\t{target}\n".encode())
        astray = _write_arrays(temporary)
        for name in _RAW:
            (temporary / name).unlink()
        report = Redirects.open(temporary).stray_chains(astray)
        (temporary / "report.json").write_text(json.dumps(report), encoding="utf-8")


_RAW = ("titles", "sources", "targets", "places")
"""Files of 64-bit numbers, while they are gathered: memory holds two of them at a time, and no more."""


def _write_arrays(directory: Path) -> list[int]:
    """Sorted hashes, where their lines are, and the identities that occur twice; the places of chains."""
    titles = np.fromfile(directory / "titles", np.uint64)
    titles.sort()
    np.save(directory / "twice.npy", np.unique(titles[1:][titles[1:] == titles[:-1]]))
    hashes = np.fromfile(directory / "sources", np.uint64)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    is_kept = ~_are_among(hashes, titles)  # a page and a redirect of one name: the page is meant
    del titles
    hashes, order = hashes[is_kept], order[is_kept]
    np.save(directory / "hashes.npy", hashes)
    places = np.fromfile(directory / "places", np.uint64)[order]
    np.save(directory / "offsets.npy", places)
    leads_on = _are_among(np.fromfile(directory / "targets", np.uint64)[order], hashes)
    return list(map(int, places[leads_on]))


def _are_among(numbers: _Numbers, ordered: _Numbers) -> Bool[np.ndarray, "numbers"]:
    """Which of the numbers are among the ordered ones; a million at a time, as numpy's own needs four copies."""
    found = np.zeros(len(numbers), np.bool_)
    if not len(ordered):
        return found
    for start in range(0, len(numbers), 1 << 20):
        block = numbers[start : start + (1 << 20)]
        places = np.searchsorted(ordered, block)
        places[places == len(ordered)] = 0
        found[start : start + len(block)] = ordered[places] == block
    return found


@attrs.define
class Redirects:
    """The table of one dump, open for reading. A call gives a title's final target: itself, if it is no redirect."""

    _hashes: memoryview
    _offsets: memoryview
    _lines: mmap.mmap | memoryview
    twice: frozenset[int]
    """Hashes of the identities that more than one page has."""
    _report: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    _remembered: dict[DocumentId, DocumentId] = attrs.field(factory=dict)

    @classmethod
    def open(cls, directory: Path) -> "Redirects":
        """Map the files that `build_redirects` wrote."""
        path = directory / "redirects.tsv"
        with path.open("rb") as file:
            is_empty = path.stat().st_size == 0
            lines = memoryview(b"") if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        report = directory / "report.json"
        return cls(
            memoryview(b"") if is_empty else memoryview(np.load(directory / "hashes.npy", mmap_mode="r")),
            memoryview(b"") if is_empty else memoryview(np.load(directory / "offsets.npy", mmap_mode="r")),
            lines,
            frozenset(np.load(directory / "twice.npy").tolist()),
            json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
        )

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, UInt64[np.ndarray, "entries"] | UInt8[np.ndarray, "bytes"]]
    ) -> "Redirects":
        """The table from what `arrays_of` gave, on a machine that does not see its files."""
        hashes, offsets, lines = (memoryview(arrays[name]) for name in ("hashes", "offsets", "lines"))  # type: ignore[arg-type]
        return cls(hashes, offsets, lines, frozenset())

    def __call__(self, title: DocumentId) -> DocumentId:
        """Where a link to `title` leads; `title` itself where a chain is circular or too long."""
        found = self._remembered.get(title)
        if found is None:
            found = self._follow(title)[0]
            if len(self._remembered) < _REMEMBERED:
                self._remembered[title] = found
        return found

    def report(self) -> None:
        """Count the redirects that lead nowhere."""
        for reason, (count, example) in self._report.items():
            drop(reason, count=count, example=example)

    def stray_chains(self, offsets: Iterable[int]) -> dict[str, tuple[int, str]]:
        """Of the redirects at these offsets, those in circles or in chains that are too long."""
        report: dict[str, tuple[int, str]] = {}
        for offset in offsets:
            title = self._line(offset)[0]
            reason = self._follow(DocumentId(title))[1]
            if reason:
                count, example = report.get(reason, (0, title))
                report[reason] = (count + 1, example)
        return report

    def _follow(self, title: DocumentId) -> tuple[DocumentId, str]:
        seen = [title]
        while (following := self._next(seen[-1])) is not None:
            if following in seen:
                return title, CYCLE
            if len(seen) > LONGEST_CHAIN:
                return title, TOO_LONG
            seen.append(following)
        return seen[-1], ""

    def _next(self, title: DocumentId) -> DocumentId | None:
        key = title_hash(title)
        index = bisect.bisect_left(self._hashes, key)
        while index < len(self._hashes) and self._hashes[index] == key:
            source, target = self._line(self._offsets[index])
            if source == title:
                return DocumentId(target)
            index += 1
        return None

    def _line(self, offset: int) -> tuple[str, str]:
        length = 1 << 10
        while (end := (line := bytes(self._lines[offset : offset + length])).find(b"\n")) < 0:
            length *= 2
        source, _, target = line[:end].decode().partition("\t")
        return source, target


def arrays_of(directory: Path) -> dict[str, UInt64[np.ndarray, "entries"] | UInt8[np.ndarray, "bytes"]]:
    """A table as arrays, which are sent to other machines once and shared by their processes."""
    return {
        "hashes": np.load(directory / "hashes.npy"),
        "offsets": np.load(directory / "offsets.npy"),
        "lines": np.fromfile(directory / "redirects.tsv", dtype=np.uint8),
    }
