"""Items made ahead, by a thread or by processes, told and yielded as if they were made when they are asked for.

Nothing is agreed with a worker: item k of a source is a pure function of (source, k), so worker w of n makes items
`start + w`, `start + w + n`, ..., each found by its number, and the reader takes them in turn. The state is the
number of the next item; with any number of workers, or none, the items are the same.

What a source says and drops on the way travels with the item that it belongs to and is told when that item is read.
So an item that was made ahead and never read leaves no trace, and counts do not depend on the timing of threads.

A thread is enough where machine code does the work, as for packed rows: it runs beside the model. Where Python packs
while the model trains, a process is: it needs a core, and a second or two to begin.
"""

import contextlib
import contextvars
import inspect
import threading
from collections.abc import Generator, Iterator, Mapping
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import attrs

from gptlab.packing.prefetch_worker import Made, Worker, making
from gptlab.pipeline import SourcePipeline, then, yields
from gptlab.pipeline.protocols import HasAxes, PreCached, SeekableSource, Source
from gptlab.storage import FromMapping
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

T = TypeVar("T")


@attrs.frozen
class Prefetch(Generic[T]):
    """A source whose items are made before they are asked for; otherwise the same source.

    Args:
        source: what to read ahead. With workers it is pickled, and what it caches is best cached before.
        ahead: how many items wait at most.
        workers: processes that make the items; 0 for a thread of this one. More than one needs a source that finds
            item k without making those before it.

    >>> from gptlab.packing import Collate, Shuffled
    >>> Prefetch(Shuffled(()) | Collate(4), ahead=2).axes()
    {'batch': AtMost(size=4)}
    """

    source: Source[T] | SeekableSource[T]
    ahead: int = attrs.field(default=2, validator=at_least(1, "Try ahead=2."), kw_only=True)
    workers: int = attrs.field(default=0, validator=at_least(0, "Give 0 for a thread."), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.workers > 1 and not _finds_by_number(self.source):
            raise refusal(
                "Prefetch.workers",
                got=f"{self.workers} workers for {type(self.source).__name__}, which must read from its beginning",
                wanted="a source that begins anywhere at once, as Shuffled and PackedRows do, with Collate or not",
                do="Give workers=1, or pack the rows once (PackedRows).",
            )

    def get_data_generator(self, start: int = 0) -> Iterator[T]:
        """The items from number `start` on. When it is closed, so are its thread and its workers.

        Raises:
            Exception: whatever the source raises, where the item would have been, with its traceback.
        """
        stop, room, made = threading.Event(), threading.Semaphore(self.ahead), SimpleQueue[Made]()
        workers = [Worker(self.source, start + number, self.workers) for number in range(self.workers)]

        def work() -> None:
            with contextlib.closing(_taken(workers) if workers else making(self.source, start, 1)) as items:
                while room.acquire() and not stop.is_set():
                    made.put(item := next(items))
                    if item.is_last:
                        return

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        thread.start()
        try:
            while not (item := made.get()).is_last:
                room.release()
                item.tell()
                yield item.value
            item.tell()
            item.fail()
        finally:
            stop.set()
            room.release()
            for worker in workers:
                worker.end()
            thread.join()

    __or__ = then
    initialize = FromMapping()

    def item_types(self) -> tuple[Any, Any]:
        """What the source yields."""
        return None, yields(self.source)

    def pre_cache(self) -> None:
        """Do once what the source does once, before any worker begins."""
        if isinstance(self.source, PreCached):
            self.source.pre_cache()

    def axes(self) -> Mapping[str, Any]:
        """The axes of the source, as far as it claims any."""
        return self.source.axes() if isinstance(self.source, HasAxes) else {}


def _taken(workers: list[Worker]) -> Generator[Made, None, None]:
    """From each worker in turn, as its items are in turn."""
    while True:
        for worker in workers:
            yield worker.take()


def _finds_by_number(source: Any) -> bool:
    if isinstance(source, SourcePipeline):
        stages_count = all(getattr(stage, "items_per_yield", None) is not None for stage in source.parts[1:])
        return stages_count and _finds_by_number(source.parts[0])
    return "start" in inspect.signature(source.get_data_generator).parameters
