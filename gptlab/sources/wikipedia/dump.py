"""`WikipediaDump`: a MediaWiki export as documents, their links resolved through redirects.

Two passes the first time, one from then on (see `redirects`), each in one process, in all of this machine's, or in
Ray's: the documents are the same, byte for byte (see `whole`). Nothing is held but the pages being read, so memory is
flat over a dump of any length. Whatever is not a document is counted with its reason and shown.
"""

import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.on_ray import RayWorkers
from gptlab.sources.wikipedia.opening import open_raw
from gptlab.sources.wikipedia.pages import DAMAGED, TWICE
from gptlab.sources.wikipedia.redirects import KIND, Redirects, build_redirects, title_hash
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.sources.wikipedia.stdin import STDIN, kept_stdin
from gptlab.sources.wikipedia.whole import in_processes, in_this_process
from gptlab.sources.wikipedia.work import Batch, Task, Work
from gptlab.sources.wikipedia.workers import Processes
from gptlab.storage import LOCATION, FromMapping, is_complete
from gptlab.types import Document
from gptlab.types.validators import at_least

_SAMPLED = 1 << 20
"""Bytes at each end of a dump that go into its fingerprint."""
EDITION = "3"
"""Raised whenever the same dump comes to give other documents."""
_LARGE = 1 << 23
"""Bytes of a dump from which on further processes are taken to be worth their start."""


def _namespaces(value: object) -> frozenset[int]:
    if isinstance(value, (set, frozenset, list, tuple)) and value and all(isinstance(each, int) for each in value):
        return frozenset(value)
    raise SourceError(
        "WikipediaDump.namespaces", got=repr(value), wanted="a set of namespace numbers", do="Give {0} for articles."
    )


@attrs.frozen(kw_only=True)
class WikipediaDump:
    """The documents of a MediaWiki XML export, plain, .bz2, .gz or .xz, of any wiki in any language.

    Attributes:
        path: the dump, or `-` for standard input. What it is called does not matter: its first bytes say how it is
            compressed.
        more: further files of the same dump, where it comes in several (shards), in the order of their pages.
        namespaces: which pages are documents; 0 holds the articles.
        templates: how further templates read in prose, such as `{"My quote": "“{text|1}”"}`; an empty pattern
            drops a template that would be rendered.
        infoboxes: whether the fields of infoboxes stay, as a list.
        tables: whether tables stay, as Markdown's.
        processes: how many read it; 0 takes all processors for a dump that is large and one process for another.
        ray: whether the processes are Ray's: on the cluster it is connected to, else on one that starts here. Needs
            `pip install 'gptlab[ray]'`.
        cache: where the table of redirects is kept, and found again.

    A damaged byte becomes U+FFFD and its page is counted. A dump that is cut off gives its complete pages and says
    where it was cut. Of two pages with one identity the later is dropped and counted. How many processes read, and
    where, changes nothing of this.

    >>> sorted(WikipediaDump(path=Path("simplewiki.xml.bz2")).namespaces)
    [0]
    """

    path: Path = attrs.field(converter=Path, metadata=LOCATION)
    more: tuple[Path, ...] = attrs.field(default=(), metadata=LOCATION)
    namespaces: frozenset[int] = attrs.field(default=frozenset({0}), converter=_namespaces)
    templates: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    infoboxes: bool = False
    tables: bool = False
    processes: int = attrs.field(
        default=0, validator=at_least(0, at_most=4096, error=SourceError), metadata=LOCATION, eq=False
    )
    ray: bool = attrs.field(default=False, metadata=LOCATION, eq=False)
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    def content_fingerprint(self) -> str:
        """What the dump holds, without reading all of it: size, time of change, first and last MiB.

        Raises:
            SourceError: when it cannot be read.
        """
        digest = hashlib.sha256(EDITION.encode())
        for path in self._files():
            with open_raw(path) as file:
                status = path.stat()
                changed = "" if self.path == STDIN else status.st_mtime_ns  # what is piped in is new every time
                digest.update(f" {status.st_size} {changed} ".encode())
                digest.update(file.read(_SAMPLED))
                file.seek(max(0, status.st_size - _SAMPLED))
                digest.update(file.read(_SAMPLED))
        return digest.hexdigest()[:32]

    def pre_cache(self) -> None:
        """Find all redirects, unless an earlier run has."""
        if not is_complete(self._table(), KIND):
            with closing(self._batches(None, "find redirects", quiet=True)) as batches:
                build_redirects(self._table(), ((batch.titles, batch.redirects) for batch in batches))

    def get_data_generator(self) -> Iterator[Document]:
        """The documents, in the order of the dump.

        Raises:
            SourceError: when the dump is missing, empty, damaged, no export, or declares a document type; or one of
                several processes died.
        """
        self.pre_cache()
        redirects = Redirects.open(self._table())
        redirects.report()
        left_out = Batch()
        seen: set[int] = set()
        try:
            with closing(self._batches(redirects, "read dump", quiet=False)) as batches:
                for batch in batches:
                    for reason, (number, example) in batch.left_out.items():
                        left_out.leave_out(reason, example, number)
                    for document, is_damaged in batch.documents:
                        if redirects.twice and (key := title_hash(document.id)) in redirects.twice:
                            if key in seen:
                                left_out.leave_out(TWICE, document.title)
                                continue
                            seen.add(key)
                        if is_damaged:
                            left_out.leave_out(DAMAGED, document.title)
                        yield document
        finally:
            for reason, (number, example) in left_out.left_out.items():
                drop(reason, count=number, example=example)

    __or__ = then
    initialize = FromMapping()

    def _files(self) -> tuple[Path, ...]:
        return (kept_stdin(self.cache) if self.path == STDIN else self.path, *self.more)

    def _table(self) -> Path:
        key = f"{self.content_fingerprint()} {sorted(self.namespaces)}"
        return self.cache / f"{KIND}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    def _batches(self, redirects: Redirects | None, name: str, *, quiet: bool) -> Generator[Batch, None, None]:
        """What comes of the pages of all files: documents, or all that redirects need where none are given."""
        for path in self._files():
            with closing(self._batches_of(path, redirects, name, quiet=quiet)) as batches:
                yield from batches

    def _batches_of(
        self, path: Path, redirects: Redirects | None, name: str, *, quiet: bool
    ) -> Generator[Batch, None, None]:
        table = None if redirects is None else str(self._table())

        def task(site: SiteInfo) -> Task:
            return Task(
                path=str(path),
                site=site,
                namespaces=self.namespaces,
                templates=dict(self.templates),
                options={"infoboxes": self.infoboxes, "tables": self.tables},
                table=table,
            )

        def begin(task: Task) -> Work:
            return task.begin(redirects)

        number = self.processes
        if not number:
            is_large = path.stat().st_size >= _LARGE if path.exists() else False
            number = _processors() if is_large or self.ray else 1
        if self.ray:
            return in_processes(path, task, begin, lambda task: RayWorkers(task, number), name, quiet=quiet)
        if number > 1:
            return in_processes(path, task, begin, lambda task: Processes(task, number), name, quiet=quiet)
        return in_this_process(path, task, begin, name, quiet=quiet)


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
