"""One program that lives are forked from, for all tests of this folder; runs that nobody touched."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lives import Lives

KILLS = int(os.environ.get("GPTLAB_KILLS", "100"))


@pytest.fixture(scope="session")
def lives() -> Iterator[Lives]:
    if not hasattr(os, "fork") or not Path("/proc/self/fd").exists():
        pytest.skip("needs Linux: lives are forks, and calls are told apart by /proc")
    with Lives() as program:
        yield program


@pytest.fixture(scope="session")
def untouched(lives: Lives, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """By setting: the directory of a run that nobody touched, with all of its checkpoints."""
    made: dict[str, Path] = {}

    def run(setting: str, **changes: object) -> Path:
        name = json.dumps([setting, changes])
        if name not in made:
            place = tmp_path_factory.mktemp("untouched")
            code, _ = lives.life(place / "run", place / "told", setting, changes=changes, mutations=["all are kept"])
            assert code == 0
            made[name] = place / "run"
        return made[name]

    return run
