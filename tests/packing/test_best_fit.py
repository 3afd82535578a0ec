"""No document is cut that fits in a row, nothing is lost, and rows are fuller than they would be in order."""

import numpy as np
import pytest
from graph_strategies import END, document
from hypothesis import given
from hypothesis import strategies as st

from gptlab.packing import BestFit, Pack, unpack
from gptlab.types import PackedSequence


def documents(lengths):
    return [document(f"D{number}", [number % 8 + 1] * (length - 1)) for number, length in enumerate(lengths)]


def filled(rows: list[PackedSequence]) -> int:
    return sum(row.length for row in rows)


@given(st.lists(st.integers(2, 40), max_size=30), st.integers(4, 24), st.integers(1, 6))
def test_nothing_is_lost_and_nothing_cut_that_fits(lengths, seq_len, window):
    some = documents(lengths)
    rows = list(BestFit(seq_len, window=window)(iter(some)))
    pieces = {each.id: [] for each in some}
    for row in rows:
        assert len(row.tokens) == seq_len
        assert set(row.tokens[row.length :].tolist()) <= {END}
        for id, piece in zip(row.ids, unpack(row), strict=True):
            pieces[id].append(piece)
    for each in some:
        assert np.array_equal(np.concatenate(pieces[each.id]), each.tokens)
        assert len(pieces[each.id]) == -(-len(each.tokens) // seq_len)
    assert filled(rows) == sum(lengths)


@given(st.lists(st.integers(2, 10), min_size=1, max_size=40))
def test_a_document_opens_a_row_only_where_no_open_row_holds_it(lengths):
    rows = list(BestFit(10, window=1000)(iter(documents(lengths))))
    assert sum(row.length <= 5 for row in rows) <= 1  # of two half empty rows, one would have gone to the other


def test_the_best_row_is_the_one_with_the_least_room_that_is_enough():
    rows = list(BestFit(10)(iter(documents([6, 7, 3, 4]))))
    assert sorted(row.ids for row in rows) == [("D0", "D3"), ("D1", "D2")]
    assert all(row.length == 10 for row in rows)


def test_a_row_is_let_go_when_the_window_needs_its_place():
    read = []

    def some():
        for each in documents([6, 7, 8, 9]):
            read.append(each.id)
            yield each

    rows = BestFit(10, window=2)(some())
    assert next(rows).ids == ("D1",)  # the fullest
    assert read == ["D0", "D1", "D2"]
    assert [row.ids for row in rows] == [("D2",), ("D0",), ("D3",)]


def test_a_document_that_is_a_row_by_itself_goes_out_at_once_and_none_makes_room_for_it():
    rows = BestFit(10, window=1)(iter(documents([6, 20, 3])))
    assert [row.ids for row in rows] == [("D1",), ("D1",), ("D0", "D2")]


@given(st.lists(st.integers(1, 6), max_size=7), st.integers(2, 6), st.integers(1, 3))
def test_no_row_waits_once_it_is_settled(lengths, seq_len, window):
    """Whatever row has not come out could be another still, or another row come first."""
    some, read = documents(lengths), []

    def reading(some):
        for each in some:
            read.append(each.id)
            yield each

    outputs = [(row, len(read)) for row in BestFit(seq_len, window=window)(reading(some))]
    last = document("Last", [1] * (seq_len - 1))
    for number, (row, reads) in enumerate(outputs):
        others = [
            list(BestFit(seq_len, window=window)(iter([*some[: reads - 1], *more])))
            for more in ([], [last] * len(outputs))
        ]
        assert any(len(other) <= number or other[number] != row for other in others)


def test_documents_of_two_tokenizers_are_refused():
    one, other = document("A", [1, 2]), document("B", [3])
    other.tokens[-1] = 5
    with pytest.raises(ValueError, match=r"BestFit, at document 'B'\n  got     a last token of 5\n"):
        list(BestFit(10)(iter([one, other])))
    with pytest.raises(ValueError, match=r"BestFit\.window"):
        BestFit(10, window=0)
    assert BestFit(10).axes() == Pack(10).axes()
