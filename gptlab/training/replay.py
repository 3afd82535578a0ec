"""A step that went wrong, done again: from the weights before it, with its batches, and looked at in detail."""

import math
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.numpy import load_file

from gptlab.storage import check_safetensors, from_config, import_from_nested_path
from gptlab.training.checkpoint import read_checkpoint
from gptlab.training.data import learned
from gptlab.training.errors import TrainingError
from gptlab.training.options import autocast
from gptlab.training.schedule import step_seed

SHOWN = 5
"""Rows and parameters that are shown, the worst first."""


@attrs.frozen(kw_only=True)
class Replay:
    """What a step looks like from the inside.

    Attributes:
        step: its number, counted from 1.
        loss: over all of its batches.
        grad_norm: of all gradients together, before clipping.
        rows: (batch, row, mean loss of its learned tokens), the highest first; empty for models without token losses.
        gradients: (parameter, norm of its gradient), the largest first, and those that are not finite before all.
        batches: the records themselves.
        model: with the weights before the step, and the gradients of it.
    """

    step: int
    loss: float
    grad_norm: float
    rows: tuple[tuple[int, int, float], ...]
    gradients: tuple[tuple[str, float], ...]
    batches: tuple[Any, ...] = attrs.field(repr=False)
    model: Any = attrs.field(repr=False)

    def __str__(self) -> str:
        rows = [f"  batch {batch} row {row}: {loss:.4g}" for batch, row, loss in self.rows[:SHOWN]]
        norms = [f"  {name}: {norm:.4g}" for name, norm in self.gradients[:SHOWN]]
        return "\n".join(
            [
                f"step {self.step}: loss {self.loss:.6g}, gradient norm {self.grad_norm:.6g}",
                *(["rows with the highest loss:", *rows] if rows else []),
                "parameters with the largest gradients:",
                *norms,
                "its batches are `.batches`, the model with the weights before it is `.model`",
            ]
        )


def replay(path: Path | str, *, allow: tuple[str, ...] = ()) -> Replay:
    """Do the step again that stopped a training; nothing is changed on disk.

    Args:
        path: what the error named, `failed/step-...` in the run's directory.
        allow: packages beside gptlab that model and batches are from.

    Raises:
        TrainingError: there are no batches in it.
        StorageError: it is damaged, or names a class that is not allowed.
    """
    path = Path(path)
    saved = read_checkpoint(path)
    cfg = from_config(saved.about["config"])
    files = sorted(path.glob("batch-*.safetensors"), key=lambda file: int(file.stem.split("-")[1]))
    if not files or not saved.about.get("batch"):
        raise TrainingError(
            str(path),
            got="no batches" if not files else "batches of a class that cannot be imported",
            wanted="a folder below failed/, which a loss that was refused has left",
            do="TorchTrainer.load_checkpoint(path, data_source=...).train() reads them from the data again.",
        )
    kind = import_from_nested_path(saved.about["batch"], allow=allow)
    batches = [_batch(kind, file) for file in files]
    model = import_from_nested_path(saved.about["model"], allow=allow).load_from_dir(path / "model")
    model.network.to(saved.about["device"]).train()
    device = next(model.network.parameters()).device
    taught, total = sum(map(learned, batches)), 0.0
    rows: list[tuple[int, int, float]] = []
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(cfg.seed, saved.position.step))
        outputs = model.forward(iter(batches))
        for number, batch in enumerate(batches):
            with autocast(cfg, device):
                output = next(outputs)
            share = learned(batch) / taught if taught else 1 / len(batches)
            (output.loss * share).backward()
            total += share * float(output.loss.detach())
            if (losses := getattr(output, "token_losses", None)) is not None:
                counts = (torch.as_tensor(batch.targets) >= 0).sum(dim=1).clamp(min=1)
                means = losses.detach().sum(dim=1).cpu() / counts
                rows += [(number, row, loss) for row, loss in enumerate(means.tolist())]
    norms = {name: float(p.grad.norm()) for name, p in model.network.named_parameters() if p.grad is not None}
    return Replay(
        step=saved.position.step + 1,
        loss=total,
        grad_norm=math.hypot(*norms.values()),
        rows=tuple(sorted(rows, key=lambda row: -_size(row[2]))),
        gradients=tuple(sorted(norms.items(), key=lambda pair: -_size(pair[1]))),
        batches=tuple(batches),
        model=model,
    )


def _batch(kind: Any, file: Path) -> Any:
    """One batch, once the header of its file has been compared with its size."""
    check_safetensors(file)
    return kind(**load_file(file))


def _size(number: float) -> float:
    return number if math.isfinite(number) else math.inf
