"""One run, one folder: `experiments/YYYYMMDD_HHMMSS/`, with all that is needed to trust it a year later.

A run directory appears whole or not at all: it is filled under a hidden name beside its place and renamed, and the
rename is what decides between two runs of the same second (the second one is called `..._2`). Loading a run asserts
that the recipe which loads it is the recipe that made it: weights read by other code than trained them are a bug
that no test of either file finds.

Only the first rank makes the directory; the others are told its path.
"""

import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from gptlab.experiment.environment import checkout, environment, own_folder, patch
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.launch import found_note, leave_note
from gptlab.experiment.recipe_file import CELLS, difference, root_recipe
from gptlab.storage import StorageError, envelope, opened, read_json, write_atomically
from gptlab.storage.errors import os_error_parts
from gptlab.storage.temporaries import locked_directory, sweep

RECIPE, CONFIG, ENVIRONMENT, FINISHED = "recipe.txt", "config.json", "environment.json", "finished.json"
PATCH, OWN_PATCH, DATA = "patch.diff", "gptlab.diff", "data.json"
_NAME = re.compile(r"\d{8}_\d{6}(_\d+)?")


@attrs.frozen
class RunDirectory:
    """The places of one run.

    Attributes:
        path: the directory itself.

    >>> run = RunDirectory(Path("experiments/20261124_090000"))
    >>> run.name, run.metrics.name, run.checkpoints.name
    ('20261124_090000', 'metrics.jsonl', 'checkpoints')
    """

    path: Path

    @property
    def name(self) -> str:
        """When it began, which is what it is called by."""
        return self.path.name

    @property
    def log(self) -> Path:
        """What was said, by all ranks."""
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        """One line of JSON per step."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the trainer; it is made by who first writes there."""
        return self.path / "checkpoints"

    @property
    def plots(self) -> Path:
        """The folder of the pictures; made on first use."""
        folder = self.path / "plots"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def report(self) -> Path:
        """The page that tells about the run."""
        return self.path / "report.html"

    @property
    def recipe(self) -> str:
        """The root Python file as it ran."""
        return _read(self.path / RECIPE)

    @property
    def config(self) -> Any:
        """The settings, as JSON, brought to the present schema."""
        return opened(_read_json(self.path / CONFIG), str(self.path / CONFIG))

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, machine and state of the code."""
        return dict(_read_json(self.path / ENVIRONMENT))

    @property
    def data(self) -> dict[str, Any]:
        """Hashes of what was read, by place; none before everything was prepared."""
        path = self.path / DATA
        return dict(_read_json(path)) if path.exists() else {}

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the run ended with; None as long as it has not ended."""
        path = self.path / FINISHED
        return dict(_read_json(path)) if path.exists() else None

    @classmethod
    def create(
        cls,
        root: Path,
        recipe_file: Path | None,
        config: Any,
        *,
        seeds: Mapping[str, int] | None = None,
        data: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> "RunDirectory":
        """Make the directory of a run that begins now.

        Args:
            root: the folder of all runs; it is made when missing.
            recipe_file: kept as recipe.txt; `root_file()` when None.
            config: all settings, as `gptlab.storage.to_config` gives them.
            seeds: what every random choice follows from, by name.
            data: fingerprints of what was read, by name.
            clock: tells the time that names the directory.

        Raises:
            ExperimentError: it cannot be made; nothing is left behind then.
        """
        if (made := found_note(root)) is not None:
            return cls(made)
        text, recipe_file = root_recipe(recipe_file)
        folder = checkout(recipe_file.resolve().parent if recipe_file is not None else Path.cwd())
        facts = environment(folder) | {
            "recipe": str(recipe_file.absolute()) if recipe_file is not None else CELLS,
            "seeds": dict(seeds or {}),
            "data": dict(data or {}),
        }
        files = {RECIPE: text, CONFIG: _to_json(envelope(config)), ENVIRONMENT: _to_json(facts)}
        changes = {PATCH: patch(folder), OWN_PATCH: patch(own_folder()) if facts.get("gptlab_git") else ""}
        files |= {name: diff for name, diff in changes.items() if diff}
        try:
            root.mkdir(parents=True, exist_ok=True)
            sweep(root)  # what runs that were killed while they began have left
            with locked_directory(root / "run") as hidden:
                for name, text in files.items():
                    _write(hidden / name, text)
                run = cls(_claim(hidden, root, f"{clock():%Y%m%d_%H%M%S}"))
            leave_note(root, run.path)
            return run
        except OSError as error:
            raise ExperimentError(f"a run directory in {root}", **_parts(error, root)) from error

    @classmethod
    def load(
        cls, path: Path, recipe_file: Path | None = None, *, allow_changed_recipe: bool = False
    ) -> "RunDirectory":
        """Open a run that an unchanged recipe made.

        Args:
            path: the run directory.
            recipe_file: the file that loads it; `root_file()` when None.
            allow_changed_recipe: take a run that another version of the recipe made.

        Raises:
            ExperimentError: it is no run directory, or the recipe has changed; the difference is shown.
        """
        run = cls.look(path)
        if allow_changed_recipe:
            return run
        (now, file), then = root_recipe(recipe_file), run.recipe
        if now != then:
            name = str(file) if file is not None else CELLS
            raise ExperimentError(
                f"the run {path} was made by another version of {file.name if file is not None else CELLS}",
                got=difference(then, now, f"{run.name}/{RECIPE}", name),
                wanted=f"the file as it ran, {path / RECIPE}",
                do=f"Either restore it: cp {path / RECIPE} {name}"
                + (f"   (and the code below it: git apply {path / PATCH})" if run.has_patch else "")
                + "\nor say that the difference does not matter: allow_changed_recipe=True (--allow_changed_recipe).",
            )
        return run

    @classmethod
    def look(cls, path: Path) -> "RunDirectory":
        """Open a run to read about it, whatever the recipe is now."""
        if not (path / RECIPE).is_file() or not (path / CONFIG).is_file():
            there = "a folder without them" if path.is_dir() else "no such folder"
            raise ExperimentError(
                f"the run {path}",
                got=there,
                wanted=f"a run directory, which holds {RECIPE} and {CONFIG}",
                do="Look for it with: python -m gptlab.experiment list",
            )
        return cls(path)

    @property
    def has_patch(self) -> bool:
        """Whether the code that ran was not the commit alone."""
        return (self.path / PATCH).exists()

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / FINISHED).exists()

    def record_data(self, hashes: Mapping[str, Any]) -> None:
        """Keep the hashes of what was read (`gptlab.experiment.data_hashes`); a second call replaces the first."""
        write_atomically(self.path / DATA, _to_json(dict(hashes)))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the run as ended, with its final figures; a second call replaces the first."""
        write_atomically(self.path / FINISHED, _to_json(dict(summary)))


def runs(root: Path) -> list[RunDirectory]:
    """All runs below `root`, the oldest first; other folders are passed over."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if _NAME.fullmatch(path.name) and (path / RECIPE).is_file()]
    return [RunDirectory(path) for path in sorted(found, key=_order)]


