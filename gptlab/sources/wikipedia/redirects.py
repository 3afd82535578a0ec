"""Where redirects lead, found in one quick pass over a dump and kept on disk for every later run.

Links can only be written with their final target once all redirects are known, so the dump is read twice the first
time (titles alone, at the speed of decompression) and once from then on. English Wikipedia has 11 million redirects:
they are a sorted array of 64-bit hashes over a text file of `title<TAB>target` lines, both mapped, not loaded, and a
look-up is a binary search. The same pass finds the titles that occur twice.
"""

import bisect
import hashlib
import json
import mmap
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import numpy as np

from gptlab.pipeline.observe import drop
from gptlab.sources.wikipedia.export import Page
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.storage import is_complete, new_directory
from gptlab.types import DocumentId

LONGEST_CHAIN = 5
"""Redirects to redirects are followed this far; MediaWiki follows one."""
KIND = "wikipedia-redirects"
CYCLE = "redirect in a circle"
TOO_LONG = f"redirect through more than {LONGEST_CHAIN} others"
_REMEMBERED = 1 << 17


def title_hash(title: str) -> int:
    """64 bits that stand for a title: the same in every process."""
    return int.from_bytes(hashlib.blake2b(title.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def build_redirects(directory: Path, pages: Iterable[tuple[SiteInfo, Page, DocumentId]]) -> None:
    """Write the table of a dump into `directory`, whole or not at all; nothing when it is there.

    Args:
        directory: where `Redirects` will find it.
        pages: every page of the namespaces wanted, redirects among them, with its identity.
    """
    if is_complete(directory, KIND):
        return
    with new_directory(directory, kind=KIND) as temporary:
        keys, targets, offsets, documents = (array("Q") for _ in range(4))
        with (temporary / "redirects.tsv").open("w", encoding="utf-8", newline="\n") as lines:
            offset = 0
            for source, target in _redirects(pages, documents):
                keys.append(title_hash(source))
                targets.append(title_hash(target))
                offsets.append(offset)
                line = f"{source}\t{target}\n"
                offset += len(line.encode())
                lines.write(line)
        titles = np.sort(np.frombuffer(documents, np.uint64)) if documents else np.zeros(0, np.uint64)
        np.save(temporary / "twice.npy", np.unique(titles[1:][titles[1:] == titles[:-1]]))
        hashes = np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64)
        ends = np.frombuffer(targets, np.uint64) if keys else hashes
        starts = np.frombuffer(offsets, np.uint64) if keys else hashes
        order = np.argsort(hashes, kind="stable")
        order = order[~np.isin(hashes[order], titles)]  # a page and a redirect of one name: the page is meant
        np.save(temporary / "hashes.npy", hashes[order])
        np.save(temporary / "offsets.npy", starts[order])
        astray = order[np.isin(ends[order], hashes[order])]
        table = Redirects.open(temporary)
        report = table.stray_chains(starts[astray].tolist())
        (temporary / "report.json").write_text(json.dumps(report), encoding="utf-8")


def _redirects(
    pages: Iterable[tuple[SiteInfo, Page, DocumentId]], documents: "array[int]"
) -> Iterator[tuple[DocumentId, DocumentId]]:
    """(redirect, target) identities; the hashes of all other pages' go into `documents`."""
    for site, page, identity in pages:
        if page.redirect is None:
            documents.append(title_hash(identity))
            continue
        title = page.redirect.partition("#")[0]
        prefix, colon, _ = title.partition(":")
        namespace = site.namespace_of(prefix) if colon else 0
        target = site.identity_of(title, namespace if namespace and namespace > 0 else 0)
        if target:
            yield identity, target


@attrs.define
class Redirects:
    """The table of one dump, open for reading. A call gives a title's final target: itself, if it is no redirect."""

    _hashes: memoryview
    _offsets: memoryview
    _lines: mmap.mmap | bytes
    twice: frozenset[int]
    """Hashes of the identities that more than one page has."""
    _report: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    _remembered: dict[DocumentId, DocumentId] = attrs.field(factory=dict)

    @classmethod
    def open(cls, directory: Path) -> "Redirects":
        """Map the files that `build_redirects` wrote."""
        path = directory / "redirects.tsv"
        with path.open("rb") as file:
            lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        report = directory / "report.json"
        return cls(
            memoryview(np.load(directory / "hashes.npy", mmap_mode="r")) if lines else memoryview(b""),
            memoryview(np.load(directory / "offsets.npy", mmap_mode="r")) if lines else memoryview(b""),
            lines,
            frozenset(np.load(directory / "twice.npy").tolist()),
            json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
        )

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
        end = self._lines.find(b"\n", offset)
        source, _, target = self._lines[offset:end].decode().partition("\t")
        return source, target
