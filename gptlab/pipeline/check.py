"""The run-time check at the seams."""

import os
from collections.abc import Iterator
from typing import Any, Literal

from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.signature import Face

Checks = Literal["off", "first", "all"]
"""How much is checked."""

CHECKS: tuple[Checks, ...] = ("off", "first", "all")


def effective(checks: Checks | None) -> Checks:
    """A pipeline's own setting, else `GPTLAB_CHECKS`, else `first`."""
    if checks is not None:
        return checks
    wish = os.environ.get("GPTLAB_CHECKS", "first")
    for known in CHECKS:
        if wish == known:
            return known
    raise ContractError(f"GPTLAB_CHECKS is {wish!r}\n  wanted  one of {', '.join(CHECKS)}")


def checked_items(items: Iterator[Any], face: Face, chain: Any, mode: Checks) -> Iterator[Any]:
    """What a part yields, looked at."""
    return items
