"""Each policy against a definition that can be read, on random graphs."""

from itertools import islice

import numpy as np
import pytest
from graph_strategies import corpora, document, follows, policies
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, DepthFirst, DocumentTable, Follow, RandomOrder, RandomWalk, VisitPolicy


def graph_of(links: dict[str, str], **flags):
    """A graph from `{"A": "BC"}`: A links to B and C."""
    documents = [
        document(name, list(range(len(targets))), list(enumerate(targets)), flags=flags.get(name, frozenset()))
        for name, targets in links.items()
    ]
    return DocumentTable.from_documents(documents).graph


def visit(policy, graph, root=0, seed=0):
    return list(policy.visit(graph, root, np.random.default_rng(seed)))


def names(visited):
    return "".join("ABCDEFGH"[number] for number in visited)


def neighbours_by_definition(follow, graph, number):
    found = []
    if follow.direction in ("out", "both"):
        found += graph.targets(number).tolist()
    if follow.direction in ("in", "both"):
        found += graph.linkers(number).tolist()
    is_small = [follow.max_in_degree is None or len(graph.linkers(each)) <= follow.max_in_degree for each in found]
    bits = sum(1 << bit for bit, flag in enumerate(("disambiguation", "list")) if flag in follow.exclude)
    return [each for each, small in zip(found, is_small, strict=True) if small and not graph.flags[each] & bits]


def reachable(follow, graph, root):
    """Distance in links of every document that can be reached."""
    distance, frontier = {root: 0}, [root]
    for step in range(1, len(graph) + 1):
        frontier = [
            each
            for here in frontier
            for each in neighbours_by_definition(follow, graph, here)
            if each not in distance
        ]
        distance |= dict.fromkeys(frontier, step)
    return distance


@given(corpora(), follows, st.data())
def test_neighbours_are_the_links_that_the_options_leave(documents, follow, data):
    graph = DocumentTable.from_documents(documents).graph
    number = data.draw(st.integers(0, len(graph) - 1))
    found = follow.neighbours(graph, number, np.random.default_rng(0))
    definition = neighbours_by_definition(follow, graph, number)
    assert (sorted(found) == sorted(definition)) if follow.shuffle else (found == definition)


@given(corpora(), policies, st.data())
def test_every_policy_gives_the_root_first_and_each_document_once(documents, policy, data):
    graph = DocumentTable.from_documents(documents).graph
    root = data.draw(st.integers(0, len(graph) - 1))
    visited = visit(policy, graph, root)
    assert visited[0] == root
    assert len(set(visited)) == len(visited)
    assert visited == visit(policy, graph, root)
    assert isinstance(policy, VisitPolicy)


@given(corpora(), follows, st.data())
def test_breadth_first_reaches_all_that_can_be_reached_nearest_first(documents, follow, data):
    graph = DocumentTable.from_documents(documents).graph
    root = data.draw(st.integers(0, len(graph) - 1))
    distance = reachable(follow, graph, root)
    visited = visit(BreadthFirst(follow), graph, root)
    assert set(visited) == set(distance)
    assert [distance[each] for each in visited] == sorted(distance.values())


@given(corpora(), follows.filter(lambda follow: not follow.shuffle), st.data())
def test_depth_first_is_the_recursive_definition(documents, follow, data):
    graph = DocumentTable.from_documents(documents).graph
    root = data.draw(st.integers(0, len(graph) - 1))
    seen = []

    def enter(number):
        seen.append(number)
        for each in neighbours_by_definition(follow, graph, number):
            if each not in seen:
                enter(each)

    enter(root)
    assert visit(DepthFirst(follow), graph, root) == seen


@given(corpora(), follows, st.integers(0, 2**32))
def test_a_random_walk_stays_within_reach(documents, follow, seed):
    graph = DocumentTable.from_documents(documents).graph
    assert set(visit(RandomWalk(follow), graph, seed=seed)) <= set(reachable(follow, graph, 0))


