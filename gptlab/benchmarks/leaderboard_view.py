"""How rows of a leaderboard are shown: a table for each metric, the best first, a figure with its standard error."""

import math
from collections.abc import Sequence

from gptlab.benchmarks.leaderboard_row import LeaderboardRow

SHOWN = ("run", "model", "metric", "value", "n", "data", "revision", "date", "note")
"""What is told of a row, in this order."""


def sorted_view(rows: Sequence[LeaderboardRow]) -> str:
    """Markdown: under each metric its rows."""
    return "\n".join(f"## {_cell(heading(each))}\n\n{_table(each)}" for each in by_metric(rows).values())


def by_metric(rows: Sequence[LeaderboardRow]) -> dict[str, list[LeaderboardRow]]:
    """The rows of each metric, best first; rows without a number last, equal ones as they were added."""
    found: dict[str, list[LeaderboardRow]] = {}
    for row in rows:
        found.setdefault(row.metric, []).append(row)
    return {metric: sorted(each, key=_place) for metric, each in found.items()}


def _place(row: LeaderboardRow) -> tuple[bool, float]:
    sign = 1 if row.best == "lowest" else -1
    return (True, 0.0) if math.isnan(row.value) else (False, sign * row.value)


def heading(rows: Sequence[LeaderboardRow]) -> str:
    """What is compared in the rows of one metric, and which end comes first."""
    missing = sum(math.isnan(row.value) for row in rows)
    last = f"; {missing} without it last" if missing else ""
    return f"{rows[0].metric or 'no figure'}, {rows[0].best} first{last}"


def columns(rows: Sequence[LeaderboardRow], *, with_metric: bool = False) -> dict[str, list[str]]:
    """What is shown of rows, by column; a column that no row has anything for is left out.

    Args:
        rows: in the order in which they are shown.
        with_metric: rows of several metrics: each says its own. Else the column of values is called after it.
    """
    found = {name: [cell(row, name) for row in rows] for name in SHOWN if with_metric or name != "metric"}
    kept = {name: cells for name, cells in found.items() if any(cells) or name in ("run", "value")}
    named = "value" if with_metric or not rows else rows[0].metric or "value"
    return {named if name == "value" else name: cells for name, cells in kept.items()}


def cell(row: LeaderboardRow, name: str) -> str:
    """One field as it is shown."""
    if name == "value":
        return with_error(row.value, row.stderr)
    value = getattr(row, name)
    return "" if value is None else str(value)


def with_error(value: float, stderr: float | None) -> str:
    """A figure to the second digit of its standard error.

    >>> with_error(0.51239, 0.01234), with_error(2.25, None), with_error(1234.5, 32.1), with_error(math.nan, None)
    ('0.512 ± 0.012', '2.25', '1234 ± 32', '-')
    """
    if math.isnan(value):
        return "-"
    if not stderr or not math.isfinite(stderr) or not math.isfinite(value):
        return f"{value:.6g}"
    digits = min(max(0, 1 - math.floor(math.log10(stderr))), 12)
    return f"{value:.{digits}f} ± {stderr:.{digits}f}"


def _table(rows: Sequence[LeaderboardRow]) -> str:
    found = columns(rows)
    lines = [[*found], ["---"] * len(found), *map(list, zip(*found.values(), strict=True))]
    return "".join("| " + " | ".join(_cell(value) for value in line) + " |\n" for line in lines)


def _cell(value: str) -> str:
    """A pipe would end the cell, a line break the row."""
    return " ".join(value.replace("|", r"\|").split())
