"""Rows on disk: what was written is read, made once, found again with the same story, and shuffled from anywhere."""

import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import attrs
import numpy as np
import pytest
from graph_strategies import document, power_law_corpus, walks
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, TraverseLinks
from gptlab.packing import Collate, Concatenate, Pack, PackedRows, PackedShards, RowsByNumber, Shuffled, write_rows
from gptlab.pipeline import ContractError, Drops, drop, pipeline, watching
from gptlab.pipeline.protocols import SeekableSource
from gptlab.storage import StorageError
from gptlab.types import PackedSequence, TokenizedDocument


@attrs.frozen
class Corpus:
    """Linked documents; every reading leaves a line in a file, to tell that it happened."""

    size: int = 40
    journal: Path = Path("/nonexistent")

    def get_data_generator(self) -> Iterator[TokenizedDocument]:
        if self.journal.parent.exists():
            self.journal.write_text("read\n" + (self.journal.read_text() if self.journal.exists() else ""))
        drop("document that is no good", count=3, example="Bad")
        yield from power_law_corpus(self.size, links=3, length=12)


def rows_from(corpus: Corpus, seq_len: int = 32):
    return pipeline(corpus, TraverseLinks(BreadthFirst(), budget=seq_len), Pack(seq_len, min_document=2))


@settings(max_examples=25)
@given(st.lists(walks(max_size=5), min_size=1, max_size=6), st.integers(2, 30), st.integers(1, 100))
def test_what_is_written_is_read(tmp_path_factory, some, seq_len, shard_tokens):
    rows = [Pack(seq_len, min_document=0).row(walk) for walk in some]
    rows = [attrs.evolve(row, tokens=row.tokens.astype(np.uint32)) for row in rows]
    directory = tmp_path_factory.mktemp("rows")
    summary = write_rows(iter(rows), directory, shard_tokens=shard_tokens)
    store = PackedShards.open(directory)
    assert [store[number] for number in range(len(store))] == rows
    assert store[-1] == rows[-1]
    assert store.summary == summary
    assert summary.tokens == sum(row.length for row in rows)
    assert summary.documents == sum(len(row.ids) for row in rows)
    assert summary.edges == sum(len(row.edges) for row in rows)
    assert len(store.shards) == -(-len(rows) // max(1, shard_tokens // seq_len))
    assert not np.shares_memory(store[0].tokens, store.shards[0].tokens)


def test_rows_are_made_once_and_found_again_with_the_same_drops(tmp_path):
    corpus = Corpus(journal=tmp_path / "journal")
    expected = list(rows_from(Corpus()).get_data_generator())
    with watching(Drops()) as first:
        made = PackedRows(rows_from(corpus), cache=tmp_path / "cache")
        assert list(made.get_data_generator()) == expected
    with watching(Drops()) as second:
        found = PackedRows(rows_from(corpus), cache=tmp_path / "cache")
        found.pre_cache()
        found.pre_cache()
        assert list(found.get_data_generator(start=7)) == expected[7:]
    assert corpus.journal.read_text() == "read\n"
    assert first.counts == second.counts
    assert first.examples == second.examples
    assert first.counts["document that is no good"] == 3
    links = sum(first.counts[told] for told in first.counts if "link" in told)
    assert links == sum(sum(row.dropped.values()) for row in expected) > 0


@attrs.frozen
class KeptCorpus(Corpus):
    """Documents that something keeps, and that can say what was dropped when they were made."""

    def tell_found(self) -> None:
        drop("document that was no good before", example="Bad")


def test_a_part_that_is_kept_by_itself_tells_its_drops_when_the_rows_are_found(tmp_path):
    counts = []
    for _ in range(2):
        with watching(Drops()) as drops:
            PackedRows(rows_from(KeptCorpus()), cache=tmp_path).pre_cache()
        counts.append(drops.counts["document that was no good before"])
    assert counts == [0, 1]


class Said(Drops):
    def __init__(self):
        super().__init__()
        self.said = []

    def say(self, message):
        self.said.append(message)


def test_what_is_padding_what_is_cut_and_what_is_kept_of_the_links_is_said_and_written_down(tmp_path):
    rows = PackedRows(rows_from(Corpus()), cache=tmp_path)
    with watching(Said()) as watched:
        rows.pre_cache()
    expected = list(rows.get_data_generator())
    summary = PackedShards.open(rows.directory).summary
    assert summary.cut == sum(row.cut for row in expected) == watched.counts["token of a document that is cut"] > 0
    assert summary.padding == sum(32 - row.length for row in expected)
    lost = Counter()
    for row in expected:
        lost.update(row.dropped)
    assert dict(zip(summary.reasons, summary.dropped, strict=True)) == lost
    between = summary.edges + sum(lost[reason] for reason in ("cycle", "budget", "cut", "no room"))
    assert summary.kept_share == summary.edges / between
    (told,) = [each for each in watched.said if each.startswith("Packed")]
    assert told == (
        f"Packed 40 rows of 32 tokens: {summary.padding / 1280:.1%} padding, {summary.cut:,} tokens cut off, "
        f"{summary.documents / 40:.1f} documents and {summary.edges / 40:.1f} edges "
        f"({summary.edges / between:.1%} of links) per row."
    )


def test_a_cache_that_is_gone_is_made_again(tmp_path):
    rows = PackedRows(rows_from(Corpus(journal=tmp_path / "journal")), cache=tmp_path / "cache")
    first = rows[0]
    shutil.rmtree(rows.directory)
    rows.pre_cache()
    assert rows[0] == first
    assert rows.directory.is_dir()
    assert (tmp_path / "journal").read_text() == "read\n" * 2


def test_an_interrupted_build_leaves_nothing_behind(tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    def stop(rows: Iterator[PackedSequence]) -> Iterator[PackedSequence]:
        yield from islice(rows, 3)
        raise Stop

    monkeypatch.setitem(globals(), "interrupt", stop)
    rows = PackedRows(pipeline(rows_from(Corpus()), through), cache=tmp_path)
    with pytest.raises(Stop):
        rows.pre_cache()
    assert not rows.directory.exists()
    monkeypatch.undo()
    assert len(rows) == 40


def through(rows: Iterator[PackedSequence]) -> Iterator[PackedSequence]:
    """What `interrupt` is at the moment."""
    yield from interrupt(rows)


interrupt = iter


def test_other_settings_are_other_rows(tmp_path):
    directories = {
        PackedRows(rows_from(Corpus(size), seq_len), cache=tmp_path).directory
        for size in (10, 20)
        for seq_len in (16, 32)
    }
    assert len(directories) == 4
    elsewhere = PackedRows(rows_from(Corpus(10), 16), cache=tmp_path / "else").directory
    assert elsewhere.name in {each.name for each in directories}


def test_it_is_a_sequence_and_a_source(tmp_path):
    rows = PackedRows(rows_from(Corpus(), seq_len=32), cache=tmp_path)
    assert isinstance(rows, RowsByNumber)
    assert isinstance(rows, SeekableSource)
    assert rows.axes() == {"seq": 32}
    assert Shuffled(rows).axes() == {"seq": 32}
    assert len(rows) == 40
    assert rows[-1] == rows[39]
    for number in (40, -41):
        with pytest.raises(IndexError, match=f"there are 40 packed rows, so there is no row {number}"):
            rows[number]


def test_a_source_of_something_else_is_refused_before_any_work(tmp_path):
    with pytest.raises(ContractError) as error:
        PackedRows(Corpus(), cache=tmp_path)
    where, got, *rest = str(error.value).split("\n")
    assert where == "PackedRows.rows"
    assert got.startswith("  got     a source of TokenizedDocument, Corpus   ")
    assert rest == [
        "  wanted  a source of PackedSequence",
        "  Put BestFit or Concatenate behind it: pipeline(..., BestFit(...)).",
    ]


def test_no_rows_are_an_error_and_leave_no_cache(tmp_path):
    rows = PackedRows(rows_from(Corpus(size=0)), cache=tmp_path)
    with pytest.raises(
        ValueError, match="packed rows\n  got     no rows at all\n  wanted  at least one\n  Look at what"
    ):
        rows.pre_cache()
    assert not rows.directory.exists()


def test_rows_of_two_lengths_are_not_written(tmp_path):
    rows = [next(Concatenate(seq_len)(iter([document("A", [1, 2, 3])]))) for seq_len in (4, 6)]
    with pytest.raises(ValueError) as error:
        write_rows(rows, tmp_path)
    assert str(error.value) == (
        "packed row 1\n"
        "  got     6 uint16 tokens, end-of-text 9\n"
        "  wanted  4 uint16 tokens, end-of-text 9, as the first row has\n"
        "  Pack all rows with one seq_len and one tokenizer."
    )


def test_a_damaged_store_says_which_file(tmp_path):
    write_rows(Concatenate(4)(iter([document("A", [1, 2, 3])])), tmp_path)
    (tmp_path / "stories-00000.npy").write_bytes(b"broken")
    with pytest.raises(
        StorageError, match=r"stories-00000.npy\n  got     .*\n  wanted  an array that write_rows wrote"
    ):
        PackedShards.open(tmp_path)


def test_a_shard_of_another_shape_is_not_read(tmp_path):
    write_rows(Concatenate(4)(iter([document("A", [1] * 20)])), tmp_path)
    np.save(tmp_path / "offsets-00000.npy", np.load(tmp_path / "offsets-00000.npy")[:-1])
    with pytest.raises(StorageError) as error:
        PackedShards.open(tmp_path)
    where, *rest = str(error.value).split("\n")
    assert where.endswith("tokens-00000.npy")
    assert rest[0] == "  got     tokens of shape (6, 4), 6 offsets that end with 35"
    assert rest[1] == "  wanted  (6, 4), 7 and 42, row by row"


numbered = tuple(row for number in range(7) for row in Concatenate(2)(iter([document(f"D{number}", [number])])))


def numbers(rows):
    return [int(row.ids[0][1:]) for row in rows]


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 5), st.integers(1, 4))
def test_item_k_does_not_depend_on_where_one_started(seed, start, world, epochs):
    whole = numbers(Shuffled(numbered, seed=seed, epochs=epochs).get_data_generator())
    assert [sorted(whole[epoch * 7 : epoch * 7 + 7]) for epoch in range(epochs)] == [list(range(7))] * epochs
    assert numbers(Shuffled(numbered, seed=seed, epochs=epochs).get_data_generator(start)) == whole[start:]
    endless = Shuffled(numbered, seed=seed).get_data_generator(start)
    assert numbers(islice(endless, max(0, len(whole) - start))) == whole[start:]
    for rank in range(world):
        share = Shuffled(numbered, seed=seed, epochs=epochs).shard(rank, world)
        assert numbers(share.get_data_generator()) == whole[rank::world]
        assert numbers(share.get_data_generator(start)) == whole[rank::world][start:]


