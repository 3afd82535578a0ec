"""What is wrong with a run's directory, against a run that nobody touched and what was reported as saved."""

import re
from pathlib import Path

from gptlab.training.checkpoint import checkpoint_path, checkpoints, latest_checkpoint, read_checkpoint


def reported(told: Path) -> int:
    """The last step whose checkpoint was reported as saved; 0 when none was."""
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    steps = [int(found[1]) for line in lines if (found := re.fullmatch(r"saved .*step-(\d+)", line))]
    return max(steps, default=0)


def contents(directory: Path) -> dict[str, bytes]:
    """All files below, by path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def faults_of(directory: Path, told: Path, reference: Path) -> list[str]:
    """In words; empty when the next life will find all that was reported, and nothing that is wrong.

    Args:
        directory: of the run.
        told: what the program reported before it died.
        reference: of the same run, never touched, with all its checkpoints.
    """
    found, wanted = latest_checkpoint(directory), reported(told)
    if found is None:
        there = [path.name for path in checkpoints(directory)]
        return [f"step {wanted} was reported as saved, and no whole checkpoint is there: {there}"] if wanted else []
    step = int(found.name.removeprefix("step-"))
    faults = [f"step {wanted} was reported as saved, and step {step} is found"] if step < wanted else []
    if contents(found) != contents(checkpoint_path(reference, step)):
        faults.append(f"the checkpoint of step {step} is another than that of a run that nobody touched")
    length = read_checkpoint(found).position.metrics_bytes
    path = directory / "metrics.jsonl"
    lines = path.read_bytes() if path.exists() else b""
    if lines[:length] != (reference / "metrics.jsonl").read_bytes()[:length]:
        faults.append(f"the lines of metrics.jsonl up to step {step} are others: {len(lines)} bytes, wanted {length}")
    return faults
