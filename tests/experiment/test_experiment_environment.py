"""What is told about the machine and the packages."""

import importlib.metadata
import json
import platform
from pathlib import Path

import pytest

from gptlab.experiment.environment import checkout, environment, packages


def test_the_environment_is_json_and_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    facts = environment(tmp_path)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["python"] == platform.python_version() and facts["ranks"] == 4
    assert facts["threads"]["OMP_NUM_THREADS"] == "3"
    assert facts["cpu"]["model"] and 1 <= facts["cpu"]["usable"] <= facts["cpu"]["cores"]
    assert facts["memory"].endswith("B") and facts["git"] is None


def test_packages_are_sorted_and_have_their_versions() -> None:
    found = packages()
    assert found["attrs"] == importlib.metadata.version("attrs") and "gptlab" in found
    assert list(found) == sorted(found, key=str.lower)


def test_a_recipe_outside_of_version_control_is_told_by_gptlabs_own_commit(tmp_path: Path) -> None:
    assert checkout(tmp_path) == Path(importlib.import_module("gptlab").__file__ or "").parent
