"""Corpora with difficult identities, and what it means that a store equals a table."""

import hypothesis.strategies as st
import numpy as np
from graph_strategies import END

from gptlab.graph import Documents, DocumentTable
from gptlab.graph.link_graph import FLAGS
from gptlab.types import DocumentId, TokenizedDocument

# Two to four bytes, half a surrogate pair, what separates strings in a file, spaces and underscores.
NAMES = st.text(st.sampled_from("aB_ \0\nßÿ中😀\ud800"), max_size=20)
ABSENT = DocumentId("Nowhere")


@st.composite
def difficult_corpora(draw: st.DrawFn, max_size: int = 10) -> list[TokenizedDocument]:
    """Documents whose identities repeat, are empty, or differ in a byte; links to themselves, twice, to nothing."""
    names = draw(st.lists(NAMES, min_size=1, max_size=max_size))
    dtype = draw(st.sampled_from([np.uint16, np.uint32]))
    documents = []
    for name in names[: draw(st.integers(0, len(names)))]:
        tokens = [*draw(st.lists(st.integers(0, END - 1), max_size=12)), END]
        positions = sorted(draw(st.lists(st.integers(0, len(tokens) - 1), max_size=6)))
        targets = [draw(st.sampled_from([*names, "Nowhere", "Void"])) for _ in positions]
        documents.append(
            TokenizedDocument(
                id=DocumentId(name),
                title=draw(st.sampled_from([name, name.replace("_", " "), "", "ÿ"])),
                tokens=np.array(tokens, dtype),
                link_positions=np.array(positions, np.int32),
                link_targets=tuple(map(DocumentId, targets)),
                flags=draw(st.frozensets(st.sampled_from(FLAGS))),
            )
        )
    return documents


GRAPH = ("out_offsets", "out_targets", "out_positions", "in_offsets", "in_linkers", "flags", "token_offsets")


def assert_same(store: Documents, table: DocumentTable) -> None:
    """Everything that `Documents` offers is the same of both."""
    assert isinstance(store, Documents)
    size = len(table)
    assert len(store) == len(store.ids) == len(store.titles) == len(store.numbers) == size
    for name in GRAPH:
        ours, theirs = getattr(store.graph, name), getattr(table.graph, name)
        assert ours.dtype == theirs.dtype, name
        assert ours.tolist() == theirs.tolist(), name
        assert not ours.flags.writeable or not ours.size
    assert store.no_edge.tolist() == table.no_edge.tolist()
    assert store.token_offsets.tolist() == table.token_offsets.tolist()
    assert tuple(store.ids) == store.ids[:] == tuple(table.ids)
    assert tuple(store.titles) == store.titles[:] == tuple(table.titles)
    assert dict(store.numbers) == dict(table.numbers)
    whole = [token for shard in store.token_shards for token in shard.tolist()]
    assert whole == table.tokens.tolist()
    assert store.shard_offsets.tolist() == [0, *np.cumsum([len(shard) for shard in store.token_shards]).tolist()]
    for number in range(size):
        assert store[number] == table[number]
        assert store.tokens_of(number).tolist() == table.tokens_of(number).tolist()
        assert store.tokens_of(number).dtype == table.tokens_of(number).dtype
        assert not store.tokens_of(number).flags.writeable
        assert store.get(table.ids[number]) == table[number]
        shard = np.searchsorted(store.shard_offsets, store.token_offsets[number], "right") - 1
        begins = int(store.token_offsets[number] - store.shard_offsets[shard])
        assert np.shares_memory(store.token_shards[shard][begins:], store.tokens_of(number))
    for id in (ABSENT, DocumentId("Void"), DocumentId("\0"), DocumentId("")):
        assert (store.get(id) is None) == (table.get(id) is None) == (id not in store.numbers)
