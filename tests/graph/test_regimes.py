"""The two regimes, caps and flags: what each document's walks are, over a whole epoch."""

from collections import Counter

import numpy as np
import pytest
from graph_strategies import corpora, document, policies, power_law_corpus, tours
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, DocumentTable, Follow, RandomOrder, Routes, Split, TraverseLinks
from gptlab.graph.link_graph import flag_bits
from gptlab.graph.plan import Plan, joined
from gptlab.pipeline import Drops, watching

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def epochs_of(routes):
    """The walks of each epoch."""
    if not routes.tour.is_planned:
        size = len(routes.roots)
        return [[routes[k] for k in range(e * size, (e + 1) * size)] for e in range(routes.tour.epochs)]
    counts = [len(routes.plan(epoch)) for epoch in range(routes.tour.epochs)]
    begins = np.cumsum([0, *counts])
    return [[routes[k] for k in range(begins[e], begins[e + 1])] for e in range(routes.tour.epochs)]


@in_a_folder
@given(corpora(), policies, tours)
def test_covering_holds_every_root_once_per_epoch(tmp_path, documents, policy, options):
    graph = (table := DocumentTable.from_documents(documents)).graph
    routes = TraverseLinks(policy, regime="cover_once", cache=tmp_path, **options).over(table)
    for walks in epochs_of(routes):
        assert sorted(document for walk in walks for document in walk) == routes.roots.tolist()
        for walk in walks:
            assert len(walk) == 1 or sum(map(graph.length, walk)) <= options["budget"]


@in_a_folder
@given(corpora(), policies, tours, st.integers(2, 4))
def test_no_document_comes_more_often_than_the_cap(tmp_path, documents, policy, options, cap):
    table = DocumentTable.from_documents(documents)
    routes = TraverseLinks(policy, max_repeats=cap, cache=tmp_path, **options).over(table)
    for walks in epochs_of(routes):
        counts = Counter(document for walk in walks for document in walk)
        assert max(counts.values(), default=0) <= cap
        assert sorted(walk[0] for walk in walks) == routes.roots.tolist()


@in_a_folder
@given(corpora(), policies, tours, st.sampled_from([{}, {"regime": "cover_once"}, {"max_repeats": 2}]))
def test_documents_with_an_excluded_flag_come_into_no_walk(tmp_path, documents, policy, options, regime):
    table = DocumentTable.from_documents(documents)
    routes = TraverseLinks(policy, cache=tmp_path, **options, **regime).over(table)
    bits = flag_bits(options["exclude"])
    for walks in epochs_of(routes):
        assert all(not table.graph.flags[document] & bits for walk in walks for document in walk)


def test_a_cap_that_is_never_reached_changes_nothing(tmp_path):
    table = DocumentTable.from_documents(power_law_corpus(60, links=3, length=8))
    free = TraverseLinks(BreadthFirst(), budget=40)
    capped = TraverseLinks(BreadthFirst(), budget=40, max_repeats=10_000, cache=tmp_path)
    assert [free.over(table)[k] for k in range(60)] == [capped.over(table)[k] for k in range(60)]
    most = Counter(document for k in range(60) for document in free.over(table)[k]).most_common(1)[0][1]
    assert most > 10
    tight = TraverseLinks(BreadthFirst(), budget=40, max_repeats=3, cache=tmp_path).over(table)
    assert max(Counter(document for k in range(60) for document in tight[k]).values()) == 3


def test_little_of_a_row_is_left_empty_where_each_document_comes_once(tmp_path):
    table = DocumentTable.from_documents(power_law_corpus(400, links=4, length=20))
    routes = TraverseLinks(BreadthFirst(), budget=200, regime="cover_once", cache=tmp_path).over(table)
    filled = [sum(map(table.graph.length, routes[k])) for k in range(len(routes))]
    assert sum(filled) == len(table.tokens)
    assert sum(filled) / (200 * len(filled)) > 0.95


