"""What a run shows while it works: progress, drops and messages, told to whoever watches.

Stages are values and plain functions, so they hold no logger. They tell what happens through the four functions
below, and the code that drives the pipeline listens: `with watching(observer): ...`. The observer is bound to
the context (`contextvars`), not to the module, so two runs in one process keep apart; a thread that pulls from
a pipeline is started in a copy of the context (`contextvars.copy_context().run`).

Without an observer nothing is lost silently: drops and messages go to the `gptlab` logger.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Observer(Protocol):
    """Whoever watches a run. A complete one:

    >>> class Printer:
    ...     def say(self, message: str) -> None:
    ...         print(message)
    ...     def drop(self, reason: str, count: int, example: str) -> None:
    ...         print(f"dropped {count}: {reason} ({example})")
    ...     def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
    ...         print(f"{task}: {done:g} of {total} {unit}")
    >>> with watching(Printer()):
    ...     numbers = list(track([7, 8], "count", total=2, unit="numbers"))
    count: 0 of 2 numbers
    count: 2 of 2 numbers
    """

    def say(self, message: str) -> None:
        """A person should read this line."""

    def drop(self, reason: str, count: int, example: str) -> None:
        """`count` items were left out for `reason`; `example` names one."""

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        """`done` of `total` units; the last call of a task that ends has `done == total`."""


@runtime_checkable
class Notes(Protocol):
    """What an observer has that can show a few words beside a running task; those without are not told.

    >>> class Shown:
    ...     def note(self, task: str, text: str) -> None:
    ...         print(f"{task}: {text}")
    """

    def note(self, task: str, text: str) -> None:
        """What there is to say about the task at the moment, in place of what was said before."""


class Drops:
    """An observer that counts drops by reason and passes everything on to the next one.

    >>> with watching(Drops()) as drops:
    ...     drop("redirect without target", example="Foo")
    >>> drops.counts
    Counter({'redirect without target': 1})
    """

    def __init__(self, onward: Observer | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._onward = onward

    def say(self, message: str) -> None:
        """Pass the message on."""
        if self._onward is not None:
            self._onward.say(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        """Count, keep the first example, pass on."""
        self.counts[reason] += count
        self.examples.setdefault(reason, example)
        if self._onward is not None:
            self._onward.drop(reason, count, example)

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        """Pass the progress on."""
        if self._onward is not None:
            self._onward.progress(task, done, total, unit)

    def note(self, task: str, text: str) -> None:
        """Pass the note on."""
        onward: object = self._onward
        if isinstance(onward, Notes):
            onward.note(task, text)


class _ToLogger:
    """The observer when nobody watches."""

    def say(self, message: str) -> None:
        logging.getLogger("gptlab").info(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        logging.getLogger("gptlab").info("dropped %d: %s (%s)", count, reason, example)

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        pass


_UNWATCHED = _ToLogger()
_observer: ContextVar[Observer] = ContextVar("gptlab_observer", default=_UNWATCHED)
_O = TypeVar("_O", bound=Observer)


@contextlib.contextmanager
def watching(observer: _O) -> Iterator[_O]:
    """Send what happens inside the `with` block to `observer`."""
    token = _observer.set(observer)
    try:
        yield observer
    finally:
        _observer.reset(token)


def observer() -> Observer:
    """Whoever watches now: what `Drops(onward=observer())` passes everything on to."""
    return _observer.get()


def say(message: str) -> None:
    """Tell the person who watches one line."""
    _observer.get().say(message)


def drop(reason: str, *, count: int = 1, example: str = "") -> None:
    """Count something that is left out. Reasons are short, lower-case and stable: they are the keys of a table."""
    if count:
        _observer.get().drop(reason, count, example)


def progress(task: str, done: int | float, total: int | float | None = None, unit: str = "items") -> None:
    """Say how far a long step is; call it a few times a second at most."""
    _observer.get().progress(task, done, total, unit)


def note(task: str, text: str) -> None:
    """Say a few words about a running task (its loss, its speed), shown with its progress."""
    watching_now: object = _observer.get()
    if isinstance(watching_now, Notes):
        watching_now.note(task, text)


def track(
    items: Iterable[T], task: str, *, total: int | float | None = None, unit: str = "items", every: int = 256
) -> Iterator[T]:
    """Yield `items` unchanged while reporting every `every`-th; with no total, the end is the total."""
    progress(task, 0, total, unit)
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        if done % every == 0:
            progress(task, done, total, unit)
    progress(task, done, done, unit)
