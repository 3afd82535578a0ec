"""One scored arm as a JSON file: figures, sums for each edge and document, and where the weights came from."""

import json
from pathlib import Path

import numpy as np

from experiments.links_help.analysis import Cell
from gptlab.experiment import RunDirectory, read_metrics
from gptlab.storage import write_atomically

_DIGITS = 4
"""Of a nat: sums of some tens of tokens, far below what any interval resolves."""


def write_cell(path: Path, cell: Cell, run: RunDirectory) -> None:
    """Keep what was measured of a run."""
    last = read_metrics(run.metrics)
    kept = {
        "run": {
            "commit": run.environment["git"]["commit"],
            "started": run.name,
            "steps": last[-1]["step"],
            "losses": [[each["step"], round(each["loss"], _DIGITS)] for each in last if "loss" in each],
            "seconds": round(last[-1]["seconds"], 1),
        },
        "figures": {name: round(float(value), 6) for name, value in cell.figures.items()},
        "targets": list(cell.targets),
        "sums": np.round(cell.sums, _DIGITS).tolist(),
        "tokens": cell.tokens.astype(int).tolist(),
        "curve": np.round(cell.curve, _DIGITS).tolist(),
        "alone": np.round(cell.alone, _DIGITS).tolist(),
        "alone_tokens": cell.alone_tokens.astype(int).tolist(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(kept) + "\n")


def read_cell(path: Path) -> Cell:
    """What `write_cell` kept."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    arrays = ("sums", "tokens", "curve", "alone", "alone_tokens")
    run = {f"run_{name}": value for name, value in kept["run"].items() if name in ("seconds", "steps")}
    return Cell(
        figures={**kept["figures"], **run},
        targets=kept["targets"],
        **{name: np.array(kept[name], np.float64) for name in arrays},
    )


def read_losses(path: Path) -> list[tuple[int, float]]:
    """The training losses of a run, as (step, nats)."""
    return [(step, loss) for step, loss in json.loads(path.read_text(encoding="utf-8"))["run"]["losses"]]
