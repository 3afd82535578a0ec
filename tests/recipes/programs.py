"""Running the real programs: `python -m recipes.<name>` in a process and a folder of its own, small enough for a test."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs

K, R = TypeVar("K"), TypeVar("R")

ROOT = Path(__file__).parents[2]
CORES = 2
MODEL = "--model.layers 1 --model.width 32 --model.heads 2 --model.vocab_size 400".split()
ROWS = "--model.max_seq_len 192".split()
SMALL: dict[str, list[str]] = {
    "dagseq_wiki": [*"--pages 160 --trainer.steps 6".split(), *MODEL, *ROWS],
    "plain_text": [*"--trainer.steps 4".split(), *MODEL, *ROWS],
    "dagseq_python": [*"--trainer.steps 4 --packages attrs cattrs".split(), *MODEL, *ROWS],
    "link_prediction": "--trainer.steps 4 --packages attrs cattrs --model.vocab_size 400".split(),
}
"""Settings with which a recipe ends within a few seconds."""


@attrs.frozen
class Ended:
    """A program that has ended: its exit code (negative: killed by that signal), and what it said."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def environment(**more: str) -> dict[str, str]:
    """One thread, no colours, wide lines, and none of what the tests' own process was told."""
    kept = {name: value for name, value in os.environ.items() if name.split("_")[0] not in ("PYTEST", "GPTLAB", "COV")}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "COLUMNS": "250",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def command(program: str | Path, *arguments: str | Path) -> list[str]:
    """A recipe by its name, or a Python file; its prepared data and its runs stay below the folder it runs in."""
    start = ["-m", f"recipes.{program}"] if isinstance(program, str) else [str(program)]
    places = ["--cache", "cache", "--experiments", "experiments"]
    return [sys.executable, *start, *places, *map(str, arguments)]


def ended(
    place: Path, program: str | Path, *arguments: str | Path, env: Mapping[str, str] | None = None, **more: Any
) -> Ended:
    """Run it to its end."""
    place.mkdir(parents=True, exist_ok=True)
    given = environment(**(env or {}))
    done = subprocess.run(
        command(program, *arguments), cwd=place, env=given, capture_output=True, timeout=300, check=False, **more
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def started(place: Path, program: str | Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """Run it beside the test; what it says goes to `place/said.txt`."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "said.txt").open("wb") as said:
        return subprocess.Popen(
            command(program, *arguments), cwd=place, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )


def together(work: Callable[[K], R], keys: Iterable[K]) -> dict[K, R]:
    """`work` on every key, two at a time: a program spends its first two seconds importing torch."""
    keys = list(keys)
    with ThreadPoolExecutor(CORES) as pool:
        return dict(zip(keys, pool.map(work, keys), strict=True))


def runs_of(place: Path) -> list[Path]:
    """The run directories, oldest first."""
    return sorted((place / "experiments").glob("[0-9]*"))


def weights_of(run: Path) -> str:
    """A hash of the final weights."""
    return hashlib.sha256((run / "model" / "value" / "model.safetensors").read_bytes()).hexdigest()


def times_of(folder: Path) -> dict[str, int]:
    """When each file below a folder was last written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


def rubbish_of(*folders: Path) -> list[Path]:
    """What unfinished work is called while it is worked on: hidden names, and checkpoints on their way out."""
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.name.startswith((".", "removing-")) or path.suffix == ".tmp"
    ]
