"""`metrics.jsonl`: one line of JSON for each step, which a resumed run continues as if it had never stopped.

A checkpoint stores how long the file was, in bytes, after the lines were forced to disk. Going on cuts the file
back to that length: O(1), and what was written after the checkpoint (or half written) is gone, because those steps
are about to be done again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from gptlab.pipeline.observe import say

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
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.stat().st_size < length:
            say(f"{path} is shorter than when the checkpoint was saved: its earlier lines are not all there")
        else:
            os.truncate(path, length)
        self._file = path.open("ab")

    def append(self, figures: Mapping[str, int | float]) -> None:
        """Write one line; whoever follows the file sees it at once."""
        self._file.write(json.dumps(dict(figures)).encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Force all lines to disk; the length of the file in bytes."""
        os.fsync(self._file.fileno())
        return self.length()

    def length(self) -> int:
        """Bytes written so far, whether or not they are on disk."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
