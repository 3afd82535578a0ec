"""The loss curve of one run, or of several on the same axes."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.text import Real, shorten
from gptlab.pictures import PALETTE, drawable, families, new_figure, plain_axes, save

Rows = list[dict[str, Any]]


def read_metrics(path: Path) -> Rows:
    """The lines of a metrics.jsonl. A last line that was cut in half, by a kill or a full disk, is left out.

    Raises:
        ExperimentError: there is no such file, or a line in its middle is no JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ExperimentError(
            str(path),
            got=error.strerror or str(error),
            wanted="the metrics of a run",
            do="A run writes them with its first step.",
        ) from error
    rows: Rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif number < len(lines):
            raise ExperimentError(
                f"{path}, line {number}",
                got=repr(shorten(line, 60)),
                wanted="a JSON object of figures",
                do="Remove the line; the others are good.",
            )
    return rows


def column(rows: Rows, name: str) -> tuple[list[Real], list[Real]]:
    """The steps that have a figure, and the figure; what is not finite is left out.

    >>> column([{"step": 1, "loss": 4.0}, {"step": 2, "loss": float("nan")}, {"step": 3}], "loss")
    ([1], [4.0])
    """
    found = [(row["step"], row[name]) for row in rows if _is_number(row.get("step")) and _is_number(row.get(name))]
    return [step for step, _ in found], [value for _, value in found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def smoothed(values: list[Real], window: int) -> list[Real]:
    """At every step the mean over the `window` steps around it, fewer at both ends; it does not lag behind.

    >>> smoothed([1.0, 2.0, 6.0, 2.0], window=3)
    [1.5, 3.0, 3.3333333333333335, 4.0]
    """
    if window < 1:
        raise ExperimentError("smoothed(window)", got=window, wanted="at least 1 step", do="Give 1 or more.")
    sums = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    first = np.maximum(middle - window // 2, 0)
    last = np.minimum(middle + (window - 1) // 2 + 1, len(values))
    return [float(mean) for mean in (sums[last] - sums[first]) / (last - first)]


def plot_losses(metrics: Path | Mapping[str, Path], out: Path) -> Path:
    """Draw training loss (each step faint, smoothed on top) and held-out losses with their standard errors.

    Args:
        metrics: a metrics.jsonl, or several by the name that the legend shows.
        out: the PNG.

    Raises:
        ExperimentError: there is nothing to draw.
    """
    named = {"": metrics} if isinstance(metrics, Path) else dict(metrics)
    figure = new_figure(7.2, 4.2, "constrained")
    axes = figure.add_subplot()
    plain_axes(axes, "training step", "loss (nats per token)")
    limits: list[Real] = []
    for number, (name, path) in enumerate(named.items()):
        rows = read_metrics(path)
        colours = PALETTE if len(named) == 1 else (PALETTE[number % len(PALETTE)],)
        limits += _draw_run(axes, f"{drawable(name)}: " if name else "", rows, colours)
    if not limits:
        raise ExperimentError(
            ", ".join(str(path) for path in named.values()),
            got="no step with a finite loss",
            wanted="metrics of a run that trained",
            do="Look into log.txt beside it for why it did not.",
        )
    space = 0.04 * (max(limits) - min(limits)) or 0.1
    axes.set_ylim(min(limits) - 2 * space, max(limits) + space)
    legend = axes.legend(fontsize=9, loc="upper right", framealpha=0.85, edgecolor="none")
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_fontfamily(list(families()))
    return save(figure, out)


def _draw_run(axes: Axes, prefix: str, rows: Rows, colours: Sequence[str]) -> list[Real]:
    """Draw one run with its colours, training first; what the axis must show."""
    steps, losses = column(rows, "loss")
    if not losses:
        return []
    window = max(1, len(losses) // 50)
    smooth = smoothed(losses, window)
    over = f", mean over {window} steps" if window > 1 else ""
    axes.plot(steps, losses, color=colours[0], alpha=0.25, linewidth=0.7)
    axes.plot(steps, smooth, color=colours[0], linewidth=1.8, label=f"{prefix}training ({smooth[-1]:.3f}{over})")
    axes.plot(steps[-1:], smooth[-1:], color=colours[0], marker=".")  # a single step has no line
    shown = [*smooth, float(np.percentile(losses, 99.5))]
    for number, name in enumerate(sorted({key for row in rows for key in row if key.endswith("_loss")})):
        at, values = column(rows, name)
        errors = dict(zip(*column(rows, f"{name}_stderr"), strict=True))
        if not values:
            continue
        axes.errorbar(
            at,
            values,
            yerr=[errors.get(step, 0.0) for step in at],
            color=colours[(number + 1) % len(colours)],
            marker="osD^"[number % 4],
            markersize=5,
            markeredgecolor="white",
            linewidth=1.0,
            linestyle="--",
            capsize=2.5 if errors else 0.0,
            label=f"{prefix}{name.removesuffix('_loss').replace('_', ' ')} ({values[-1]:.3f})",
            zorder=3,
        )
        shown += values
    return shown
