"""What the tests of the programs share."""

from collections.abc import Iterator

import pytest
from programs import Nursery, nursery


@pytest.fixture(scope="session")
def warm() -> Iterator[Nursery]:
    """Programs that need not import anything first."""
    with nursery() as ready:
        yield ready
