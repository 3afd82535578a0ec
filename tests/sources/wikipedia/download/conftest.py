"""A server on loopback for every test, reached without a proxy."""

from collections.abc import Iterator

import pytest
from loopback_dumps import DumpServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DumpServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        yield running


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[DumpServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as running:
        yield running
