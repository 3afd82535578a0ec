"""Runs side by side: only the settings in which they differ, and what each ended with."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.plot_losses import read_metrics
from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.summary import flat
from gptlab.experiment.tables import figure
from gptlab.experiment.text import printable

SHOWN = ("step", "loss", "held_out_loss")
"""Figures of training that a list of runs has room for."""


def last_figures(run: RunDirectory) -> dict[str, Any]:
    """Of every figure of training the last value that was written; none before the first step."""
    if not run.metrics.exists():
        return {}
    last: dict[str, Any] = {}
    for row in read_metrics(run.metrics):
        last |= row
    return last


def differing_settings(found: Sequence[RunDirectory]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, by dotted name; None where a run does not have one."""
    configs = [flat(run.config) for run in found]
    names = list(dict.fromkeys(name for config in configs for name in config))
    columns = {name: [config.get(name) for config in configs] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def runs_table(found: Sequence[RunDirectory]) -> Table:
    """One line per run: name, recipe, whether it ended, the last figures, and the settings that differ in words."""
    table = _table(f"{len(found)} runs", "run")
    for name in ("recipe", "state", *SHOWN):
        is_number = name in SHOWN
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", no_wrap=is_number)
    table.add_column("settings that differ", overflow="fold", ratio=1)
    differing = differing_settings(found)
    for number, run in enumerate(found):
        last = _figures_or_reason(run)
        mine = {name: values[number] for name, values in differing.items() if values[number] is not None}
        settings = " ".join(f"{name}={_word(value)}" for name, value in mine.items())
        recipe = str(run.environment.get("recipe", "")).rpartition("/")[2]
        state = "finished" if run.is_finished else "not finished"
        figures = [figure(last.get(name)) for name in SHOWN]
        table.add_row(*map(_text, (run.name, recipe, state, *figures, settings)))
    return table


def differences_table(found: Sequence[RunDirectory]) -> Table:
    """One column per run: first the settings that differ, then the figures that each ended with."""
    table = _table("Settings that differ, and last figures", "")
    for run in found:
        table.add_column(Text(printable(run.name)), justify="right", overflow="fold")
    for name, values in differing_settings(found).items():
        table.add_row(_text(name), *(_text(_word(value)) for value in values))
    table.add_section()
    ends = [ending(run) for run in found]
    for name in dict.fromkeys(name for end in ends for name in end):
        table.add_row(_text(name.replace("_", " ")), *(_text(figure(end.get(name))) for end in ends))
    return table


def ending(run: RunDirectory) -> dict[str, Any]:
    """The last figures of training and the figures of the benchmarks, by name."""
    return last_figures(run) | _benchmarks(run)


def _benchmarks(run: RunDirectory) -> dict[str, Any]:
    groups = (run.summary or {}).get("figures", {})
    return {f"{group}: {name}": value for group, figures in groups.items() for name, value in figures.items()}


def _figures_or_reason(run: RunDirectory) -> dict[str, Any]:
    """A list of runs must not end at one whose metrics are damaged; its line says so."""
    try:
        return last_figures(run)
    except ExperimentError:
        return {"loss": "unreadable"}


def _word(value: Any) -> str:
    return figure(value) if value is not None else "-"


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, header_style="dim")
    table.add_column(first, no_wrap=True)
    return table


def _text(text: str) -> Text:
    return Text(printable(text))
