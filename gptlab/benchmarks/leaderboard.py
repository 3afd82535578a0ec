"""Leaderboards: one CSV per benchmark under `experiments/leaderboards/`, with a sorted Markdown view beside it.

Rows are added under a file lock, and the file is replaced whole, so that any number of processes may add at once and
none that dies leaves half a line. The lock is a file of its own, since a lock on the CSV would stay with the
file that was replaced. Reading everything to add one line costs nothing at the few hundred rows of a leaderboard.

A row is one figure, and says by itself which end is best and how it was measured. Files of older gptlabs are brought
up to date when they are read, one function for each version, and written so when a row is added.
"""

import csv
import fcntl
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import attrs

from gptlab.benchmarks.leaderboard_row import Best, LeaderboardRow, best_of
from gptlab.benchmarks.leaderboard_view import sorted_view
from gptlab.storage import write_atomically
from gptlab.types.errors import refusal

Cells = Mapping[str, str]

SCHEMA = 1
COLUMNS = ("run", "model", "data", "revision", "metric", "value", "stderr", "n", "best", "date", "note", "schema")
"""Of the CSV, in this order."""


def add_to_leaderboard(path: Path, *rows: LeaderboardRow) -> None:
    """Add rows, all of them or none.

    The CSV keeps the order in which rows were added. The Markdown view has a table for each metric, best first.

    Args:
        path: of the CSV; it and its folder are made where missing. The Markdown view has the suffix `.md`.
        rows: values are written so that they read back exactly.

    Raises:
        ValueError: for no rows, or a file that is no leaderboard.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "held_out.csv"
    >>> add_to_leaderboard(path, LeaderboardRow(run="a", metric="loss", value=2.5, stderr=0.125, date="2026-11-24"))
    >>> add_to_leaderboard(path, LeaderboardRow(run="b", metric="loss", value=2.25, n=64, date="2026-11-25"))
    >>> print(path.read_text(), end="")
    run,model,data,revision,metric,value,stderr,n,best,date,note,schema
    a,,,,loss,2.5,0.125,,lowest,2026-11-24,,1
    b,,,,loss,2.25,,64,lowest,2026-11-25,,1
    >>> print(path.with_suffix(".md").read_text(), end="")
    ## loss, lowest first
    <BLANKLINE>
    | run | loss | n | date |
    | --- | --- | --- | --- |
    | b | 2.25 | 64 | 2026-11-25 |
    | a | 2.50 ± 0.12 |  | 2026-11-24 |
    """
    if not rows:
        raise refusal(path, got="no rows", wanted="one at least", do="Give the figures of the run.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, and when the process dies
        every = _agreeing(path, [*read_leaderboard(path), *rows])
        write_atomically(path, _to_csv(every))
        write_atomically(path.with_suffix(".md"), sorted_view(every))


def read_leaderboard(path: Path) -> list[LeaderboardRow]:
    """The rows as they were added, oldest first; none where there is no file.

    Raises:
        ValueError: the file is no leaderboard, or one of a newer gptlab.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            header, lines = list(reader.fieldnames or ()), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad(str(path), str(error), "a CSV file in UTF-8") from error
    for number, line in enumerate(lines, 2):
        if None in line:
            raise _bad(f"{path}, row {number}", "more fields than the header has", "one field for each column")
    version, rows = _version(path, header, lines), [dict(line) for line in lines]
    for step in MIGRATIONS[version:]:
        rows = step(rows)
    return _agreeing(path, [_row(f"{path}, row {number}", row) for number, row in enumerate(rows, 2)])


def _agreeing(path: Path, rows: list[LeaderboardRow]) -> list[LeaderboardRow]:
    """The rows, if those of a metric say the same of which end is best."""
    ends: dict[str, Best] = {}
    for row in rows:
        if ends.setdefault(row.metric, row.best) != row.best:
            where, wanted = f"{path}, {row.metric} of {row.run}", f"{ends[row.metric]}, as in the rows before"
            raise _bad(where, f"{row.best} is best", wanted)
    return rows


def _version(path: Path, header: Sequence[str], lines: Iterable[Cells]) -> int:
    """Which schema a file has: 0 before there was one."""
    if "schema" not in header:
        return 0
    versions = {line["schema"] for line in lines} or {str(SCHEMA)}
    if versions != {str(SCHEMA)}:
        do = "Install a newer gptlab: pip install -U gptlab; or mend the column by hand."
        raise refusal(path, got=f"schema {', '.join(sorted(versions))}", wanted=f"schema {SCHEMA} in all rows", do=do)
    if set(header) != set(COLUMNS):
        others = sorted(set(header) ^ set(COLUMNS))
        raise _bad(str(path), f"columns missing or unknown: {', '.join(others)}", f"the columns {', '.join(COLUMNS)}")
    return SCHEMA


def _0_to_1(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Before schema 1 a row was a run, with figures and words in any columns: each figure becomes a row."""
    made = []
    for row in rows:
        cells = {_one_line(name): _one_line(text) for name, text in row.items()}
        same = {name: cells.pop(name, "") for name in ("run", "model", "data", "revision", "date")}
        same["n"] = cells.pop("n") if cells.get("n", "").isdecimal() else ""
        figures = {name: text for name, text in cells.items() if name not in _WORDS and _number(text) is not None}
        errors = {f"{name}_stderr" for name in figures}
        others = {name: text for name, text in cells.items() if text and name not in figures}
        words = [text if name == "note" else f"{name}: {text}" for name, text in others.items()]
        for metric in [name for name in figures if name not in errors] or [""]:
            figure = {"value": figures.get(metric, "nan"), "stderr": figures.get(f"{metric}_stderr", "")}
            told = {"metric": metric, "best": best_of(metric), "note": "; ".join(words), "schema": "1"}
            made.append({**same, **figure, **told})
    return made


_WORDS = ("n", "note")  # though they may look like figures


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


MIGRATIONS: tuple[Callable[[list[dict[str, str]]], list[dict[str, str]]], ...] = (_0_to_1,)
"""From each version to the next."""


def _row(where: str, cells: Cells) -> LeaderboardRow:
    """The row that a line of the present schema holds."""
    value, stderr, n = _number(cells["value"]), _number(cells["stderr"]), cells["n"]
    if value is None or (stderr is None and cells["stderr"]) or not (n == "" or n.isdecimal()):
        got = f"value {cells['value']!r}, stderr {cells['stderr']!r}, n {n!r}"
        raise _bad(where, got, "numbers, stderr and n empty where they are not known")
    words = {name: cells[name] for name in ("run", "model", "data", "revision", "metric", "date", "note")}
    if cells["best"] not in get_args(Best):
        raise _bad(where, f"best {cells['best']!r}", " or ".join(get_args(Best)))
    best = cast(Best, cells["best"])
    return LeaderboardRow(**words, value=value, stderr=stderr, n=int(n) if n else None, best=best)


def _to_csv(rows: Sequence[LeaderboardRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = {name: value for name, value in attrs.asdict(row).items() if value is not None}
        writer.writerow({**cells, "schema": SCHEMA})
    return text.getvalue()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bad(where: str, got: str, wanted: str) -> ValueError:
    return refusal(where, got=got, wanted=wanted, do="Mend it by hand, or move the file away.")
