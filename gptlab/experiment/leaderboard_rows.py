"""Rows of leaderboards: those that a report shows among the latest others, and those that a finished run gives."""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

import attrs

from gptlab.benchmarks.leaderboard import add_to_leaderboard, read_leaderboard
from gptlab.benchmarks.leaderboard_row import LeaderboardRow, rows_of_figures
from gptlab.benchmarks.leaderboard_view import columns
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.run_directory import RunDirectory
from gptlab.storage import canonical_json

LEADERBOARDS = Path("experiments/leaderboards")
MOST_OTHERS = 10
"""Rows of other runs that are shown beside one's own."""
_COMMIT = 12  # digits that tell commits apart


@attrs.frozen(kw_only=True)
class Rows:
    """What a report shows of one leaderboard.

    Attributes:
        name: of the leaderboard.
        columns: in the order in which they are shown.
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
        try:
            every = read_leaderboard(path)
        except ValueError:
            continue
        others = [index for index, row in enumerate(every) if row.run not in runs][-MOST_OTHERS:]
        kept = [row for index, row in enumerate(every) if row.run in runs or index in others]
        if any(row.run in runs for row in kept):
            cells = columns(kept, with_metric=True)
            found.append(
                Rows(
                    name=path.stem.replace("_", " "),
                    columns=tuple(cells),
                    rows=tuple(zip(*cells.values(), strict=True)),
                    mine=tuple(row.run in runs for row in kept),
                )
            )
    return found


def rows_of_run(run: RunDirectory) -> dict[str, list[LeaderboardRow]]:
    """What a finished run gives to leaderboards: by the name of each benchmark its figures that have an error.

    The model goes by its recipe, the data by a hash of all hashes in data.json, the revision by the commit, with a
    `+` where the code that ran was another.

    Raises:
        ExperimentError: the run has not ended, or its benchmarks gave no such figure.
    """
    groups = (run.summary or {}).get("figures", {})
    facts, hashes = run.environment, run.data or run.environment.get("data")
    commit = str((facts.get("git") or {}).get("commit", ""))[:_COMMIT]
    day = re.match(r"(\d{4})(\d\d)(\d\d)_", run.name)
    found = {
        re.sub(r"\W+", "_", name.lower()).strip("_"): rows_of_figures(
            figures,
            run=run.name,
            model=Path(str(facts.get("recipe", ""))).stem,
            data=hashlib.sha256(canonical_json(hashes).encode()).hexdigest()[:16] if hashes else "",
            revision=commit + "+" if commit and run.has_patch else commit,
            date="-".join(day.groups()) if day else "",
        )
        for name, figures in groups.items()
    }
    found = {name: rows for name, rows in found.items() if rows}
    if not found:
        raise ExperimentError(
            f"the run {run.path}",
            got="no figure of a benchmark with a standard error" if run.is_finished else "a run that has not ended",
            wanted="a finished run whose recipe has evaluations",
            do="See its figures with: python -m gptlab.experiment show " + run.name,
        )
    return found


def add_run(run: RunDirectory, folder: Path) -> list[Path]:
    """Add the figures of a finished run to the leaderboards of their benchmarks.

    Args:
        run: adding it twice adds nothing.
        folder: of the leaderboards.

    Returns:
        The leaderboards that have a row of it.

    Raises:
        ExperimentError: the run gives no figures.
    """
    paths = []
    for name, rows in rows_of_run(run).items():
        path = folder / f"{name}.csv"
        held = read_leaderboard(path)
        if new := [row for row in rows if row not in held]:
            add_to_leaderboard(path, *new)
        paths.append(path)
    return paths
