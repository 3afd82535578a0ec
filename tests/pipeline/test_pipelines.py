"""Pipelines as values and as sources and stages: composition, slices, seeking, laziness, caching."""

import functools
import itertools
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.pipeline import (
    AtMost,
    ContractError,
    Pipeline,
    SourcePipeline,
    StagePipeline,
    pipeline,
    takes,
    then,
    yields,
)

T = TypeVar("T")


@attrs.frozen
class Count:
    """Seekable, and it tells how much was asked of it."""

    stop: int
    asked: list[int] = attrs.field(factory=list, eq=False)

    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        for number in range(start, self.stop):
            self.asked.append(number)
            yield number


@attrs.frozen
class Letters:
    text: str

    def get_data_generator(self) -> Iterator[str]:
        yield from self.text


@attrs.frozen
class Group:
    size: int

    @property
    def items_per_yield(self) -> int:
        return self.size

    def __call__(self, numbers: Iterator[int]) -> Iterator[tuple[int, ...]]:
        while len(group := tuple(itertools.islice(numbers, self.size))) == self.size:
            yield group

    __or__ = then


@attrs.frozen
class Flatten:
    def __call__(self, groups: Iterator[tuple[int, ...]]) -> Iterator[int]:
        for group in groups:
            yield from group

    __or__ = then


@attrs.frozen
class Even:
    """Drops items, so no ratio holds."""

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from (number for number in numbers if number % 2 == 0)

    __or__ = then


@attrs.frozen
class Each:
    items_per_yield = 1

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from (number + 1 for number in numbers)

    __or__ = then


def same(items: Iterator[T]) -> Iterator[T]:
    yield from items


STAGES = [Even(), Each(), pipeline(Group(2), Flatten()), pipeline(Group(3), Flatten())]


def run(source: Any, start: int = 0) -> list[Any]:
    return list(source.get_data_generator(start) if start else source.get_data_generator())


@settings(max_examples=20)
@given(st.integers(0, 30), st.lists(st.sampled_from(STAGES), max_size=4), st.integers(0, 30))
def test_starting_later_equals_skipping(stop: int, stages: list[Any], start: int) -> None:
    whole = pipeline(Count(stop), *stages)
    assert run(whole, start) == run(whole)[start:]


@given(st.integers(1, 4), st.integers(0, 6))
def test_a_ratio_reaches_the_source(size: int, start: int) -> None:
    source = Count(40)
    found = next(iter(pipeline(source, Each(), Group(size)).get_data_generator(start)))
    assert source.asked == list(range(start * size, start * size + size)), "nothing before it was read"
    assert found == tuple(number + 1 for number in source.asked)


def test_without_a_ratio_the_start_is_replayed() -> None:
    source = Count(10)
    assert next(iter(pipeline(source, Even()).get_data_generator(2))) == 4
    assert source.asked == [0, 1, 2, 3, 4]


def test_a_source_that_cannot_seek_is_skipped_through() -> None:
    assert run(pipeline(Letters("abcdef")), 4) == ["e", "f"]


def test_a_negative_start_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot start before its first item\n  got     start=-1"):
        pipeline(Count(3)).get_data_generator(-1)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([Even(), Each(), same]), min_size=3, max_size=6), st.data())
def test_composition_is_associative(stages: list[Any], data: st.DataObject) -> None:
    left = data.draw(st.integers(1, len(stages) - 1))
    flat = pipeline(Count(9), *stages)
    nested = pipeline(Count(9), pipeline(*stages[:left]), pipeline(*stages[left:]))
    assert flat == nested == pipeline(pipeline(Count(9), *stages[:left]), *stages[left:])
    assert flat == functools.reduce(lambda whole, stage: whole | stage, stages, pipeline(Count(9)))
    assert hash(flat[1:]) == hash(nested[1:])
    assert run(flat) == run(nested)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([Even(), Each(), same]), min_size=2, max_size=6), st.data())
