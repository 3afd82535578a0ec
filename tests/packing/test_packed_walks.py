"""The source by machine code against the stages that define it: every field of every row and batch."""

from collections.abc import Iterator
from itertools import pairwise

import attrs
import numpy as np
import pytest
from graph_strategies import corpora, document, edge_lists, policies, power_law_corpus, regimes, tours
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gptlab.graph import (
    BestFirst,
    BreadthFirst,
    DepthFirst,
    DocumentTable,
    Follow,
    PageRankPerToken,
    RandomOrder,
    RandomWalk,
    ShortestFirst,
    TraverseLinks,
)
from gptlab.graph.compiled_order import CYCLE, order_walks
from gptlab.graph.order import keep_acyclic_slowly, targets_first
from gptlab.graph.store import DocumentStore, StoredDocuments
from gptlab.packing import Collate, CutLast, FitRest, Pack, PackedWalks, PadRest, Shuffled
from gptlab.packing.packed_walks_compiled import CUT_LAST, FIT_REST, PAD_REST, keep
from gptlab.pipeline import ContractError, Drops, pipeline, watching
from gptlab.sources import LinkedFactsWiki
from gptlab.tokenizers import ByteTokenizer, Tokenize
from gptlab.types import TokenizedDocument

packs = st.builds(
    Pack,
    st.integers(2, 60),
    excess=st.sampled_from([CutLast(), PadRest(), FitRest()]),
    min_document=st.integers(0, 6),
    max_document=st.none() | st.integers(2, 30),
)
a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)


def by_stages(documents, traverse, pack):
    with watching(Drops()) as drops:
        rows = list(pack(traverse(iter(documents))))
    return rows, drops.counts


def batches_of(walks, collate):
    """What a pipeline reads in place of the two: batches without rows."""
    batches = collate.joined(walks)
    assert batches is not None
    return batches


@a_folder
@given(corpora(), policies, tours, regimes, packs, st.integers(1, 9), st.booleans())
def test_rows_and_batches_are_those_of_the_stages(
    tmp_path_factory, documents, policy, options, regime, pack, batch_size, drop_last
):
    if regime.get("regime") == "cover_once":
        options = {**options, "budget": min(options["budget"], pack.seq_len)}
    folder = tmp_path_factory.mktemp("plans")
    traverse = TraverseLinks(policy, **options, **regime, cache=folder / "stages")
    rows, dropped = by_stages(documents, traverse, pack)
    traverse = attrs.evolve(traverse, cache=folder / "machine")
    walks = PackedWalks(DocumentTable.from_documents(documents), traverse, pack)
    with watching(Drops()) as drops:
        found = list(walks.get_data_generator())
    assert found == rows
    assert drops.counts == dropped
    assert len(walks) == len(rows)
    assert [row.tokens.dtype for row in found] == [row.tokens.dtype for row in rows]
    collate = Collate(batch_size, drop_last=drop_last)
    assert list(batches_of(walks, collate).get_data_generator()) == list(collate(iter(rows)))


@given(
    st.sampled_from([(CutLast(), CUT_LAST), (PadRest(), PAD_REST), (FitRest(), FIT_REST)]),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=9),
    st.integers(1, 20),
)
@example((FitRest(), FIT_REST), [(1, 0), (6, 0), (2, 0), (2, 0)], 4)
@settings(max_examples=300)
def test_what_a_policy_keeps_is_the_same_by_machine_code(policy, drawn, seq_len):
    excess, rule = policy
    sizes, least = (np.array(column, np.int64) for column in zip(*drawn, strict=True))
    sizes[0] += 1  # the root keeps some
    wanted = excess.kept(sizes, least, seq_len)
    kept = np.full(len(sizes) + 2, 77, np.int64)
    assert keep(rule, sizes, least, seq_len, kept) == seq_len - wanted.sum()
    assert kept[: len(sizes)].tolist() == wanted.tolist()


BUILT_IN = (
    BreadthFirst(),
    DepthFirst(Follow("both")),
    RandomWalk(Follow("in")),
    RandomOrder(),
    BestFirst(score=PageRankPerToken(epsilon=0.02)),
    ShortestFirst(Follow("both", shuffle=True)),
)


