"""Machine code against its definition in Python: document for document, in every regime."""

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
from graph_strategies import corpora, policies, power_law_corpus, regimes, tours
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
from gptlab.graph.chance import chance_of
from gptlab.graph.compiled_routes import compiled_routes, links_of, rule_of
from gptlab.graph.compiled_visits import Scratch, _random, _seed, scratch_for
from gptlab.graph.tour import Tour

BUILT_IN = (
    BreadthFirst(),
    BreadthFirst(Follow("both", shuffle=True)),
    DepthFirst(Follow("both")),
    DepthFirst(Follow("in", shuffle=True, max_in_degree=9)),
    RandomWalk(Follow("both", max_in_degree=20)),
    RandomOrder(),
    BestFirst(Follow("both"), score=PageRankPerToken(epsilon=0.02)),
    ShortestFirst(Follow(exclude=frozenset({"list"}))),
)


def both_ways(table, traverse, folder):
    """All walks of a traversal by the definition and by machine code."""
    found = []
    for is_compiled in (False, True):
        routes = traverse.over(table, is_compiled=is_compiled)
        routes = type(routes)(routes.tour, table, folder / str(is_compiled), is_compiled)
        size = len(routes)
        documents, offsets = routes.stretch(0, size) if size else (np.empty(0, np.int32), np.zeros(1, np.int64))
        found.append([part.tolist() for part in np.split(documents, offsets[1:-1])])
        assert [routes[k] for k in range(size)] == found[-1][:size]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpora(), policies, tours, regimes)
def test_machine_code_collects_what_the_definition_collects(tmp_path_factory, documents, policy, options, regime):
    table = DocumentTable.from_documents(documents)
    traverse = TraverseLinks(policy, **options, **regime)
    by_definition, by_machine = both_ways(table, traverse, tmp_path_factory.mktemp("plans"))
    assert by_machine == by_definition


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: f"{type(policy).__name__}")
@pytest.mark.parametrize("regime", [{}, {"regime": "cover_once"}, {"max_repeats": 3}], ids=str)
def test_they_agree_on_a_graph_with_hubs(tmp_path, policy, regime):
    table = DocumentTable.from_documents(power_law_corpus(70, links=5, length=20))
    traverse = TraverseLinks(policy, budget=240, seed=2**63, **regime)
    by_definition, by_machine = both_ways(table, traverse, tmp_path)
    assert by_machine == by_definition


@example(0, 0)
@example(2**64 - 1, 2**64 - 1)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_stream_of_chance_is_numpys(seed, k):
    scratch = Scratch(*(np.zeros(8, np.int64 if name != "random" else np.uint64) for name in Scratch._fields))
    _seed(scratch, np.uint64(seed), np.uint64(k))
    assert [_random(scratch) for _ in range(11)] == chance_of(seed, k).random(11).tolist()


def test_walks_do_not_depend_on_those_made_before():
    table = DocumentTable.from_documents(power_law_corpus(120, links=5, length=20))
    traverse = TraverseLinks(RandomWalk(), budget=150)
    used, fresh = traverse.over(table, is_compiled=True), traverse.over(table, is_compiled=True)
    forwards = [used[k] for k in range(120)]
    assert [used[k] for k in reversed(range(120))] == forwards[::-1]
    assert fresh[77] == forwards[77]


def test_threads_may_share_one_value():
    table = DocumentTable.from_documents(power_law_corpus(200, links=5, length=20))
    routes = TraverseLinks(BreadthFirst(), budget=150).over(table, is_compiled=True)
    alone = [routes[k] for k in range(200)]
    found: dict[int, list[list[int]]] = {}

    def read(name: int) -> None:
        found[name] = [routes[k] for k in range(200)]

    threads = [Thread(target=read, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(walks == alone for walks in found.values())


def test_policies_of_the_users_own_have_no_machine_code():
    class MostLinked:
        def around(self, graph, root, follow):
            return graph.in_degree

    table = DocumentTable.from_documents(power_law_corpus(20, links=3, length=8))
    policy = BestFirst(score=MostLinked())
    assert rule_of(policy) is None
    assert compiled_routes(Tour(policy=policy), table.graph, np.empty(0, np.int32)) is None
    traverse = TraverseLinks(policy, budget=40)
    assert traverse.over(table, is_compiled=True)[3] == traverse.over(table)[3]


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: f"{type(policy).__name__}")
def test_at_most_64_bytes_are_held_per_document_and_10_per_link_and_direction(policy):
    table = DocumentTable.from_documents(power_law_corpus(2000, links=5, length=12))
    links = links_of(table.graph)
    scratch = scratch_for(links, rule_of(policy))
    routes = TraverseLinks(policy, budget=400).over(table, is_compiled=True)
    routes.stretch(0, len(routes))
    arrays = routes._machine.scratch
    assert [each.shape for each in arrays] == [each.shape for each in scratch]
    used = sum(np.count_nonzero(each) * each.itemsize for each in arrays)  # what is never touched takes no memory
    of_documents = sum(
        getattr(table.graph, n).nbytes for n in ("out_offsets", "in_offsets", "flags", "token_offsets")
    )
    assert used + of_documents <= 64 * len(table)
    graph = table.graph
    assert graph.out_targets.nbytes + graph.out_positions.nbytes <= 10 * len(graph.out_targets)
    assert graph.in_linkers.nbytes <= 10 * len(graph.in_linkers)


def test_importing_the_graph_does_not_import_numba():
    code = "import sys, gptlab.graph, gptlab.packing; print('numba' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    )
    code = "import sys, gptlab.graph.compiled_routes; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
