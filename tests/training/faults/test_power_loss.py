"""The power fails at any call of the system: what was reported as saved is found when it is back.

What was written and not forced to the disk is dropped, in part or whole, as the dice say (`failing_disk.py`), at each
call that training makes about its directory, and what is left is compared byte by byte with a run that nobody
touched. Some of what is left is gone on from, to the end. `CAUGHT` breaks the code on purpose, and must be found.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lives import Lives
from test_training_killed import end_faults, kept

Untouched = Callable[..., Path]


def faults_of_cuts(
    lives: Lives,
    place: Path,
    setting: str,
    reference: Path,
    *,
    keep_every: int = 10**6,
    cuts: int = 1,
    **order: Any,
) -> list[str]:
    """Train with the power failing at every call; what was wrong."""
    (place / "disk").mkdir(parents=True)
    (place / "scratch" / "kept").mkdir(parents=True)
    code, _ = lives.life(
        place / "disk" / "run",
        place / "told",
        setting,
        cuts=cuts,
        keep_every=keep_every,
        scratch=str(place / "scratch"),
        reference=str(reference),
        **order,
    )
    assert code == 0
    found = place / "scratch" / "faults.txt"
    return found.read_text().splitlines() if found.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["muon, one kept", "in the background"])
def test_nothing_that_was_reported_is_lost(lives: Lives, untouched: Untouched, tmp_path: Path, setting: str) -> None:
    changes = {"steps": 6}
    reference = untouched(setting, **changes)
    assert faults_of_cuts(lives, tmp_path, setting, reference, keep_every=9, cuts=2, changes=changes) == []
    left = sorted(path for path in (tmp_path / "scratch" / "kept").iterdir() if path.is_dir())
    assert len(left) >= 8
    for disk in left:
        run = disk / "run"
        assert lives.life(run, disk.with_suffix(".told"), setting, changes=changes)[0] == 0
        assert end_faults(run, reference, kept(run)) == [], disk.name


def test_the_power_fails_again_and_again(lives: Lives, untouched: Untouched, tmp_path: Path) -> None:
    """What one cut left is trained on from, and the power fails at every call of that life too."""
    changes = {"steps": 9}
    reference = untouched("in the step", **changes)
    assert faults_of_cuts(lives, tmp_path / "1", "in the step", reference, keep_every=37, changes=changes) == []
    left = sorted(path for path in (tmp_path / "1" / "scratch" / "kept").iterdir() if path.is_dir())
    shutil.copytree(left[-1], tmp_path / "2" / "disk")
    shutil.copy(left[-1].with_suffix(".told"), tmp_path / "2" / "told")
    (tmp_path / "2" / "scratch" / "kept").mkdir(parents=True)
    order = {"scratch": str(tmp_path / "2" / "scratch"), "reference": str(reference), "keep_every": 10**6}
    code, _ = lives.life(tmp_path / "2" / "disk" / "run", tmp_path / "2" / "told", "in the step", cuts=1, **order)
    assert code == 0 and not (tmp_path / "2" / "scratch" / "faults.txt").exists()


CAUGHT = [
    "files are not flushed",
    "names are not flushed",
    "metrics are not flushed",
    "reported before it is written",
]


@pytest.mark.parametrize("mutation", CAUGHT)
def test_a_bug_would_be_found(lives: Lives, untouched: Untouched, tmp_path: Path, mutation: str) -> None:
    changes = {"steps": 6}
    reference = untouched("in the step", **changes)
    assert faults_of_cuts(lives, tmp_path, "in the step", reference, cuts=2, changes=changes, mutations=[mutation]), (
        f"nobody saw that {mutation}"
    )
