"""Checkpoints: directories that appear whole or not at all, hold no pickle, and say what they are.

    <directory>/metrics.jsonl
    <directory>/checkpoints/step-00000100/
        manifest.json           size and SHA-256 of every file, written last (gptlab.storage)
        trainer.json            where the run stands, what hooks remember, config, data, class of the model
        optimizer.safetensors   `<parameter>.<key>`
        average.safetensors     the moving average of the weights, where one is kept
        model/                  what the model's `save_to_dir` wrote: a model of its own

A checkpoint is used only when every hash agrees. A damaged one is named and passed over, never loaded, never removed.
What is written is on the disk, names of folders included, before it is reported: a power cut takes none of it.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gptlab.pipeline.observe import say
from gptlab.storage import StorageError, check_safetensors, new_directory, verify
from gptlab.storage.errors import disk_error
from gptlab.storage.flushing import flush
from gptlab.storage.manifest import MANIFEST, read_manifest
from gptlab.training.errors import TrainingError

KIND = "checkpoint"
FOLDER = "checkpoints"
METRICS = "metrics.jsonl"
ABOUT = "trainer.json"
OPTIMIZER = "optimizer.safetensors"
AVERAGE = "average.safetensors"
_NAME = re.compile(r"step-(\d{8,})")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@attrs.frozen(kw_only=True)
class Position:
    """Where a run stood, in numbers that JSON keeps exactly.

    Attributes:
        step: steps done; batch `step * accumulate` is read next.
        tokens: read so far.
        seconds: spent so far.
        metrics_bytes: length of `metrics.jsonl`; None without one.
    """

    step: int
    tokens: int
    seconds: float
    metrics_bytes: int | None


def checkpoint_path(directory: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps is kept.

    >>> checkpoint_path(Path("run"), 100).as_posix()
    'run/checkpoints/step-00000100'
    """
    return directory / FOLDER / f"step-{step:08d}"


def write_checkpoint(
    path: Path,
    *,
    model: Any,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    position: Position,
    about: Mapping[str, Any],
) -> Path:
    """Write one checkpoint; when this returns it is on disk, whole.

    Args:
        path: a directory that does not exist yet; one that does is replaced.
        model: its `save_to_dir` is called.
        tensors: by file and name: `optimizer`, `average`, the batches of a step that failed.
        position: where the run stands.
        about: JSON: the configuration, the data source, the model's class.

    Raises:
        StorageError: the disk is full or cannot be written; what was there before still is.
    """
    with new_directory(path, kind=KIND, replace=True) as temporary, disk_errors_of_tensors():
        (temporary / "model").mkdir()
        model.save_to_dir(temporary / "model")
        for name, group in tensors.items():
            save_file({key: _plain(tensor) for key, tensor in group.items()}, temporary / f"{name}.safetensors")
        text = json.dumps({**attrs.asdict(position), **about}, indent=2, ensure_ascii=False)
        (temporary / ABOUT).write_text(text + "\n", encoding="utf-8")
    return path


@contextlib.contextmanager
def disk_errors_of_tensors() -> Iterator[None]:
    """Within the block a full disk is an `OSError` where safetensors writes, as it is everywhere else."""
    try:
        yield
    except SafetensorError as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


@attrs.frozen
class Saved:
    """What a checkpoint holds beside the model.

    Attributes:
        position: where the run stood.
        about: what else `trainer.json` says.
        optimizer: its state, `<parameter>.<key>`.
        average: the moving average of the weights; empty where none was kept.
    """

    position: Position
    about: dict[str, Any]
    optimizer: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]


def read_checkpoint(path: Path) -> Saved:
    """All but the model, which is in `path / "model"`.

    Raises:
        StorageError: when the checkpoint is not whole, a hash disagrees, a header claims what is not there, or it
            has the name of another.
    """
    verify_checkpoint(path)
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    position = Position(**{field.name: about.pop(field.name) for field in attrs.fields(Position)})
    average = path / AVERAGE
    return Saved(
        position,
        about,
        read_tensors(path / OPTIMIZER),
        read_tensors(average) if AVERAGE in read_manifest(path).files else {},
    )


