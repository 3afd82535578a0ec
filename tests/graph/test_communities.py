"""Communities held out whole, and edges with both ends held out."""

import random
import sys

import numpy as np
import pytest
from graph_strategies import corpora
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import DocumentTable, Split, SplitByCommunity, communities, edges_within
from gptlab.graph.communities import hold_out
from gptlab.types import Document, DocumentId, Link


def linked(groups, bridges=()):
    """Documents in groups, each of which links to all others of its group."""
    documents = []
    for group in groups:
        for name in group:
            targets = [other for other in group if other != name] + [b for a, b in bridges if a == name]
            text = " ".join("x" for _ in targets) or "x"
            links = tuple(
                Link(start=2 * place, end=2 * place + 1, target=DocumentId(target))
                for place, target in enumerate(targets)
            )
            documents.append(Document(id=DocumentId(name), title=name, text=text, links=links))
    return documents


GROUPS = [[f"{letter}{number}" for number in range(6)] for letter in "ABCDE"]
DOCUMENTS = linked(GROUPS, [("A0", "B0"), ("B1", "C1"), ("D2", "E2")])


@pytest.mark.parametrize("seed", range(5))
def test_whole_groups_are_held_out_and_the_parts_are_a_partition(seed):
    train = list(SplitByCommunity("train", 0.45, seed)(iter(DOCUMENTS)))
    held_out = list(SplitByCommunity("held_out", 0.45, seed)(iter(DOCUMENTS)))
    assert sorted([*train, *held_out], key=DOCUMENTS.index) == DOCUMENTS
    assert len(held_out) == 12  # two groups of six of thirty are at most 45 %
    out = {document.id for document in held_out}
    assert all(len(out & set(group)) in (0, 6) for group in GROUPS)


def test_another_seed_holds_out_others_and_the_process_is_left_as_it_was():
    before = random.getstate()
    found = {frozenset(d.id for d in SplitByCommunity("held_out", 0.2, seed)(iter(DOCUMENTS))) for seed in range(12)}
    assert len(found) > 2
    assert random.getstate() == before


def test_all_is_read_before_the_first_is_yielded():
    assert SplitByCommunity.barrier
    assert list(SplitByCommunity("train")(iter([]))) == []


@given(st.lists(st.integers(0, 9), min_size=1), st.floats(0, 1), st.integers(0, 99))
def test_no_more_is_held_out_than_asked_for_and_no_community_is_torn(labels, fraction, seed):
    labels = np.unique(np.array(labels), return_inverse=True)[1].astype(np.int64)
    is_out = hold_out(labels, fraction, seed)
    assert is_out.sum() <= fraction * len(labels)
    for label in set(labels.tolist()):
        assert len(set(is_out[labels == label].tolist())) == 1
    room = fraction * len(labels) - is_out.sum()
    assert all((labels == label).sum() > room - 1 for label in set(labels[~is_out].tolist()))


@given(corpora(), st.floats(0, 1))
def test_edges_within_are_those_with_both_ends_held_out(documents, fraction):
    table = DocumentTable.from_documents(documents)
    split = Split("held_out", fraction)
    is_out = np.array([split.takes(id) for id in table.ids])
    wanted = [
        [linker, target, position]
        for linker in range(len(table))
        for target, position in zip(
            table.graph.targets(linker).tolist(), table.graph.positions(linker).tolist(), strict=True
        )
        if is_out[linker] and is_out[target]
    ]
    assert edges_within(table.graph, is_out).tolist() == wanted


def test_without_igraph_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(ValueError) as error:
        communities(2, np.array([[0, 1]], np.int32))
    assert str(error.value) == (
        "communities\n  got     no igraph\n  wanted  the extra `communities`\n  pip install 'gptlab[communities]'"
    )


def test_bad_settings_of_the_split_are_refused():
    with pytest.raises(
        ValueError, match=r"SplitByCommunity.part\n  got     'test'\n  wanted  one of 'train', 'held_out'"
    ):
        SplitByCommunity("test")
    with pytest.raises(ValueError, match=r"SplitByCommunity.fraction\n  got     2.0"):
        SplitByCommunity("train", 2.0)