def test_epochs_and_seeds_are_in_orders_of_their_own():
    whole = numbers(islice(Shuffled(numbered).get_data_generator(), 70))
    assert len({tuple(whole[epoch * 7 : epoch * 7 + 7]) for epoch in range(10)}) == 10
    assert numbers(islice(Shuffled(numbered, seed=1).get_data_generator(), 70)) != whole


def test_a_pipeline_seeks_through_batches(tmp_path):
    rows = Shuffled(PackedRows(rows_from(Corpus()), cache=tmp_path), seed=3)
    data = pipeline(rows, Collate(4))
    data.pre_cache()
    whole = list(islice(data.get_data_generator(), 25))  # over the end of the first epoch
    assert list(islice(data.get_data_generator(start=13), 12)) == whole[13:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 2, "world": 2}, "Shuffled.rank\n  got     2\n  wanted  below world=2\n  Ranks count from 0."),
        (
            {"epochs": 0},
            "Shuffled.epochs\n  got     0\n  wanted  a whole number of at least 1\n  Give None to go on for ever.",
        ),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError) as error:
        Shuffled(numbered, **settings)
    assert str(error.value) == message


def test_nothing_cannot_be_shuffled():
    with pytest.raises(ValueError, match=r"Shuffled.rows\n  got     no rows\n  wanted  at least one"):
        next(Shuffled(()).get_data_generator())
