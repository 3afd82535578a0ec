"""Running the real programs, `python -m recipes.<name>`, each in a folder of its own, small enough for a test."""

import hashlib
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import attrs

K, R = TypeVar("K"), TypeVar("R")

ROOT = Path(__file__).parents[2]
CORES = 2


def words(text: str) -> list[str]:
    """Arguments as they are typed."""
    return text.split()


MODEL = words("--model.layers 1 --model.width 32 --model.heads 2 --model.vocab_size 400")
ROWS = words("--model.max_seq_len 192")
SMALL: dict[str, list[str]] = {
    "dagseq_wiki": [*words("--pages 160 --trainer.steps 6"), *MODEL, *ROWS],
    "plain_text": [*words("--trainer.steps 4"), *MODEL, *ROWS],
    "dagseq_python": [*words("--trainer.steps 4 --packages attrs cattrs"), *MODEL, *ROWS],
    "link_prediction": words("--trainer.steps 4 --packages attrs cattrs --model.vocab_size 400"),
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
    kept = {
        name: value for name, value in os.environ.items() if name.split("_")[0] not in ("PYTEST", "GPTLAB", "COV")
    }
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


def ended(place: Path, program: str | Path, *arguments: str | Path) -> Ended:
    """Run it to its end."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command(program, *arguments), cwd=place, env=environment(), capture_output=True, timeout=300, check=False
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def started(place: Path, program: str | Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """Run it beside the test; what it says goes to `place/said.txt`."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "said.txt").open("wb") as said:
        return subprocess.Popen(
            command(program, *arguments), cwd=place, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )


NURSERY = """
import json, os, resource, signal, sys
import matplotlib.pyplot, tyro
import gptlab.benchmarks, gptlab.experiment, gptlab.graph, gptlab.models, gptlab.packing, gptlab.sources
import gptlab.tokenizers, gptlab.training

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"}


def count_changes(kill_at, told):
    left = [kill_at]

    def heard(event, arguments):
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
        writes = writes or event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if (writes or event in CHANGES) and not str(arguments[0]).startswith(("/dev", "/proc", "/tmp/tmp")):
            os.write(told, b".")
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


def become(ask):
    os.setsid()
    os.chdir(ask["place"])
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(ask[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2))
    if ask["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ask["limit"], ask["limit"]))
    if ask["changes"] is not None:
        count_changes(ask["kill_at"], os.open(ask["changes"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    sys.argv = ask["argv"]
    import runpy

    code = 0
    try:
        runpy.run_module(ask["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


print("ready", flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    child = os.fork()
    if child == 0:
        become(ask)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""A process that has imported everything (most of a short program's time) and becomes a program by forking."""


@attrs.frozen(eq=False)
class Nursery:
    """Programs without the wait for imports; otherwise they are as `python -m` starts them."""

    waiting: "queue.Queue[subprocess.Popen[str]]"

    def ended(
        self,
        place: Path,
        program: str,
        *arguments: str | Path,
        limit: int | None = None,
        kill_at: int | None = None,
    ) -> Ended:
        """Run a recipe to its end.

        Args:
            place: where.
            program: the recipe's name.
            arguments: as on the command line.
            limit: bytes that any of its files may have.
            kill_at: SIGKILL just before this change (the first is 1) to the file system; 0 to count them only.
        """
        place.mkdir(parents=True, exist_ok=True)
        said = {name: place.with_name(f"{place.name}.{name}") for name in ("out", "err", "changes")}
        ask = {
            "place": str(place),
            "module": f"recipes.{program}",
            "argv": command(program, *arguments)[2:],
            "out": str(said["out"]),
            "err": str(said["err"]),
            "changes": None if kill_at is None else str(said["changes"]),
            "kill_at": kill_at,
            "limit": limit,
        }
        process = self.waiting.get()
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(ask) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
        finally:
            self.waiting.put(process)
        return Ended(code, *(said[name].read_text(encoding="utf-8") for name in ("out", "err")))

    def changes_of(self, place: Path) -> int:
        """How many changes the last program in `place` made, that was told to count them."""
        return place.with_name(f"{place.name}.changes").stat().st_size


@contextmanager
def nursery() -> Iterator[Nursery]:
    """As many as there are cores."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(CORES)
    ]
    waiting: queue.Queue[subprocess.Popen[str]] = queue.Queue()
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            waiting.put(process)
        yield Nursery(waiting)
    finally:
        for process in processes:
            process.stdin and process.stdin.close()
            process.wait(timeout=60)
            process.stdout and process.stdout.close()


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
