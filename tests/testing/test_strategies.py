"""The strategies against the run-time check: what they draw passes it, near-misses never do."""

import collections
import enum
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NewType, Protocol, TypeVar

import attrs
import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Float32, Int, Int32, Num, Shaped, UInt16

from gptlab.graph.order import targets_first
from gptlab.packing import Collate, Pack
from gptlab.pipeline import AtMost
from gptlab.sources import Fact
from gptlab.testing import (
    CannotDraw,
    documents,
    linked_corpora,
    nasty_text,
    packed_sequences,
    register,
    row_streams,
    strategy_for,
    streams,
    tokenized_corpora,
    walks,
)
from gptlab.testing.spoiling import conforms
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
    scan_links,
)

T = TypeVar("T")
Metres = NewType("Metres", float)
Rows = NewType("Rows", Int32[np.ndarray, "rows 2"])


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@attrs.frozen
class Pair:
    left: Float[np.ndarray, "rows columns"]
    right: Int32[torch.Tensor, "columns rows+1"]
    name: str | None = None


@attrs.frozen
class Box(Generic[T]):
    held: T
    _secret: int = 0


@dataclass(frozen=True)
class Nested:
    pairs: tuple[Pair, ...]
    best: Pair | None
    sizes: Mapping[str, int]


class Point(NamedTuple):
    x: float
    where: Path


@attrs.frozen
class Tree:
    size: int
    children: "list[Tree]"
    parent: "Tree | None" = None


@attrs.frozen
class Small:
    number: int = attrs.field(validator=attrs.validators.in_(range(-9, 10)))


ANNOTATIONS: list[Any] = [
    *(int, float, complex, bool, str, bytes, Path, Colour, Metres, Rows, DocumentId, type(None)),
    *(Literal["a", 3], int | None, int | str | None, tuple[int, ...], tuple[int, str], list[list[int]]),
    *(set[str], frozenset[Literal["x", "y"]], dict[str, int], Mapping[str, Sequence[int]], collections.deque[int]),
    *(Collection[str], collections.OrderedDict[str, int], collections.Counter[str]),
    *(Pair, Box[int], Box[str | None], Nested, Point, Small, Tree, list[Pair], tuple[Pair, int], Pair | int),
    Float32[np.ndarray, ""],
    Float32[np.ndarray, "batch seq"] | None,
    Float[np.ndarray, "*batch n 2*n+1"],
    Num[np.ndarray, "... rows=3 _"],
    Shaped[np.ndarray, "n #n"],
    Bool[np.ndarray, "n-1 n"],
    Int[torch.Tensor, "min(a,b) a b a%2"],
    Num[torch.Tensor, "*#batch n"] | UInt16[np.ndarray, "n"],
    tuple[Float32[np.ndarray, "k"], Int32[torch.Tensor, "k k//2"]],
    dict[str, Int32[np.ndarray, "n"]],
    list[Float32[np.ndarray, "same"]],
    *(Document, TokenizedDocument, Walk, PackedSequence, Batch, Prompt, Generation, Link, Fact),
]
names = [str(annotation).replace("class ", "")[:60] for annotation in ANNOTATIONS]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=names)
def test_what_is_drawn_passes_the_check_and_near_misses_fail_it(annotation: Any) -> None:
    @given(st.data())
    def passes(data: st.DataObject) -> None:
        assert conforms(data.draw(strategy_for(annotation)), annotation)
        assert not conforms(data.draw(strategy_for(annotation, invalid=True)), annotation)

    settings(max_examples=10)(passes)()


def dtypes() -> list[Any]:
    found = [getattr(jaxtyping, name) for name in dir(jaxtyping)]
    return [kind for kind in found if hasattr(kind, "dtypes")]


