"""The ranks of a run read each row of each batch once, whoever shares them."""

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_torch import Counting, Padded

from gptlab.models import LinkPairs
from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import SourcePipeline, pipeline
from gptlab.training import LossMask, Ranks, TrainingError, linkers
from gptlab.training.data import learned
from gptlab.training.objective import shares
from gptlab.training.shares import rows_of, share_of
from gptlab.types import DocumentId, PackedSequence


def row(number: int) -> PackedSequence:
    return PackedSequence(
        tokens=np.array([number, number + 1, 0], np.uint16),
        starts=np.array([0], np.int32),
        ids=(DocumentId(f"D{number}"),),
        edges=np.zeros((0, 3), np.int32),
        length=3,
        end_of_text=0,
        dropped={},
    )


ROWS = tuple(row(number) for number in range(1, 24))


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 9))
def test_the_ranks_shares_of_a_batch_are_the_batch(world, batch_size, start):
    source = pipeline(Shuffled(ROWS, seed=3), Collate(batch_size), LossMask(linkers))
    whole = next(source.get_data_generator(start)).tokens
    if batch_size < world:
        with pytest.raises(TrainingError, match="got     ranks without a row"):
            next(share_of(source, Ranks(0, world)).get_data_generator(start))
        return
    sources = [share_of(source, Ranks(rank, world)) for rank in range(world)]
    parts = [next(each.get_data_generator(start)).tokens for each in sources]
    assert sum(map(len, parts)) == len(whole)
    for rank, part in enumerate(parts):
        assert np.array_equal(part, whole[rank::world])
    reads_its_own = batch_size % world == 0
    assert all(isinstance(each, SourcePipeline) == reads_its_own for each in sources)


def test_alone_the_source_is_what_was_given():
    source = Counting()
    assert share_of(source, Ranks()) is source


@given(st.integers(1, 4))
def test_other_records_are_cut_by_their_first_axis(world):
    pairs = LinkPairs(
        linkers=np.arange(8, dtype=np.int32).reshape(4, 2),
        targets=np.arange(8, dtype=np.int32).reshape(4, 2),
        is_link=np.array([True, False, True, False]),
    )
    parts = [rows_of(pairs, rank, world) for rank in range(world)]
    assert sorted(int(part.linkers[i, 0]) for part in parts for i in range(len(part.linkers))) == [0, 2, 4, 6]
    assert [learned(part) for part in parts] == [len(range(rank, 4, world)) for rank in range(world)]


@attrs.frozen
class Numbers:
    values: tuple[int, ...]


def test_what_has_no_rows_is_refused():
    with pytest.raises(TrainingError) as error:
        rows_of(Numbers((1, 2)), 0, 2)
    assert str(error.value) == (
        "a batch of type Numbers, for 2 ranks\n  got     a value that is no record of arrays with one row each\n"
        "  wanted  an attrs class of NumPy arrays that all have the batch as their first axis, such as Batch\n"
        "  Yield such records, or train in one process."
    )
    with pytest.raises(TrainingError, match="Start 5 processes or fewer, or ask for larger batches"):
        rows_of(next(Padded(Counting()).get_data_generator()), 0, 6)


@given(st.integers(1, 5))
def test_shares_are_by_what_is_learned(count):
    batches = [batch for batch, _ in zip(Padded(Counting()).get_data_generator(), range(count), strict=False)]
    found = shares(batches, count, Ranks())
    taught = [int((batch.targets >= 0).sum()) for batch in batches]
    assert found == pytest.approx([number / sum(taught) for number in taught])


def test_batches_that_teach_nothing_share_equally():
    batch = next(Counting().get_data_generator())
    empty = attrs.evolve(batch, targets=np.full_like(batch.targets, -1))
    assert shares([empty, empty], 2, Ranks()) == [0.5, 0.5]
    assert shares([empty], 2, Ranks()) == [], "the data have ended"
    assert [learned(each) for each in (3.0, "text")] == [1, 1]


def test_a_loss_mask_leaves_targets_of_linkers_only():
    batch = next(Padded(Counting()).get_data_generator())
    documents = np.repeat(np.array([[0, 0, 0, 1, 1, 1]], np.int32), 5, axis=0)
    edges = np.full((5, 2, 3), -1, np.int32)
    edges[0, 0] = (1, 0, 4)
    masked = next(LossMask(linkers)(iter([attrs.evolve(batch, documents=documents, edges=edges)])))
    assert (masked.targets[1:] == -1).all() and (masked.targets[0, :3] == -1).all()
    assert np.array_equal(masked.targets[0, 3:], batch.targets[0, 3:])
    assert masked.targets.dtype == np.int32
