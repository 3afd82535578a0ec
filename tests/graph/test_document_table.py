"""The table against the documents it was made of, and the graph against its definition with dictionaries."""

import numpy as np
import pytest
from graph_strategies import corpora, document
from hypothesis import given

from gptlab.graph import Documents, DocumentTable, graph_statistics
from gptlab.graph.link_graph import link_graph
from gptlab.pipeline import Drops, watching
from gptlab.types import DocumentId, TokenizedDocument


def links_by_definition(documents: list[TokenizedDocument]) -> dict[str, dict[str, int]]:
    """For each document its targets that exist and are not itself, with the position of the first link."""
    ids = {each.id for each in documents}
    found: dict[str, dict[str, int]] = {}
    for each in documents:
        first: dict[str, int] = {}
        for position, target in zip(each.link_positions.tolist(), each.link_targets, strict=True):
            if target in ids and target != each.id:
                first.setdefault(target, position)
        found[each.id] = first
    return found


@given(corpora(min_size=0))
def test_documents_come_out_as_they_went_in(documents):
    table = DocumentTable.from_documents(iter(documents))
    assert len(table) == len(documents)
    assert [table[number] for number in range(len(table))] == documents
    assert [table.get(each.id) for each in documents] == documents
    assert table.get(DocumentId("Nowhere")) is None


@given(corpora())
def test_the_graph_is_the_links_between_documents(documents):
    table = DocumentTable.from_documents(documents)
    definition = links_by_definition(documents)
    for number, each in enumerate(documents):
        targets = [table.ids[target] for target in table.graph.targets(number)]
        assert dict(zip(targets, table.graph.positions(number).tolist(), strict=True)) == definition[each.id]
        assert targets == list(definition[each.id])
        linkers = [table.ids[linker] for linker in table.graph.linkers(number)]
        assert linkers == [linker for linker in definition if each.id in definition[linker]]
        assert table.graph.in_degree(number) == len(linkers)


@given(corpora(min_size=0))
def test_statistics_account_for_every_link(documents):
    table = DocumentTable.from_documents(documents)
    found = graph_statistics(table)
    assert found.documents == len(documents)
    assert found.tokens == sum(len(each.tokens) for each in documents)
    assert found.links == sum(len(each.link_targets) for each in documents)
    assert found.links == found.kept + found.missing + found.self_links + found.repeats
    assert found.missing == sum(target in ("Nowhere", "Void") for each in documents for target in each.link_targets)
    assert found.self_links == sum(each.link_targets.count(each.id) for each in documents)
    definition = links_by_definition(documents)
    in_degrees = [sum(each.id in targets for targets in definition.values()) for each in documents]
    assert found.in_degree_max == max(in_degrees, default=0)
    if documents:
        assert in_degrees[table.numbers[found.most_linked]] == found.in_degree_max
    assert found.unlinked == sum(
        not definition[each.id] and not degree for each, degree in zip(documents, in_degrees, strict=True)
    )


def test_of_two_documents_of_one_identity_the_later_is_dropped_and_counted():
    with watching(Drops()) as drops:
        table = DocumentTable.from_documents([document("A", [1]), document("B", [2]), document("A", [3])])
    assert [table[number].tokens.tolist() for number in range(len(table))] == [[1, 9], [2, 9]]
    assert drops.counts == {"document with an identity that is taken": 1}
    assert drops.examples == {"document with an identity that is taken": "A"}


def test_what_is_handed_out_cannot_be_changed():
    table = DocumentTable.from_documents([document("A", [1, 2], [(1, "B")]), document("B", [3])])
    for array in (table[0].tokens, table[0].link_positions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_the_table_is_independent_of_the_arrays_it_was_made_of():
    tokens = np.array([1, 2, 9], np.uint16)
    only = document("A", [])
    table = DocumentTable.from_documents(
        [
            only,
            TokenizedDocument(
                id=DocumentId("B"), title="B", tokens=tokens, link_positions=np.empty(0, np.int32), link_targets=()
            ),
        ]
    )
    tokens[0] = 7
    assert table[1].tokens.tolist() == [1, 2, 9]


def test_a_single_document_is_copied_too():
    only = document("A", [1, 2])
    table = DocumentTable.from_documents([only])
    only.tokens[0] = 7
    assert table[0].tokens.tolist() == [1, 2, 9]


def test_documents_of_two_tokenizers_are_refused():
    with pytest.raises(ValueError) as error:
        DocumentTable.from_documents([document("A", [1]), document("B", [1], dtype=np.uint32)])
    assert str(error.value) == (
        "document 'B'\n"
        "  got     uint32 tokens that end with 9\n"
        "  wanted  uint16 tokens that end with 9, as 'A' has\n"
        "  Tokenize all documents with one tokenizer."
    )


def test_a_document_without_tokens_is_refused():
    empty = TokenizedDocument(
        id=DocumentId("A"),
        title="A",
        tokens=np.empty(0, np.uint16),
        link_positions=np.empty(0, np.int32),
        link_targets=(),
    )
    with pytest.raises(ValueError, match=r"document 'A'\n  got     no tokens\n  wanted  tokens that end with"):
        DocumentTable.from_documents([empty])


@pytest.mark.parametrize("number", [-1, 2])
def test_there_is_no_document_outside_the_table(number):
    table = DocumentTable.from_documents([document("A", [1]), document("B", [2])])
    with pytest.raises(IndexError, match=f"document {number} of 2"):
        table[number]
    assert repr(table).startswith("<DocumentTable of 2 documents, 4 tokens")


def test_links_may_come_in_any_order():
    linkers, targets, positions = np.array([[1, 0, 0, 1, 0], [0, 2, 1, 2, 2], [3, 5, 4, 1, 2]], np.int32)
    graph = link_graph(linkers, targets, positions, np.zeros(3, np.uint8), np.array([0, 4, 6, 7]))
    assert [graph.length(number) for number in range(3)] == [4, 2, 1]
    assert [graph.targets(number).tolist() for number in range(3)] == [[2, 1], [2, 0], []]
    assert [graph.positions(number).tolist() for number in range(3)] == [[2, 4], [1, 3], []]
    assert [graph.linkers(number).tolist() for number in range(3)] == [[1], [0], [0, 1]]


@given(corpora(min_size=0))
def test_the_table_offers_what_documents_offer(documents):
    table = DocumentTable.from_documents(documents)
    assert isinstance(table, Documents)
    assert table.shard_offsets.tolist() == [0, sum(len(each.tokens) for each in documents)]
    for number, each in enumerate(documents):
        found = table.tokens_of(number)
        assert found.tolist() == each.tokens.tolist()
        assert not found.flags.writeable
    for number in (-1, len(documents)):
        with pytest.raises(IndexError, match=f"document {number} of {len(documents)}"):
            table.tokens_of(number)
