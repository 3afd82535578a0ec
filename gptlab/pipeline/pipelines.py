"""What `pipeline` returns: two classes, because a chain that begins with a source is a source and any other a stage.

One class with both methods would let mypy and a reader take the one for the other. Both are frozen attrs values
whose only content is `parts`: equal when their parts are, hashed, pickled and serialised by them. Nested pipelines
are flattened, so composition is associative: `(a | b) | c == a | (b | c) == pipeline(a, b, c)`.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast, overload, runtime_checkable

import attrs

from gptlab.pipeline.axes import Claim
from gptlab.pipeline.chain import Chain, check_chain
from gptlab.pipeline.check import CHECKS, FIRST, Checks, checked_items, effective
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.observe import Drops, watching
from gptlab.pipeline.place import location
from gptlab.pipeline.protocols import Joining, Source
from gptlab.pipeline.table import table
from gptlab.types.errors import four_parts, refusal

B = TypeVar("B")
T_co = TypeVar("T_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)

# No part of what a pipeline is: fingerprints leave out what is so marked (`gptlab.storage.LOCATION`, a floor above).
_NOT_IDENTITY: Mapping[str, bool] = {"gptlab.location": True}


_IS_CHECKS = attrs.validators.optional(attrs.validators.in_(CHECKS))


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
        default=None,
        eq=False,
        kw_only=True,
        metadata=_NOT_IDENTITY,
        validator=_IS_CHECKS,
    )

    def __attrs_post_init__(self) -> None:
        if not self._chain.faces[0].is_source:
            raise _refuse_kind(self, self._chain.faces[0].name, "Write pipeline(...), which chooses the class.")

    @functools.cached_property
    def _chain(self) -> Chain:
        return check_chain(self.parts)

    @functools.cached_property
    def _read_parts(self) -> tuple[Any, ...]:
        """The parts as they are read: joined once, for what joins them may count walks and open stores."""
        return _joined(self.parts)

    def get_data_generator(self, start: int = 0) -> Iterator[T_co]:
        """A fresh iterator from item `start` on.

        The start is handed to the source through every stage at the end that reads a fixed number of items per
        yield (`items_per_yield`). From the last stage that has no such ratio on, the pipeline is replayed from its
        beginning and what comes before `start` is skipped: correct for every deterministic pipeline, O(start).

        Args:
            start: index of the first item to yield.
        """
        mode = effective(self.checks)
        parts = self.parts if mode == "all" else self._read_parts
        joined = len(self.parts) - len(parts)
        skip_at, skip = _seek(parts, start)
        source = parts[0]
        if skip_at == 0 and skip and "start" in inspect.signature(source.get_data_generator).parameters:
            items, skip = source.get_data_generator(start=skip), 0
        else:
            items = source.get_data_generator()
        for index in range(len(parts)):
            items = iter(parts[index](items) if index else items)
            if index == skip_at and skip:
                items = itertools.islice(items, skip, None)
            items = checked_items(items, self._chain, index + joined, mode)
            if joined and mode == "first" and not index:
                unseen = checked_items(self.parts[0].get_data_generator(), self._chain, 0, mode)
                items = _after_check(unseen, items)
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

    @overload  # the two say the same to mypy, and leave it to us to say at run time what cannot follow
    def __or__(self, other: "StagePipeline[T_co, B]") -> "SourcePipeline[B]": ...
    @overload
    def __or__(self, other: "Callable[[Iterator[T_co]], Iterable[B]]") -> "SourcePipeline[B]": ...
    def __or__(self, other: Any) -> Any:
        return SourcePipeline((self, other), checks=self.checks)

    def __getitem__(self, index: int | slice) -> Any:
        return _indexed(self, index)

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
        default=None,
        eq=False,
        kw_only=True,
        metadata=_NOT_IDENTITY,
        validator=_IS_CHECKS,
    )

    def __attrs_post_init__(self) -> None:
        if self._chain.faces[0].is_source:
            raise _refuse_kind(self, self._chain.faces[0].name, "Write pipeline(...), which chooses the class.")

    @functools.cached_property
    def _chain(self) -> Chain:
        return check_chain(self.parts)

    def __call__(self, items: Iterator[A_contra], /) -> Iterator[T_co]:
        """Run the stages over `items`, lazily."""
        stream: Any = items
        mode = effective(self.checks)
        for index, part in enumerate(self.parts):
            stream = checked_items(iter(part(stream)), self._chain, index, mode)
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

    @overload  # the two say the same to mypy, and leave it to us to say at run time what cannot follow
    def __or__(self, other: "StagePipeline[T_co, B]") -> "StagePipeline[A_contra, B]": ...
    @overload
    def __or__(self, other: "Callable[[Iterator[T_co]], Iterable[B]]") -> "StagePipeline[A_contra, B]": ...
    def __or__(self, other: Any) -> Any:
        return StagePipeline((self, other), checks=self.checks)

    @overload
    def __ror__(self, other: Source[A_contra]) -> "SourcePipeline[T_co]": ...
    @overload
    def __ror__(self, other: "Callable[[Iterator[B]], Iterable[A_contra]]") -> "StagePipeline[B, T_co]": ...
    def __ror__(self, other: Any) -> Any:
        return assemble((other, self), self.checks)

    def __getitem__(self, index: int | slice) -> Any:
        return _indexed(self, index)

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return table(self._chain)


def _seek(parts: tuple[Any, ...], start: int) -> tuple[int, int]:
    """After which part how many items must be skipped, so that the pipeline goes on at its item `start`."""
    if start < 0:
        raise refusal(
            "a pipeline cannot start before its first item",
            got=f"start={start}",
            wanted="0 or more",
            do="Pass the index of the item to go on with.",
        )
    position = len(parts) - 1
    while position and (ratio := getattr(parts[position], "items_per_yield", None)) is not None:
        start *= ratio
        position -= 1
    return position, start


def _joined(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts, the first of them as one source as long as the next knows how to read it so (`Joining`)."""
    while len(parts) > 1 and isinstance(parts[1], Joining):
        source = parts[1].joined(parts[0])
        if source is None:
            break
        parts = (source, *parts[2:])
    return parts


def _after_check(unseen: Iterator[Any], items: Iterator[B]) -> Iterator[B]:
    """`items`, once the first of those that nobody sees have passed their check."""
    with watching(Drops()):  # what they drop is told when they are read
        for _ in itertools.islice(unseen, FIRST):
            pass
    yield from items


def _indexed(whole: Any, index: int | slice) -> Any:
    """One part, or a shorter pipeline."""
    return assemble(whole.parts[index], whole.checks) if isinstance(index, slice) else whole.parts[index]


def _refuse_kind(whole: Any, name: str, remedy: str) -> ContractError:
    return ContractError(
        four_parts(
            f"{type(whole).__name__} cannot begin with {name}",
            got=f"{name} as the first part   {location(whole.parts[0])}",
            wanted="a source" if isinstance(whole, SourcePipeline) else "a stage",
            do=remedy,
        )
    )


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


def assemble(parts: Sequence[Any], checks: Checks | None) -> Any:
    """The pipeline of these parts; the untyped inside of `pipeline`."""
    if not parts:
        raise ContractError(
            four_parts(
                "a pipeline has at least one part",
                got="no part",
                wanted="a source or a stage",
                do="Write pipeline(source, stage, ...).",
            )
        )
    if checks is None:
        checks = next((inner for inner in (getattr(part, "checks", None) for part in parts) if inner in CHECKS), None)
    kind = SourcePipeline if hasattr(parts[0], "get_data_generator") else StagePipeline
    return kind(tuple(parts), checks=checks)
