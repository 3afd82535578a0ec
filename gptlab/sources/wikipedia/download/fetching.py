"""Several files at a time, one or two: threads that wait for the network, and one figure of how far they all are."""

import contextvars
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from gptlab.pipeline.observe import progress
from gptlab.sources.wikipedia.download.client import Client
from gptlab.sources.wikipedia.download.kept import note
from gptlab.sources.wikipedia.download.release import RemoteFile
from gptlab.sources.wikipedia.download.transfer import part_of, size_of, transfer

TELL_EVERY = 0.2
"""Seconds between two reports of progress."""


def fetch_all(
    files: Sequence[RemoteFile],
    folder: Path,
    servers: Sequence[str],
    client: Client,
    *,
    connections: int,
    task: str,
) -> None:
    """Transfer files into `folder`, `connections` at a time; the first error, or Ctrl-C, ends all.

    Args:
        servers: base addresses, mirrors first.
        task: the name under which progress is shown, in bytes of all files.

    Raises:
        SourceError, StorageError: as of `transfer`; what has arrived of each file stays.
    """
    gauge = _Gauge(task, files, folder)
    guard = threading.Lock()

    def fetch(file: RemoteFile) -> None:
        transfer(file, folder, servers, client, lambda there: gauge.report(file.name, there))
        with guard:
            note(file, folder)

    pool = ThreadPoolExecutor(connections)
    is_interrupted = False
    try:
        for future in as_completed([pool.submit(contextvars.copy_context().run, fetch, file) for file in files]):
            future.result()
    except KeyboardInterrupt:
        is_interrupted = True
        raise
    finally:
        client.stopped.set()
        # A thread may wait for a silent server as long as its patience; Ctrl-C has none. Stopped, it writes no more.
        pool.shutdown(wait=not is_interrupted, cancel_futures=True)
    gauge.end()


class _Gauge:
    """How much of all files is there, told a few times a second whichever thread it is that fetches."""

    def __init__(self, task: str, files: Sequence[RemoteFile], folder: Path) -> None:
        self._task = task
        self._there = {file.name: size_of(part_of(folder / file.name)) for file in files}
        self._total = None if any(file.size is None for file in files) else sum(file.size or 0 for file in files)
        self._told = -math.inf
        self._guard = threading.Lock()

    def report(self, name: str, there: int) -> None:
        """Note how many bytes of a file are there."""
        with self._guard:
            self._there[name] = there
            if (now := time.monotonic()) - self._told >= TELL_EVERY:
                self._told = now
                done = sum(self._there.values())
                progress(
                    self._task, done if self._total is None else min(done, self._total - 1), self._total, "bytes"
                )

    def end(self) -> None:
        """Say that all are."""
        done = sum(self._there.values())
        progress(self._task, done, done, "bytes")
