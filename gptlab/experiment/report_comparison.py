"""`comparison.html`: several runs on one page, by what differs: settings, curves, figures, pictures, samples."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gptlab.experiment.compare import differing_settings, ending
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.leaderboard_rows import LEADERBOARDS
from gptlab.experiment.plot_losses import plot_losses
from gptlab.experiment.recipe_file import difference
from gptlab.experiment.report import leaderboards_section, samples_html
from gptlab.experiment.report_page import escape, number, page, picture, pictures_of, section, shown, table
from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.summary import flat
from gptlab.storage import write_atomically

_NOT_COMPARED = ("packages", "command", "seeds", "data")
"""Facts of the environment that settings tell better, or that differ between any two runs."""


def write_comparison(
    found: Sequence[RunDirectory],
    out: Path,
    *,
    title: str = "",
    leaderboards: Path = LEADERBOARDS,
    names: Sequence[str] | None = None,
) -> Path:
    """Write a page that compares runs.

    Args:
        found: the runs, in the order of their columns.
        out: the page.
        title: of the page.
        leaderboards: the folder whose rows of these runs are shown.
        names: what the runs are called; by their directories when None.
    """
    if not found:
        raise ExperimentError("a comparison", got="no run", wanted="one or more", do="Name runs, or `last`.")
    names = [run.name for run in found] if names is None else list(names)
    settings = {name: values for name, values in differing_settings(found).items() if not name.startswith("run.")}
    sections = [
        _settings(settings, names),
        _curves(found, names),
        _figures([ending(run) for run in found], names),
        _pictures(found, names),
        _samples(found, names),
        leaderboards_section(leaderboards, [run.name for run in found]),
        _facts(found, names),
        _recipes(found, names),
    ]
    state = f"{sum(run.is_finished for run in found)} of {len(found)} finished"
    return _written(out, page(title or f"{len(found)} runs", state, sections))


def _written(out: Path, text: str) -> Path:
    write_atomically(out, text)
    return out


def _settings(settings: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str:
    if not settings:
        return section("Settings that differ", "<p>None: the runs have the same settings.</p>\n")
    return section("Settings that differ", _columns(settings, names))


def _columns(rows: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str:
    """One row per name, one column per run."""
    cells = [(escape(name.replace("_", " ")), *(_cell(value) for value in values)) for name, values in rows.items()]
    return table(("", *names), cells)


def _cell(value: Any) -> str:
    if value is None:
        return '<span class="number">–</span>'
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value) if is_number else escape(shown(value))


def _curves(found: Sequence[RunDirectory], names: Sequence[str]) -> str:
    metrics = {name: run.metrics for name, run in zip(names, found, strict=True) if run.metrics.exists()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            png = plot_losses(metrics, Path(folder) / "losses.png").read_bytes() if metrics else b""
    except ExperimentError:  # no run has come to a finite loss: the tables say so
        png = b""
    return section("Loss", picture(png, "loss curves")) if png else ""


def _figures(ends: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    rows = {name: [end.get(name) for end in ends] for name in dict.fromkeys(name for end in ends for name in end)}
    return section("Figures", _columns(rows, names)) if rows else ""


def _pictures(found: Sequence[RunDirectory], names: Sequence[str]) -> str:
    parts = [
        picture(png, f"{name}: {what}")
        for name, run in zip(names, found, strict=True)
        for what, png in pictures_of(run.path / "plots")
        if what != "loss"  # all of them are drawn together above
    ]
    return section("Pictures", "".join(parts)) if parts else ""


def _samples(found: Sequence[RunDirectory], names: Sequence[str]) -> str:
    parts = []
    for name, run in zip(names, found, strict=True):
        if written := samples_html((run.summary or {}).get("samples", [])[:2]):
            parts.append(f"<h3>{escape(name)}</h3>\n{written}")
    return section("Samples", "".join(parts)) if parts else ""


def _facts(found: Sequence[RunDirectory], names: Sequence[str]) -> str:
    """What differs in the machine, the versions and the data."""
    flats = [
        flat({name: value for name, value in run.environment.items() if name not in _NOT_COMPARED})
        | {f"package {name}": version for name, version in run.environment.get("packages", {}).items()}
        | {f"data {place}": entry["sha256"][:16] for place, entry in run.data.items() if "read by" in entry}
        for run in found
    ]
    every = dict.fromkeys(name for each in flats for name in each)
    rows = {name: [each.get(name) for each in flats] for name in every}
    rows = {name: values for name, values in rows.items() if any(value != values[0] for value in values)}
    body = _columns(rows, names) if rows else "<p>The same for all.</p>\n"
    return section("Environment and data that differ", body)


def _recipes(found: Sequence[RunDirectory], names: Sequence[str]) -> str:
    first = found[0].recipe
    parts = []
    for name, run in zip(names[1:], found[1:], strict=True):
        if text := difference(first, run.recipe, names[0], name, limit=200):
            parts.append(f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>\n")
    body = "".join(parts) or "<p>All runs have the same recipe.</p>\n"
    return section("Recipes", body)
