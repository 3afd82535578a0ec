"""Composite strategies that leave Python's random state alone.

Where gptlab itself is under run-time checks, beartype looks at a random element of every list that is passed around,
and Hypothesis rightly complains about strategies that draw chance from elsewhere. So the state is put back.
"""

import functools
import random
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from hypothesis import strategies as st

P = ParamSpec("P")
T = TypeVar("T")

Draw = Callable[..., Any]
"""As `hypothesis.strategies.DrawFn`, which run-time checks cannot examine."""


class Quiet(st.SearchStrategy[Any]):
    """A strategy that puts the random state back, and prints as it is told.

    >>> Quiet(st.integers(), "numbers")
    numbers
    """

    def __init__(self, inner: st.SearchStrategy[Any], name: str) -> None:
        super().__init__()
        self._inner, self._name = inner, name

    def __repr__(self) -> str:
        return self._name

    def do_draw(self, data: Any) -> Any:
        """Draw from the strategy inside."""
        state = random.getstate()
        try:
            return data.draw(self._inner)
        finally:
            random.setstate(state)


def composite(function: Callable[Concatenate[Draw, P], T]) -> Callable[P, st.SearchStrategy[T]]:
    """As `hypothesis.strategies.composite`.

    >>> @composite
    ... def pairs(draw: Draw, low: int) -> tuple[int, int]:
    ...     return draw(st.integers(low)), draw(st.integers(low))
    >>> pairs(3)
    pairs(...)
    """
    make = st.composite(function)

    @functools.wraps(make)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> st.SearchStrategy[T]:
        return Quiet(make(*args, **kwargs), f"{getattr(function, '__name__', 'strategy')}(...)")

    return quiet
