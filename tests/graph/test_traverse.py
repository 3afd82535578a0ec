"""The laws of walks: what is collected, in which order, and that every link is an edge or counted."""

from collections import Counter

import numpy as np
import pytest
from graph_strategies import corpora, document, policies, power_law_corpus, walks
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, DepthFirst, DocumentTable, RandomOrder, Split, TraverseLinks, walk_of
from gptlab.graph.chance import chance_of
from gptlab.graph.permutation import seeded_permutation
from gptlab.pipeline import Drops, watching

budgets = st.integers(1, 60)


def root_of(walk):
    return walk.documents[int(walk.visited.argmin())]


@given(walks())
def test_every_link_is_an_edge_or_counted(walk):
    links = sum(len(each.link_targets) for each in walk.documents)
    assert links == len(walk.edges) + sum(walk.dropped.values())
    ids = {each.id for each in walk.documents}
    targets = [target for each in walk.documents for target in each.link_targets]
    missing = sum(target in ("Nowhere", "Void") for target in targets)
    assert walk.dropped.get("missing", 0) == missing
    assert walk.dropped.get("self", 0) == sum(each.link_targets.count(each.id) for each in walk.documents)
    outside = sum(
        len({target for target in each.link_targets if target not in ids and target not in ("Nowhere", "Void")})
        for each in walk.documents
    )
    assert walk.dropped.get("budget", 0) == outside
    assert all(walk.dropped.values())


@given(walks())
def test_every_edge_is_the_first_link_of_its_pair_and_points_backwards(walk):
    for linker, target, position in walk.edges.tolist():
        assert target < linker
        source, id = walk.documents[linker], walk.documents[target].id
        links = zip(source.link_positions.tolist(), source.link_targets, strict=True)
        assert position == min(at for at, to in links if to == id)
    assert walk.edges.tolist() == sorted(walk.edges.tolist())
    assert len({(linker, target) for linker, target, _ in walk.edges.tolist()}) == len(walk.edges)


@given(walks())
def test_visits_are_numbered_from_the_root(walk):
    assert sorted(walk.visited.tolist()) == list(range(len(walk.documents)))
    assert len({each.id for each in walk.documents}) == len(walk.documents)


@given(corpora(min_size=0), policies, st.integers(0, 9), budgets, st.booleans(), st.integers(1, 2))
def test_the_stage(documents, policy, seed, budget, fill, epochs):
    stage = TraverseLinks(policy, seed=seed, budget=budget, fill=fill, epochs=epochs)
    before = [(each.tokens.copy(), each.link_positions.copy()) for each in documents]
    found = list(stage(iter(documents)))

    # One walk per document and epoch, each from its own root.
    size = len(documents)
    assert len(found) == epochs * size
    for epoch in range(epochs):
        roots = [root_of(walk).id for walk in found[epoch * size : (epoch + 1) * size]]
        assert sorted(roots) == sorted(each.id for each in documents)

    for walk in found:
        by_visit = [walk.documents[place] for place in np.argsort(walk.visited)]
        lengths = [len(each.tokens) for each in by_visit]
        assert sum(lengths[:-1]) < budget  # it stops as soon as the budget is reached
        if fill:
            assert sum(lengths) >= budget or len(by_visit) == size

    # Walk k can be made alone, whatever was made before; nothing that came in was changed.
    table = DocumentTable.from_documents(documents)
    for k in reversed(range(len(found))):
        assert stage.walk(table, k) == found[k]
    for each, (tokens, positions) in zip(documents, before, strict=True):
        assert np.array_equal(each.tokens, tokens)
        assert np.array_equal(each.link_positions, positions)


@given(corpora(min_size=4), policies)
def test_without_fill_a_walk_ends_where_its_policy_ends(documents, policy):
    table = DocumentTable.from_documents(documents)
    stage = TraverseLinks(policy, budget=10_000, fill=False)
    for k, walk in enumerate(stage(iter(documents))):
        root = table.numbers[root_of(walk).id]
        alone = list(policy.visit(table.graph, root, chance_of(0, k)))
        assert [table.numbers[walk.documents[place].id] for place in np.argsort(walk.visited)] == alone


def test_a_walk_goes_on_from_another_root_without_repeating_a_document():
    islands = [document("A", [1], [(0, "B")]), document("B", [2]), document("C", [3], [(0, "D")]), document("D", [4])]
    for walk in TraverseLinks(BreadthFirst(), budget=8)(iter(islands)):
        assert sorted(each.id for each in walk.documents) == ["A", "B", "C", "D"]
    for walk in TraverseLinks(BreadthFirst(), budget=8, fill=False)(iter(islands)):
        assert {each.id for each in walk.documents} <= {"A", "B"} or {each.id for each in walk.documents} <= {
            "C",
            "D",
        }


def test_epochs_and_seeds_have_orders_of_their_own():
    documents = [document(f"D{number}", [number % 9]) for number in range(50)]

    def roots(**options):
        return [root_of(walk).id for walk in TraverseLinks(RandomOrder(), budget=1, **options)(iter(documents))]

    both = roots(epochs=2)
    assert both[:50] == roots() != both[50:]
    assert roots(seed=1) != roots(seed=0) != [each.id for each in documents]


