"""Training killed by SIGKILL at any moment, any number of times, ends as if nobody had touched it.

A hundred kills at random moments (`GPTLAB_KILLS=1000 python -m pytest tests/training/faults` for a thousand), and one
just before and just after each call of the system that saving makes. After every kill: what was reported as saved is
found, and the checkpoint that is found, with its lines of `metrics.jsonl`, is byte for byte that of a run that nobody
touched: weights, optimiser, position, what hooks remember. In the end so is all of the directory.

That the harness would see a bug is tested as well: each of `CAUGHT` breaks the code, and must be found.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import KILLS
from faults_found import contents, faults_of
from lives import Lives

from gptlab.training import latest_checkpoint
from gptlab.training.checkpoint import checkpoints

SETTINGS = ["in the step", "in the background", "muon, one kept", "muon in the background"]
KILLED = -9
Untouched = Callable[..., Path]


def end_faults(directory: Path, untouched: Path, kept: int) -> list[str]:
    """How a finished run differs from one that nobody touched, but for the checkpoints that only that one keeps."""
    ours, theirs = contents(directory), contents(untouched)
    names = {path.name for path in checkpoints(untouched)[:kept]}
    wanted = {
        name: data
        for name, data in theirs.items()
        if not name.startswith("checkpoints/") or name.split("/")[1] in names
    }
    left = {path.name for path in (directory / "checkpoints").iterdir()}
    faults = [] if left == names else [f"left in checkpoints: {sorted(left)}, wanted {sorted(names)}"]
    return faults + [f"{name} is another" for name in wanted if ours.get(name) != wanted[name]]


def kept(directory: Path) -> int:
    newest = latest_checkpoint(directory)
    assert newest is not None
    return json.loads((newest / "trainer.json").read_text())["config"].get("keep_last", 2)


def killed_run(
    lives: Lives, place: Path, setting: str, reference: Path, dice: random.Random, kills: int, **order: Any
) -> tuple[int, list[str]]:
    """One run, killed so many times at most, then let to its end: kills that met it alive, and what was wrong."""
    run, told, met = place / "run", place / "told", 0
    place.mkdir()
    for _ in range(kills):
        # So many signs of life (steps, calls of the system), and then a moment: spread over steps and writes alike.
        moment = (dice.randint(1, 90), dice.choice([0.0, dice.uniform(0, 0.004)]))
        code, _ = lives.life(run, told, setting, kill_after=moment, **order)
        met += code == KILLED
        if faults := faults_of(run, told, reference):
            return met, [f"killed after {moment}: {fault}" for fault in faults]
        if code == 0:
            break
    code, _ = lives.life(run, told, setting, **order)
    return met, faults_of(run, told, reference) + end_faults(run, reference, kept(run))


@pytest.mark.slow
def test_killed_at_random_moments(lives: Lives, untouched: Untouched, tmp_path: Path) -> None:
    dice, kills, runs = random.Random(20261124), 0, 0
    while kills < KILLS:
        setting, place = SETTINGS[runs % len(SETTINGS)], tmp_path / str(runs)
        met, faults = killed_run(lives, place, setting, untouched(setting), dice, min(15, KILLS - kills))
        assert faults == [], f"{setting}, run {runs}"
        shutil.rmtree(place)
        kills, runs = kills + met, runs + 1
    assert kills == KILLS and runs >= KILLS / 15


def calls_of(lives: Lives, place: Path, setting: str, **order: Any) -> list[str]:
    """The events of a short life: what it asks of the system about its directory."""
    place.mkdir()
    code, _ = lives.life(place / "run", place / "told", setting, list=str(place.with_suffix(".events")), **order)
    assert code == 0
    return place.with_suffix(".events").read_text().splitlines()


def sweep(lives: Lives, untouched: Untouched, tmp_path: Path, setting: str, steps: int, calls: slice) -> list[str]:
    """Kill a short run before and after its calls; what was wrong."""
    changes = {"steps": steps}
    reference = untouched(setting, **changes)
    found = []
    events = calls_of(lives, tmp_path / "events", setting, changes=changes)
    for event in events[calls]:
        number, before = int(event.rpartition("(")[2][:-1]), event.startswith("before")
        place = tmp_path / f"{number}-{before}"
        place.mkdir()
        run, told = place / "run", place / "told"
        code, _ = lives.life(run, told, setting, changes=changes, kill_at=(number, before))
        assert code in (KILLED, 0)  # beside the training calls come in another order, and sometimes fewer
        faults = faults_of(run, told, reference) if run.exists() else []
        if not faults:
            assert lives.life(run, told, setting, changes=changes)[0] == 0
            faults = end_faults(run, reference, kept(run))
        found += [f"{event}: {fault}" for fault in faults]
        shutil.rmtree(place)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "steps", "calls"), [("muon, one kept", 6, slice(0, None)), ("in the background", 4, slice(90, None))]
)
def test_killed_at_every_call_of_saving(
    lives: Lives, untouched: Untouched, tmp_path: Path, setting: str, steps: int, calls: slice
) -> None:
    assert sweep(lives, untouched, tmp_path, setting, steps, calls) == []


CAUGHT = [
    ("written in place", "in the step"),
    ("renamed before the manifest", "muon, one kept"),
    ("old ones go first", "muon, one kept"),
    ("the background writes what is at work", "muon in the background"),
    ("metrics are not cut back", "in the step"),
    ("data begin anew", "in the step"),
    ("random numbers go on", "in the step"),
    ("optimizer begins anew", "in the step"),
]


@pytest.mark.parametrize(("mutation", "setting"), CAUGHT, ids=[name for name, _ in CAUGHT])
def test_a_bug_would_be_found(
    lives: Lives, untouched: Untouched, tmp_path: Path, mutation: str, setting: str
) -> None:
    dice = random.Random(3)
    code, _ = lives.life(tmp_path / "alone" / "run", tmp_path / "told", setting, mutations=[mutation])
    assert code == 0, "a bug that shows without a kill needs no harness"
    for number in range(12):
        try:
            _, faults = killed_run(
                lives, tmp_path / str(number), setting, untouched(setting), dice, 8, mutations=[mutation]
            )
        except AssertionError as error:  # a life that cannot begin any more is found too
            faults = [str(error)]
        if faults:
            return
    raise AssertionError(f"nobody saw that {mutation}")
