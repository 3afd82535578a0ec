"""What of old runs can go: first said, then done, and never a trained model that nobody named.

A run is one of four: *running* (some process holds it: never touched), *finished* (a trained model: kept unless asked
for by `finished`), *resumable* (a checkpoint: kept unless asked for by `resumable`), *empty* (it began and left
nothing to go on from). Removal is a rename and then a deletion, so a kill leaves no half run behind.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.text import size
from gptlab.experiment.using import is_in_use
from gptlab.storage.temporaries import temporary_sibling

Kind = Literal["running", "finished", "resumable", "empty"]
REASONS = {
    "finished": "a trained model",
    "resumable": "not finished, with a checkpoint to go on from",
    "empty": "began, and left nothing to go on from",
}


@attrs.frozen(kw_only=True)
class Removable:
    """A run that would be removed.

    Attributes:
        run: its directory.
        kind: which of the four it is.
        bytes: what it takes on disk.
    """

    run: RunDirectory
    kind: Kind
    bytes: int

    def __str__(self) -> str:
        return f"{self.run.path}  {size(self.bytes)}  {REASONS[self.kind]}"


def kind_of_run(run: RunDirectory) -> Kind:
    """Which of the four a run is."""
    if is_in_use(run.path):
        return "running"
    if run.is_finished or (run.path / "model").is_dir():
        return "finished"
    has_checkpoint = run.checkpoints.is_dir() and any(run.checkpoints.iterdir())
    return "resumable" if has_checkpoint else "empty"


def removable(found: Sequence[RunDirectory], *, finished: bool = False, resumable: bool = False) -> list[Removable]:
    """The runs that may go.

    Args:
        found: those that are looked at.
        finished: trained models as well.
        resumable: runs with a checkpoint as well.
    """
    asked = {"empty", *(["finished"] if finished else []), *(["resumable"] if resumable else [])}
    kinds = [(run, kind_of_run(run)) for run in found]
    return [Removable(run=run, kind=kind, bytes=bytes_of(run.path)) for run, kind in kinds if kind in asked]


def remove(chosen: Sequence[Removable]) -> list[Removable]:
    """Remove runs; those that another process uses by now are left. Returns those that are gone."""
    gone = []
    for each in chosen:
        if kind_of_run(each.run) == each.kind:
            hidden = each.run.path.rename(temporary_sibling(each.run.path))
            shutil.rmtree(hidden)
            gone.append(each)
    return gone


def bytes_of(folder: Path) -> int:
    """What the files below a folder hold."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
