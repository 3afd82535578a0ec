"""The other end of `lives_program.py`: orders a life, hears how it ended."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent


class Lives:
    """A program that has imported everything, of which each life is a fork.

    Args:
        errors: where it writes what it has to say.
    """

    def __init__(self) -> None:
        path = os.pathsep.join([str(HERE), str(HERE.parent)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / "lives_program.py")]
        self._program = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def life(self, directory: Path, told: Path, setting: str, **order: Any) -> tuple[int, int]:
        """Let one life be lived; its exit code (-9: killed) and the signs of life that were seen.

        Raises:
            AssertionError: it ended with an error of its own; the text is the error's.
        """
        assert self._program.stdin is not None and self._program.stdout is not None
        whole = {"directory": str(directory), "told": str(told), "setting": setting, **order}
        self._program.stdin.write(json.dumps(whole) + "\n")
        self._program.stdin.flush()
        answer = json.loads(self._program.stdout.readline())
        if (error := told.with_suffix(".error")).exists():
            text = error.read_text()
            error.unlink()
            raise AssertionError(text)
        return answer["code"], answer["signs"]

    def __enter__(self) -> "Lives":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)