def test_a_plan_is_made_once_and_found_again(tmp_path, monkeypatch):
    table = DocumentTable.from_documents(power_law_corpus(40, links=3, length=8))
    traverse = TraverseLinks(BreadthFirst(), budget=40, regime="cover_once", cache=tmp_path)
    first = [traverse.over(table)[k] for k in range(5)]
    kept = list(tmp_path.iterdir())
    assert [each.name.startswith("walk-plan-") for each in kept] == [True]

    def planned_again(*_):
        raise AssertionError("planned again")

    monkeypatch.setattr(Routes, "_planned", planned_again)
    assert [traverse.over(table)[k] for k in range(5)] == first
    for other in (
        TraverseLinks(BreadthFirst(), budget=41, regime="cover_once", cache=tmp_path),
        TraverseLinks(BreadthFirst(), budget=40, seed=1, regime="cover_once", cache=tmp_path),
        TraverseLinks(BreadthFirst(Follow("in")), budget=40, regime="cover_once", cache=tmp_path),
        TraverseLinks(BreadthFirst(), budget=40, max_repeats=2, cache=tmp_path),
        TraverseLinks(BreadthFirst(), budget=40, roots=Split("train"), regime="cover_once", cache=tmp_path),
    ):
        with pytest.raises(AssertionError, match="planned again"):
            other.over(table)[0]
    other_table = DocumentTable.from_documents(power_law_corpus(40, links=3, length=8, seed=1))
    with pytest.raises(AssertionError, match="planned again"):
        traverse.over(other_table)[0]


def test_a_plan_that_is_not_finished_leaves_nothing(tmp_path):
    class Stops:
        def visit(self, graph, root, rng):
            raise RuntimeError("power cut")

    table = DocumentTable.from_documents([document("A", [1])])
    policy = BreadthFirst()
    routes = TraverseLinks(policy, regime="cover_once", cache=tmp_path).over(table)
    object.__setattr__(routes.tour, "policy", policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BreadthFirst, "visit", Stops.visit)
        with pytest.raises(RuntimeError, match="power cut"):
            routes[0]
    assert list(tmp_path.iterdir()) == []
    assert routes[0] == [0]


def test_epochs_have_plans_of_their_own(tmp_path):
    documents = list(power_law_corpus(30, links=3, length=8))
    traverse = TraverseLinks(RandomOrder(), budget=40, regime="cover_once", epochs=2, cache=tmp_path)
    walks = list(traverse(iter(documents)))
    table = DocumentTable.from_documents(documents)
    half = len(traverse.over(table).plan(0))
    assert [traverse.walk(table, k) for k in range(len(walks))] == walks
    assert walks[:half] != walks[half:]
    for part in (walks[:half], walks[half:]):
        assert sorted(each.id for walk in part for each in walk.documents) == sorted(table.ids)


def test_planning_is_told_of(tmp_path):
    class Said(Drops):
        def say(self, message: str) -> None:
            messages.append(message)

    messages: list[str] = []
    with watching(Said()):
        list(
            TraverseLinks(BreadthFirst(), budget=9, regime="cover_once", cache=tmp_path)(
                iter([document("A", [1, 2], [(1, "B")]), document("B", [3])])
            )
        )
    assert messages == [f"Planned 1 walks that hold 2 documents, in {next(tmp_path.iterdir())}."]


def test_covering_and_a_cap_are_not_asked_for_together():
    with pytest.raises(ValueError) as error:
        TraverseLinks(BreadthFirst(), regime="cover_once", max_repeats=2)
    assert str(error.value) == (
        "TraverseLinks.max_repeats\n"
        "  got     2 with regime='cover_once'\n"
        "  wanted  None, for no document is repeated then\n"
        "  Leave it out, or choose regime='with_replacement'."
    )
    with pytest.raises(ValueError, match=r"TraverseLinks.max_repeats\n  got     1\n  wanted  a whole"):
        TraverseLinks(BreadthFirst(), max_repeats=1)
    with pytest.raises(ValueError, match=r"TraverseLinks.regime\n  got     'once'\n  wanted  one of"):
        TraverseLinks(BreadthFirst(), regime="once")


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4), min_size=1), st.data())
def test_a_plan_gives_back_any_stretch_of_walks(walks, data):
    first = data.draw(st.integers(0, len(walks) - 1))
    last = data.draw(st.integers(first + 1, len(walks)))
    plan = Plan(*joined(walks))
    documents, offsets = plan.batch(first, last)
    assert [part.tolist() for part in np.split(documents, offsets[1:-1])] == walks[first:last]
    assert len(plan) == len(walks)
