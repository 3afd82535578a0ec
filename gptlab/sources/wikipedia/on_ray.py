"""Workers that are Ray's: on a cluster that Ray is connected to, or on one that starts with this process.

A part goes to the worker as the bytes of the file (one or two hundred kilobytes of bz2), so no machine but this one
needs to see the dump. The table of redirects goes once to every machine, where its processes share it.
"""

import functools
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.parts import Part
from gptlab.sources.wikipedia.redirects import Redirects, arrays_of
from gptlab.sources.wikipedia.work import Task, Work, do_part


class RayWorkers:
    """Workers on Ray; use as a context. A cluster that was started for them ends with the process, as Ray has it.

    Args:
        task: what they do.
        number: how many parts are worked on at a time.

    Raises:
        SourceError: Ray is not installed.
    """

    def __init__(self, task: Task, number: int) -> None:
        try:
            import ray  # noqa: PLC0415 - optional
        except ImportError:
            raise SourceError(
                "WikipediaDump.ray",
                got="no module named 'ray'",
                wanted="Ray, which is an extra of this library",
                do="pip install 'gptlab[ray]'",
            ) from None
        self.number = number
        self._ray: Any = ray
        self._task = task
        self._given: Any = None

    def __enter__(self) -> "RayWorkers":
        ray = self._ray
        if not ray.is_initialized():
            # What Ray says of itself belongs into its own logs, not between a run's lines.
            ray.init(num_cpus=self.number, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        table = None if self._task.table is None else ray.put(arrays_of(Path(self._task.table)))
        self._given = (ray.put(pickle.dumps(self._task)), table)
        self._remote = ray.remote(num_cpus=1, max_retries=2)(_do_part)
        return self

    def __exit__(self, *_: object) -> None:
        self._given = None

    def submit(self, part: Part) -> Callable[[], bytes]:
        """Begin to work on a part, wherever there is room."""
        found = self._remote.remote(*self._given, attrs.astuple(part))
        return functools.partial(self._wait, found)

    def _wait(self, found: Any) -> bytes:
        errors = self._ray.exceptions
        try:
            packed: bytes = self._ray.get(found)
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        ) as error:
            raise SourceError(
                f"{self._task.path}: reading it on Ray",
                got=f"a worker that died ({type(error).__name__}), again when tried again",
                wanted="workers that live until the dump is read",
                do="Look at Ray's logs; when memory ran out, read in fewer processes.",
            ) from None
        return packed


def _do_part(task: bytes, table: Any, part: tuple[Any, ...]) -> bytes:
    work = _begun(task, table)
    data, is_packed, start, end = part
    return do_part(*work, Part(data=data, is_packed=is_packed, start=start, end=end))


_STARTED: dict[bytes, tuple[Task, Work]] = {}


def _begun(packed: bytes, table: Any) -> tuple[Task, Work]:
    """The work of a task, begun once in each process."""
    if packed not in _STARTED:
        task: Task = pickle.loads(packed)
        _STARTED.clear()
        _STARTED[packed] = task, task.begin(None if table is None else Redirects.of_arrays(table))
    return _STARTED[packed]
