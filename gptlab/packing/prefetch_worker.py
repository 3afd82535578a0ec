"""What `Prefetch` reads: items with all that was told while they were made, here or in a process of its own."""

import contextlib
import inspect
import itertools
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any

import attrs

from gptlab.pipeline.observe import observer, watching
from gptlab.types.errors import refusal


@attrs.frozen(kw_only=True, eq=False)
class Made:
    """One item, or the end.

    Attributes:
        value: the item.
        told: calls of the observer's methods while it was made: name and arguments.
        is_last: nothing comes after it, and it is no item.
        error: why nothing comes; None at the end of the source.
        trace: the error's traceback as text, where it comes from another process.
    """

    value: Any = None
    told: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    is_last: bool = False
    error: BaseException | None = None
    trace: str = ""

    def tell(self) -> None:
        """Tell the observer what was told."""
        watching_now = observer()
        for name, arguments in self.told:
            getattr(watching_now, name)(*arguments)

    def fail(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            if self.trace:
                self.error.add_note(f"In a worker of Prefetch:\n{self.trace}")
            raise self.error


class _Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self._told: list[tuple[str, tuple[Any, ...]]] = []

    def say(self, message: str) -> None:
        self._told.append(("say", (message,)))

    def drop(self, reason: str, count: int, example: str) -> None:
        self._told.append(("drop", (reason, count, example)))

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        self._told.append(("progress", (task, done, total, unit)))

    def take(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """What was told since the last time."""
        told, self._told = tuple(self._told), []
        return told


def making(source: Any, start: int, step: int) -> Generator[Made, None, None]:
    """Items `start`, `start + step`, ... of a source, and then the end, however it comes about."""
    recorder = _Recorder()
    items = _every(source, start, step)
    try:
        while True:
            try:
                with watching(recorder):
                    value = next(items)
            except StopIteration:
                yield Made(told=recorder.take(), is_last=True)
                return
            except Exception as error:  # noqa: BLE001 - the reader raises it
                yield Made(told=recorder.take(), is_last=True, error=error)
                return
            yield Made(value=value, told=recorder.take())
    finally:
        items.close()


def _every(source: Any, start: int, step: int) -> Generator[Any, None, None]:
    can_seek = "start" in inspect.signature(source.get_data_generator).parameters
    if step == 1:
        items = source.get_data_generator(start=start) if can_seek else source.get_data_generator()
        yield from items if can_seek else itertools.islice(items, start, None)
        return
    for number in itertools.count(start, step):
        items = source.get_data_generator(start=number)
        try:
            value = next(items)
        except StopIteration:
            return
        finally:
            if hasattr(items, "close"):
                items.close()
        yield value


class Worker:
    """A process that makes every `step`-th item from `start` on; one is on its way while the next is made."""

    def __init__(self, source: Any, start: int, step: int) -> None:
        context = multiprocessing.get_context("spawn")  # a copy of this process would hold its threads' locks
        self._items, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(theirs, source, start, step), daemon=True)
        self._process.start()
        theirs.close()

    def take(self) -> Made:
        """Its next item."""
        try:
            made: Made = pickle.loads(self._items.recv_bytes())
        except (EOFError, OSError):
            self._process.join()
            error = refusal(
                "a worker of Prefetch",
                got=f"a process that ended with {self._process.exitcode}",
                wanted="items, or an error",
                do="See what it printed; was it killed for want of memory, or may its source start no processes?",
            )
            return Made(is_last=True, error=error)
        return made

    def end(self) -> None:
        """Stop it wherever it is: all that it makes for good is whole or absent."""
        self._process.terminate()
        self._process.join()


def _serve(items: Connection, source: Any, start: int, step: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the reader, which ends its workers
    with contextlib.suppress(BrokenPipeError), contextlib.closing(making(source, start, step)) as every:
        for made in every:
            items.send_bytes(_packed(made))


def _packed(made: Made) -> bytes:
    """As bytes; an error that cannot travel goes as its text."""
    if made.error is None:
        return pickle.dumps(made, protocol=5)
    made = attrs.evolve(made, trace="".join(traceback.format_exception(made.error)))
    try:
        packed = pickle.dumps(made, protocol=5)
        pickle.loads(packed)
    except Exception:  # noqa: BLE001 - an error's own pickling may fail in any way; its text goes
        return pickle.dumps(attrs.evolve(made, error=RuntimeError(f"{made.error!r}")), protocol=5)
    return packed