@pytest.mark.parametrize("library", [np.ndarray, torch.Tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("kind", dtypes(), ids=lambda kind: kind.__name__)
def test_every_dtype_of_jaxtyping_that_the_library_has(kind: Any, library: Any) -> None:
    hint = kind[library, "n n"]
    names = hint.dtypes if isinstance(hint.dtypes, tuple) else ("float32",)
    if not any(hasattr(np if library is np.ndarray else torch, dtype) for dtype in names):
        with pytest.raises(CannotDraw):
            find(strategy_for(hint), lambda array: True)
        return

    @settings(max_examples=3)
    @given(strategy_for(hint).map(lambda array: (array,) if isinstance(array, hint) else ()))
    def drawn(found: tuple[Any, ...]) -> None:
        assert len(found) == 1

    drawn()


@given(strategy_for(Pair))
def test_axes_of_one_record_agree(pair: Pair) -> None:
    rows, columns = pair.left.shape
    assert pair.right.shape == (columns, rows + 1)


@given(streams(Pair, max_size=3))
def test_axes_agree_throughout_a_stream(pairs: list[Pair]) -> None:
    assert len({pair.left.shape for pair in pairs}) <= 1


@given(strategy_for(Int32[np.ndarray, "batch tokens"], axes={"batch": 3, "tokens": AtMost(2), "vocab": AtMost(5)}))
def test_claims_are_kept(ids: np.ndarray) -> None:
    assert ids.shape[0] == 3 and ids.shape[1] <= 2 and np.all((ids >= 0) & (ids < 5))


def test_examples_shrink_to_the_smallest() -> None:
    assert find(strategy_for(list[int]), lambda numbers: sum(numbers) > 5) == [6]
    assert find(strategy_for(Float32[np.ndarray, "n m"]), lambda array: array.size > 2).shape in ((1, 3), (3, 1))
    corpus = find(linked_corpora(), lambda documents: any(document.links for document in documents))
    assert len(corpus) == 1 and len(corpus[0].links) == 1


def test_a_record_that_holds_itself_ends() -> None:
    tree = find(strategy_for(Tree), lambda tree: tree.parent is not None and len(tree.children) == 1)
    assert tree == Tree(0, [Tree(0, [])], Tree(0, []))


def test_what_a_record_refuses_is_not_drawn() -> None:
    @settings(max_examples=10)
    @given(strategy_for(Small))
    def small(value: Small) -> None:
        assert abs(value.number) < 10

    small()


def test_floats_are_finite_unless_asked() -> None:
    assert np.isnan(
        find(strategy_for(Float32[np.ndarray, "n"], nonfinite=True), lambda a: bool(np.isnan(a).any()))
    ).any()

    @given(strategy_for(Float32[np.ndarray, "n"]))
    def finite(array: np.ndarray) -> None:
        assert np.isfinite(array).all()

    finite()


def test_text_has_the_nasty_parts_and_half_pairs_only_when_asked() -> None:
    find(nasty_text(), lambda text: text != unicodedata.normalize("NFC", text))
    find(nasty_text(), lambda text: "\u202e" in text)
    find(nasty_text(surrogates=True), lambda text: any("\ud800" <= one <= "\udfff" for one in text))

    @given(nasty_text())
    def has_utf8(text: str) -> None:
        text.encode()

    has_utf8()


class Speaks(Protocol):
    def speak(self) -> str: ...


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Speaks, "no strategy for the Protocol Speaks"),
        (Float32[np.ndarray, "n+1"], "an axis made of n"),
        (Float32[np.ndarray, "n 0-n-1"], "symbolic axes"),
        (jaxtyping.BFloat16[np.ndarray, "n"], "a dtype that numpy has"),
        (Float32[memoryview, "n"], "np.ndarray or torch.Tensor"),
    ],
    ids=["protocol", "unknown axis", "no solution", "dtype", "library"],
)
def test_what_cannot_be_drawn_is_said_in_four_parts(annotation: Any, text: str) -> None:
    with pytest.raises(CannotDraw) as caught:
        find(strategy_for(annotation), lambda value: True)
    assert text in str(caught.value)
    assert [line.split()[0] for line in str(caught.value).splitlines()[1:3]] == ["got", "wanted"]


def test_nothing_fails_what_everything_fits() -> None:
    with pytest.raises(CannotDraw, match="everything fits"):
        find(strategy_for(object, invalid=True), lambda value: True)


def test_a_user_registers_a_type() -> None:
    class Even(int): ...

    register(Even, st.integers(0, 9).map(lambda half: Even(2 * half)))
    assert find(strategy_for(list[Even]), lambda evens: len(evens) > 0) == [0]
    register(Even, st.just(Even(0)), lambda least, most: st.just([Even(2)]))
    assert find(streams(Even), lambda evens: True) == [2]


@given(documents())
def test_a_documents_links_are_those_of_its_text(document: Document) -> None:
    assert scan_links(document.text) == document.links


@given(linked_corpora())
def test_a_corpus_has_no_identity_twice(corpus: list[Document]) -> None:
    assert len({document.id for document in corpus}) == len(corpus)


@given(tokenized_corpora(vocab_size=7))
def test_a_tokenized_corpus_is_of_one_vocabulary(corpus: list[TokenizedDocument]) -> None:
    for document in corpus:
        assert document.tokens[-1] == 6 and not (document.tokens[:-1] >= 6).any()
        assert len(document.link_positions) == len(document.link_targets)
        assert (np.diff(document.link_positions) >= 0).all()
        assert all(0 <= position < len(document.tokens) - 1 for position in document.link_positions)
    assert len({document.tokens.dtype for document in corpus}) <= 1


@given(walks())
def test_walks_are_targets_first(walk: Walk) -> None:
    assert all(target < linker for linker, target, _ in walk.edges.tolist())
    assert sorted(walk.visited.tolist()) == list(range(len(walk.documents)))
    assert callable(targets_first)


@given(packed_sequences(seq_len=9))
def test_rows_are_what_pack_promises(row: PackedSequence) -> None:
    assert len(row.tokens) == 9 and row.starts[0] == 0 and (row.tokens[row.length :] == row.end_of_text).all()
    assert len(row.starts) == len(row.ids)


@given(row_streams(min_size=1), st.integers(1, 3))
def test_rows_of_one_stream_can_be_stacked(rows: list[PackedSequence], batch_size: int) -> None:
    assert sum(len(batch.tokens) for batch in Collate(batch_size)(iter(rows))) == len(rows)


@given(streams(PackedSequence, axes=Pack(8).axes()))
def test_streams_have_the_length_that_is_claimed(rows: list[PackedSequence]) -> None:
    assert all(len(row.tokens) == 8 for row in rows)
