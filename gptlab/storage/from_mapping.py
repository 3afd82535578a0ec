"""`initialize(cfg)` for classes whose values are their configuration: a mapping in, a checked value out.

Sources were promised this classmethod, for settings that come from a file rather than from Python. It is a descriptor
that a class assigns, `initialize = FromMapping()`, because no part of gptlab has a base class that it could sit in,
and because a descriptor tells mypy the class, which an assigned `classmethod` of a generic function does not.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gptlab.storage.decode import from_config

S = TypeVar("S")


class FromMapping:
    """A classmethod that makes a value from what `to_config` wrote of it, or a person by hand.

    As strict as `from_config`: unknown fields are refused and nothing is converted, so `3.7` is no number of pages.

    Raises:
        StorageError: the first thing that does not fit, with the path of its field.

    >>> import attrs
    >>> @attrs.frozen
    ... class Countdown:
    ...     start: int
    ...     initialize = FromMapping()
    >>> Countdown.initialize({"start": 3})
    Countdown(start=3)
    >>> Countdown.initialize({"strat": 3})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    gptlab.storage.errors.StorageError: Countdown.strat
      got     an unknown field
      wanted  a field of ...Countdown
      Did you mean `start`?
    """

    def __get__(self, instance: object, owner: type[S]) -> Callable[[Mapping[str, Any]], S]:
        def initialize(cfg: Mapping[str, Any]) -> S:
            """The value of this class that a mapping describes."""
            value: S = from_config(dict(cfg), kind=owner)
            return value

        return initialize
