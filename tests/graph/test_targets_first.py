"""The rule for cycles: the fast path equals the definition, and the definition does what it says."""

from itertools import permutations

import numpy as np
import pytest
from graph_strategies import edge_lists
from hypothesis import example, given

from gptlab.graph.order import in_order_of_reading, keep_acyclic, keep_acyclic_slowly, targets_first


def is_acyclic(documents, edges):
    left = set(range(documents))
    while True:
        free = {each for each in left if not any(linker == each and target in left for linker, target, _ in edges)}
        if not free:
            return not left
        left -= free


def fewest_dropped(documents, edges):
    """The optimum, by trying every order."""
    return min(
        sum(order[target] > order[linker] for linker, target, _ in edges) for order in permutations(range(documents))
    )


@given(edge_lists())
def test_the_fast_path_keeps_what_the_definition_keeps(drawn):
    documents, edges = drawn
    assert keep_acyclic(documents, edges) == keep_acyclic_slowly(documents, edges)


# A link that the order of step 1 drops and step 2 takes back.
@example((4, [(0, 1, 0), (0, 2, 0), (0, 3, 0), (1, 0, 0), (2, 1, 0), (3, 2, 0)]))
@given(edge_lists())
def test_what_is_kept_has_no_cycle_and_nothing_is_dropped_that_need_not_be(drawn):
    documents, edges = drawn
    kept = keep_acyclic(documents, edges)
    assert set(kept) <= set(edges)
    assert is_acyclic(documents, kept)
    for edge in set(edges) - set(kept):
        assert not is_acyclic(documents, [*kept, edge])
    if is_acyclic(documents, edges):
        assert kept == in_order_of_reading(edges)


@given(edge_lists())
def test_what_is_kept_does_not_depend_on_the_order_of_the_edges(drawn):
    documents, edges = drawn
    assert keep_acyclic(documents, edges) == keep_acyclic(documents, edges[::-1])


def test_few_more_links_are_dropped_than_must_be():
    rng = np.random.default_rng(0)
    dropped = optimum = 0
    for _ in range(60):
        documents = int(rng.integers(3, 7))
        edges = [
            (linker, target, int(rng.integers(9)))
            for linker in range(documents)
            for target in range(documents)
            if linker != target and rng.random() < 0.4
        ]
        dropped += len(edges) - len(keep_acyclic(documents, edges))
        optimum += fewest_dropped(documents, edges)
    assert optimum > 40  # the sample has cycles
    assert optimum <= dropped <= 1.05 * optimum


@given(edge_lists())
def test_every_edge_points_backwards(drawn):
    documents, edges = drawn
    kept = keep_acyclic(documents, edges)
    order = targets_first(documents, kept)
    assert sorted(order) == list(range(documents))
    assert all(order.index(target) < order.index(linker) for linker, target, _ in kept)


def test_of_two_documents_that_link_to_each_other_the_root_reads_the_other():
    edges = [(1, 0, 0), (0, 1, 5)]
    assert keep_acyclic(2, edges) == [(0, 1, 5)]
    assert targets_first(2, [(0, 1, 5)]) == [1, 0]


def test_the_root_comes_last_and_the_nearest_before_it():
    assert targets_first(4, []) == [3, 2, 1, 0]
    assert targets_first(4, [(3, 0, 0)]) == [2, 1, 0, 3]


def test_a_cycle_is_our_own_mistake():
    with pytest.raises(AssertionError, match="a cycle"):
        targets_first(2, [(0, 1, 0), (1, 0, 0)])
