"""The rows of leaderboards that a report shows: those of its runs, among the latest others."""

import csv
from collections.abc import Collection
from pathlib import Path

import attrs

LEADERBOARDS = Path("experiments/leaderboards")
MOST_OTHERS = 10
"""Rows of other runs that are shown beside one's own."""


@attrs.frozen(kw_only=True)
class Rows:
    """What a report shows of one leaderboard.

    Attributes:
        name: of the leaderboard.
        columns: in the order of the file.
        rows: one's own, and the last `MOST_OTHERS` of others, in the order of the file.
        mine: of each row whether it is of a run that was asked for.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mine: tuple[bool, ...]


def leaderboard_rows(folder: Path, runs: Collection[str]) -> list[Rows]:
    """Of every leaderboard in a folder that has rows of these runs, what is shown; a broken one is passed over.

    >>> leaderboard_rows(Path("nowhere"), ["20261124_100000"])
    []
    """
    found = []
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else []:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            header, *lines = [tuple(line) for line in csv.reader(file)] or [()]
        lines = [line for line in lines if len(line) == len(header)]
        at = header.index("run") if "run" in header else None
        mine = [at is not None and line[at] in runs for line in lines]
        others = [index for index, is_mine in enumerate(mine) if not is_mine][-MOST_OTHERS:]
        kept = [index for index, is_mine in enumerate(mine) if is_mine or index in others]
        if any(mine):
            found.append(
                Rows(
                    name=path.stem.replace("_", " "),
                    columns=header,
                    rows=tuple(lines[index] for index in kept),
                    mine=tuple(mine[index] for index in kept),
                )
            )
    return found
