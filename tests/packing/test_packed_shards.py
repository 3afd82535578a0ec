"""Batches read at once from shards: what `stack` makes of the rows, in any order, over any shards."""

from collections.abc import Iterator
from itertools import islice

import attrs
import numpy as np
import pytest
from graph_strategies import END, document, walks
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.packing import Collate, Concatenate, Pack, PackedRows, PackedShards, Shuffled, stack, write_rows
from gptlab.packing.collated import Collated
from gptlab.pipeline import Drops, pipeline, watching
from gptlab.types import Batch, TokenizedDocument


@settings(max_examples=40)
@given(st.data(), st.integers(2, 70), st.integers(1, 100), st.sampled_from([np.uint16, np.uint32]))
def test_a_batch_is_the_stack_of_its_rows(tmp_path_factory, data, seq_len, shard_tokens, dtype):
    some = data.draw(st.lists(walks(max_size=5), min_size=1, max_size=6))
    rows = [Pack(seq_len, min_document=0).row(walk) for walk in some]
    rows = [attrs.evolve(row, tokens=row.tokens.astype(dtype)) for row in rows]
    directory = tmp_path_factory.mktemp("rows")
    write_rows(iter(rows), directory, shard_tokens=shard_tokens)
    store = PackedShards.open(directory)
    numbers = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    batch = store.batch_at(np.array(numbers, np.int64))
    assert batch == stack([rows[number] for number in numbers])
    for field in attrs.fields(Batch):
        array = getattr(batch, field.name)
        assert array.dtype == np.int32
        assert array.flags.c_contiguous and array.flags.writeable


def test_rows_begin_where_pages_of_memory_do(tmp_path):
    write_rows(Concatenate(2048)(iter([document("A", [1] * 9000)])), tmp_path, shard_tokens=3 * 2048)
    for shard in PackedShards.open(tmp_path).shards:
        assert shard.tokens.ctypes.data % 4096 == 0
        assert not shard.tokens.flags.writeable
    whole = np.load(tmp_path / "tokens-00000.npy")  # as anybody else reads it
    assert (whole.shape, whole.dtype, set(whole.ravel().tolist())) == ((3, 2048), np.uint16, {1})


@pytest.mark.parametrize("numbers", [[], [-1], [0, 3]])
def test_a_batch_of_rows_that_are_not_there_is_refused(tmp_path, numbers):
    write_rows(Concatenate(4)(iter([document("A", [1] * 11)])), tmp_path)
    with pytest.raises(IndexError) as error:
        PackedShards.open(tmp_path).batch_at(np.array(numbers, np.int64))
    assert str(error.value) == f"there are 3 packed rows, and not all of {numbers} are among them"


def test_rows_whose_documents_do_not_end_where_they_end_are_not_written(tmp_path):
    (row,) = Concatenate(6)(iter([document("A", [1, 2]), document("B", [3])]))
    broken = attrs.evolve(row, tokens=np.array([1, END, END, 3, END, END], np.uint16))
    with pytest.raises(ValueError) as error:
        write_rows([broken], tmp_path)
    assert str(error.value) == (
        "packed row 0, of 'A' and others\n"
        "  got     end-of-text at [1, 2], documents that begin at [0, 3]\n"
        "  wanted  end-of-text before each document but the first, and nowhere else but at the end of the row\n"
        "  Let every document end with end-of-text, and no other token be it."
    )


@attrs.frozen
class Corpus:
    """Some short documents."""

    size: int

    def get_data_generator(self) -> Iterator[TokenizedDocument]:
        for number in range(self.size):
            yield document(f"D{number}", [number % 7 + 1] * (number % 5 + 1))


def packed(size, cache):
    return PackedRows(pipeline(Corpus(size), Concatenate(6)), cache=cache)


@settings(max_examples=20)
@given(st.data(), st.integers(1, 9), st.booleans(), st.sampled_from([None, 1, 2]))
def test_a_pipeline_reads_the_same_batches_with_and_without_rows(
    tmp_path_factory, data, batch_size, drop_last, epochs
):
    rows = packed(data.draw(st.integers(1, 40)), tmp_path_factory.mktemp("cache"))
    source = data.draw(
        st.sampled_from(
            [rows, Shuffled(rows, seed=3, epochs=epochs), Shuffled(tuple(rows.get_data_generator()), epochs=epochs)]
        )
    )
    chain = pipeline(source, Collate(batch_size, drop_last=drop_last))
    start = data.draw(st.integers(0, 12))
    with watching(Drops()) as fast:
        batches = list(islice(chain.get_data_generator(start), 9))
    with watching(Drops()) as slow:
        expected = list(islice(chain.checked("all").get_data_generator(start), 9))
    assert batches == expected
    assert fast.counts == slow.counts
    assert fast.examples == slow.examples


def test_a_pipeline_makes_no_rows_unless_every_seam_is_checked(tmp_path, monkeypatch):
    made = []
    whole = PackedShards.__getitem__
    monkeypatch.setattr(PackedShards, "__getitem__", lambda self, n: made.append(n) or whole(self, n))
    chain = pipeline(Shuffled(packed(30, tmp_path), seed=1), Collate(4))
    list(islice(chain.checked("off").get_data_generator(), 5))
    assert made == []
    list(islice(chain.checked("first").get_data_generator(), 5))
    assert len(made) == 3
    list(islice(chain.checked("all").get_data_generator(), 5))
    assert len(made) == 3 + 20


def test_collate_joins_what_it_knows(tmp_path):
    rows = packed(9, tmp_path)
    assert Collate(2).joined(rows) == Collated(rows, 2, drop_last=False)
    assert Collate(2).joined(Corpus(1)) is None
    assert Collated(rows, 2, drop_last=True).axes() == {"seq": 6}
