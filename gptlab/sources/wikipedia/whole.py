"""The pages of a dump worked on, in order, in one process or in many: what both give is the same, byte for byte.

A dump that is read in parts is put together again here: the bytes that a part begins and ends with may belong to
pages that began before it or end behind it, wherever it was cut, and are worked on in this process.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from pathlib import Path

from gptlab.pipeline.observe import progress
from gptlab.sources.wikipedia.export import Reader, read_export, report_cut
from gptlab.sources.wikipedia.opening import damaged_compression
from gptlab.sources.wikipedia.parts import PAGE_END, opening, read_parts
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.sources.wikipedia.work import Batch, Done, Task, Work, do_pages
from gptlab.sources.wikipedia.workers import Workers, in_order

MakeTask = Callable[[SiteInfo], Task]
MakeWorkers = Callable[[Task], AbstractContextManager[Workers]]


def in_this_process(
    path: Path, make_task: MakeTask, begin: Callable[[Task], Work], name: str, *, quiet: bool
) -> Generator[Batch, None, None]:
    """Batches of one page each: no page is read before it is asked for."""
    work: Work | None = None
    with closing(read_export(path, name, quiet=quiet)) as pages:
        for site, page in pages:
            if work is None:
                work = begin(make_task(site))
            yield work((page,))


def in_processes(
    path: Path,
    make_task: MakeTask,
    begin: Callable[[Task], Work],
    make_workers: MakeWorkers,
    name: str,
    *,
    quiet: bool,
) -> Generator[Batch, None, None]:
    """A batch for every part of the dump, and for every page that lay in two.

    Raises:
        SourceError: as in one process; or a worker died.
    """
    opened = opening(path)
    if opened is None:
        yield from in_this_process(path, make_task, begin, name, quiet=quiet)
        return
    site, length = opened
    task = make_task(site)
    seams = _Seams(path, task, begin(task), length)
    total = path.stat().st_size
    with (
        make_workers(task) as workers,
        closing(read_parts(path)) as parts,
        closing(in_order(workers, parts)) as found,
    ):
        for part, done in found:
            yield from seams.join(done)
            progress(name, part.end, total, "bytes")
    seams.end(quiet)


class _Seams:
    """What lies between the parts, and how much there was."""

    def __init__(self, path: Path, task: Task, work: Work, opening_length: int) -> None:
        self._path, self._task, self._work = path, task, work
        self._skip = opening_length
        self._carried = b""
        self._size = self._pages = 0
        self._last_title = ""
        self._is_cut = False

    def join(self, done: Done) -> Generator[Batch, None, None]:
        """The batches of one part, before it that of the page that ends in it."""
        if self._is_cut and done.size:
            raise damaged_compression(self._path, EOFError("a stream that lacks its end, before another"))
        head = done.head[self._skip :]
        self._skip -= len(done.head) - len(head)
        self._carried += head
        self._size += done.size
        self._is_cut = done.is_cut
        end = self._carried.rfind(PAGE_END) + len(PAGE_END)
        if end >= len(PAGE_END):
            pages, self._carried = self._carried[:end], self._carried[end:]
            yield from self._worked(pages)
        if done.batch.pages or done.tail:
            self._check_between()
            self._carried = done.tail
        if done.batch.pages:
            yield self._counted(done.batch)
        if done.error:
            raise done.error

    def _worked(self, pages: bytes) -> Generator[Batch, None, None]:
        batch, error = do_pages(self._task, self._work, pages, f"{self._path}, {self._size:,} bytes into the XML")
        yield self._counted(batch)
        if error:
            raise error

    def _counted(self, batch: Batch) -> Batch:
        self._pages += batch.pages
        self._last_title = batch.last_title or self._last_title
        return batch

    def _check_between(self) -> None:
        """Between pages lies nothing but space, or other whole elements."""
        if self._carried.strip():
            reader = Reader(f"{self._path}, {self._size:,} bytes into the XML", self._task.site)
            reader.last_title = self._last_title
            reader.feed(self._carried + b"<next/>")

    def end(self, quiet: bool) -> None:
        """Look whether the dump has its end, and say where it is cut off when not."""
        reader = Reader(self._path, self._task.site)
        reader.feed(self._carried)
        if not reader.ended:
            reader.size, reader.last_title, reader.started = self._size, self._last_title, True
            report_cut(reader, self._pages, quiet)
