"""The loader stopped anywhere and gone on with twice, by other numbers of ranks and workers, gives the same rows."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from graph_strategies import document
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.packing import Collate, Concatenate, PackedShards, Prefetch, Shuffled, stack, write_rows
from gptlab.types import Batch

ROWS, BATCH, SEED = 13, 12, 5
WORLDS = (1, 2, 3, 4, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rows")
    documents = iter([document(f"D{number}", [number + 10] * 3) for number in range(ROWS)])
    write_rows(Concatenate(4)(documents), directory, shard_tokens=20)  # five rows in a shard
    return directory


def share(folder: Path, rank: int, world: int, begin: int, end: int, workers: int, ahead: int = 2) -> list[Batch]:
    """What one rank reads of batches `begin` to `end - 1`, and then it is stopped."""
    rows = Shuffled(PackedShards.open(folder), seed=SEED).shard(rank, world)
    if workers:  # what maps files is no value that can travel
        rows = Shuffled(tuple(rows.rows[number] for number in range(ROWS)), seed=SEED).shard(rank, world)
    batches = Prefetch(rows | Collate(BATCH // world), workers=workers, ahead=ahead).get_data_generator(begin)
    taken = list(islice(batches, end - begin))
    batches.close()
    return taken


def joined(shares: list[list[Batch]]) -> list[list[int]]:
    """The rows of all ranks, in the order of the run: item i is of rank i modulo their number."""
    world = len(shares)
    tokens = [np.concatenate([batch.tokens for batch in each]).tolist() if each else [] for each in shares]
    return [tokens[item % world][item // world] for item in range(sum(map(len, tokens)))]


def uninterrupted(folder: Path, batches: int) -> list[list[int]]:
    """By the definition: row after row."""
    rows = Shuffled(PackedShards.open(folder), seed=SEED).get_data_generator()
    return [row.tokens.tolist() for row in islice(rows, batches * BATCH)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
    st.lists(st.tuples(st.sampled_from(WORLDS), st.integers(1, 4)), min_size=3, max_size=3),
)
def test_stopped_twice_and_gone_on_with_by_other_ranks_it_gives_the_same_rows(folder, stops, parts):
    edges = [0, *sorted(stops)]
    found = []
    for (begin, end), (world, ahead) in zip(pairwise(edges), parts, strict=True):
        found += joined([share(folder, rank, world, begin, end, 0, ahead) for rank in range(world)])
    assert found == uninterrupted(folder, edges[-1])


def test_ranks_and_workers_that_are_processes_give_the_same_rows(folder):
    found = []
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as ranks:
        for begin, end, world, workers in ((0, 3, 2, 0), (3, 4, 1, 2), (4, 9, 3, 1)):
            shares = [ranks.submit(share, folder, rank, world, begin, end, workers) for rank in range(world)]
            found += joined([each.result() for each in shares])
    assert found == uninterrupted(folder, 9)


@given(st.integers(0, 30), st.sampled_from(WORLDS))
def test_batch_k_is_found_by_its_number(folder, number, world):
    store = PackedShards.open(folder)
    rows = Shuffled(store, seed=SEED)
    batch = next((rows | Collate(BATCH)).get_data_generator(number))
    assert batch == stack(list(islice(rows.get_data_generator(number * BATCH), BATCH)))
    mine = next((rows.shard(world - 1, world) | Collate(BATCH // world)).get_data_generator(number))
    assert mine.tokens.tolist() == batch.tokens[world - 1 :: world].tolist()
