"""The report: its counts against walks made one by one, its files, and the command."""

import json
import subprocess
import sys

import numpy as np
import pytest
from graph_strategies import corpora, document, policies, power_law_corpus
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import DocumentTable, RandomOrder, TraverseLinks, walk_of
from gptlab.graph.report import write_report
from gptlab.graph.report_figures import component_sizes, row_links
from gptlab.graph.report_pictures import mask_of
from gptlab.graph.store import DocumentStore
from gptlab.packing import Pack

FILES = {"degrees.png", "lengths.png", "components.png", "policies.png", "pack.png", "report.json", "report.md"}


@given(corpora(), policies, st.integers(2, 60))
def test_what_becomes_of_links_is_what_packing_counts(documents, policy, seq_len):
    table = DocumentTable.from_documents(documents)
    found = row_links(table, policy, seq_len, rows=len(table))
    traverse, pack = TraverseLinks(policy, budget=seq_len), Pack(seq_len, min_document=0)
    routes = traverse.over(table)
    rows = [pack.row(walk_of(table, routes[k])) for k in range(len(table))]
    assert found.rows == len(rows)
    assert found.cycle == sum(row.dropped.get("cycle", 0) for row in rows)
    assert found.outside == sum(row.dropped.get("budget", 0) for row in rows)
    # Pack may leave out a document of which the report counts a piece.
    kept = sum(len(row.edges) for row in rows)
    left_out = sum(row.dropped.get("no room", 0) + row.dropped.get("cut", 0) for row in rows)
    assert kept <= found.kept <= kept + left_out
    assert found.edges == found.kept + found.cycle + found.outside + found.cut
    assert found.edges == kept + left_out + found.cycle + found.outside
    assert 0 <= found.share <= 1
    whole = sum(len(table[number].tokens) for k in range(len(table)) for number in routes[k])
    assert found.rows * seq_len + found.tokens_cut - found.padding == whole
    assert found.tokens_cut >= sum(row.cut for row in rows)
    assert found.padding <= sum(seq_len - row.length for row in rows)


@given(corpora())
def test_components_are_those_by_definition(documents):
    graph = DocumentTable.from_documents(documents).graph

    def reached(start, ways):
        seen, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            for way in ways:
                for each in way(here).tolist():
                    if each not in seen:
                        seen.add(each)
                        waiting.append(each)
        return seen

    size = range(len(graph))
    weak = {frozenset(reached(each, (graph.targets, graph.linkers))) for each in size}
    strong = {frozenset(reached(each, (graph.targets,)) & reached(each, (graph.linkers,))) for each in size}
    for components, is_strong in ((weak, False), (strong, True)):
        assert component_sizes(graph, is_strong=is_strong).tolist() == sorted(map(len, components), reverse=True)


def test_the_mask_beside_the_picture_is_own_document_and_links_from_the_link_on():
    table = DocumentTable.from_documents([document("A", [1, 2, 3], [(1, "B")]), document("B", [4])])
    walk = walk_of(table, [0, 1])
    seen, step = mask_of(walk, np.array([2, 4]))
    assert step == 1
    assert seen.astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
    ]


def test_all_files_are_written_and_again(tmp_path):
    documents = [*power_law_corpus(80, links=4, length=20), document("永遠 $x$", [1, 2])]
    table = DocumentTable.from_documents(documents)
    for _ in range(2):
        figures = write_report(table, tmp_path / "out", seq_lens=(64, 256), rows=40)
    assert {each.name for each in (tmp_path / "out").iterdir()} == FILES
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(figures))
    assert figures["documents"]["documents"] == 81
    shares = {name: each["share"] for name, each in figures["links in rows"]["256"].items()}
    assert shares["breadth first"] > 2 * shares["random (control)"]
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| breadth first |" in page and "tokens cut off per row | padding |" in page


def test_the_command_reads_a_store_and_refuses_what_is_none(tmp_path):
    DocumentStore.build(list(power_law_corpus(30, links=3, length=12)), tmp_path / "store")
    command = [sys.executable, "-m", "gptlab.graph.report"]
    options = ["--rows", "9", "--seq_lens", "64"]
    done = subprocess.run([*command, tmp_path / "store", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in (tmp_path / "store-report").iterdir()} == FILES
    done = subprocess.run([*command, tmp_path / "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nothing" in done.stderr


def test_a_report_on_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"report\n  got     no documents\n  wanted  at least one"):
        write_report(DocumentTable.from_documents([]), tmp_path)
    assert row_links(DocumentTable.from_documents([]), RandomOrder(), 9, rows=3).share == 0.0