@pytest.mark.parametrize("options", [{}, {"excess": PadRest(), "max_document": 20}, {"excess": FitRest()}], ids=str)
@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: type(policy).__name__)
def test_they_agree_where_rows_hold_many_documents_and_cycles(policy, options):
    documents = list(power_law_corpus(60, links=8, length=14))
    traverse, pack = TraverseLinks(policy, budget=450), Pack(400, min_document=3, **options)
    rows, dropped = by_stages(documents, traverse, pack)
    walks = PackedWalks(DocumentTable.from_documents(documents), traverse, pack)
    with watching(Drops()) as drops:
        assert list(walks.get_data_generator()) == rows
    assert drops.counts == dropped
    assert sum(row.cut for row in rows) == dropped["token of a document that is cut"]
    assert dropped["link that closes a cycle"] > 100 or isinstance(policy, RandomOrder)
    assert walks.batch(7, 23) == next(Collate(16)(iter(rows[7:23])))


@example((4, [(0, 1, 0), (0, 2, 0), (0, 3, 0), (1, 0, 0), (2, 1, 0), (3, 2, 0)]))
@given(edge_lists(max_documents=9))
@settings(max_examples=300)
def test_cycles_are_broken_by_the_rule(drawn):
    count, edges = drawn
    edges = sorted(edges, key=lambda edge: (edge[0], edge[2]))
    out_offsets = np.searchsorted([edge[0] for edge in edges], range(count + 1)).astype(np.int64)
    targets, positions = (np.array([edge[field] for edge in edges], np.int32) for field in (1, 2))
    found, visit = np.arange(count, dtype=np.int32), np.full(count, 77, np.int32)
    order = order_walks(found, np.array([0, count]), out_offsets, targets, positions, visit)
    kept = keep_acyclic_slowly(count, edges)
    placed = targets_first(count, kept)
    assert order.visits.tolist() == placed
    place = {each: at for at, each in enumerate(placed)}
    wanted = sorted([place[linker], place[target], position] for linker, target, position in kept)
    assert order.edges[: order.edge_offsets[1]].tolist() == wanted
    assert order.lost[0, CYCLE] == len(edges) - len(kept)


def walks_of(policy=BreadthFirst(), seq_len=100, **options):
    table = DocumentTable.from_documents(power_law_corpus(200, links=4, length=12))
    return PackedWalks(table, TraverseLinks(policy, budget=seq_len, **options), Pack(seq_len, min_document=2))


def test_any_row_and_any_start_gives_the_same_row():
    walks = walks_of(RandomWalk(), epochs=2)
    rows = list(walks.get_data_generator())
    assert len(walks) == len(rows) == 400
    assert [walks[number] for number in (399, 0, 200, -1)] == [rows[399], rows[0], rows[200], rows[399]]
    assert list(walks.get_data_generator(317)) == rows[317:]
    with pytest.raises(IndexError, match="there are 400 rows, so there is no row 400"):
        walks[400]
    with pytest.raises(IndexError, match="there are 400 rows, so there are no rows 399 to 400"):
        walks.batch(399, 401)
    batches = batches_of(walks, Collate(32))
    assert list(batches.get_data_generator(11)) == list(batches.get_data_generator())[11:]
    assert next(Shuffled(walks, seed=3).get_data_generator()) in rows


class EverySecond:
    def visit(self, graph, root, rng):
        yield from range(root, len(graph), 2)


class HalfOfEach:
    def kept(self, sizes, least, seq_len):
        halves = (sizes + 1) // 2
        return halves * (np.cumsum(halves) <= seq_len)


@pytest.mark.parametrize(
    ("traverse", "pack"),
    [
        (TraverseLinks(EverySecond(), budget=80), Pack(80)),
        (TraverseLinks(BreadthFirst(), budget=80), Pack(80, excess=HalfOfEach())),
    ],
    ids=["visits", "excess"],
)
def test_a_policy_of_the_users_own_gives_the_rows_of_the_stages(traverse, pack):
    documents = list(power_law_corpus(40, links=4, length=12))
    rows, dropped = by_stages(documents, traverse, pack)
    walks = PackedWalks(DocumentTable.from_documents(documents), traverse, pack)
    with watching(Drops()) as drops:
        assert list(walks.get_data_generator()) == rows
    assert drops.counts == dropped
    assert walks.batch(0, 8) == next(Collate(8)(iter(rows)))


