"""The strategies for corpora lie beside the other tests of the graph."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(autouse=True, scope="module")
def disk_without_waiting() -> Iterator[None]:
    """A power cut is no part of these tests; flushing thousands of small files would be most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
