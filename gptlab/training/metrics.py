"""`metrics.jsonl`: one line of JSON for each step, which a resumed run continues as if it had never stopped.

A checkpoint stores how long the file was, in bytes, after the lines were forced to disk. Going on cuts the file
back to that length: O(1), and what was written after the checkpoint (or half written) is gone, because those steps
are about to be done again.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from gptlab.pipeline.observe import say
from gptlab.storage.errors import disk_error
from gptlab.storage.flushing import flush, make_folder

BY_THE_CLOCK = frozenset({"seconds", "tokens_per_second", "data_seconds", "memory_gib", "mfu"})
"""Figures of a step that the machine decides: those alone differ between two equal runs."""


class MetricsFile:
    """Lines of figures, appended.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> with MetricsFile(path) as metrics:
    ...     metrics.append({"step": 1, "loss": 2.5})
    ...     length = metrics.sync()
    ...     metrics.append({"step": 2, "loss": 2.4})
    >>> MetricsFile(path, length).close(); path.read_text()
    '{"step": 1, "loss": 2.5}\\n'
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open the file, made where there is none, and cut it back to `length` bytes.

        Raises:
            StorageError: the disk cannot be written.
        """
        self._path = path
        with self._disk_errors():
            make_folder(path.parent)
            self._file = path.open("ab", buffering=0)
            self._length = _cut_back(path, length)
            flush([path.parent])

    def append(self, figures: Mapping[str, int | float]) -> None:
        """Write one line; whoever follows the file sees it at once.

        Raises:
            StorageError: the disk is full or cannot be written; a part of the line may be there.
        """
        left = memoryview(json.dumps(dict(figures)).encode() + b"\n")
        with self._disk_errors():
            while left:
                left = left[self._file.write(left) :]  # a full disk takes a part
        self._length = self._file.tell()

    def sync(self) -> int:
        """Force all lines to disk; the length of the file in bytes.

        Raises:
            StorageError: the disk is full or broken.
        """
        with self._disk_errors():
            os.fsync(self._file.fileno())
        return self.length()

    def length(self) -> int:
        """Bytes written so far, whether or not they are on disk."""
        return self._length

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut_back(path: Path, length: int) -> int:
    """Cut the file to `length` bytes; one that is shorter, to its whole lines. The length that it has then."""
    if path.stat().st_size < length:
        say(f"{path} is shorter than when the checkpoint was saved: its earlier lines are not all there")
        length = path.read_bytes().rfind(b"\n") + 1
    os.truncate(path, length)
    return length
