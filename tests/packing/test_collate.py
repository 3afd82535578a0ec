"""Batches against a definition token by token."""

import attrs
import numpy as np
import pytest
from graph_strategies import END, document, walks
from hypothesis import given
from hypothesis import strategies as st

from gptlab.packing import Collate, Concatenate, Pack, cut_edges, stack
from gptlab.pipeline import Drops, watching


@st.composite
def row_lists(draw):
    seq_len = draw(st.integers(2, 40))
    rows = [Pack(seq_len, min_document=0).row(walk) for walk in draw(st.lists(walks(), min_size=1, max_size=4))]
    return [attrs.evolve(row, tokens=row.tokens.astype(np.uint16)) for row in rows]


@given(row_lists())
def test_a_batch_by_definition(rows):
    batch = stack(rows)
    for number, row in enumerate(rows):
        ends = [*row.starts[1:].tolist(), row.length]
        for place in range(len(row.tokens)):
            assert batch.tokens[number, place] == row.tokens[place]
            if place >= row.length:
                found = batch.documents[number, place], batch.positions[number, place], batch.targets[number, place]
                assert found == (-1, -1, -1)
                continue
            which = int(np.searchsorted(row.starts, place, side="right")) - 1  # the numbering from starts
            assert batch.documents[number, place] == which
            assert batch.positions[number, place] == place
            last = place == ends[which] - 1
            assert batch.targets[number, place] == (-1 if last else row.tokens[place + 1])
        edges = batch.edges[number].tolist()
        assert edges[: len(row.edges)] == row.edges.tolist()
        assert all(edge == [-1, -1, -1] for edge in edges[len(row.edges) :])
    assert batch.edges.shape[1] == max(len(row.edges) for row in rows)


@given(row_lists(), st.integers(1, 5))
def test_no_row_is_lost_or_moved(rows, batch_size):
    batches = list(Collate(batch_size)(iter(rows)))
    assert np.concatenate([batch.tokens for batch in batches]).tolist() == [row.tokens.tolist() for row in rows]
    assert all(len(batch.tokens) == batch_size for batch in batches[:-1])
    full = list(Collate(batch_size, drop_last=True)(iter(rows)))
    assert full == [batch for batch in batches if len(batch.tokens) == batch_size]


def rows_of(count, seq_len=4):
    return list(Concatenate(seq_len)(iter([document("A", [1] * (count * seq_len - 1))])))


def test_rows_of_a_last_batch_that_are_left_out_are_counted():
    with watching(Drops()) as drops:
        assert len(list(Collate(2, drop_last=True)(iter(rows_of(5))))) == 2
    assert drops.counts == {"row of a last batch that is not full": 1}
    with watching(Drops()) as drops:
        assert [len(batch.tokens) for batch in Collate(2)(iter(rows_of(5)))] == [2, 2, 1]
    assert drops.counts == {}


def test_a_row_may_begin_within_a_document():
    _, second = Concatenate(4)(iter([document("A", [1, 2, 3, 4, 5]), document("B", [6])]))
    batch = stack([second])
    assert batch.tokens.tolist() == [[5, END, 6, END]]
    assert batch.documents.tolist() == [[0, 0, 1, 1]]
    assert batch.targets.tolist() == [[END, -1, END, -1]]
    assert batch.edges.shape == (1, 0, 3)


@given(row_lists())
def test_cut_edges_changes_nothing_else(rows):
    batch = stack(rows)
    cut = cut_edges(batch)
    assert cut.edges.shape == batch.edges.shape
    assert np.all(cut.edges == -1)
    assert attrs.evolve(cut, edges=batch.edges) == batch


@given(row_lists())
def test_batches_do_not_share_memory(rows):
    first, second = stack(rows), stack(rows)
    for field in attrs.fields(type(first)):
        assert not np.shares_memory(getattr(first, field.name), getattr(second, field.name))
        assert not any(np.shares_memory(getattr(first, field.name), row.tokens) for row in rows)


def test_one_batch_is_read_at_a_time():
    rows, read = rows_of(5), []

    def some():
        for row in rows:
            read.append(row)
            yield row

    next(Collate(2)(some()))
    assert len(read) == 2
    assert Collate(2).items_per_yield == 2


def test_rows_of_two_lengths_are_refused():
    with pytest.raises(ValueError) as error:
        stack([*rows_of(1, seq_len=4), *rows_of(1, seq_len=6)])
    assert str(error.value) == (
        "Collate, row 1 of a batch\n"
        "  got     6 tokens, end-of-text 9\n"
        "  wanted  4 tokens, end-of-text 9, as the first row has\n"
        "  Pack all rows with one seq_len and one tokenizer."
    )
    with pytest.raises(ValueError, match=r"Collate.batch_size\n  got     0\n  wanted  a whole number of at least 1"):
        Collate(0)
