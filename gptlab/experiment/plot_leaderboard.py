"""A leaderboard as a picture: a dot for each run, the best on top, with its standard error.

Dots and not bars: what matters is the distance between runs, and a bar would have to begin at zero.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from gptlab.benchmarks.leaderboard_row import LeaderboardRow
from gptlab.benchmarks.leaderboard_view import by_metric, with_error
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.text import shorten
from gptlab.pictures import BLUE, FAINT, INK, drawable, families, new_figure, plain_axes, save

MOST_DRAWN = 25
"""Runs of a metric; the worse ones are told by their number."""
_LONGEST_NAME = 48
_WIDTH, _ROW, _AROUND = 7.2, 0.27, 0.75  # inches: the picture, one run, title and axis of a metric


def plot_leaderboard(rows: Sequence[LeaderboardRow], out: Path, *, mine: Sequence[str] = ()) -> Path:
    """Draw the rows of one leaderboard, a panel for each metric.

    Args:
        rows: as they were read; those without a finite value are left out.
        out: the PNG.
        mine: runs whose names stand out.

    Raises:
        ExperimentError: there is nothing to draw.
    """
    finite = [row for row in rows if math.isfinite(row.value)]
    if not finite:
        raise ExperimentError(
            "plot_leaderboard",
            got="no row with a finite value",
            wanted="figures to compare",
            do="Add those of a run with: python -m gptlab.experiment leaderboard --add RUN",
        )
    panels = list(by_metric(finite).values())
    heights = [_AROUND + _ROW * min(len(each), MOST_DRAWN) for each in panels]
    figure = new_figure(_WIDTH, sum(heights), "constrained")
    every = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, panel in zip(every, panels, strict=True):
        _draw(axes, panel, mine)
    if any(row.stderr for row in finite):
        every[-1].set_xlabel("bars: ± one standard error", color=INK, fontsize=9)
    return save(figure, out)


def _draw(axes: Axes, rows: Sequence[LeaderboardRow], mine: Sequence[str]) -> None:
    """One metric: names on the left, figures on the right."""
    shown = rows[:MOST_DRAWN]
    plain_axes(axes, "", "")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    places = range(len(shown))
    for place, row in zip(places, shown, strict=True):
        colour = BLUE if not mine or row.run in mine else FAINT
        error = row.stderr if row.stderr is not None and math.isfinite(row.stderr) else 0.0
        axes.errorbar(
            row.value, place, xerr=error, color=colour, marker="o", markersize=6, markeredgecolor="white",
            elinewidth=1.6, capsize=2.5 if error else 0.0, zorder=3,
        )  # fmt: skip
        told: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 8, "color": INK, "parse_math": False}
        axes.text(1.02, place, with_error(row.value, row.stderr), transform=axes.get_yaxis_transform(), **told)
    axes.axvline(shown[0].value, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)  # what there is to beat
    axes.set_yticks(places, [_name(row) for row in shown])
    for label, row in zip(axes.get_yticklabels(), shown, strict=True):
        weight = "bold" if row.run in mine else "normal"
        label.set(parse_math=False, fontfamily=list(families()), fontsize=9, fontweight=weight)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.margins(x=0.08)
    better = "lower" if rows[0].best == "lowest" else "higher"
    left = f"; {len(rows) - MOST_DRAWN} more runs are worse" if len(rows) > MOST_DRAWN else ""
    title = f"{drawable(rows[0].metric.replace('_', ' '))}: {better} is better{left}"
    axes.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False, fontfamily=list(families()))


def _name(row: LeaderboardRow) -> str:
    """What was trained, and the run: most names of runs are of one length, and so stand in a column."""
    return drawable(shorten(f"{row.model}  {row.run}".strip(), _LONGEST_NAME))