def latest_unfinished(root: Path, recipe_file: Path | None, config: Any) -> RunDirectory | None:
    """The newest run of the same recipe and settings that did not come to its end: the one to resume."""
    recipe, wanted = root_recipe(recipe_file)[0], json.loads(_to_json(config))
    for run in reversed(runs(root)):
        if not run.is_finished and run.recipe == recipe and run.config == wanted:
            return run
    return None


def _order(path: Path) -> tuple[str, int]:
    stamp, number = path.name[:15], path.name[16:]
    return stamp, int(number or 1)


def _claim(hidden: Path, root: Path, stamp: str) -> Path:
    """Give the filled directory the first name that is free; the rename fails where another run was quicker."""
    for number in range(1, 10_000):
        path = root / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            return hidden.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    raise OSError(errno.EEXIST, "ten thousand runs of one second", str(root / stamp))


def _parts(error: OSError, root: Path) -> dict[str, str]:
    got, wanted, do = os_error_parts(error)
    place = "" if error.filename in (None, str(root)) else f" ({error.filename})"
    return {"got": got + place, "wanted": wanted, "do": do}


def _to_json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ExperimentError(
            "what is kept with a run", got=str(error), wanted="JSON", do="Pass it through gptlab.storage.to_config."
        ) from error


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ExperimentError(str(path), **_parts(error, path)) from error


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except StorageError as error:
        got = error.got if isinstance(error.__cause__, OSError) else f"no JSON: {error.got}"
        do = "Restore it from a copy."
        raise ExperimentError(str(path), got=got, wanted="the file as the run wrote it", do=do) from error
