"""The three answers to "does this fit there", and what is known while the question is asked."""

import enum
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import attrs


class Answer(enum.IntEnum):
    """Ordered by how bad it is: of several parts that must all fit, the worst answer counts."""

    YES = 0
    CANNOT_TELL = 1
    NO = 2


@attrs.frozen
class Verdict:
    """An answer and, unless it is yes, why in one line."""

    answer: Answer
    reason: str = ""

    @property
    def fits(self) -> bool:
        """Whether the answer is yes; cannot tell is not."""
        return self.answer is Answer.YES

    def within(self, where: str) -> "Verdict":
        """The same verdict about a part of something larger."""
        if self.fits or not where:
            return self
        return Verdict(self.answer, f"{where}: {self.reason}")


YES = Verdict(Answer.YES)


def no(reason: str) -> Verdict:
    """It does not fit."""
    return Verdict(Answer.NO, reason)


def cannot_tell(reason: str) -> Verdict:
    """The annotations do not say whether it fits."""
    return Verdict(Answer.CANNOT_TELL, reason)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """All must fit."""
    found = YES
    for verdict in verdicts:
        if verdict.answer > found.answer:
            found = verdict
        if found.answer is Answer.NO:
            break
    return found


def _no_size(name: str) -> int | None:
    return None


@attrs.define
class Known:
    """What is known while one seam is compared; a branch that fails is undone by `restore`.

    Attributes:
        open: type variables that may still take a value.
        bound: the values they have taken.
        exact: those among them that cannot be widened, since a mutable container holds them.
        axes: what each axis name of the wanted annotation stands for on the other side.
        pairs: axis names found in the same place on both sides.
        assumed: questions being answered (a recursive Protocol asks itself).
        size_of: the size of a named axis, where somebody in the pipeline fixed it.
        root_of: one name for all names that an axis has along the pipeline.
    """

    open: frozenset[TypeVar] = frozenset()
    bound: dict[TypeVar, Any] = attrs.Factory(dict)
    exact: set[TypeVar] = attrs.Factory(set)
    axes: dict[str, tuple[str, ...]] = attrs.Factory(dict)
    pairs: list[tuple[str, str]] = attrs.Factory(list)
    assumed: set[tuple[Any, Any]] = attrs.Factory(set)
    size_of: Callable[[str], int | None] = _no_size
    root_of: Callable[[str], str] = str

    def save(self) -> tuple[Any, ...]:
        """A state to return to."""
        return dict(self.bound), set(self.exact), dict(self.axes), list(self.pairs)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Forget what was learned since `save`."""
        self.bound, self.exact, self.axes, self.pairs = (type(part)(part) for part in state)

    def first(self, attempts: Iterator[Callable[[], Verdict]], otherwise: Verdict) -> Verdict:
        """One must fit: the first that does, else the least bad answer, with nothing learned from failures."""
        state = self.save()
        best = otherwise
        for attempt in attempts:
            verdict = attempt()
            if verdict.fits:
                return verdict
            self.restore(state)
            if verdict.answer < best.answer:
                best = verdict
        return best
