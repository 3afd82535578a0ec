"""Does reading the links help? Train every arm at every seed, score all of them, write the report.

    python -m experiments.links_help.run                                 the minimum arms, three seeds, small
    python -m experiments.links_help.run --size large --arms A5 A6       some of it
    python -m experiments.links_help.run --report-only                   from what is scored already

A run that was interrupted is gone on with, and what is done is not done again. An arm takes about four minutes on one
core at the small size, 20 at medium and an hour at large.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs
import tyro

from experiments.links_help import arm as arm_file
from experiments.links_help.arm import Arm, Settings, corpus
from experiments.links_help.cells import read_cell, write_cell
from experiments.links_help.report import write_report
from experiments.links_help.scoring import score
from gptlab.experiment import RunDirectory, load_from_dir
from gptlab.experiment.run_directory import runs

HERE = Path(__file__).parent
Size = Literal["small", "medium", "large", "python"]

SIZES: Mapping[Size, Sequence[str]] = {
    "small": (),
    "medium": ("--pages", "30000", "--model.width", "128", "--trainer.steps", "3000"),
    "large": ("--pages", "60000", "--model.width", "192", "--model.layers", "3", "--trainer.steps", "6000"),
    "python": (
        *("--data", "python", "--model.vocab_size", "8192", "--model.max_seq_len", "1024", "--batch_size", "4"),
        *(
            "--model.width",
            "192",
            "--model.layers",
            "4",
            "--trainer.steps",
            "4000",
            "--trainer.learning_rate",
            "2e-3",
        ),
    ),
}
"""What each size sets beside the defaults of an arm, as on its command line."""


@attrs.frozen(kw_only=True)
class Plan:
    """What to run.

    Attributes:
        size: how much data and which model.
        arms: which arms; the report compares those that are there.
        seeds: of weights, walks and the order of rows.
        runs: where the runs are kept.
        cache: where prepared data is kept.
        report_only: train and score nothing.
    """

    size: Size = "small"
    arms: tuple[Arm, ...] = ("A1", "A2", "A4", "A5", "A6")
    seeds: tuple[int, ...] = (0, 1, 2)
    runs: Path = HERE / "runs"
    cache: Path = Path(".gptlab/cache")
    report_only: bool = False


def cells(plan: Plan) -> Iterator[tuple[Arm, int]]:
    """All of them, seed by seed, so that what is interrupted can be compared."""
    return ((arm, seed) for seed in plan.seeds for arm in plan.arms)


def trained(arm: Arm, seed: int, plan: Plan) -> RunDirectory:
    """The finished run of one arm at one seed; made, or gone on with, where it is not there."""
    folder = plan.runs / plan.size / f"{arm}-{seed}"
    done = [run for run in runs(folder) if run.is_finished]
    if not done:
        command = [sys.executable, "-m", arm_file.__name__, "--arm", arm, "--seed", str(seed), *SIZES[plan.size]]
        command += ["--cache", str(plan.cache), "--experiments", str(folder)]
        begun = runs(folder)
        subprocess.run([*command, *(("--resume", str(begun[-1].path)) if begun else ())], check=True)
        done = [run for run in runs(folder) if run.is_finished]
    return done[-1]


def main(plan: Plan) -> None:
    """Train, score, report."""
    scores = HERE / "scores" / plan.size
    for arm, seed in () if plan.report_only else cells(plan):
        kept = scores / f"{arm}-{seed}.json"
        if kept.exists():
            continue
        run = trained(arm, seed, plan)
        settings = tyro.cli(
            Settings, args=["--arm", arm, "--seed", str(seed), *SIZES[plan.size], "--cache", str(plan.cache)]
        )
        model = load_from_dir(run.path, recipe_file=Path(arm_file.__file__))
        write_cell(kept, score(model, corpus(settings), settings), run)
    found = {(arm, seed): read_cell(scores / f"{arm}-{seed}.json") for arm, seed in cells(plan)}
    for path in write_report(HERE, plan.size, found):
        print(path)


if __name__ == "__main__":
    main(tyro.cli(Plan, description=__doc__))
