"""Processes that work on parts of a dump: on this machine, or Ray's on any number of them. Results come in order.

A worker is a fresh Python that imports the reading of dumps and no more (50 MB; no torch, and not the program that
started it, so a script needs no `if __name__ == "__main__"`), fed through its standard input. It has one part in
hand and one waiting, so that it never waits for its reader. When the reader stops, however it stops, the workers'
input ends and so do they.
"""

import contextlib
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.parts import Part
from gptlab.sources.wikipedia.work import Done, Task, read_done

_LENGTH = struct.Struct("<Q")
_AHEAD = 3
"""Parts per worker that are read ahead: one in hand, one waiting, one in which the others may fall behind."""


@runtime_checkable
class Workers(Protocol):
    """Where parts are worked on. A complete one:

    >>> from gptlab.sources.wikipedia.work import do_part
    >>> class Here:
    ...     number = 1
    ...     def __init__(self, task: Task) -> None:
    ...         self.task, self.work = task, task.begin()
    ...     def submit(self, part: Part) -> Callable[[], bytes]:
    ...         packed = do_part(self.task, self.work, part)
    ...         return lambda: packed
    """

    number: int

    def submit(self, part: Part) -> Callable[[], bytes]:
        """Begin to work on a part; what is given waits for what comes of it, as `do_part` packs it."""


def in_order(workers: Workers, parts: Iterator[Part]) -> Generator[tuple[Part, Done], None, None]:
    """What comes of the parts, in their order, a few read ahead.

    Raises:
        SourceError: as reading the parts does, after all that was read before.
    """
    waiting: deque[tuple[Part, Callable[[], bytes]]] = deque()
    error: SourceError | None = None
    is_exhausted = False
    while True:
        while not is_exhausted and len(waiting) < _AHEAD * workers.number:
            try:
                part = next(parts)
            except StopIteration:
                is_exhausted = True
            except SourceError as found:
                is_exhausted, error = True, found
            else:
                waiting.append((part, workers.submit(part)))
        if not waiting:
            break
        part, wait = waiting.popleft()
        yield part, read_done(wait())
    if error:
        raise error


class Processes:
    """Workers on this machine; use as a context, at whose end they end."""

    def __init__(self, task: Task, number: int) -> None:
        self.number = number
        self._task = task
        self._parts: queue.SimpleQueue[tuple[Future[bytes], Part] | None] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Processes":
        # The modules come from where ours came from, whatever the working directory.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        for _ in range(self.number):
            process = subprocess.Popen(
                [sys.executable, "-m", "gptlab.sources.wikipedia.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                cwd=Path.cwd(),
            )
            self._processes.append(process)
            self._threads.append(threading.Thread(target=self._serve, args=(process,), daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            self._parts.put(None)
            process.kill()
        for process, thread in zip(self._processes, self._threads, strict=True):
            process.wait()
            thread.join()

    def submit(self, part: Part) -> Callable[[], bytes]:
        """Queue a part for whichever worker is free first."""
        future: Future[bytes] = Future()
        self._parts.put((future, part))
        return future.result

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        """Keep one worker busy, in a thread of its own: two parts sent, then a result read for each further one."""
        assert process.stdin is not None and process.stdout is not None
        sent: deque[Future[bytes]] = deque()
        try:
            send(process.stdin, pickle.dumps(self._task))
            while True:
                try:
                    waiting = self._parts.get(block=not sent)
                except queue.Empty:
                    self._take(process.stdout, sent)
                    continue
                if waiting is None:
                    return
                sent.append(waiting[0])
                send(process.stdin, pickle.dumps(waiting[1], protocol=5))
                if len(sent) == 2:
                    self._take(process.stdout, sent)
        except (OSError, EOFError):
            self._tell_death(process, sent)
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdout.close()

    @staticmethod
    def _take(stdout: IO[bytes], sent: deque[Future[bytes]]) -> None:
        result = receive(stdout)  # before its future is taken away: where this fails, that is told
        sent.popleft().set_result(result)

    def _tell_death(self, process: subprocess.Popen[bytes], sent: deque[Future[bytes]]) -> None:
        code = process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        error = SourceError(
            f"{self._task.path}: reading it in {self.number} processes",
            got=f"a process that {how}",
            wanted="processes that live until the dump is read",
            do="When memory ran out, read in fewer processes; processes=1 reads in this one.",
        )
        for future in sent:
            future.set_exception(error)
        while (waiting := self._parts.get()) is not None:  # all that were to come
            waiting[0].set_exception(error)


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message to a pipe."""
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message from a pipe.

    Raises:
        EOFError: the other side is gone.
    """
    head = stream.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    message = stream.read(length)
    if len(head) < _LENGTH.size or len(message) < length:
        raise EOFError
    return message