def test_a_pipeline_is_its_two_slices(stages: list[Any], data: st.DataObject) -> None:
    whole = pipeline(*stages)
    middle = data.draw(st.integers(1, len(stages) - 1))
    assert whole[:middle] | whole[middle:] == whole
    assert len(whole) == len(stages)
    assert whole[middle] is stages[middle]
    assert list(whole(iter(range(9)))) == list(whole[middle:](whole[:middle](iter(range(9)))))


def test_what_begins_with_a_source_is_one_and_nothing_else() -> None:
    source, stage = pipeline(Count(4), Even()), pipeline(Even(), Each())
    assert isinstance(source, SourcePipeline)
    assert isinstance(stage, StagePipeline)
    assert isinstance(source, Pipeline)
    assert isinstance(stage, Pipeline)
    assert not callable(source)
    assert not hasattr(stage, "get_data_generator")
    assert (yields(source), takes(stage), yields(stage)) == (int, int, int)
    with pytest.raises(ContractError, match="is a source and takes nothing"):
        takes(source)


def test_bars_compose_plain_functions_sources_and_pipelines() -> None:
    def negate(numbers: Iterator[int]) -> Iterator[int]:
        yield from (-number for number in numbers)

    assert list((Even() | negate)(iter([1, 2]))) == [-2]
    assert list((negate | pipeline(Even()))(iter([1, 2]))) == [-2]
    assert run(Count(3) | pipeline(negate, Even())) == [0, -2]
    assert run(pipeline(Count(3)) | negate) == [0, -1, -2]
    assert run(SourceWithBar() | Even()) == [2]


@attrs.frozen
class SourceWithBar:
    def get_data_generator(self) -> Iterator[int]:
        yield from (1, 2, 3)

    __or__ = then


def test_values_pickle_and_compare() -> None:
    whole = pipeline(Count(9), Even(), same, Group(2))
    again = pickle.loads(pickle.dumps(whole))
    assert again == whole
    assert run(again) == run(whole) == [(0, 2), (4, 6)]
    assert whole != pipeline(Count(9), Even(), same, Group(3))
    assert whole.checked("off") == whole, "how it is watched is no part of what it is"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        whole.parts = ()


def test_a_pipeline_reads_no_further_than_it_must() -> None:
    source = Count(100)
    items = pipeline(source, Each(), Group(3), Flatten()).get_data_generator()
    assert source.asked == [], "nothing runs before the first next"
    next(items)
    assert source.asked == [0, 1, 2]


def test_exceptions_pass_through_as_they_are() -> None:
    def fails(numbers: Iterator[int]) -> Iterator[int]:
        yield next(numbers)
        raise KeyError("mine")

    items = pipeline(Count(3), fails, Each()).get_data_generator()
    assert next(items) == 1
    with pytest.raises(KeyError, match="mine"):
        next(items)


def test_closing_closes_the_source(tmp_path: Path) -> None:
    closed = []

    @attrs.frozen
    class Opens:
        def get_data_generator(self) -> Iterator[int]:
            try:
                yield from range(9)
            finally:
                closed.append(True)

    for checks in ("off", "first", "all"):
        items = pipeline(Opens(), Each(), checks=checks).get_data_generator()
        next(items)
        items.close()
        del items
    assert closed == [True] * 3


@attrs.frozen
class Prepared:
    """A part that does something once, and holds another that does."""

    log: list[str] = attrs.field(eq=False)
    name: str
    inner: Any = None
    own: bool = True

    def __call__(self, items: Iterator[int]) -> Iterator[int]:
        yield from items

    def stage(self, items: Iterator[int], more: Any = None) -> Iterator[int]:
        yield from items

    def __getattr__(self, name: str) -> Any:
        if name == "pre_cache" and self.own:
            return lambda: self.log.append(self.name)
        raise AttributeError(name)


def test_pre_cache_goes_down_in_order() -> None:
    log: list[str] = []
    inner, last = Prepared(log, "inner"), Prepared(log, "last")
    held = Prepared(log, "never", inner=(inner, [last]), own=False)
    whole = pipeline(Count(1), Prepared(log, "first"), held, Prepared(log, "method").stage)
    whole.pre_cache()
    assert log == ["first", "inner", "last", "method"]
    log.clear()
    pipeline(Prepared(log, "outer", inner=inner), functools.partial(last.stage, more=inner)).pre_cache()
    assert log == ["outer", "last", "inner"], "a part that has pre_cache sees to what it holds"


