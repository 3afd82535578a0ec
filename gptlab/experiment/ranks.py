"""Which of several processes this one is: torchrun says so in the environment."""

import os
import sys
from typing import TextIO

from gptlab.experiment.errors import ExperimentError


def rank_from_environment() -> int:
    """The number of this process among those of one run; 0 when it is alone."""
    text = os.environ.get("RANK", "0")
    if not text.isdecimal():
        raise ExperimentError(
            "the environment variable RANK",
            got=repr(text),
            wanted="a whole number, 0 for the first process",
            do="Unset RANK, or start the run with torchrun, which sets it.",
        )
    return int(text)


def print0(*values: object, sep: str = " ", end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """`print`, by the first process only: eight processes would say everything eight times.

    >>> print0("hello", 7)
    hello 7
    """
    if rank_from_environment() == 0:
        print(*values, sep=sep, end=end, file=sys.stdout if file is None else file, flush=flush)
