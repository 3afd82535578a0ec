"""What a law is, and the search for the smallest input that breaks one.

The search is Hypothesis's, with the same examples every time: a kit whose verdict changes from run to run is not one
to build on. `max_examples` makes it look further.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from gptlab.pipeline.axes import claims_of
from gptlab.testing.errors import shown
from gptlab.testing.example import Example

MAX_EXAMPLES = 20
"""Inputs that a law is tried on where nothing else is asked for."""


class NotApplicable(Exception):  # noqa: N818  (not an error: a law that does not apply says why)
    """A law does not apply to a value; the message says why."""


@attrs.frozen(kw_only=True)
class Law:
    """A law of one kind of part.

    Attributes:
        name: short, for test names.
        sentence: the whole of it.
        check: from (example, settings), raises `LawBroken`, or `NotApplicable` with the reason.
    """

    name: str
    sentence: str
    check: Callable[["Law", Example, int], None] = attrs.field(repr=False)

    def put(self, example: Example, max_examples: int = MAX_EXAMPLES) -> None:
        """Put a value to the law.

        Raises:
            LawBroken: it breaks the law.
            NotApplicable: the law says nothing about it.
        """
        if reason := example.leave_out.get(self.name):
            raise NotApplicable(reason)
        self.check(self, example, max_examples)


@attrs.frozen(kw_only=True)
class Held:
    """What a check found.

    Attributes:
        laws: names of the laws that held.
        left_out: name of each law that does not apply, to why.
    """

    laws: tuple[str, ...]
    left_out: dict[str, str]


def check(laws: Sequence[Law], example: Example, max_examples: int = MAX_EXAMPLES) -> Held:
    """Put a value to each law in turn.

    Raises:
        LawBroken: the first law that it breaks.
    """
    held: list[str] = []
    left_out: dict[str, str] = {}
    for law in laws:
        try:
            law.put(example, max_examples)
        except NotApplicable as reason:
            left_out[law.name] = str(reason)
        else:
            held.append(law.name)
    return Held(laws=tuple(held), left_out=left_out)


@attrs.frozen(repr=False)
class Stream:
    """A drawn input; Hypothesis prints it, and not every array can be printed."""

    items: Any

    def __repr__(self) -> str:
        return shown(self.items)


def search(inputs: st.SearchStrategy[Any], tried: Callable[[Any], None], max_examples: int) -> None:
    """Try inputs until one fails, and then smaller ones; raises what the smallest raises."""

    def one(stream: Stream) -> None:
        try:
            tried(stream.items)
        except NotApplicable:
            reject()

    test: Any = lambda stream: one(stream)  # noqa: E731, PLW0108  (run-time checks would change the signature of a `def`)
    searching = settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        searching(given(inputs.map(Stream))(test))()
    except Unsatisfiable as error:
        raise NotApplicable("it fails on every input that was tried; the first law tells") from error


def axes_of(part: Any) -> dict[str, Any]:
    """The claims of a part, as strategies take them."""
    return dict(claims_of(part))
