"""What the quick check says yes to is what the definition lets pass; it says yes to what the library yields."""

import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, NewType, TypedDict, TypeVar

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Float32, Int32, Num, Shaped, UInt16, UInt32

from gptlab.pipeline import AtMost, ContractError, pipeline
from gptlab.pipeline.accept import acceptor
from gptlab.pipeline.axes import AxisTable, Claimed
from gptlab.pipeline.bind import Mismatch, Scope
from gptlab.pipeline.examine import examiner
from gptlab.testing import strategy_for
from gptlab.types import (
    Batch,
    Document,
    DocumentId,
    Generation,
    Link,
    PackedSequence,
    Prompt,
    TokenizedDocument,
    Walk,
)

N = np.ndarray
T = TypeVar("T")
Name = NewType("Name", str)


@attrs.frozen
class Tree:
    """Holds itself."""

    size: Int32[N, "n"]
    children: "tuple[Tree, ...]" = ()
    parent: "Tree | None" = None


@attrs.frozen
class Box(Generic[T]):
    """Fields of a type to be said."""

    held: T
    shape: Float32[N, "n m"]
    names: Sequence[Name]


@attrs.frozen
class Nest(Generic[T]):
    """Of ever new types: no finite number of functions would do."""

    value: T
    inner: "Nest[list[T]] | None" = None


class Options(TypedDict):
    """No class that `isinstance` knows."""

    size: int


def examined(item: Any, hint: Any, table: AxisTable) -> bool:
    try:
        scope = Scope(table)
        examiner(hint)(item, scope)
        scope.close()
    except Mismatch:
        return False
    return True


SURE: list[Any] = [
    *(Document, TokenizedDocument, Walk, PackedSequence, Batch, Prompt, Generation, Link),
    *(int, str, bool, float, None, Any, Path, Name, Tree, Box[int], Box[Link], list[Tree], int | None, Tree | None),
    *(tuple[int, ...], tuple[int, str], tuple[tuple[int, Name], ...], dict[str, int], Mapping[str, Sequence[int]]),
    *(set[int], frozenset[Literal["a", "b"]], Literal[1, 2], tuple[Path, ...]),
    *(Int32[N, "n n"], Int32[N, "_ 3"], Float32[N, "n"] | Int32[N, "n"], UInt16[N, "n"] | UInt32[N, "n"]),
    *(
        tuple[Int32[N, "n"], Int32[N, "n m"], Bool[N, "m n"]],
        tuple[Int32[N, "n m"], Int32[N, "n m"]],
        Num[N, "rows=3"],
    ),
]
OTHERS: list[Any] = [
    *(
        tuple[()],
        float | int,
        complex,
        Literal["a", 3],
        type[int],
        Collection[str],
        Callable[[int], int],
        object,
        Nest[int],
    ),
    *(Shaped[N, "n"], Float[N, "*batch n"], Int32[N, "n-1 n"], Int32[N, "#n"], Float32[N, "n"] | None, Options),
    *(list[Int32[N, "n"]], dict[str, Int32[N, "n"]], tuple[Tree, int] | str),
]
CANDIDATES = st.sampled_from([*SURE, *OTHERS]).filter(
    lambda hint: hint not in (Any, object, Callable[[int], int], type[int])
)


def table_of(**claims: Any) -> AxisTable:
    table = AxisTable()
    for name, claim in claims.items():
        table.claim(Claimed(0, name, claim))
    return table


TABLES = [table_of(), table_of(n=2), table_of(n=AtMost(2), m=AtMost(3)), table_of(seq=8, batch=AtMost(2))]


@pytest.mark.parametrize("hint", [*SURE, *OTHERS], ids=lambda hint: str(hint).replace("class ", "")[:50])
def test_what_is_accepted_passes(hint: Any) -> None:
    """Items of this annotation, near-misses of it, and items of any other."""

    @settings(max_examples=15)
    @given(st.data())
    def holds(data: Any) -> None:
        source = data.draw(st.just(hint) | CANDIDATES)
        if source in (Any, object, Callable[[int], int], type[int], Options) or hint in (Any, object):
            item = data.draw(st.sampled_from([None, 3, "a", int, abs, (), {"size": 1}, {"size": "1"}, np.zeros(2)]))
        else:
            item = data.draw(strategy_for(source, invalid=data.draw(st.booleans())))
        for table in TABLES:
            if acceptor(hint, table)(item):
                assert examined(item, hint, table)

    holds()


@pytest.mark.parametrize("hint", [hint for hint in SURE if hint not in (Any, None)], ids=str)
def test_what_is_right_is_accepted_without_a_second_look(hint: Any) -> None:
    """Else the check would be right and slow."""

    @settings(max_examples=15)
    @given(strategy_for(hint))
    def holds(item: Any) -> None:
        assert acceptor(hint, AxisTable())(item)

    holds()


