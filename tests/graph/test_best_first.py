"""Best first: the order of scores, and PageRank by pushing against PageRank by its equation."""

import numpy as np
import pytest
from graph_strategies import corpora, document, follows
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import BestFirst, DocumentTable, Follow, PageRankPerToken, ShortestFirst
from gptlab.graph.chance import below, chance_of, shuffled


def pagerank_by_equation(graph, root, follow, restart):
    """The stationary distribution of: back to the root by chance, else a random link, or back."""
    size = len(graph)
    steps = np.zeros((size, size))
    for here in range(size):
        onward = [each for each in follow.links(graph, here) if follow.enters(graph, each)]
        for each in onward:
            steps[here, each] += 1 / len(onward)
        if not onward:
            steps[here, root] = 1
    home = np.eye(size)[root]
    return np.linalg.solve((np.eye(size) - (1 - restart) * steps).T, restart * home)


@given(corpora(), follows, st.floats(0.05, 0.9))
def test_pushing_to_the_end_is_pagerank(documents, follow, restart):
    graph = DocumentTable.from_documents(documents).graph
    kept, held = PageRankPerToken(restart=restart, epsilon=1e-9).push(graph, 0, follow)
    found = np.array([kept.get(each, 0.0) + restart * held.get(each, 0.0) for each in range(len(graph))])
    assert np.allclose(found, pagerank_by_equation(graph, 0, follow, restart), atol=1e-6)


@given(corpora(), follows, st.floats(0.05, 1), st.sampled_from([1e-3, 0.05, 0.5]))
def test_pushing_early_keeps_all_mass_and_gives_a_lower_bound(documents, follow, restart, epsilon):
    graph = DocumentTable.from_documents(documents).graph
    score = PageRankPerToken(restart=restart, epsilon=epsilon)
    kept, held = score.push(graph, 0, follow)
    assert np.isclose(sum(kept.values()) + sum(held.values()), 1.0)
    truth = pagerank_by_equation(graph, 0, follow, restart)
    for each in range(len(graph)):
        assert score.around(graph, 0, follow)(each) * graph.length(each) <= truth[each] + 1e-9
        assert held.get(each, 0.0) < epsilon * max(1, len(follow.links(graph, each)))


def by_definition(policy, worth, graph, root):
    """The best of all that is linked to what has been reached, looked for among all of it."""
    order, met = [root], [root]
    while True:
        for each in policy.follow.neighbours(graph, order[-1], chance_of(0, 0)):
            if each not in met:
                met.append(each)
        waiting = [each for each in met if each not in order]
        if not waiting:
            return order
        order.append(max(waiting, key=lambda each: (worth(each), -met.index(each))))


unshuffled = follows.filter(lambda follow: not follow.shuffle)


@given(corpora(), unshuffled, st.data())
def test_the_best_that_is_linked_to_comes_next(documents, follow, data):
    graph = DocumentTable.from_documents(documents).graph
    root = data.draw(st.integers(0, len(graph) - 1))
    worths = data.draw(st.lists(st.integers(0, 3), min_size=len(graph), max_size=len(graph)))

    class Drawn:
        def around(self, graph, root, follow):
            return lambda document: float(worths[document])

    policy = BestFirst(follow, score=Drawn())
    assert list(policy.visit(graph, root, chance_of(0, 0))) == by_definition(policy, worths.__getitem__, graph, root)


@given(corpora(), unshuffled)
def test_the_shortest_that_is_linked_to_comes_next(documents, follow):
    graph = DocumentTable.from_documents(documents).graph
    policy = ShortestFirst(follow)
    wanted = by_definition(policy, lambda each: -graph.length(each), graph, 0)
    assert list(policy.visit(graph, 0, chance_of(0, 0))) == wanted


def test_pagerank_per_token_prefers_what_is_near_and_short():
    documents = [
        document("Root", [1, 2, 3], [(0, "Long"), (1, "Short"), (2, "Also")]),
        document("Long", [1] * 40),
        document("Short", [1], [(0, "Also")]),
        document("Also", [1, 1], [(0, "Far")]),
        document("Far", [1]),
    ]
    graph = DocumentTable.from_documents(documents).graph
    order = list(BestFirst().visit(graph, 0, chance_of(0, 0)))
    assert [documents[each].id for each in order] == ["Root", "Also", "Far", "Short", "Long"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: BestFirst(score=len),
            r"BestFirst.score\n  got     <built-in .*\n  wanted  a score",
        ),
        (lambda: PageRankPerToken(restart=0.0), r"PageRankPerToken.restart\n  got     0.0\n  wanted  a number of at"),
        (lambda: PageRankPerToken(epsilon=0), r"PageRankPerToken.epsilon\n  got     0\n"),
    ],
)
def test_bad_settings_of_scores_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(1, 2**31))
def test_whole_numbers_are_below_their_bound(seed, k, size):
    rng = chance_of(seed, k)
    assert all(0 <= below(rng, size) < size for _ in range(20))


def test_orders_are_all_alike():
    counts: dict[tuple[int, ...], int] = {}
    for k in range(2400):
        order = tuple(shuffled(chance_of(1, k), range(4)))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert all(60 < count < 145 for count in counts.values())


def test_a_hub_is_not_entered_under_a_cap():
    documents = [document(f"D{each}", [1], [(0, "Hub")]) for each in range(5)] + [document("Hub", [1], [(0, "D0")])]
    graph = DocumentTable.from_documents(documents).graph
    for policy in (BestFirst(Follow("both", max_in_degree=4)), ShortestFirst(Follow("both", max_in_degree=4))):
        assert list(policy.visit(graph, 0, chance_of(0, 0))) == [0]
