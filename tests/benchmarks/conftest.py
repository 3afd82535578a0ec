"""A judge on loopback for the tests that want one, reached without a proxy, and a key for it that nobody may see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_judge import KEY, JudgeServer, serving, verdict

from gptlab.benchmarks import Judge


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with serving(lambda body: verdict(4)) as running:
        yield running


@pytest.fixture
def judge_with(server: JudgeServer, tmp_path: Path) -> Any:
    """Makes a judge that asks the server and does not wait long."""

    def make(**settings: Any) -> Judge:
        quick = {"key_from": "JUDGE_KEY", "backoff": 0.001, "timeout": 5.0, "attempts": 3, "connections": 1}
        return Judge(**{"url": server.url, "model": "tester", "cache": tmp_path / "cache", **quick, **settings})

    return make