def test_only_the_documents_of_a_split_are_roots_and_all_can_be_reached():
    documents = list(power_law_corpus(200, links=4, length=12))
    held_out = Split("held_out", fraction=0.2)
    found = list(TraverseLinks(BreadthFirst(), budget=100, roots=held_out)(iter(documents)))
    assert {root_of(walk).id for walk in found} == {each.id for each in documents if held_out.takes(each.id)}
    assert 20 < len(found) < 60
    assert any(not held_out.takes(each.id) for walk in found for each in walk.documents)
    table = DocumentTable.from_documents(documents)
    assert TraverseLinks(BreadthFirst(), budget=100, roots=held_out).walk(table, 3) == found[3]


def test_what_is_dropped_is_told():
    documents = [
        document("A", [1, 2, 3, 4], [(0, "B"), (1, "B"), (2, "A"), (3, "Void")]),
        document("B", [1], [(0, "A")]),
    ]
    with watching(Drops()) as drops:
        found = list(TraverseLinks(DepthFirst(), budget=100)(iter(documents)))
    assert [walk.dropped for walk in found] == [{"missing": 1, "self": 1, "repeat": 1, "cycle": 1}] * 2
    assert drops.counts == Counter(
        {
            "link to no document": 2,
            "link of a document to itself": 2,
            "second link to a document": 2,
            "link that closes a cycle": 2,
        }
    )
    with watching(Drops()) as drops:
        list(TraverseLinks(DepthFirst(), budget=1)(iter(documents)))
    assert drops.counts["link to a document outside the walk"] == 2


def test_the_root_reads_what_it_links_to():
    chain = [document("A", [1, 2], [(1, "B")]), document("B", [3, 4], [(0, "C")]), document("C", [5])]
    table = DocumentTable.from_documents(chain)
    walk = walk_of(table, [0, 1, 2])
    assert [each.id for each in walk.documents] == ["C", "B", "A"]
    assert walk.edges.tolist() == [[1, 0, 0], [2, 1, 1]]
    assert walk.visited.tolist() == [2, 1, 0]


def test_all_input_is_read_before_the_first_walk_and_none_is_made_too_early():
    read = []

    def documents():
        for name in "ABC":
            read.append(name)
            yield document(name, [1])

    items = TraverseLinks(BreadthFirst(), budget=2)(documents())
    assert TraverseLinks.barrier and read == []
    next(items)
    assert read == ["A", "B", "C"]


def test_a_policy_that_forgets_its_root_is_refused():
    class Nothing:
        def visit(self, graph, root, rng):
            return iter(())

    with pytest.raises(ValueError) as error:
        list(TraverseLinks(Nothing(), budget=9)(iter([document("A", [1])])))
    assert str(error.value) == (
        "Nothing.visit\n"
        "  got     documents without the root\n"
        "  wanted  the root as the first document\n"
        "  Yield the root before anything else."
    )


@pytest.mark.parametrize(
    ("name", "value"), [("budget", 0), ("seed", -1), ("epochs", 0), ("budget", 2.5), ("seed", True)]
)
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"TraverseLinks.{name}\n  got     {value}\n  wanted  a whole number"):
        TraverseLinks(BreadthFirst(), **{name: value})


@pytest.mark.parametrize("k", [-1, 2])
def test_there_is_no_walk_outside_the_epochs(k):
    table = DocumentTable.from_documents([document("A", [1]), document("B", [1])])
    with pytest.raises(IndexError, match=f"walk {k} of 2"):
        TraverseLinks(BreadthFirst()).walk(table, k)


@given(st.integers(0, 200), st.integers(0, 2**63), st.integers(0, 1000))
def test_a_seeded_order_is_a_permutation(size, seed, epoch):
    order = seeded_permutation(size, seed, epoch)
    assert sorted(order.tolist()) == list(range(size))
    assert np.array_equal(order, seeded_permutation(size, seed, epoch))


def test_seeded_orders_are_all_alike_and_never_change():
    first = Counter(int(seeded_permutation(5, seed, epoch)[0]) for seed in range(40) for epoch in range(25))
    assert all(150 < first[number] < 250 for number in range(5))
    assert seeded_permutation(8, 7, 3).tolist() == [1, 5, 0, 6, 7, 3, 4, 2]


def test_documents_without_a_link_among_them_are_told_of():
    class Said(Drops):
        def say(self, message: str) -> None:
            messages.append(message)

    for target, told in (("Missing", 1), ("B", 0)):
        messages: list[str] = []
        with watching(Said()):
            documents = [document("A", [1, 2], [(1, target)]), document("B", [1, 2])]
            list(TraverseLinks(BreadthFirst())(iter(documents)))
        assert len([message for message in messages if "no document links to another, of 2" in message]) == told


def test_a_word_is_no_policy():
    with pytest.raises(ValueError, match=r"TraverseLinks[.]policy\n  got +'breadth_first'\n.*visit"):
        TraverseLinks("breadth_first")