def test_axes_are_merged_and_reach_through_sources() -> None:
    @attrs.frozen
    class Rows:
        rows: Any

        def get_data_generator(self, start: int = 0) -> Iterator[int]:
            yield from self.rows.get_data_generator()

    class Bounds:
        def axes(self) -> Mapping[str, AtMost]:
            return {"seq": AtMost(9), "vocab": AtMost(5)}

        def forward(self, items: Iterator[int]) -> Iterator[int]:
            yield from items

    assert pipeline(Rows(pipeline(Sized(seq=8), Each())), Bounds().forward).axes() == {"seq": 8, "vocab": AtMost(5)}
    with pytest.raises(ContractError, match=r"axis seq\n  0  Rows  .*seq = 10"):
        pipeline(Rows(pipeline(Sized(seq=10), Each())), Bounds().forward)


@attrs.frozen
class Sized:
    seq: int

    def axes(self) -> Mapping[str, int]:
        return {"seq": self.seq}

    def get_data_generator(self) -> Iterator[int]:
        yield self.seq


def test_the_table_shows_what_a_person_asks() -> None:
    @attrs.frozen
    class All:
        barrier = True

        def __call__(self, items: Iterator[int]) -> Iterator[int]:
            yield from sorted(items)

    head, source, stage, generic = repr(pipeline(Sized(seq=8), All(), same)).splitlines()
    assert head.split() == ["stage", "takes", "yields", "axes", "where"]
    assert source.split()[:5] == ["0", "Sized", "int", "seq", "8"]
    assert stage.split()[:5] == ["1", "All", "(barrier)", "int", "int"]
    assert generic.split()[:4] == ["2", "same", "int", "int"], "the type variable is bound"
    assert all("test_pipelines.py:" in line for line in (source, stage, generic))


# Generics: what a value is made of says what its variables are.


@attrs.frozen
class Map(Generic[T]):
    function: Callable[[int], T]

    def __call__(self, items: Iterator[int]) -> Iterator[T]:
        yield from map(self.function, items)


@attrs.frozen
class Through(Generic[T]):
    rows: Any
    source: SourcePipeline[T]

    def get_data_generator(self) -> Iterator[T]:
        yield from self.source.get_data_generator()


class Typed(Generic[T]):
    def __call__(self, items: Iterator[T]) -> Iterator[list[T]]:
        yield from ([item] for item in items)


class OfText(Typed[str]): ...


def to_text(number: int) -> str:
    return str(number)


def test_generic_parts_are_resolved() -> None:
    assert yields(Map(to_text)) is str
    assert yields(Through(None, pipeline(Count(3), Group(2)))) == tuple[int, ...]
    assert yields(Typed[int]()) == list[int]
    assert (takes(OfText()), yields(OfText())) == (str, list[str])
    assert yields(pipeline(Count(3), Map(to_text), Typed(), same)) == list[str]
    assert yields(pipeline(same, Typed(), Typed())) == list[list[T]], "free until it has an input"
    assert takes(pipeline(same, Each())) is int, "what follows says what a free variable is"


def test_two_parts_may_write_the_same_variable() -> None:
    assert yields(pipeline(Count(3), Typed(), Typed(), Typed())) == list[list[list[int]]]


@pytest.mark.parametrize("part", [functools.partial(same), Even().__call__, OfText()])
def test_every_kind_of_callable_is_a_stage(part: Any) -> None:
    assert isinstance(pipeline(part), StagePipeline)


def test_a_part_may_say_its_types_itself() -> None:
    @attrs.frozen
    class Parse:
        record: type

        def item_types(self) -> tuple[type, type]:
            return str, self.record

        def __call__(self, items: Iterator[str]) -> Iterator[Any]:
            yield from map(self.record, items)

    assert run(pipeline(Letters("12"), Parse(int), Each())) == [2, 3]
    with pytest.raises(ContractError, match="Each cannot follow Parse"):
        pipeline(Letters("12"), Parse(bytes), Each())
