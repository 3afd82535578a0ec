"""Composition: `pipeline(a, b, c)`, and `a | b | c`, checked when they are written.

Two classes, because a chain that begins with a source is a source and any other chain is a stage; one class with
both methods would let mypy and a reader take the one for the other. Both are frozen attrs values whose only
content is `parts`: equal when their parts are, hashed, pickled and serialised by them. Nested pipelines are
flattened, so composition is associative: `(a | b) | c == a | (b | c) == pipeline(a, b, c)`.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, overload, runtime_checkable

import attrs

from gptlab.pipeline.axes import Claim
from gptlab.pipeline.chain import Chain, check_chain
from gptlab.pipeline.check import CHECKS, Checks, checked_items, effective
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.protocols import Source
from gptlab.pipeline.table import table

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
I = TypeVar("I")  # noqa: E741
J = TypeVar("J")
K = TypeVar("K")
T_co = TypeVar("T_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)

_S: TypeAlias = Callable[[Iterator[A]], Iterable[B]]


@runtime_checkable
class Pipeline(Protocol):
    """What both kinds of pipeline have; `isinstance(x, Pipeline)` asks for either."""

    @property
    def parts(self) -> tuple[Any, ...]:
        """The parts in reading order, nested pipelines flattened."""

    def pre_cache(self) -> None:
        """Do once what the parts do once, in order."""

    def axes(self) -> Mapping[str, Claim]:
        """The claims of all parts, merged."""

    def checked(self, checks: Checks) -> "Pipeline":
        """The same pipeline with its own setting of the run-time check."""


def _flat(parts: Iterable[Any]) -> tuple[Any, ...]:
    """Nested pipelines give way to their parts."""
    flat: list[Any] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, SourcePipeline | StagePipeline) else (part,))
    return tuple(flat)


@attrs.frozen(repr=False)
class SourcePipeline(Generic[T_co]):
    """A chain that begins with a source, and so is one.

    Attributes:
        parts: the source and its stages.
        checks: how much the seams are checked at run time; `None` asks `GPTLAB_CHECKS`.
    """

    parts: tuple[Any, ...] = attrs.field(converter=_flat)
    checks: Checks | None = attrs.field(
        default=None, eq=False, kw_only=True, validator=attrs.validators.optional(attrs.validators.in_(CHECKS))
    )

    def __attrs_post_init__(self) -> None:
        if not self._chain.faces[0].is_source:
            raise ContractError(f"{self._chain.faces[0].name} is no source")

    @functools.cached_property
    def _chain(self) -> Chain:
        return check_chain(self.parts)

    def get_data_generator(self, start: int = 0) -> Iterator[T_co]:
        """A fresh iterator from item `start` on.

        The start is handed to the source through every stage at the end that reads a fixed number of items per
        yield (`items_per_yield`). From the last stage that has no such ratio on, the pipeline is replayed from its
        beginning and what comes before `start` is skipped: correct for every deterministic pipeline, O(start).

        Args:
            start: index of the first item to yield.
        """
        parts = self.parts
        ask = start
        first = len(parts)  # stages from here on are run with their ratio undone
        while first > 1 and ask:
            ratio = getattr(parts[first - 1], "items_per_yield", None)
            if ratio is None:
                break
            ask *= ratio
            first -= 1
        mode = effective(self.checks)
        if ask and first == 1 and "start" in inspect.signature(parts[0].get_data_generator).parameters:
            items = parts[0].get_data_generator(start=ask)
        else:
            items = parts[0].get_data_generator()
            if first == 1:
                items = _skip(items, ask)
        items = checked_items(items, self._chain, 0, mode)
        for index in range(1, len(parts)):
            items = parts[index](items)
            if ask and index == first - 1:
                items = _skip(items, ask)
            items = checked_items(items, self._chain, index, mode)
        return cast(Iterator[T_co], items)

    def pre_cache(self) -> None:
        """Do once what the parts do once, in order."""
        for part in self.parts:
            pre_cache(part)

    def axes(self) -> Mapping[str, Claim]:
        """The claims of all parts, merged."""
        return self._chain.axes()

    def checked(self, checks: Checks) -> "SourcePipeline[T_co]":
        """The same pipeline with its own setting of the run-time check."""
        return attrs.evolve(self, checks=checks)

    def item_types(self) -> tuple[Any, Any]:
        """(`None`, the type of one item): what `takes` and `yields` read."""
        return None, self._chain.faces[-1].yields

    def __or__(self, other: "_S[T_co, B]") -> "SourcePipeline[B]":
        return SourcePipeline((self, other), checks=self.checks)

    def __getitem__(self, index: slice) -> Any:
        return _sliced(self, index)

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return table(self._chain)


@attrs.frozen(repr=False)
class StagePipeline(Generic[A_contra, T_co]):
    """A chain of stages, and so a stage.

    Attributes:
        parts: the stages.
        checks: how much the seams are checked at run time; `None` asks `GPTLAB_CHECKS`.
    """

    parts: tuple[Any, ...] = attrs.field(converter=_flat)
    checks: Checks | None = attrs.field(
        default=None, eq=False, kw_only=True, validator=attrs.validators.optional(attrs.validators.in_(CHECKS))
    )

    def __attrs_post_init__(self) -> None:
        if self._chain.faces[0].is_source:
            raise ContractError(f"{self._chain.faces[0].name} is a source")

    @functools.cached_property
    def _chain(self) -> Chain:
        return check_chain(self.parts)

    def __call__(self, items: Iterator[A_contra], /) -> Iterator[T_co]:
        """Run the stages over `items`, lazily."""
        stream: Any = items
        mode = effective(self.checks)
        for index, part in enumerate(self.parts):
            stream = checked_items(part(stream), self._chain, index, mode)
        return cast(Iterator[T_co], stream)

    def pre_cache(self) -> None:
        """Do once what the parts do once, in order."""
        for part in self.parts:
            pre_cache(part)

    def axes(self) -> Mapping[str, Claim]:
        """The claims of all parts, merged."""
        return self._chain.axes()

    def checked(self, checks: Checks) -> "StagePipeline[A_contra, T_co]":
        """The same pipeline with its own setting of the run-time check."""
        return attrs.evolve(self, checks=checks)

    def item_types(self) -> tuple[Any, Any]:
        """(the type of one item in, the type of one item out): what `takes` and `yields` read."""
        return self._chain.faces[0].takes, self._chain.faces[-1].yields

    def __or__(self, other: "_S[T_co, B]") -> "StagePipeline[A_contra, B]":
        return StagePipeline((self, other), checks=self.checks)

    @overload
    def __ror__(self, other: Source[A_contra]) -> "SourcePipeline[T_co]": ...
    @overload
    def __ror__(self, other: "_S[B, A_contra]") -> "StagePipeline[B, T_co]": ...
    def __ror__(self, other: Any) -> Any:
        return pipeline(other, self)

    def __getitem__(self, index: slice) -> Any:
        return _sliced(self, index)

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return table(self._chain)


def _skip(items: Iterator[Any], count: int) -> Iterator[Any]:
    return itertools.islice(items, count, None) if count else items


def _sliced(whole: Any, index: slice) -> Any:
    return pipeline(*whole.parts[index], checks=whole.checks)


def pre_cache(part: Any) -> None:
    """Call `pre_cache` on a part, or on the parts that it holds."""
    if hasattr(part, "pre_cache"):
        part.pre_cache()
    elif inspect.ismethod(part):
        pre_cache(part.__self__)
    elif isinstance(part, functools.partial):
        for held in (part.func, *part.args, *part.keywords.values()):
            pre_cache(held)
    elif isinstance(part, tuple | list):
        for held in part:
            pre_cache(held)
    elif attrs.has(type(part)):
        for field in attrs.fields(type(part)):
            pre_cache(getattr(part, field.name, None))


@overload
def pipeline(source: Source[A], /, *, checks: Checks | None = None) -> SourcePipeline[A]: ...
@overload
def pipeline(source: Source[A], p1: _S[A, B], /, *, checks: Checks | None = None) -> SourcePipeline[B]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], /, *, checks: Checks | None = None
) -> SourcePipeline[C]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], /, *, checks: Checks | None = None
) -> SourcePipeline[D]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], /, *, checks: Checks | None = None
) -> SourcePipeline[E]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[F]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[G]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[H]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[I]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[J]: ...
@overload
def pipeline(p1: _S[A, B], /, *, checks: Checks | None = None) -> StagePipeline[A, B]: ...
@overload
def pipeline(p1: _S[A, B], p2: _S[B, C], /, *, checks: Checks | None = None) -> StagePipeline[A, C]: ...
@overload
def pipeline(p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], /, *, checks: Checks | None = None) -> StagePipeline[A, D]: ...
@overload
def pipeline(
    p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], /, *, checks: Checks | None = None
) -> StagePipeline[A, E]: ...
@overload
def pipeline(
    p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], p5: _S[E, F], /, *, checks: Checks | None = None
) -> StagePipeline[A, F]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, G]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, H]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, I]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, J]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    p10: _S[J, K],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, K]: ...


def pipeline(*parts: Any, checks: Checks | None = None) -> Any:
    """Compose parts, source first, and check that they fit."""
    if not parts:
        raise ContractError("a pipeline needs at least one part")
    kind = SourcePipeline if hasattr(parts[0], "get_data_generator") else StagePipeline
    return kind(parts, checks=checks)


@overload
def then(first: Source[A], second: _S[A, B]) -> SourcePipeline[B]: ...
@overload
def then(first: _S[A, B], second: _S[B, C]) -> StagePipeline[A, C]: ...
def then(first: Any, second: Any) -> Any:
    """`first | second`: give a stage's class `__or__ = then` and its values compose with `|`."""
    return pipeline(first, second)
