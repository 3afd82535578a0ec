"""Shows a run on the console: bars for a person, plain lines for a pipe, everything in log.txt.

A bar lives while its task does; when the task ends one line stays, so that a run of many tasks reads as a list and
the bars at the bottom are the ones that move. Without a terminal (a pipe, CI, a notebook) each task says a line at
its start, every ten seconds and at its end. Rates and times left are taken over the last half minute, so that a
slow start (compilation, cold caches) does not colour the estimate for an hour.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

import attrs
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from gptlab.experiment.text import Real, count, duration, printable, rate, shorten, size
from gptlab.pipeline.observe import Drops

WINDOW_SECONDS = 30.0


class Pace:
    """How fast a task is, from what it reported within the last `WINDOW_SECONDS`.

    >>> pace = Pace(start=0.0)
    >>> for second in range(1, 5):
    ...     pace.report(float(second), done=10.0 * second)
    >>> pace.speed(), pace.left(100.0)
    (10.0, 6.0)
    """

    def __init__(self, start: Real, done: Real = 0.0) -> None:
        self.started = float(start)
        self._first = float(done)
        self._reports: deque[tuple[float, float]] = deque([(self.started, self._first)])

    @property
    def done(self) -> float:
        """What the last report said."""
        return self._reports[-1][1]

    def report(self, now: Real, done: Real) -> None:
        """Note that `done` units are done; old notes are forgotten, but for the last one before the window."""
        self._reports.append((float(now), float(done)))
        while len(self._reports) > 2 and self._reports[1][0] <= now - WINDOW_SECONDS:
            self._reports.popleft()

    def speed(self) -> float:
        """Units per second; 0 when that cannot be known."""
        (first, before), (last, done) = self._reports[0], self._reports[-1]
        return (done - before) / (last - first) if last > first else 0.0

    def mean_speed(self) -> float:
        """Units per second since the start."""
        last, done = self._reports[-1]
        return (done - self._first) / (last - self.started) if last > self.started else 0.0

    def left(self, total: Real | None) -> float | None:
        """Seconds until `total`; None when that cannot be known."""
        speed = self.speed()
        return (total - self.done) / speed if total is not None and speed > 0 else None


@attrs.define
class _Task:
    pace: Pace
    total: Real | None
    unit: str
    said: Real
    bar: TaskID | None = None
    note: str = ""


class ConsoleObserver:
    """An observer that a person can read; see the module's text for what it shows when.

    Use it as a context manager: at its end unfinished tasks are told as such, and the terminal is put in order.

    Args:
        logger: takes all that is said, from `make_logger`; its console handler should write to the same `console`.
        console: where the bars are drawn; None draws none (every rank but the first).
        clock: seconds, ascending.
        every: seconds between the plain lines of a task.
    """

    def __init__(
        self,
        logger: logging.Logger,
        console: Console | None,
        *,
        clock: Callable[[], Real] = time.monotonic,
        every: Real = 10.0,
    ) -> None:
        self.drops = Drops()
        self._logger, self._clock, self._every = logger, clock, every
        self._tasks: dict[str, _Task] = {}
        self._ended: dict[str, tuple[Real, Real]] = {}
        self._lock = threading.RLock()
        bars = console is not None and console.is_terminal and not console.is_dumb_terminal
        self._bars = _bars(console) if bars else None
        # With bars the lines of a running task are for log.txt only; without, they are all a person sees.
        self._plain = logging.DEBUG if bars else logging.INFO

    def __enter__(self) -> "ConsoleObserver":
        """Start drawing."""
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell which tasks did not end and what was dropped; give the terminal back."""
        with self._lock:
            for name, task in list(self._tasks.items()):
                spent = duration(self._clock() - task.pace.started)
                text = f"{name}: stopped at {_done(task.pace.done, task.total, task.unit)} after {spent}"
                self._close(name, text, logging.INFO if kind is not None else logging.DEBUG)
            failed = kind is not None and issubclass(kind, Exception)  # then there is no closing table
            for reason, number in self.drops.counts.items():
                level = logging.INFO if failed else logging.DEBUG
                self._logger.log(level, "dropped %s: %s%s", f"{number:,}", reason, self._example(reason))
            if self._bars is not None:
                self._bars.stop()

    def say(self, message: str) -> None:
        """Show one message."""
        self._logger.info("%s", message)

    def drop(self, reason: str, count: int, example: str) -> None:
        """Count a drop; the first of each reason is logged, the sums are for the closing table."""
        with self._lock:
            is_new = reason not in self.drops.counts
            self.drops.drop(reason, count, example)
        if is_new:
            self._logger.debug("first drop: %s%s", reason, self._example(reason))

    def progress(self, task: str, done: Real, total: Real | None, unit: str) -> None:
        """Move a bar, or say a line when one is due."""
        with self._lock:
            now = self._clock()
            running = self._tasks.get(task)
            ends = total is not None and done >= total
            if running is not None and done < running.pace.done:  # it was left in the middle and starts over
                self._close(task, None, logging.DEBUG)
                running = None
            if running is None:
                if ends and self._ended.get(task) == (done, total):
                    return  # the end was told twice
                running = self._begin(task, done, total, unit, now)
            running.total, running.unit = total, unit
            running.pace.report(now, done)
            if ends:
                self._end(task, running, now)
            else:
                self._move(task, running, now)

    def note(self, task: str, text: str) -> None:
        """Show a few words beside the task's figures, from its next report on."""
        with self._lock:
            if task in self._tasks:
                self._tasks[task].note = printable(text)

    def _begin(self, name: str, done: Real, total: Real | None, unit: str, now: Real) -> _Task:
        task = _Task(pace=Pace(now, done), total=total, unit=unit, said=now)
        if self._bars is not None:
            task.bar = self._bars.add_task(printable(name), total=total, counts="", rate="", left="")
        self._tasks[name] = task
        known = f" of {_done(total, None, unit)}" if total is not None else ""
        begun = (
            f" from {_done(done, None, unit) if unit == 'bytes' else count(done)}{known}"
            if done
            else f":{known[3:]}"
            if known
            else ""
        )
        self._logger.log(logging.DEBUG if name in self._ended else self._plain, "%s", f"{name}{begun} …")
        return task

    def _move(self, name: str, task: _Task, now: Real) -> None:
        speed, left = rate(task.pace.speed(), task.unit), task.pace.left(task.total)
        time_left = f"{duration(left)} left" if left is not None else ""
        if self._bars is not None and task.bar is not None:
            counts = _done(task.pace.done, task.total, "" if speed and task.unit != "bytes" else task.unit)
            counts = f"{counts}  {task.note}" if task.note else counts
            self._bars.update(
                task.bar, completed=task.pace.done, total=task.total, counts=counts, rate=speed, left=time_left
            )
        if now - task.said >= self._every:
            task.said = now
            share = f" ({100 * task.pace.done / task.total:.0f} %)" if task.total else ""
            parts = [_done(task.pace.done, task.total, task.unit) + share, task.note, speed, time_left]
            self._logger.log(self._plain, "%s", f"{name}: {', '.join(part for part in parts if part)}")

    def _end(self, name: str, task: _Task, now: Real) -> None:
        spent = now - task.pace.started
        speed = rate(task.pace.mean_speed(), task.unit) if spent >= 0.05 else ""
        text = (
            f"{name}: {_done(task.pace.done, None, task.unit)} in {duration(spent)}{f' ({speed})' if speed else ''}"
        )
        level = self._level(name, spent)
        self._ended[name] = (task.pace.done, math.inf if task.total is None else task.total)
        self._close(name, text, level)

    def _close(self, name: str, text: str | None, level: int) -> None:
        task = self._tasks.pop(name)
        if self._bars is not None and task.bar is not None:
            self._bars.remove_task(task.bar)
        if text is not None:
            self._logger.log(level, "%s", text)

    def _level(self, name: str, spent: Real) -> int:
        """A task that comes back (a short evaluation every hundred steps) is shown once, and then in log.txt only."""
        return logging.INFO if name not in self._ended or spent >= self._every else logging.DEBUG

    def _example(self, reason: str) -> str:
        example = self.drops.examples.get(reason, "")
        return f" ({shorten(example, 200)})" if example else ""


def _done(done: Real, total: Real | None, unit: str) -> str:
    if unit == "bytes":
        return f"{size(done)}/{size(total)}" if total is not None else size(done)
    of = f"/{count(total)}" if total is not None else ""
    return f"{count(done)}{of} {unit}".rstrip()


def _bars(console: Console | None) -> Progress:
    def right(field: str) -> TextColumn:
        text = "{task.fields[" + field + "]}"
        return TextColumn(text, markup=False, justify="right", table_column=Column(no_wrap=True))

    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=28)),
        BarColumn(bar_width=None, table_column=Column(min_width=6, max_width=40, ratio=1)),
        right("counts"),
        right("rate"),
        right("left"),
        console=console,
        expand=True,
        transient=True,
        refresh_per_second=2,  # drawing takes one to two milliseconds in which nothing else runs in Python
    )