@given(corpora(), st.integers(0, 2**32))
def test_random_order_is_a_permutation_that_knows_no_links(documents, seed):
    graph = DocumentTable.from_documents(documents).graph
    assert sorted(visit(RandomOrder(), graph, seed=seed)) == list(range(len(graph)))
    alone = graph_of(dict.fromkeys("ABCDEFGH"[: len(graph)], ""))
    assert visit(RandomOrder(), graph, seed=seed) == visit(RandomOrder(), alone, seed=seed)


def test_orders_written_out():
    graph = graph_of({"A": "BC", "B": "DA", "C": "E", "D": "", "E": "B", "F": "A"})
    assert names(visit(BreadthFirst(), graph)) == "ABCDE"
    assert names(visit(DepthFirst(), graph)) == "ABDCE"
    assert names(visit(BreadthFirst(Follow("in")), graph)) == "ABFE" + "C"
    assert names(visit(BreadthFirst(Follow("both")), graph)) == "ABCFDE"
    assert names(visit(BreadthFirst(Follow(max_in_degree=1)), graph)) == "ACE"


def test_excluded_flags_are_not_entered_but_may_be_roots():
    graph = graph_of({"A": "BC", "B": "D", "C": "", "D": ""}, B=frozenset({"list"}), A=frozenset({"list"}))
    without = BreadthFirst(Follow(exclude=frozenset({"list"})))
    assert names(visit(without, graph)) == "AC"
    assert names(visit(BreadthFirst(Follow(exclude=frozenset({"disambiguation"}))), graph)) == "ABCD"


def test_a_random_walk_takes_links_alike_and_returns_to_the_root():
    graph = graph_of({"A": "BC", "B": "D", "C": "", "D": ""})
    seconds = [names(islice(RandomWalk().visit(graph, 0, np.random.default_rng(seed)), 2)) for seed in range(300)]
    assert 100 < seconds.count("AB") < 200
    assert seconds.count("AB") + seconds.count("AC") == 300
    always_home = RandomWalk(restart=1.0)
    assert all("D" not in names(visit(always_home, graph, seed=seed)) for seed in range(20))
    assert any("D" in names(visit(RandomWalk(restart=0.0), graph, seed=seed)) for seed in range(20))


def test_a_random_walk_without_links_ends():
    assert visit(RandomWalk(), graph_of({"A": "", "B": "A"})) == [0]


def test_shuffled_links_come_in_every_order():
    graph = graph_of({"A": "BCD", "B": "", "C": "", "D": ""})
    found = {names(visit(BreadthFirst(Follow(shuffle=True)), graph, seed=seed)) for seed in range(100)}
    assert found == {"ABCD", "ABDC", "ACBD", "ACDB", "ADBC", "ADCB"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Follow("up"),
            "Follow.direction\n  got     'up'\n  wanted  one of 'out', 'in', 'both'\n"
            "  Set direction; the default is 'out'.",
        ),
        (
            lambda: Follow(max_in_degree=-1),
            "Follow.max_in_degree\n  got     -1\n  wanted  a whole number of at least 0\n"
            "  Give None to enter hubs too.",
        ),
        (
            lambda: Follow(exclude=frozenset({"stub"})),
            "Follow.exclude\n  got     frozenset({'stub'})\n"
            "  wanted  a frozenset of flags among ['disambiguation', 'list']\n"
            "  Remove the others.",
        ),
        (
            lambda: RandomWalk(restart=1.5),
            "RandomWalk.restart\n  got     1.5\n  wanted  a number of at least 0.0 and at most 1.0\n"
            "  Give a probability, such as 0.15.",
        ),
        (
            lambda: RandomWalk(patience=0),
            "RandomWalk.patience\n  got     0\n  wanted  a whole number of at least 1\n"
            "  Give a number of steps, such as 64.",
        ),
    ],
)
def test_options_that_mean_nothing_are_refused(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message
