"""Axes: their grammar, who claims what, and that claims which cannot hold together never do."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, Int8, Int32, Int64, UInt16, UInt32

from gptlab.pipeline import AtMost, ContractError, pipeline
from gptlab.pipeline.axes import AxisConflict, AxisTable, Claimed, too_narrow, written_claims
from gptlab.pipeline.dims import evaluate, is_same, names_in, parse_dims, rename
from gptlab.types import Document, PackedSequence, TokenizedDocument, Walk

N = np.ndarray
expressions = st.recursive(
    st.sampled_from(["a", "b", "1", "7"]),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(
        lambda p: f"({p[0]}{p[1]}{p[2]})"
    ),
    max_leaves=5,
)


@given(expressions, st.integers(0, 9), st.integers(0, 9))
def test_symbolic_axes_are_python_arithmetic(expression: str, a: int, b: int) -> None:
    try:
        expected = eval(expression, {"a": a, "b": b})
    except ZeroDivisionError:
        expected = None
    assert evaluate(expression, {"a": a, "b": b}) == expected


@given(expressions, st.integers(0, 9), st.integers(0, 9))
def test_renaming_keeps_the_size(expression: str, a: int, b: int) -> None:
    renamed = rename(expression, "a", "x+1")
    assert "a" not in names_in(renamed)
    assert evaluate(renamed, {"x": a - 1, "b": b}) == evaluate(expression, {"a": a, "b": b})


def test_spaces_and_parentheses_do_not_tell_expressions_apart() -> None:
    assert is_same("seq+1", "(seq + 1)")
    assert not is_same("seq+1", "1+seq"), "as written, not as algebra"


@pytest.mark.parametrize("text", ["f(a)", "a.b", "'a'", "a if b else c", "__import__('os')", "1.5", "a+", "{self.x}"])
def test_what_is_no_arithmetic_has_no_size(text: str) -> None:
    assert evaluate(text, {"a": 1, "b": 2, "c": 3}) is None


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", []),
        ("batch seq", ["named", "named"]),
        ("... 3", ["many", "fixed"]),
        ("*batch _", ["many", "any"]),
        ("#n #3 _skipped", ["named", "fixed", "any"]),
        ("rows=4 2*4 n-1", ["fixed", "fixed", "symbolic"]),
        ("*#shared *_", ["many", "many"]),
    ],
)
def test_the_grammar_of_axes(text: str, kinds: list[str]) -> None:
    assert [dim.kind for dim in parse_dims(text)] == kinds


# The table: whatever order claims and equalities come in, the answer is the same.

claims = st.tuples(st.sampled_from("abc"), st.integers(1, 3) | st.integers(1, 3).map(AtMost))
equalities = st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))
facts = st.lists(claims.map(lambda fact: ("claim", fact)) | equalities.map(lambda fact: ("same", fact)), max_size=6)


def holds(given_facts: list[Any]) -> bool:
    table = AxisTable()
    try:
        for position, (kind, (left, right)) in enumerate(given_facts):
            if kind == "claim":
                table.claim(Claimed(position, left, right))
            else:
                table.unify(left, right)
    except AxisConflict:
        return False
    return True


def can_hold(given_facts: list[Any]) -> bool:
    """By trying every size of every axis."""
    for a in range(1, 4):
        for b in range(1, 4):
            for c in range(1, 4):
                size = {"a": a, "b": b, "c": c}
                if all(
                    size[left] == size[right]
                    if kind == "same"
                    else (size[left] <= right.size if isinstance(right, AtMost) else size[left] == right)
                    for kind, (left, right) in given_facts
                ):
                    return True
    return False


@given(facts, st.randoms())
def test_claims_hold_together_when_some_sizes_satisfy_them(given_facts: list[Any], random: Any) -> None:
    assert holds(given_facts) == can_hold(given_facts)
    random.shuffle(given_facts)
    assert holds(given_facts) == can_hold(given_facts)


def test_at_most_is_a_number_that_says_so() -> None:
    assert str(AtMost(3)) == "at most 3"
    with pytest.raises(ValueError, match="must be >= 0"):
        AtMost(-1)
    with pytest.raises(TypeError):
        AtMost("3")  # type: ignore[arg-type]


# Along a pipeline.


@attrs.frozen
class Part:
    """A stage with annotations and claims as told."""

    got: Any = attrs.field(eq=False)
    given: Any = attrs.field(eq=False)
    claims: Mapping[str, Any] = attrs.field(factory=dict)

    def item_types(self) -> tuple[Any, Any]:
        return self.got, self.given

    def axes(self) -> Mapping[str, Any]:
        return self.claims

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        yield from items


def fits_together(*parts: Part) -> bool:
    try:
        pipeline(*parts)
    except ContractError:
        return False
    return True


ROWS = Part(int, Float32[N, "batch seq"], {"batch": 8, "seq": 1024})
# Neighbours that write the same names in another order are refused; so what swaps back uses names of its own.
BACK = Part(Float32[N, "p q"], Float32[N, "q p"])
SWAP = Part(Float32[N, "n m"], Float32[N, "m n"])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([ROWS, Part(Float32[N, "b s"], int, {"s": AtMost(1024)})], True),
        ([ROWS, Part(Float32[N, "b s"], int, {"s": AtMost(1023)})], False),
        ([ROWS, Part(Float32[N, "b s"], int, {"b": 8})], True),
        ([ROWS, Part(Float32[N, "b s"], int, {"b": 9})], False),
        ([ROWS, Part(Float32[N, "8 1024"], int)], True),
        ([ROWS, Part(Float32[N, "b 2*512"], int)], True),
        ([ROWS, Part(Float32[N, "batch seq+1"], int)], False),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "s"]), Part(Float32[N, "1024"], int)], True),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "s"]), Part(Float32[N, "8"], int)], False),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "s"]), Part(Float32[N, "seq"], int)], True),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "s"]), Part(Float32[N, "batch"], int)], False),
        ([ROWS, SWAP, Part(Float32[N, "1024 8"], int)], True),
        ([ROWS, SWAP, Part(Float32[N, "8 1024"], int)], False),
        ([ROWS, SWAP, BACK, Part(Float32[N, "8 1024"], int)], True),
        ([ROWS, SWAP, BACK, SWAP, Part(Float32[N, "8 1024"], int)], False),
        ([ROWS, SWAP, SWAP], False),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "s s"]), Part(Float32[N, "n n"], int)], True),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "b s"]), Part(Float32[N, "n n"], int)], False),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "b s+1"]), Part(Float32[N, "b 1025"], int)], True),
        ([ROWS, Part(Float32[N, "b s"], Float32[N, "b s+1"]), Part(Float32[N, "b 1024"], int)], False),
        ([ROWS, Part(Float32[N, "*b s"], Float32[N, "*b"]), Part(Float32[N, "8"], int)], True),
        ([ROWS, Part(Float32[N, "*b s"], Float32[N, "s *b"]), Part(Float32[N, "1024 8"], int)], True),
        (
            [
                Part(int, Float32[N, "n 4"]),
                Part(Float32[N, "n k"], Float32[N, "k k+1"]),
                Part(Float32[N, "4 5"], int),
            ],
            True,
        ),
        ([Part(int, Float32[N, "n 4"]), Part(Float32[N, "n k"], Float32[N, "k"]), Part(Float32[N, "5"], int)], False),
        ([Part(int, Float32[N, "n+1"]), Part(Float32[N, "k"], Float32[N, "k"]), Part(Float32[N, "m+1"], int)], False),
        (
            [
                Part(int, Float32[N, "n n+1"]),
                Part(Float32[N, "n k"], Float32[N, "n k"]),
                Part(Float32[N, "m m+1"], int),
            ],
            True,
        ),
        ([Part(int, Float32[N, "rows=3"]), Part(Float32[N, "n"], int, {"rows": 4})], False),
        ([Part(int, Float32[N, "rows=3"]), Part(Float32[N, "rows"], int)], True),
        ([Part(int, Float32[N, "n 4"]), Part(Float32[N, "n k"], Float32[N, "k"]), Part(Float32[N, "n"], int)], True),
        ([Part(int, Float32[N, "_ seq"], {"seq": 4}), Part(Float32[N, "seq seq"], int)], False),
        ([Part(int, int, {"batch": 8}), Part(int, int), Part(int, int, {"batch": 8})], True),
        ([Part(int, int, {"batch": 8}), Part(int, int), Part(int, int, {"batch": 16})], False),
        ([Part(int, int, {"seq": AtMost(8)}), Part(int, int, {"seq": AtMost(4)}), Part(int, int, {"seq": 5})], False),
    ],
)
def test_axes_unify_along_the_chain(parts: list[Part], expected: bool) -> None:
    assert fits_together(*parts) is expected


@attrs.frozen
class Fixed:
    grid: Float32[N, "height=28 width=28"]


def test_a_record_that_writes_a_number_claims_it() -> None:
    assert dict(written_claims(list[Fixed])) == {"height": 28, "width": 28}
    assert fits_together(Part(int, Fixed), Part(Fixed, int, {"height": AtMost(32)}))
    assert not fits_together(Part(int, Fixed), Part(Fixed, int, {"height": AtMost(27)}))


@pytest.mark.parametrize(
    ("hint", "vocab", "narrow"),
    [
        (UInt16[N, "tokens"], 65_536, None),
        (UInt16[N, "tokens"], 65_537, ("tokens", 65_536)),
        (UInt32[N, "tokens"], 65_537, None),
        (UInt16[N, "tokens"] | UInt32[N, "tokens"], 65_537, None),
        (Int8[N, "tokens"], 129, ("tokens", 128)),
        (UInt16[N, "pixels"], 70_000, None),
        (Float32[N, "tokens width"], 70_000, None),
        (TokenizedDocument, 70_000, None),
        (Walk, 70_000, None),
        (PackedSequence, 70_000, None),
        (Document, 70_000, None),
        (list[Int64[N, "tokens"]], 70_000, None),
    ],
)
def test_token_ids_fit_their_dtype(hint: Any, vocab: int, narrow: Any) -> None:
    assert too_narrow(hint, vocab) == narrow


@attrs.frozen
class ShortRow:
    input_ids: UInt16[N, "batch seq"]
    scores: Int32[N, "batch seq"]


def test_capacity_is_seen_through_records() -> None:
    assert too_narrow(tuple[ShortRow, ...], 70_000) == ("input_ids", 65_536)
    with pytest.raises(ContractError, match="input_ids of Part cannot hold the vocabulary"):
        pipeline(Part(int, int, {"vocab": 70_000}), Part(int, ShortRow))
