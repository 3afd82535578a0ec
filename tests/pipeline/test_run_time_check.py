"""What parts yield is held against their annotations, and the message says all."""
# ruff: noqa: E501  (tables are read in columns)

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, NewType, Protocol, TypeVar

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Float32, Int32, Shaped, UInt16, UInt32, jaxtyped

from gptlab.pipeline import AtMost, ContractError, pipeline
from gptlab.pipeline.axes import AxisTable
from gptlab.pipeline.bind import Mismatch, Scope
from gptlab.pipeline.check import FIRST, effective
from gptlab.pipeline.examine import examiner
from gptlab.types import Batch, PackedSequence, TokenizedDocument, Walk

N = np.ndarray
Metres = NewType("Metres", float)
T = TypeVar("T")


@attrs.frozen
class Give:
    """A source of whatever it is given, annotated as it is told."""

    items: tuple[Any, ...] = attrs.field(eq=False)
    hint: Any = attrs.field(eq=False)
    sizes: Mapping[str, Any] = attrs.field(factory=dict)

    def item_types(self) -> tuple[None, Any]:
        return None, self.hint

    def axes(self) -> Mapping[str, Any]:
        return self.sizes

    def get_data_generator(self) -> Iterator[Any]:
        yield from self.items


def told(*items: Any, hint: Any, checks: Any = "all", **sizes: Any) -> str:
    with pytest.raises(ContractError) as caught:
        list(pipeline(Give(items, hint, sizes), checks=checks).get_data_generator())
    return re.sub(r"(test_run_time_check\.py):\d+", r"\1:LINE", str(caught.value))


def passes(item: Any, hint: Any) -> bool:
    try:
        scope = Scope(AxisTable())
        examiner(hint)(item, scope)
        scope.close()
    except Mismatch:
        return False
    return True


def zeros(*shape: int, dtype: Any = np.int32) -> Any:
    return np.zeros(shape, dtype)


def row(length: int, dtype: Any = np.uint16) -> PackedSequence:
    return PackedSequence(
        tokens=zeros(length, dtype=dtype),
        starts=zeros(1),
        ids=(),
        edges=zeros(0, 3),
        length=length,
        end_of_text=0,
        dropped={},
    )


def batch(**changed: Any) -> Batch:
    fields = {name: zeros(2, 8) for name in ("tokens", "targets", "documents", "positions")}
    return Batch(**{**fields, "edges": zeros(2, 0, 3), **changed})


def test_the_message_has_stage_item_field_found_and_wanted() -> None:
    assert told(batch(), batch(documents=zeros(3, 8)), hint=Batch) == (
        "Give yielded what its annotation does not promise\n"
        "  where   item 1 of Give, part 0   test_run_time_check.py:LINE\n"
        "  field   Batch.documents\n"
        "  found   ndarray of int32, shape (3, 8)\n"
        '  wanted  Int32[ndarray, "batch seq"]\n'
        "  Axis batch is 3, wanted 2 as in Batch.tokens.\n"
        "  Correct what Give yields, or what it is annotated to yield."
    )


def test_a_claimed_axis_holds_in_every_item_and_names_who_claims_it() -> None:
    assert told(row(8), row(9), hint=PackedSequence, seq=8) == (
        "Give yielded what its annotation does not promise\n"
        "  where   item 1 of Give, part 0   test_run_time_check.py:LINE\n"
        "  field   PackedSequence.tokens\n"
        "  found   ndarray of uint16, shape (9,)\n"
        '  wanted  UInt16[ndarray, "seq"]\n'
        "  Axis seq is 9, wanted 8.\n"
        "  Give has seq = 8   test_run_time_check.py:LINE\n"
        "  Correct what Give yields, or what it is annotated to yield."
    )


@pytest.mark.parametrize(
    ("item", "hint", "lines"),
    [
        (5, Batch, ["found   int 5", "wanted  Batch"]),
        (batch(targets=None), Batch, ["field   Batch.targets", "found   None"]),
        (batch(positions=zeros(2, 8, dtype=np.int64)), Batch, ["field   Batch.positions", "Dtype int64 is not Int32."]),
        (batch(edges=zeros(2, 3)), Batch, ["field   Batch.edges", "2 axes, wanted 3."]),
        (batch(edges=zeros(2, 0, 4)), Batch, ["An axis is 4, wanted 3."]),
        (row(8, dtype=np.int8), PackedSequence, ['wanted  UInt16[ndarray, "seq"] | UInt32[ndarray, "seq"]']),
        ((1, "a"), tuple[int, int], ["found   tuple", "wanted  tuple[int, int]"]),
        ([row(8), row(9), 3], list[PackedSequence], ["field   [2]", "found   int 3"]),
        ({"a": zeros(3)}, dict[str, Float[N, "n"]], ["field   ['a']", "Dtype int32 is not Float."]),
        ((zeros(3), zeros(4)), tuple[Int32[N, "n"], Int32[N, "n"]], ["field   [1]", "Axis n is 4, wanted 3 as in [0]."]),
        ((zeros(3), zeros(3)), tuple[Int32[N, "n"], Int32[N, "n+1"]], ["Axis n+1 is 3, wanted 4."]),
        (zeros(3), Int32[N, "unknown+1"], ["Nothing sizes axis unknown+1."]),
        ("x" * 99, int, ["found   str", "wanted  int"]),
        (3, Literal[1, 2], ["found   int 3", "wanted  Literal[1, 2]"]),
        ("c", int | None, ["found   str 'c'", "wanted  int | None"]),
        (zeros(2, 3), Int32[N, "*batch 4 5 6"], ["2 axes, wanted at least 3."]),
    ],
)  # fmt: skip
def test_what_is_told(item: Any, hint: Any, lines: Sequence[str]) -> None:
    text = told(item, hint=hint)
    assert all(line.lower() in text.lower() for line in lines), text


