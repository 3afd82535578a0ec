"""Run directories, logging, what a person sees while a run works and after it, and the command line.

What trains models is imported when it is first asked for, so that `python -m gptlab.experiment list` and what else
only looks at runs answers without waiting for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gptlab.experiment.cli import main
from gptlab.experiment.console import ConsoleObserver
from gptlab.experiment.data_files import data_hashes
from gptlab.experiment.errors import ExperimentError, explain_os_error
from gptlab.experiment.launchers import InProcess, Launcher, LocalProcesses, Submitit
from gptlab.experiment.logger import capturing, close_logger, make_logger
from gptlab.experiment.plot_leaderboard import plot_leaderboard
from gptlab.experiment.plot_losses import plot_losses, read_metrics
from gptlab.experiment.plot_mask import plot_mask
from gptlab.experiment.ranks import print0, rank_from_environment
from gptlab.experiment.recipe_file import recipe_text, root_file, root_recipe
from gptlab.experiment.report import write_report
from gptlab.experiment.report_comparison import write_comparison
from gptlab.experiment.restore import Restored, restore
from gptlab.experiment.run_directory import RunDirectory, latest_unfinished, runs
from gptlab.experiment.saved_parts import load_saved, reuse_part
from gptlab.experiment.session import Session, make_console, running
from gptlab.experiment.summary import summarize
from gptlab.experiment.sweep import Sweep, Variant, sweep, variants
from gptlab.experiment.tables import (
    Comparison,
    comparison_table,
    comparisons,
    drops_table,
    figures_table,
    next_table,
    places_table,
    samples_table,
    settings_table,
    show,
)

if TYPE_CHECKING:
    from gptlab.experiment.recipe import Evaluation, Folders, KeepTokenizer, Recipe, Writing
    from gptlab.experiment.runner import FlatRunOptions, RunOptions, load_from_dir, run
    from gptlab.experiment.writing import WriteAfterLinks


__all__ = [
    "Comparison",
    "ConsoleObserver",
    "Evaluation",
    "ExperimentError",
    "FlatRunOptions",
    "Folders",
    "InProcess",
    "KeepTokenizer",
    "Launcher",
    "LocalProcesses",
    "Recipe",
    "Restored",
    "RunDirectory",
    "RunOptions",
    "Session",
    "Submitit",
    "Sweep",
    "Variant",
    "WriteAfterLinks",
    "Writing",
    "capturing",
    "close_logger",
    "comparison_table",
    "comparisons",
    "data_hashes",
    "drops_table",
    "explain_os_error",
    "figures_table",
    "latest_unfinished",
    "load_from_dir",
    "load_saved",
    "main",
    "make_console",
    "make_logger",
    "next_table",
    "places_table",
    "plot_leaderboard",
    "plot_losses",
    "plot_mask",
    "print0",
    "rank_from_environment",
    "read_metrics",
    "recipe_text",
    "restore",
    "reuse_part",
    "root_file",
    "root_recipe",
    "run",
    "running",
    "runs",
    "samples_table",
    "settings_table",
    "show",
    "summarize",
    "sweep",
    "variants",
    "write_comparison",
    "write_report",
]

_WITH_TORCH = {
    "Evaluation": "recipe",
    "FlatRunOptions": "runner",
    "Folders": "recipe",
    "KeepTokenizer": "recipe",
    "Recipe": "recipe",
    "RunOptions": "runner",
    "WriteAfterLinks": "writing",
    "Writing": "recipe",
    "load_from_dir": "runner",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        return getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