def verify_checkpoint(path: Path) -> None:
    """Be sure that a checkpoint is what was written, and the one that its name says.

    Raises:
        StorageError: it is damaged, or it was given the name of another one: what follows from the name (which is
            newer, which lines of `metrics.jsonl` are its own) would be wrong.
    """
    verify(path, KIND)
    listed = read_manifest(path).files
    if missing := [name for name in (ABOUT, OPTIMIZER) if name not in listed]:
        raise StorageError(
            path / MANIFEST,
            got=f"no {missing[0]} in the list",
            wanted="the files of a checkpoint",
            do="Restore the checkpoint from a copy; this one cannot be trusted.",
        )
    step = json.loads((path / ABOUT).read_text(encoding="utf-8"))["step"]
    if (named := _NAME.fullmatch(path.name)) is not None and path.parent.name == FOLDER and int(named[1]) != step:
        raise StorageError(
            path,
            got=f"the checkpoint of step {step}",
            wanted=f"that of step {int(named[1])}, as its name says",
            do=f"Give it its name back: step-{step:08d}.",
        )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of a safetensors file, whose header is compared with its size before anything is allocated.

    Raises:
        StorageError: the header claims what is not there.
    """
    check_safetensors(path)
    return load_file(path)


def checkpoints(directory: Path) -> list[Path]:
    """The checkpoints of a run, whole or not, newest first."""
    folder = directory / FOLDER
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=_step, reverse=True)


def latest_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint of a run whose hashes all agree; None when there is none.

    Damaged ones are named to whoever watches.

    Args:
        directory: the run's, which holds `checkpoints/`.
    """
    for path in checkpoints(directory):
        try:
            verify_checkpoint(path)
        except StorageError as error:
            say(f"checkpoint {path} is damaged and passed over: {error}")
        else:
            return path
    return None


def resolve_checkpoint(path: Path) -> Path:
    """The checkpoint that a user means who names a run, its checkpoints folder or one checkpoint.

    Raises:
        TrainingError: when there is no whole one.
    """
    if (path / ABOUT).exists() or (path / MANIFEST).exists():
        return path
    found = latest_checkpoint(path.parent if path.name == FOLDER else path)
    if found is None:
        damaged = [each.name for each in checkpoints(path.parent if path.name == FOLDER else path)]
        raise TrainingError(
            str(path),
            got=f"{len(damaged)} checkpoints, none of them whole: {', '.join(damaged)}"
            if damaged
            else "no checkpoint",
            wanted="a run directory with at least one whole checkpoint",
            do="Restore one of them from a copy, or train from the beginning in another directory."
            if damaged
            else "Name the directory that was given to TorchTrainer.instantiate, or train from the beginning.",
        )
    return found


def set_aside_after(directory: Path, step: int) -> None:
    """Rename the checkpoints of later steps, which a run that goes on from `step` will write again.

    They are damaged, or the user chose an older one; either way they are no longer this run's, and stay on disk.
    The new names are on the disk on return: only then may the lines of those steps be cut from `metrics.jsonl`.

    Raises:
        StorageError: the disk cannot be written.
    """
    with _disk_errors(directory / FOLDER):
        for path in checkpoints(directory):
            if _step(path) > step:
                number = 1
                while (aside := path.with_name(f"aside-{number}-{path.name}")).exists():
                    number += 1
                path.rename(aside)
                say(f"checkpoint {path.name} is from later than step {step}: set aside as {aside.name}")
        flush([directory / FOLDER])


def remove_old(directory: Path, keep_last: int) -> None:
    """Remove all but the newest `keep_last`; under another name first, so that a kill leaves no half one.

    Raises:
        StorageError: the disk cannot be written.
    """
    with _disk_errors(directory / FOLDER):
        for path in [*checkpoints(directory)[keep_last:], *(directory / FOLDER).glob("removing-*")]:
            doomed = (
                path if path.name.startswith("removing-") else path.rename(path.with_name(f"removing-{path.name}"))
            )
            shutil.rmtree(doomed)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, in order, and in memory of its own: safetensors refuses anything else."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])