def test_a_bound_is_enforced_too() -> None:
    assert "Axis seq is 9, wanted at most 8.\n  Give has seq at most 8" in told(
        row(9), hint=PackedSequence, seq=AtMost(8)
    )


def test_documents_of_one_walk_have_axes_of_their_own() -> None:
    def document(tokens: int, links: int) -> TokenizedDocument:
        return TokenizedDocument(
            id="A", title="A", tokens=zeros(tokens, dtype=np.uint16), link_positions=zeros(links), link_targets=()
        )  # fmt: skip

    walk = Walk(documents=(document(3, 1), document(5, 0)), visited=zeros(2), edges=zeros(1, 3), dropped={})
    assert passes(walk, Walk)
    assert not passes(attrs.evolve(walk, documents=(document(3, 1), 7)), Walk)
    assert "field   Walk.documents[1].tokens" in told(
        attrs.evolve(walk, documents=(document(3, 1), attrs.evolve(document(1, 1), tokens=zeros(2, 2)))), hint=Walk
    )


@attrs.frozen
class Later:
    """The symbolic axis is written before the axis that it is made of."""

    targets: Int32[N, "seq-1"]
    tokens: Int32[N, "seq"]


@attrs.frozen
class Holder:
    inner: Later
    names: tuple[str, ...]
    either: Int32[N, "seq"] | Float32[N, "seq"] | None


class Point(NamedTuple):
    where: Float32[N, "3"]
    name: str


class Speaks(Protocol):
    def speak(self) -> str: ...


@pytest.mark.parametrize(
    ("item", "hint", "expected"),
    [
        (Later(zeros(3), zeros(4)), Later, True),
        (Later(zeros(4), zeros(4)), Later, False),
        (Holder(Later(zeros(3), zeros(4)), ("a",), zeros(9)), Holder, True),
        (Holder(Later(zeros(3), zeros(4)), ("a",), None), Holder, True),
        (Holder(Later(zeros(3), zeros(4)), (1,), None), Holder, False),
        (Holder(Later(zeros(3), zeros(4)), (), "no"), Holder, False),
        (Point(zeros(3, dtype=np.float32), "a"), Point, True),
        (Point(zeros(4, dtype=np.float32), "a"), Point, False),
        (3, float, True),
        (3, complex, True),
        (True, int, True),
        ("3", float, False),
        (3.0, int, False),
        (3.0, Metres, True),
        ("a", Metres, False),
        (None, None, True),
        (object(), Any, True),
        (object(), object, True),
        ([1, 2], T, True),
        ([1, "a"], list[int | str], True),
        ({"a": [1]}, Mapping[str, Sequence[int]], True),
        ({"a": 1}, Mapping[str, Sequence[int]], False),
        (int, type[int], True),
        (object(), Speaks, True),
        ([zeros(3), zeros(3)], list[Int32[N, "n"]], True),
        ([zeros(3), zeros(4)], list[Int32[N, "n"]], False),
        ([zeros(3), zeros(4)], list[Int32[N, "_"]], True),
        ((zeros(3), None), tuple[Int32[N, "n"], Int32[N, "n"] | None], True),
        (zeros(), Int32[N, ""], True),
    ],
)
def test_passes_or_not(item: Any, hint: Any, expected: bool) -> None:
    assert passes(item, hint) is expected


@attrs.frozen
class Tree:
    """Holds itself in two ways."""

    name: str
    size: Int32[N, "n"]
    parent: "Tree | None" = None
    children: "list[Tree]" = attrs.Factory(list)


@attrs.frozen
class Nest(Generic[T]):
    """Each level is of another type than the one around it."""

    value: T
    inner: "Nest[list[T]] | None" = None


def test_a_record_may_hold_others_of_its_kind() -> None:
    leaf = Tree("leaf", zeros(2))
    assert passes(Tree("root", zeros(3), leaf, [leaf, Tree("b", zeros(1), children=[leaf])]), Tree)
    assert "field   Tree.children[0].parent.name" in told(
        Tree("root", zeros(3), children=[Tree("a", zeros(1), Tree(3, zeros(1)))]),  # type: ignore[arg-type]
        hint=Tree,
    )
    assert passes(Nest(1, Nest([1], Nest([[1]]))), Nest[int])
    assert not passes(Nest(1, Nest([1], Nest([1]))), Nest[int])


