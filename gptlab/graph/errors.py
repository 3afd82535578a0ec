"""The four parts of every error of the graph and packing floors, in one place, so that none forgets one."""

from collections.abc import Callable
from typing import Any


def refusal(where: str, *, got: object, wanted: str, remedy: str) -> ValueError:
    """The error to raise for something that a user can put right.

    >>> print(refusal("Pack.seq_len", got=0, wanted="at least 2 tokens", remedy="Try seq_len=2048."))
    Pack.seq_len
      got     0
      wanted  at least 2 tokens
      Try seq_len=2048.
    """
    return ValueError(f"{where}\n  got     {got}\n  wanted  {wanted}\n  {remedy}")


Number = int | float
Validator = Callable[[Any, Any, Any], None]


def at_least(least: Number, remedy: str, *, at_most: Number = float("inf")) -> Validator:
    """An attrs validator for a number that has bounds; a bool is no number.

    Args:
        least: the smallest value that will do. Where it is written as an `int`, so must the value be.
        remedy: what to do about another, as a sentence.
        at_most: the largest value that will do.
    """
    kinds = (int,) if isinstance(least, int) else (int, float)
    kind = "a whole number of" if isinstance(least, int) else "a number of"
    wanted = f"{kind} at least {least}" + (f" and at most {at_most}" if at_most < float("inf") else "")

    def check(instance: object, attribute: Any, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= at_most:
            where = f"{type(instance).__name__}.{attribute.name}"
            raise refusal(where, got=repr(value), wanted=wanted, remedy=remedy)

    return check
