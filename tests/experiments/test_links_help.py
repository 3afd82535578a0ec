"""The experiment that asks whether links help: its stages, its null and its intervals."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.links_help.analysis import Cell, curve, difference, edge_sums, harm, interval, specificity
from experiments.links_help.cells import read_cell
from experiments.links_help.report import write_report
from experiments.links_help.similar import LinkSimilar
from experiments.links_help.stages import LearnLast, RewireLinks, RootLast, rewired
from gptlab.benchmarks import EdgeScores
from gptlab.graph import BreadthFirst, RandomOrder, TraverseLinks
from gptlab.packing import Collate, Pack
from gptlab.testing import check_stage
from gptlab.types import DocumentId, TokenizedDocument

END = 1


@st.composite
def corpora(draw):
    """Documents that link to each other, to themselves and to nothing."""
    count = draw(st.integers(2, 12))
    documents = []
    for number in range(count):
        size = draw(st.integers(3, 12))
        targets = draw(st.lists(st.integers(0, count), max_size=4))
        positions = sorted(draw(st.lists(st.integers(0, size - 2), min_size=len(targets), max_size=len(targets))))
        documents.append(
            TokenizedDocument(
                id=DocumentId(f"D{number}"),
                title=f"D{number}",
                tokens=np.array([*range(10, 9 + size), END], np.uint16),
                link_positions=np.array(positions, np.int32),
                link_targets=tuple(DocumentId(f"D{target}") for target in targets),
            )
        )
    return documents


@given(corpora(), st.integers(0, 3), st.sampled_from([BreadthFirst(), RandomOrder()]))
def test_the_root_stands_last_and_every_edge_points_backwards(documents, seed, policy):
    walks = list(TraverseLinks(policy, seed=seed, budget=30)(iter(documents)))
    for before, after in zip(walks, RootLast()(iter(walks)), strict=True):
        assert after.visited[-1] == 0
        others = [each.id for each, visit in zip(before.documents, before.visited, strict=True) if visit]
        assert [each.id for each in after.documents[:-1]] == others
        assert (after.edges[:, 1] < after.edges[:, 0]).all()

        def named(walk):
            ids = [each.id for each in walk.documents]
            return {(ids[linker], ids[target], position) for linker, target, position in walk.edges.tolist()}

        root = after.documents[-1].id
        assert named(after) == {edge for edge in named(before) if edge[1] != root}
        total = [len(walk.edges) + sum(walk.dropped.values()) for walk in (before, after)]
        assert total[0] == total[1]


@given(corpora())
def test_every_document_is_learned_once_and_whole_in_each_arm(documents):
    """The claim on which the comparison rests: the multiset of learned tokens is that of the documents."""
    for policy in (BreadthFirst(), RandomOrder()):
        walks = TraverseLinks(policy, budget=40)(iter(documents))
        learned = []
        for batch in LearnLast()(Collate(3)(Pack(40)(RootLast()(walks)))):
            for row in range(len(batch.tokens)):
                learned.append(tuple(batch.targets[row][batch.targets[row] >= 0].tolist()))
        assert sorted(learned) == sorted(tuple(document.tokens[1:].tolist()) for document in documents)


@given(corpora(), st.integers(1, 4))
def test_similar_documents_are_those_that_bm25_as_it_is_written_puts_first(documents, count):
    """The formula term by term, for a query that is a whole document."""
    texts = [document.tokens.tolist() for document in documents]
    mean = sum(map(len, texts)) / len(texts)

    def score(query, answer):
        total = 0.0
        for token in query:
            holders = sum(token in text for text in texts)
            often = answer.count(token)
            rarity = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            total += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(answer) / mean))
        return total

    names = {document.id: number for number, document in enumerate(documents)}
    for number, document in enumerate(LinkSimilar(count=count)(iter(documents))):
        found = [score(texts[number], texts[names[target]]) for target in document.link_targets]
        others = sorted((score(texts[number], text) for at, text in enumerate(texts) if at != number), reverse=True)
        assert document.id not in document.link_targets
        assert len(set(document.link_targets)) == len(document.link_targets)
        assert found == pytest.approx(others[:count])


@given(corpora(), st.integers(0, 3))
def test_false_links_keep_every_degree(documents, seed):
    false = list(RewireLinks(seed)(iter(documents)))
    assert [document.id for document in false] == [document.id for document in documents]
    for true_one, false_one in zip(documents, false, strict=True):
        assert np.array_equal(true_one.link_positions, false_one.link_positions)
        assert len(true_one.link_targets) == len(false_one.link_targets)

    def times_linked(corpus):
        return sorted(target for document in corpus for target in document.link_targets)

    assert times_linked(documents) == times_linked(false)


def test_hardly_a_true_link_is_left_in_a_graph_of_some_size():
    dice = np.random.default_rng(0)
    linkers, targets = dice.integers(500, size=(2, 3000))
    false = rewired(linkers, targets, seed=1)
    true = set(zip(linkers.tolist(), targets.tolist(), strict=True))
    pairs = list(zip(linkers.tolist(), false.tolist(), strict=True))
    assert sum(pair in true for pair in pairs) == 0 and sum(one == other for one, other in pairs) == 0


@pytest.mark.parametrize(
    "stage", [RootLast(), LearnLast(), RewireLinks(1), LinkSimilar()], ids=lambda stage: type(stage).__name__
)
def test_the_stages_keep_the_laws(stage):
    check_stage(stage)


def _cell(shift: float, edges: int = 40, seed: int = 0) -> Cell:
    dice = np.random.default_rng(seed)
    sums = dice.normal(50, 1, (3, edges))
    sums[1] = sums[0] + shift * 20
    names = ("specificity", "near_specificity", "copyable_specificity", "copyable_accuracy_linked")
    names += ("copyable_accuracy_random", "attended", "edges", "targets", "tokens", "run_steps", "run_seconds")
    names += ("loss_linked", "loss_random", "loss_alone")
    return Cell(
        figures=dict.fromkeys(names, 0.0),
        targets=[f"T{number // 2}" for number in range(edges)],
        sums=sums,
        tokens=np.full(edges, 20.0),
        curve=np.zeros((3, 32)),
        alone=np.full(30, 40.0 + shift),
        alone_tokens=np.full(30, 10.0),
    )


def test_a_difference_is_that_of_the_means_and_its_interval_covers_it():
    ones, others = [_cell(0.3, seed=s) for s in range(3)], [_cell(0.1, seed=s) for s in range(3)]
    found = difference(ones, others)
    assert found.mean == pytest.approx(0.2) and found.low <= 0.2 + 1e-9 and found.high >= 0.2 - 1e-9
    assert specificity(ones).mean == pytest.approx(0.3)
    assert harm(ones, others).mean == pytest.approx(0.02)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """95 % of intervals hold the true mean, when edges of one target repeat each other; without clusters fewer do."""
    dice = np.random.default_rng(3)
    clustered = blind = 0
    for trial in range(200):
        values = np.repeat(dice.normal(size=40), 5) + 0.1 * dice.normal(size=200)
        names = [f"T{number // 5}" for number in range(200)]
        own = interval([values], np.ones(200), names, replicates=300, seed=trial)
        each = interval([values], np.ones(200), [str(number) for number in range(200)], replicates=300, seed=trial)
        clustered += own.low <= 0 <= own.high
        blind += each.low <= 0 <= each.high
    assert clustered / 200 >= 0.88 and blind / 200 < 0.75


def test_sums_and_curve_are_those_of_the_tokens():
    scores = EdgeScores(
        targets=("A", "B"),
        edge=np.array([0, 0, 1]),
        distance=np.array([0, 1, 0]),
        losses=np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32),
        is_right=np.zeros((3, 3), np.bool_),
        is_copyable=np.zeros(3, np.bool_),
    )
    sums, tokens = edge_sums(scores)
    assert sums.tolist() == [[3, 3], [9, 6], [15, 9]] and tokens.tolist() == [2, 1]
    assert curve(scores)[:, :2].tolist() == [[2, 2], [5, 5], [8, 8]]


def test_the_report_says_which_calls_failed(tmp_path):
    kept = {"run": {"steps": 2, "seconds": 1.0, "losses": [[1, 3.0], [2, 2.0]]}}
    cells = {}
    for arm, shift in (("A1", 0.0), ("A2", 0.2), ("A4", 0.3), ("A5", 0.1), ("A6", 0.0)):
        for seed in (0, 1):
            cells[arm, seed] = _cell(shift, seed=seed)
            path = tmp_path / "scores" / "small" / f"{arm}-{seed}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(kept), encoding="utf-8")
    markdown, page = write_report(tmp_path, "small", cells)
    text = markdown.read_text(encoding="utf-8")
    assert "| S(A5) > S(A2) | difference -0.1000" in text and "| **no** |" in text
    assert "| S(A5) > S(A6) | difference +0.1000" in text and "| yes |" in text
    assert page.read_text(encoding="utf-8").count("data:image/png;base64,") == 3
    assert all(
        (tmp_path / "plots" / f"{name}_small.png").stat().st_size > 5000 for name in ("specificity", "distance")
    )


def test_a_kept_cell_reads_as_it_was_written(tmp_path):
    path = tmp_path / "A5-0.json"
    cell = _cell(0.3)
    kept = {
        "run": {"steps": 7, "seconds": 2.5, "losses": []},
        "figures": dict(cell.figures),
        "targets": list(cell.targets),
        **{name: getattr(cell, name).tolist() for name in ("sums", "tokens", "curve", "alone", "alone_tokens")},
    }
    path.write_text(json.dumps(kept), encoding="utf-8")
    read = read_cell(path)
    assert np.array_equal(read.sums, cell.sums) and read.targets == cell.targets
    assert read.figures["run_steps"] == 7 and read.figures["run_seconds"] == 2.5
