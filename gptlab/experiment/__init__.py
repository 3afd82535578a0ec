"""Run directories, logging, what a person sees while a run works and after it, and the command line."""

from gptlab.experiment.console import ConsoleObserver
from gptlab.experiment.errors import ExperimentError, explain_os_error, four_parts
from gptlab.experiment.logger import capturing, close_logger, make_logger
from gptlab.experiment.ranks import print0, rank_from_environment
from gptlab.experiment.recipe_file import recipe_text, root_file
from gptlab.experiment.run_directory import RunDirectory, latest_unfinished, runs

__all__ = [
    "ConsoleObserver",
    "ExperimentError",
    "RunDirectory",
    "capturing",
    "close_logger",
    "explain_os_error",
    "four_parts",
    "latest_unfinished",
    "make_logger",
    "print0",
    "rank_from_environment",
    "recipe_text",
    "root_file",
    "runs",
]