def test_tokens_may_lie_in_several_shards():
    table = DocumentTable.from_documents(power_law_corpus(50, links=4, length=12))
    cuts = [0, 1, 7, 30, 50]

    class Sharded:
        def __getattr__(self, name):
            return getattr(table, name)

        def __len__(self):
            return len(table)

        def __getitem__(self, number):
            return table[number]

        ids, titles, numbers, graph = table.ids, table.titles, table.numbers, table.graph
        no_edge, token_offsets, get, tokens_of = table.no_edge, table.token_offsets, table.get, table.tokens_of
        token_shards = tuple(table.tokens[table.token_offsets[a] : table.token_offsets[b]] for a, b in pairwise(cuts))
        shard_offsets = table.token_offsets[cuts]

    traverse, pack = TraverseLinks(DepthFirst(), budget=90), Pack(90)
    rows = list(PackedWalks(table, traverse, pack).get_data_generator())
    assert list(PackedWalks(Sharded(), traverse, pack).get_data_generator()) == rows


def test_a_store_on_disk_gives_the_rows_of_the_table(tmp_path):
    documents = list(power_law_corpus(60, links=4, length=12))
    store = DocumentStore.build(documents, tmp_path / "store")
    for regime in ({}, {"regime": "cover_once", "cache": tmp_path / "plans"}):
        traverse, pack = TraverseLinks(BestFirst(), budget=90, **regime), Pack(90)
        rows = list(PackedWalks(DocumentTable.from_documents(documents), traverse, pack).get_data_generator())
        assert list(PackedWalks(store, traverse, pack).get_data_generator()) == rows
        if regime:
            assert sorted(id for row in rows for id in row.ids) == sorted(store.ids)


def test_stored_documents_are_mapped_and_not_read_as_a_source(tmp_path):
    stored = StoredDocuments(Notes(30), cache=tmp_path)
    walks = PackedWalks(stored, TraverseLinks(BreadthFirst(), budget=64), Pack(64))
    walks.pre_cache()
    assert walks._opened() is stored.store
    assert [*walks.get_data_generator()] == [*PackedWalks(Notes(30), walks.traverse, walks.pack).get_data_generator()]


@attrs.frozen
class Notes:
    """A source of so many documents."""

    size: int

    def get_data_generator(self) -> Iterator[TokenizedDocument]:
        """Some documents."""
        return power_law_corpus(self.size, links=3, length=9)


def test_it_is_a_part_of_a_pipeline_and_a_value():
    walks = PackedWalks(Notes(30), TraverseLinks(BreadthFirst(), budget=64), Pack(64))
    assert walks == attrs.evolve(walks) != attrs.evolve(walks, pack=Pack(65))
    batches = pipeline(walks, Collate(4))
    assert list(batches.get_data_generator()) == list(batches.checked("all").get_data_generator())
    assert pipeline(walks, Collate(4, drop_last=True)).axes() == {"seq": 64, "batch": 4}
    tokenized = pipeline(LinkedFactsWiki(pages=12), Tokenize(ByteTokenizer()))
    assert attrs.evolve(walks, documents=tokenized).axes() == {"vocab": 257, "seq": 64}


def test_plans_are_made_before_the_first_row(tmp_path):
    walks = walks_of(regime="cover_once", cache=tmp_path)
    walks.pre_cache()
    assert [each.name.startswith("walk-plan") for each in tmp_path.iterdir()] == [True]
    ids = [id for row in walks.get_data_generator() for id in row.ids]
    assert sorted(ids) == sorted(f"D{number}" for number in range(200))


def test_walks_longer_than_their_rows_are_refused_where_each_document_is_to_be_in_a_row():
    with pytest.raises(ValueError) as error:
        PackedWalks(
            DocumentTable.from_documents([document("A", [1])]),
            TraverseLinks(BreadthFirst(), budget=65, regime="cover_once"),
            Pack(64),
        )
    assert str(error.value) == (
        "PackedWalks\n"
        "  got     walks of 65 tokens for rows of 64\n"
        "  wanted  walks that fit, for each document is to be in a row once\n"
        "  Write TraverseLinks(..., budget=64)."
    )


def test_a_source_of_something_else_is_refused():
    told = r"PackedWalks.documents\n  got     .*\n  wanted  a source of TokenizedDocument"
    with pytest.raises(ContractError, match=told):
        PackedWalks(walks_of(), TraverseLinks(BreadthFirst()), Pack(2048))


def test_no_documents_make_no_rows():
    walks = PackedWalks(DocumentTable.from_documents([]), TraverseLinks(BreadthFirst()), Pack(2048))
    assert len(walks) == 0
    assert list(walks.get_data_generator()) == []
    assert list(batches_of(walks, Collate(2)).get_data_generator()) == []