def zeros(*shape: int, dtype: Any = np.int32) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("item", "hint", "claims", "expected"),
    [
        (zeros(2), Int32[N, "n"], {"n": 2}, True),
        (zeros(3), Int32[N, "n"], {"n": 2}, False),
        (zeros(3), Int32[N, "n"], {"n": AtMost(3)}, True),
        (zeros(4), Int32[N, "n"], {"n": AtMost(3)}, False),
        ((zeros(2), zeros(2, 3)), tuple[Int32[N, "n"], Int32[N, "n m"]], {}, True),
        ((zeros(2), zeros(3, 3)), tuple[Int32[N, "n"], Int32[N, "n m"]], {}, False),
        ((zeros(2, 1), zeros(2, 2)), tuple[Int32[N, "_ n"], Int32[N, "_ n"]], {}, False),
        ((zeros(2, 1), zeros(3, 1)), tuple[Int32[N, "_ n"], Int32[N, "_ n"]], {}, True),
        ((zeros(2, 3), zeros(2, 3)), tuple[Int32[N, "n m"], Int32[N, "n m"]], {}, True),
        ((zeros(2, 3), zeros(2, 4)), tuple[Int32[N, "n m"], Int32[N, "n m"]], {}, False),
        (zeros(2, 3), Int32[N, "n 3"], {}, True),
        (zeros(2, 2), Int32[N, "n 3"], {}, False),
        (zeros(2, 2), Int32[N, "n n"], {}, True),
        (zeros(2, 3), Int32[N, "n n"], {}, False),
        (zeros(2), Int32[N, "n n"], {}, False),
        (zeros(2, dtype=np.int64), Int32[N, "n"], {}, False),
        ({"a": 1}, Mapping[str, int], {}, True),
        ({"a": "b"}, Mapping[str, int], {}, False),
        ({1: 1}, Mapping[str, int], {}, False),
        (frozenset({"a"}), frozenset[Literal["a", "b"]], {}, True),
        (frozenset({"c"}), frozenset[Literal["a", "b"]], {}, False),
        ((Link(start=0, end=1, target=DocumentId("A")),), tuple[Link, ...], {}, True),
        ((Link(start=0, end=1, target=DocumentId("A")), None), tuple[Link, ...], {}, False),
        (None, Tree | None, {}, True),
        (3, Tree | None, {}, False),
        (zeros(2).astype(">i4"), Int32[N, "n"], {}, False),  # right, and left to the definition
        ((1,), tuple[()], {}, False),
        ((1, "a"), tuple[int, ...], {}, False),
        (True, int, {}, False),  # a subclass: right, and left to the definition
    ],
)
def test_accepted_or_left_to_the_definition(item: Any, hint: Any, claims: Mapping[str, Any], expected: bool) -> None:
    table = table_of(**claims)
    accept = acceptor(hint, table)
    assert [accept(item), accept(item)] == [expected, expected]
    assert not expected or examined(item, hint, table)


def test_a_cycle_of_functions_goes_as_deep_as_the_item() -> None:
    accept, leaf = acceptor(Tree, AxisTable()), Tree(zeros(1))
    assert accept(Tree(zeros(2), (leaf, Tree(zeros(3), (), leaf)), leaf))
    assert not accept(Tree(zeros(2), (leaf, Tree(zeros(3), (), 3)), leaf))  # type: ignore[arg-type]


def test_stages_before_a_source_are_refused_in_our_words() -> None:
    class Numbers:
        def get_data_generator(self) -> Iterator[int]:
            yield 1

    def add(numbers: Iterator[int]) -> Iterator[int]:
        yield from numbers

    for first in (pipeline(add), pipeline(Numbers(), add)):
        with pytest.raises(ContractError, match="Numbers"):
            first | Numbers()  # type: ignore[operator]
        with pytest.raises(ContractError, match="Numbers"):
            first | pipeline(Numbers())  # type: ignore[operator]


RIGHT = """
import sys
from collections.abc import Iterator
from gptlab.pipeline import pipeline
from gptlab.types import Document, Link, document_id

class Cats:
    def get_data_generator(self) -> Iterator[Document]:
        links = (Link(start=0, end=9, target=document_id("Mouse")),)
        yield Document(id=document_id("Cat"), title="Cat", text="[a](Mouse)", links=links, flags=frozenset({"list"}))

assert len(list(pipeline(Cats(), checks="all").get_data_generator())) == 1
assert "beartype" not in sys.modules
"""


def test_a_run_in_which_all_is_right_does_not_wait_for_beartype() -> None:
    subprocess.run([sys.executable, "-c", RIGHT], check=True, timeout=60)
