"""How the processes of one launch agree on a run directory without talking: the first makes it, the others find it.

torchrun gives each process its rank and the launch's address, but a run directory is made before anything is
connected (its log shows what goes wrong while connecting). So the first rank leaves a note beside the runs, named
after the launch, and the others wait for it.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.ranks import rank_from_environment
from gptlab.storage import write_atomically

PATIENCE = 120.0
"""Seconds that a rank waits: importing torch takes some, on a busy machine many."""
_KEPT = 3600.0
_LAUNCH = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")


def launch_key() -> str | None:
    """What the processes of this launch have in common and no other launch has; None for a process alone."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return None
    facts = [os.environ.get(name, "") for name in _LAUNCH]
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        facts.append(str(os.getppid()))  # one machine: all have one parent; ports and run ids may come again
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def leave_note(root: Path, made: Path) -> None:
    """Tell the other ranks of this launch which directory is theirs; notes of yesterday are removed."""
    key = launch_key()
    if key is None:
        return
    for old in root.glob(".launch-*"):
        if time.time() - old.stat().st_mtime > _KEPT:
            old.unlink(missing_ok=True)
    write_atomically(root / f".launch-{key}", made.name)


def found_note(root: Path, *, clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE) -> Path | None:
    """The directory that the first rank made; None for the first rank itself, which has to make it.

    Raises:
        ExperimentError: it did not come.
    """
    key = launch_key()
    if key is None or rank_from_environment() == 0:
        return None
    note, start = root / f".launch-{key}", clock()
    while clock() - start < patience:
        if note.is_file() and time.time() - note.stat().st_mtime < _KEPT:
            return root / note.read_text(encoding="utf-8")
        time.sleep(0.02)
    raise ExperimentError(
        f"rank {rank_from_environment()} in {root}",
        got=f"no run directory from the first rank within {patience:.0f} s",
        wanted="one run directory for all ranks, in a folder that all of them see",
        do="Look at what rank 0 says; on several machines, put the folder of runs on a shared disk.",
    )
