"""What a person sees of a download: a bar with rate and time left on a terminal, plain lines in a pipe."""

import time
from collections.abc import Callable

import attrs
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

Real = int | float


@attrs.define
class _Task:
    """One thing that goes on: when it began and with how much, and when it was last told."""

    started: Real
    first: Real
    told: Real
    bar: TaskID | None


class Shown:
    """An observer (see `gptlab.pipeline.observe`) for one download; use it as a context.

    Args:
        console: where it is shown; what is said goes there too.
        clock: seconds, ascending.
        every: seconds between the plain lines of a task.
    """

    def __init__(self, console: Console, *, clock: Callable[[], Real] = time.monotonic, every: Real = 10.0) -> None:
        self._console, self._clock, self._every = console, clock, every
        self._tasks: dict[str, _Task] = {}
        self._bars = Progress(
            *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
            *(TransferSpeedColumn(), TimeRemainingColumn()),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Shown":
        """Begin to draw."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they are, and give the terminal back."""
        self._bars.stop()

    def say(self, message: str) -> None:
        """Show a line, above the bars."""
        self._console.print(escape(message), highlight=False, soft_wrap=True)

    def drop(self, reason: str, count: int, example: str) -> None:
        """Show what is left out."""
        self.say(f"left out {count:,}: {reason} ({example})")

    def progress(self, task: str, done: Real, total: Real | None, unit: str) -> None:
        """Move the bar, or write a line when one is due."""
        now = self._clock()
        known = self._tasks.get(task)
        if known is None:
            bar = (
                self._bars.add_task(escape(task), total=total, completed=int(done))
                if self._console.is_terminal
                else None
            )
            known = self._tasks[task] = _Task(now, done, now - self._every, bar)
        if known.bar is not None:
            self._bars.update(known.bar, completed=int(done), total=total)
        elif now - known.told >= self._every or (total is not None and done >= total):
            known.told = now
            self.say(progress_line(task, done, total, done - known.first, now - known.started))


def progress_line(task: str, done: Real, total: Real | None, gained: Real, seconds: Real) -> str:
    """How far a task is, how fast, and how long it will still take, on one line.

    >>> progress_line("download teawiki", 30e6, 90e6, 20e6, 10.0)
    'download teawiki: 30.0 of 90.0 MB, 2.0 MB/s, 0:00:30 left'
    """
    of = "" if total is None else f" of {total / 1e6:,.1f}"
    rate = gained / seconds if seconds > 0 and gained > 0 else 0.0
    speed = f", {rate / 1e6:,.1f} MB/s" if rate else ""
    left = ""
    if rate and total is not None and done < total:
        minutes, rest = divmod(round((total - done) / rate), 60)
        left = f", {minutes // 60}:{minutes % 60:02}:{rest:02} left"
    return f"{task}: {done / 1e6:,.1f}{of} MB{speed}{left}"
