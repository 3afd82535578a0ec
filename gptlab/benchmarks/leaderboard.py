"""Leaderboards: one CSV per benchmark under `experiments/leaderboards/`, with a Markdown view beside it.

Rows are added under a file lock, and the file is replaced whole, so that any number of processes may add at once and
none that dies leaves half a line. The lock is a file of its own, since a lock on the CSV would stay with the
file that was replaced. Reading everything to add one line costs nothing at the few hundred rows of a leaderboard.
"""

import csv
import fcntl
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from gptlab.storage import write_atomically
from gptlab.types.errors import refusal

Figure = str | int | float


def add_to_leaderboard(path: Path, row: Mapping[str, Figure]) -> None:
    """Add one row; columns that are new come last, and are empty in the rows before.

    Args:
        path: of the CSV; it and its folder are made where missing. The Markdown view has the suffix `.md`.
        row: column to value; floats are written so that they read back exactly.

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
    """
    if not row:
        raise refusal(path, got="an empty row", wanted="at least one column", do="Give the figures of the run.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, and when the process dies
        rows = [*read_leaderboard(path), {name: str(value) for name, value in row.items()}]
        columns = list(dict.fromkeys(name for each in rows for name in each))
        write_atomically(path, _to_csv(columns, rows))
        write_atomically(path.with_suffix(".md"), _to_markdown(columns, rows))


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


def _to_markdown(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([row.get(name, "") for name in columns] for row in rows)]
    return "".join("| " + " | ".join(_cell(value) for value in line) + " |\n" for line in lines)


def _cell(value: str) -> str:
    """A pipe would end the cell, a line break the row."""
    return " ".join(value.replace("|", r"\|").split())
