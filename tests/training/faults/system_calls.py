"""Every step that saving takes through the system, as an event that a test can stop at.

Calls that change names or force data to the disk are wrapped in the process itself, so that "killed just before the
third fsync" or "the power failed just after the rename" is a place that is hit every time, not a matter of luck.
What is written by compiled code (safetensors) is not seen while it happens; a kill from outside meets that.
"""

import functools
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

import gptlab.storage.directories

CALLS = ("mkdir", "rename", "replace", "unlink", "rmdir", "truncate", "fsync")


@attrs.frozen
class Event:
    """A call below the directory that is watched.

    Attributes:
        number: from 1, of the calls of this process.
        call: its name.
        path: what it is about; below the directory.
        before: whether it is about to happen, else it has.
    """

    number: int
    call: str
    path: Path
    before: bool

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'} {self.call} {self.path} ({self.number})"


def watch_calls(directory: Path, observe: Callable[[Event], None]) -> None:
    """From now on `observe` is called before and after each call about something below `directory`; for good.

    What it does itself is not seen. One call at a time: a second thread waits.
    """
    watcher = _Watcher(directory.resolve(), observe)
    for name in CALLS:
        setattr(os, name, watcher.wrapped(name, getattr(os, name)))
    io.open = watcher.wrapped("open", io.open)
    module: Any = gptlab.storage.directories
    module.exchange = watcher.wrapped("exchange", module.exchange)


class _Watcher:
    def __init__(self, directory: Path, observe: Callable[[Event], None]) -> None:
        self._directory, self._observe = directory, observe
        self._lock, self._inside, self._count = threading.Lock(), threading.local(), 0

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            path = None if getattr(self._inside, "yes", False) else self._about(name, args, kwargs)
            if path is None:
                return call(*args, **kwargs)
            with self._lock:
                self._inside.yes = True
                try:
                    self._count += 1
                    self._observe(Event(self._count, name, path, before=True))
                    result = call(*args, **kwargs)
                    self._observe(Event(self._count, name, path, before=False))
                    return result
                finally:
                    self._inside.yes = False

        return watched

    def _about(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Path | None:
        """What a call is about, below the directory; None where it is about something else."""
        if name == "open" and not set("wax") & set(args[1] if len(args) > 1 else kwargs.get("mode", "r")):
            return None
        if not isinstance(args[0], int):
            path = Path(args[0])
            if (folder := kwargs.get("dir_fd")) is not None:
                path = Path(f"/proc/self/fd/{folder}").readlink() / path
        else:
            path = Path(f"/proc/self/fd/{args[0]}").readlink()
        path = path if path.is_absolute() else Path.cwd() / path
        if path == self._directory or path.is_relative_to(self._directory):
            return path.relative_to(self._directory)
        return None
