"""attrs validators that end in four parts: a wrong setting is named with what would be right and what to do."""

from collections.abc import Callable, Collection
from typing import Any

import attrs

from gptlab.types.errors import FourPartError

Number = int | float
Validator = Callable[[Any, Any, Any], None]


def satisfies(
    is_right: Callable[[Any], bool], wanted: str, do: str = "", *, error: type[FourPartError] = FourPartError
) -> Validator:
    """A validator from a predicate.

    Args:
        is_right: whether a value will do.
        wanted: what would, in words.
        do: what to do about another, as a sentence; the field's default is named where none is given.
        error: the exception of the floor.

    >>> import attrs
    >>> @attrs.frozen
    ... class Echo:
    ...     delay: float = attrs.field(default=0.5, validator=satisfies(lambda delay: delay > 0, "above 0"))
    >>> Echo(-1.0)
    Traceback (most recent call last):
    gptlab.types.errors.FourPartError: Echo.delay
      got     -1.0
      wanted  above 0
      Set delay; the default is 0.5.
    """

    def check(instance: object, attribute: Any, value: Any) -> None:
        if is_right(value):
            return
        where = f"{type(instance).__name__}.{attribute.name}"
        has_default = attribute.default is not attrs.NOTHING
        own = f"Set {attribute.name}" + (f"; the default is {attribute.default!r}." if has_default else ".")
        raise error(where, got=repr(value), wanted=wanted, do=do or own)

    return check


def at_least(
    least: Number, do: str = "", *, at_most: Number = float("inf"), error: type[FourPartError] = FourPartError
) -> Validator:
    """A validator for a number that has bounds; a bool is no number, and neither is nan.

    Args:
        least: the smallest value that will do. Where it is written as an `int`, so must the value be.
        do: what to do about another, as a sentence.
        at_most: the largest value that will do.
        error: the exception of the floor.
    """
    kinds = (int,) if isinstance(least, int) else (int, float)
    kind = "a whole number of" if isinstance(least, int) else "a number of"
    wanted = f"{kind} at least {least}" + (f" and at most {at_most}" if at_most < float("inf") else "")

    def is_right(value: Any) -> bool:
        return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= at_most

    return satisfies(is_right, wanted, do, error=error)


def one_of(choices: Collection[Any], do: str = "", *, error: type[FourPartError] = FourPartError) -> Validator:
    """A validator for one of a few values."""
    wanted = "one of " + ", ".join(map(repr, choices))
    return satisfies(lambda value: value in choices, wanted, do, error=error)
