"""How fast are batches of walks made, and does a row cost the same in a graph of a million documents?

    python experiments/walk_speed/run.py            # writes result.json beside this file; three minutes, one core
    python experiments/walk_speed/run.py --small    # a try-out in seconds, prints only

The corpus is drawn: 50,000 documents, lengths log-normal with a median of 320 tokens, 7.5 links each to targets that
few share most of (power law), tokens of 16 bits. `PackedWalks | Collate(32)` yields batches: walks, targets first,
edges, packing and collating, everything that a model is given. Rates are in tokens of rows, padding included.

The goals are three times what the samplers of the predecessor reach on such a corpus, measured on another day (Python
lists, without edges): they are written down below as GOALS. No peer is installed for this.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from gptlab.graph import (
    BestFirst,
    BreadthFirst,
    DepthFirst,
    DocumentTable,
    Follow,
    RandomOrder,
    RandomWalk,
    ShortestFirst,
    TraverseLinks,
)
from gptlab.graph.link_graph import link_graph, offsets_of
from gptlab.packing import Collate, Pack, PackedWalks
from gptlab.pipeline import Drops, SourcePipeline, pipeline, watching
from gptlab.types import Batch

POLICIES = {
    "breadth-first": BreadthFirst(),
    "depth-first": DepthFirst(),
    "walk": RandomWalk(),
    "random": RandomOrder(),
    "breadth-first, both": BreadthFirst(Follow("both")),
    "depth-first, both": DepthFirst(Follow("both")),
    "walk, both": RandomWalk(Follow("both")),
    "pagerank per token": BestFirst(),
    "shortest first": ShortestFirst(),
}
GOALS = {
    2048: {"breadth-first": 17.7, "depth-first": 16.8, "walk": 22.2, "random": 27.9},
    32768: {"breadth-first": 27.0, "depth-first": 24.3, "walk": 25.8, "random": 22.8},
}
GOAL_BOTH = 17.4
REPEATS = 5


def drawn_table(size: int, seed: int = 0) -> DocumentTable:
    """A corpus of so many documents, as arrays."""
    rng = np.random.default_rng(seed)
    lengths = np.maximum(16, rng.lognormal(np.log(320), 0.9, size)).astype(np.int64)
    token_offsets = offsets_of(lengths)
    tokens = rng.integers(1, 50_000, int(token_offsets[-1]), dtype=np.uint16)
    tokens[token_offsets[1:] - 1] = 0
    linkers = np.repeat(np.arange(size, dtype=np.int32), rng.poisson(7.6, size))
    ranks = np.minimum(size * rng.random(len(linkers)) ** 3.0, size - 1).astype(np.int64)
    targets = rng.permutation(size)[ranks].astype(np.int32)
    positions = (rng.random(len(linkers)) * (lengths[linkers] - 1)).astype(np.int32)
    keep = linkers != targets
    flags = np.zeros(size, np.uint8)
    graph = link_graph(linkers[keep], targets[keep], positions[keep], flags, token_offsets)
    ids = tuple(f"D{number}" for number in range(size))
    for array in (tokens, token_offsets):
        array.flags.writeable = False
    return DocumentTable(
        ids=ids,
        titles=ids,
        flags=(),
        numbers={},
        tokens=tokens,
        token_offsets=token_offsets,
        link_positions=np.empty(0, np.int32),
        link_targets=np.empty(0, np.int32),
        link_offsets=np.zeros(size + 1, np.int64),
        missing=(),
        graph=graph,
        no_edge=np.zeros((size, 3), np.int32),
    )


def best_seconds(work: Callable[[], None]) -> float:
    """The fastest of some repetitions, the first of which warms up."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def rates(table: DocumentTable, seq_len: int, rows: int) -> dict[str, dict[str, float]]:
    """Millions of tokens and thousands of rows per second, by policy; the time of all batches of so many rows."""
    found = {}
    for name, policy in POLICIES.items():
        walks = PackedWalks(table, TraverseLinks(policy, budget=seq_len), Pack(seq_len))
        batches = pipeline(walks, Collate(32), checks="off")
        edges = [0]

        def read(batches: SourcePipeline[Batch] = batches, edges: list[int] = edges) -> None:
            edges[0] = 0
            for _, batch in zip(range(rows // 32), batches.get_data_generator(), strict=False):
                edges[0] += int((batch.edges[:, :, 0] >= 0).sum())

        seconds = best_seconds(read)
        goal = GOALS.get(seq_len, {}).get(name, GOAL_BOTH if name.endswith("both") else None)
        rate = rows * seq_len / seconds / 1e6
        found[name] = {
            "million_tokens_per_second": round(rate, 1),
            "rows_per_second": round(rows / seconds),
            "edges_per_row": round(edges[0] / rows, 2),
        } | ({"goal": goal, "times_goal": round(rate / goal, 1)} if goal else {})
    return found


def microseconds_per_row(size: int, rows: int) -> dict[str, float]:
    """Cost of a row of 2,048 tokens over so many documents, documents drawn from all over the corpus."""
    table = drawn_table(size)
    found = {}
    for name in ("breadth-first", "depth-first", "walk", "random", "pagerank per token"):
        walks = PackedWalks(table, TraverseLinks(POLICIES[name], budget=2048), Pack(2048))
        walks.batch(0, 32)
        routes = walks._maker.routes
        whole, collected = (
            best_seconds(lambda make=make: [make(first, first + 32) for first in range(0, rows, 32)])
            for make in (walks.batch, routes.stretch)
        )
        found[name] = round(whole / rows * 1e6, 2)
        found[f"{name}, without tokens"] = round(collected / rows * 1e6, 2)
    return found


def main() -> None:
    """Measure and write down."""
    small = "--small" in sys.argv
    rows = 320 if small else 3200
    with watching(Drops()):
        table = drawn_table(5000 if small else 50_000)
        graph = table.graph
        result = {
            "date": "2026-11-24",
            "python": platform.python_version(),
            "numba": numba.__version__,
            "documents": len(table),
            "links_per_document": round(len(graph.out_targets) / len(table), 2),
            "most_links_to_one": int(np.diff(graph.in_offsets).max()),
            "median_length": float(np.median(np.diff(graph.token_offsets))),
            "batches_of_32": {
                str(seq_len): rates(table, seq_len, count) for seq_len, count in ((2048, rows), (32768, rows // 10))
            },
            "microseconds_per_row": {
                str(size): microseconds_per_row(size, rows)
                for size in ((1000, 5000) if small else (10_000, 100_000, 1_000_000))
            },
        }
    text = json.dumps(result, indent=2)
    if small:
        sys.stdout.write(text + "\n")
    else:
        Path(__file__).with_name("result.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
