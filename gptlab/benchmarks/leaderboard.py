"""Leaderboards: one CSV per benchmark under `experiments/leaderboards/`, with a sorted Markdown view beside it.

Rows are added under a file lock, and the file is replaced whole, so that any number of processes may add at once and
none that dies leaves half a line. The lock is a file of its own, since a lock on the CSV would stay with the
file that was replaced. Reading everything to add one line costs nothing at the few hundred rows of a leaderboard.
"""

import csv
import fcntl
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from gptlab.storage import write_atomically
from gptlab.types.errors import refusal

Figure = str | int | float


def add_to_leaderboard(
    path: Path, row: Mapping[str, Figure], *, metric: str = "loss", best: Literal["lowest", "highest"] = "lowest"
) -> None:
    """Add one row; columns that are new come last, and are empty in the rows before.

    The CSV keeps the order in which rows were added. The Markdown view is sorted, and says by what.

    Args:
        path: of the CSV; it and its folder are made where missing. The Markdown view has the suffix `.md`.
        row: column to value; floats are written so that they read back exactly.
        metric: the column by which the view is sorted; rows without a number there come last, as they were added.
        best: which end of the metric comes first.

    Raises:
        ValueError: for an empty row, or a file that is no CSV with a header.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "held_out.csv"
    >>> add_to_leaderboard(path, {"run": "20261124_100000", "loss": 2.5})
    >>> add_to_leaderboard(path, {"run": "20261124_110000", "loss": 2.25, "note": "wider"})
    >>> print(path.read_text(), end="")
    run,loss,note
    20261124_100000,2.5,
    20261124_110000,2.25,wider
    >>> print(path.with_suffix(".md").read_text(), end="")
    Sorted by loss, lowest first.
    <BLANKLINE>
    | run | loss | note |
    | --- | --- | --- |
    | 20261124_110000 | 2.25 | wider |
    | 20261124_100000 | 2.5 |  |
    """
    if not row:
        raise refusal(path, got="an empty row", wanted="at least one column", do="Give the figures of the run.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, and when the process dies
        rows = [*read_leaderboard(path), {name: str(value) for name, value in row.items()}]
        columns = list(dict.fromkeys(name for each in rows for name in each))
        write_atomically(path, _to_csv(columns, rows))
        write_atomically(path.with_suffix(".md"), sorted_view(columns, rows, metric, best))


def read_leaderboard(path: Path) -> list[dict[str, str]]:
    """The rows as they were added, oldest first; none where there is no file.

    Raises:
        ValueError: when a line has more fields than the header.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, restval=""))
    for number, row in enumerate(rows, 2):
        if None in row:
            raise refusal(
                f"{path}, row {number}",
                got="more fields than the header has",
                wanted="one field for each column",
                do="Mend the line by hand, or move the file away.",
            )
    return rows


def _to_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def sorted_view(
    columns: Sequence[str], rows: Sequence[Mapping[str, str]], metric: str, best: Literal["lowest", "highest"]
) -> str:
    """The rows as a Markdown table, the best first, below a line that says how they are sorted."""
    sign = 1 if best == "lowest" else -1

    def place(row: Mapping[str, str]) -> tuple[bool, float]:
        value = _number(row.get(metric, ""))
        return (True, 0.0) if value is None else (False, sign * value)

    ordered = sorted(rows, key=place)
    missing = sum(place(row)[0] for row in rows)
    said = f"Sorted by {_cell(metric)}, {best} first" + (f"; {missing} without it last." if missing else ".")
    if missing == len(rows):
        said = f"As they were added: none has a number for {_cell(metric)}."
    return f"{said}\n\n{_to_markdown(columns, ordered)}"


def _number(text: str) -> float | None:
    """A figure that can be put in order; None for words, nothing and NaN."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _to_markdown(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([row.get(name, "") for name in columns] for row in rows)]
    return "".join("| " + " | ".join(_cell(value) for value in line) + " |\n" for line in lines)


def _cell(value: str) -> str:
    """A pipe would end the cell, a line break the row."""
    return " ".join(value.replace("|", r"\|").split())
