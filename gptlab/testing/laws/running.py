"""Running a part under observation: what it read before each item, and what each item held when it came."""

import copy
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import attrs
import numpy as np

from gptlab.pipeline.observe import watching
from gptlab.testing.errors import LawBroken, broken
from gptlab.testing.laws.law import Law, NotApplicable
from gptlab.testing.snapshots import Held, snapshot

MOST = 64
"""Items that are taken from a part at most: some never end."""


@attrs.define
class Feed:
    """An input that can be asked what happened to it.

    Attributes:
        items: what it gives.
        error: raised when the items are at an end; None ends as usual.
        reads: items given.
        failed: whether the error was raised.
        closed: whether whoever read it has let go of it.
    """

    items: Sequence[Any]
    error: Exception | None = None
    reads: int = 0
    failed: bool = False
    closed: bool = False

    def stream(self) -> Iterator[Any]:
        """The input: a generator, with nothing but `next` and `close`."""
        try:
            for item in self.items:
                self.reads += 1
                yield item
            if self.error is not None:
                self.failed = True
                raise self.error
        finally:
            self.closed = True


class Silence:
    """An observer that keeps the console free of what a part says hundreds of times."""

    def say(self, message: str) -> None:
        """Nothing."""

    def drop(self, reason: str, count: int, example: str) -> None:
        """Nothing."""

    def progress(self, task: str, done: int | float, total: int | float | None, unit: str) -> None:
        """Nothing."""


@contextmanager
def quietly() -> Iterator[None]:
    """Run parts without their messages."""
    with watching(Silence()):
        yield


def outputs(law: Law, part: Any, run: Callable[[Iterator[Any]], Any], items: Sequence[Any]) -> list[Held]:
    """What a stage yields for an input.

    Raises:
        LawBroken: the stage fails on it.
    """
    with crashing(law, part, items), quietly():
        return [snapshot(item) for item in islice(iter(run(Feed(fresh(items)).stream())), MOST)]


FIRST = ("types", "ids", "figures")
"""The laws that tell when a part fails; the others pass over such input, so that one fault is told once."""


@contextmanager
def crashing(law: Law, part: Any, items: Any) -> Iterator[None]:
    """Tell a failure of the part as what it is: it must take every input that its annotation allows."""
    try:
        yield
    except (LawBroken, NotApplicable):
        raise
    except Exception as error:
        if law.name not in FIRST:
            raise NotApplicable(
                f"it fails with {type(error).__name__}; the law `types` (or the first) tells"
            ) from error
        raise broken(
            "Every input that the annotation allows is taken.",
            part,
            got=f"{type(error).__name__}: {error}",
            wanted="an output",
            items=items,
            do="Mend it; or, where such input never comes, say what does: inputs=..., a strategy of lists of items.",
        ) from error


def fresh(items: Sequence[Any]) -> list[Any]:
    """The items as others have not yet seen them: a part that changes its input is to break one law, not all."""
    return copy.deepcopy(list(items))


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """With the global random states as another process may have them; put back afterwards."""
    states = random.getstate(), np.random.get_state()
    tensors = _torch()
    tensor_state = tensors.get_rng_state() if tensors is not None else None
    random.seed(seed)
    np.random.seed(seed)
    if tensors is not None:
        tensors.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if tensors is not None:
            tensors.set_rng_state(tensor_state)


def _torch() -> Any:
    """torch, where somebody has imported it."""
    return sys.modules.get("torch")
