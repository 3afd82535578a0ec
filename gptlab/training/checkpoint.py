"""Checkpoints: directories that appear whole or not at all, hold no pickle, and say what they are.

    <directory>/metrics.jsonl
    <directory>/checkpoints/step-00000100/
        manifest.json           size and SHA-256 of every file, written last (gptlab.storage)
        trainer.json            where the run stands, what hooks remember, config, data, class of the model
        optimizer.safetensors   `<parameter>.<key>`
        average.safetensors     the moving average of the weights, where one is kept
        model/                  what the model's `save_to_dir` wrote: a model of its own

A checkpoint is used only when every hash agrees. A damaged one is named and passed over, never loaded, never removed.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import load_file, save_file

from gptlab.pipeline.observe import say
from gptlab.storage import StorageError, new_directory, verify
from gptlab.training.errors import TrainingError

KIND = "checkpoint"
FOLDER = "checkpoints"
METRICS = "metrics.jsonl"
_NAME = re.compile(r"step-(\d{8,})")


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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_directory(path, kind=KIND, replace=True) as temporary:
        (temporary / "model").mkdir()
        model.save_to_dir(temporary / "model")
        for name, group in tensors.items():
            save_file({key: _plain(tensor) for key, tensor in group.items()}, temporary / f"{name}.safetensors")
        text = json.dumps({**attrs.asdict(position), **about}, indent=2, ensure_ascii=False)
        (temporary / "trainer.json").write_text(text + "\n", encoding="utf-8")
    return path


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
        StorageError: when the checkpoint is not whole, or a hash disagrees.
    """
    verify(path, KIND)
    about = json.loads((path / "trainer.json").read_text(encoding="utf-8"))
    position = Position(**{field.name: about.pop(field.name) for field in attrs.fields(Position)})
    average = path / "average.safetensors"
    return Saved(
        position, about, load_file(path / "optimizer.safetensors"), load_file(average) if average.exists() else {}
    )


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
            verify(path, KIND)
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
    if (path / "trainer.json").exists() or (path / "manifest.json").exists():
        return path
    found = latest_checkpoint(path.parent if path.name == FOLDER else path)
    if found is None:
        damaged = len(checkpoints(path.parent if path.name == FOLDER else path))
        raise TrainingError(
            str(path),
            got=f"{damaged} checkpoints, none of them whole" if damaged else "no checkpoint",
            wanted="a run directory with at least one whole checkpoint",
            do="Name the directory that was given to TorchTrainer.instantiate, or train from the beginning.",
        )
    return found


def set_aside_after(directory: Path, step: int) -> None:
    """Rename the checkpoints of later steps, which a run that goes on from `step` will write again.

    They are damaged, or the user chose an older one; either way they are no longer this run's, and stay on disk.
    """
    for path in checkpoints(directory):
        if _step(path) > step:
            number = 1
            while (aside := path.with_name(f"aside-{number}-{path.name}")).exists():
                number += 1
            path.rename(aside)
            say(f"checkpoint {path.name} is from later than step {step}: set aside as {aside.name}")


def remove_old(directory: Path, keep_last: int) -> None:
    """Remove all but the newest `keep_last`; under another name first, so that a kill leaves no half one."""
    for path in [*checkpoints(directory)[keep_last:], *(directory / FOLDER).glob("removing-*")]:
        doomed = path if path.name.startswith("removing-") else path.rename(path.with_name(f"removing-{path.name}"))
        shutil.rmtree(doomed)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, in order, and in memory of its own: safetensors refuses anything else."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])