def test_every_element_of_a_row_of_plain_values_is_looked_at() -> None:
    assert passes(tuple(range(99)), tuple[int, ...])
    assert "field   [98]\n  found   str '98'\n  wanted  int" in told(
        (*range(98), "98", *range(9)), hint=tuple[int, ...]
    )
    assert passes([True, 1], list[int])


def test_first_checks_the_first_and_all_checks_all() -> None:
    late = (*[1] * FIRST, "wrong")
    assert list(pipeline(Give(late, int), checks="first").get_data_generator()) == list(late)
    assert f"item {FIRST} of Give" in told(*late, hint=int, checks="all")
    assert "item 2 of Give" in told(1, 1, "wrong", hint=int, checks="first")


def test_off_is_the_same_iterator_without_a_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(items: Iterator[int]) -> Iterator[int]:
        yield from items

    source = Give(("wrong",), int)
    items = pipeline(source, stage, checks="off").get_data_generator()
    assert items.gi_code is stage.__code__
    assert list(items) == ["wrong"]
    monkeypatch.setenv("GPTLAB_CHECKS", "off")
    assert pipeline(source, stage).get_data_generator().gi_code is stage.__code__
    assert list(pipeline(stage, stage)(iter(["wrong"]))) == ["wrong"]


def test_the_setting_of_a_pipeline_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTLAB_CHECKS", "off")
    assert effective(None) == "off"
    strict = pipeline(Give(("wrong",), int)).checked("all")
    with pytest.raises(ContractError):
        list(strict.get_data_generator())
    assert (strict | passing).checks == "all"
    assert pipeline(strict, passing).checks == "all"
    monkeypatch.delenv("GPTLAB_CHECKS")
    assert effective(None) == "first"


def passing(items: Iterator[int]) -> Iterator[int]:
    yield from items


def test_every_seam_of_a_stage_pipeline_is_checked() -> None:
    def lies(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            yield str(item)  # type: ignore[misc]

    with pytest.raises(ContractError, match=r"item 0 of lies, part 1"):
        list(pipeline(passing, lies, passing, checks="first")(iter([1])))


def test_a_bound_type_variable_is_checked_as_what_it_stands_for() -> None:
    def forgets(items: Iterator[T]) -> Iterator[T]:
        yield from (None for _ in items)  # type: ignore[misc]

    with pytest.raises(ContractError, match=r"item 0 of forgets, part 1 .*\n  found   None\n  wanted  int"):
        list(pipeline(Give((1,), int), forgets, checks="all").get_data_generator())


def test_numbered_names_are_written_as_they_were() -> None:
    def rows(items: Iterator[int]) -> Iterator[Int32[N, "n n"]]:
        yield zeros(2, 3)

    with pytest.raises(ContractError, match=r'wanted  Int32\[ndarray, "n n"\]\n  Axis n is 3, wanted 2\.'):
        list(pipeline(Give((1,), int), rows).get_data_generator())


# jaxtyping is the definition of what axes mean; ours must agree with it.

names = st.sampled_from(["a", "b", "2", "3", "1", "_", "#a", "#b", "#2", "a+1", "2*b", "...", "*c", "*#c", "r=3"])
axes = st.lists(names, max_size=4).filter(lambda dims: sum(dim.startswith(("*", "...")) for dim in dims) < 2)
shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


@given(st.lists(st.tuples(axes, shapes), min_size=1, max_size=3))
def test_axes_mean_what_jaxtyping_says(pairs: list[tuple[list[str], tuple[int, ...]]]) -> None:
    hints = [Shaped[N, " ".join(dims)] for dims, _ in pairs]
    arrays = [np.zeros(shape) for _, shape in pairs]
    theirs: bool | None = True
    with jaxtyped("context"), contextlib.suppress(NameError):
        try:
            theirs = all(isinstance(array, hint) for array, hint in zip(arrays, hints, strict=True))
        except Exception as error:  # noqa: BLE001  (a symbolic axis of names not bound yet: ours waits for them)
            assert "Cannot process symbolic axis" in str(error)
            theirs = None
    ours = passes(tuple(arrays), tuple[tuple(hints)])
    assert theirs is None or ours == theirs


@given(st.sampled_from([np.uint16, np.uint32, np.int32, np.int64, np.float32, np.bool_]))
def test_dtypes_mean_what_jaxtyping_says(dtype: Any) -> None:
    for hint in (UInt16[N, "n"], UInt32[N, "n"], Int32[N, "n"], Float[N, "n"], Float32[N, "n"], Shaped[N, "n"]):
        for _ in range(2):  # the second answer comes from memory
            assert passes(np.zeros(3, dtype), hint) == isinstance(np.zeros(3, dtype), hint)
