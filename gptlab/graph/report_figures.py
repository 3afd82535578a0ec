"""What a report on a link graph counts: degrees, lengths, components, and what rows keep of the links by policy."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from jaxtyping import Int64, Integer

from gptlab.graph.best_first import BestFirst, ShortestFirst
from gptlab.graph.documents import Documents
from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.policies import BreadthFirst, DepthFirst, Follow, RandomOrder, RandomWalk, VisitPolicy
from gptlab.graph.traverse import TraverseLinks

POLICIES: Mapping[str, VisitPolicy] = {
    "random (control)": RandomOrder(),
    "random walk": RandomWalk(),
    "depth first": DepthFirst(),
    "breadth first": BreadthFirst(),
    "breadth first, both ways": BreadthFirst(Follow("both")),
    "PageRank per token": BestFirst(),
    "shortest first": ShortestFirst(),
}
"""What the report compares."""

AT_ONCE = 256


@attrs.frozen(kw_only=True)
class RowLinks:
    """What becomes of the links between documents, of all documents in some rows.

    Attributes:
        rows, documents: how many were looked at, and how many documents they hold together.
        edges: links between documents, the first of each pair, of the documents in the rows.
        outside: of them, those to a document that is not in the row: what the budget costs.
        cycle: those that would close a cycle: what the order costs.
        cut: those whose text is cut off at the end of the row.
        kept: the others.
        tokens_cut: tokens of the documents that are cut off at the ends of the rows.
        padding: tokens of rows for which there was no document.
    """

    rows: int
    documents: int
    edges: int
    outside: int
    cycle: int
    cut: int
    kept: int
    tokens_cut: int
    padding: int

    @property
    def share(self) -> float:
        """Of all links between documents, those that rows keep.

        >>> RowLinks(rows=1, documents=2, edges=8, outside=5, cycle=1, cut=0, kept=2, tokens_cut=0, padding=9).share
        0.25
        """
        return self.kept / self.edges if self.edges else 0.0


def row_links(documents: Documents, policy: VisitPolicy, seq_len: int, rows: int, seed: int = 0) -> RowLinks:
    """Look at the first rows of an epoch.

    A document that exceeds the row counts as cut at the row's end; `Pack` may leave it out instead, where next to
    nothing of it would be left.

    Args:
        documents: over which.
        policy: where walks go.
        seq_len: tokens in a row.
        rows: how many to look at; at most one per document is.
        seed: of the walks.
    """
    from gptlab.graph.compiled import plain  # noqa: PLC0415 - numba takes a second to import
    from gptlab.graph.compiled_order import CYCLE, OUTSIDE, order_walks  # noqa: PLC0415

    routes = TraverseLinks(policy, seed=seed, budget=seq_len).over(documents, is_compiled=True)
    graph, visit, rows = documents.graph, np.zeros(len(documents), np.int32), min(rows, len(routes))
    out_offsets, targets, positions = map(plain, (graph.out_offsets, graph.out_targets, graph.out_positions))
    lengths, degrees = np.diff(graph.token_offsets), np.diff(graph.out_offsets)
    count = edges = outside = cycle = cut = tokens_cut = padding = 0
    for first in range(0, rows, AT_ONCE):
        found, offsets = (plain(array) for array in routes.stretch(first, min(first + AT_ONCE, rows)))
        order = order_walks(found, offsets, out_offsets, targets, positions, visit)
        count += len(found)
        edges += int(degrees[found].sum())
        outside += int(order.lost[:, OUTSIDE].sum())
        cycle += int(order.lost[:, CYCLE].sum())
        excess = np.add.reduceat(lengths[found], offsets[:-1]) - seq_len
        tokens_cut += int(excess[excess > 0].sum())
        padding -= int(excess[excess < 0].sum())
        left = lengths[found[offsets[1:] - 1]] - np.maximum(excess, 0)  # of the document reached last
        for walk in range(len(left)):
            of_walk = order.edges[order.edge_offsets[walk] : order.edge_offsets[walk + 1]]
            visits = order.visits[offsets[walk] : offsets[walk + 1]]
            is_last = visits[of_walk[:, 0]] == len(visits) - 1
            cut += int((is_last & (of_walk[:, 2] >= left[walk] - 1)).sum())
    kept = edges - outside - cycle - cut
    lost = {"outside": outside, "cycle": cycle, "cut": cut, "tokens_cut": tokens_cut, "padding": padding}
    return RowLinks(rows=rows, documents=count, edges=edges, kept=kept, **lost)


def component_sizes(graph: LinkGraph, *, is_strong: bool) -> Int64[np.ndarray, "components"]:
    """How many documents each component has, the largest first.

    Args:
        graph: the links.
        is_strong: documents of one component reach each other along links; otherwise against them too.
    """
    from scipy.sparse import csr_array  # type: ignore[import-untyped]  # noqa: PLC0415 - half a second
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]  # noqa: PLC0415

    if len(graph) == 0:
        return np.zeros(0, np.int64)
    ones = np.ones(len(graph.out_targets), np.int8)
    links = csr_array((ones, np.asarray(graph.out_targets), np.asarray(graph.out_offsets)), shape=(len(graph),) * 2)
    _, labels = connected_components(links, directed=True, connection="strong" if is_strong else "weak")
    return np.sort(np.bincount(labels))[::-1].astype(np.int64)


def quantiles(values: Integer[np.ndarray, "values"]) -> dict[str, float]:
    """A distribution in a few numbers.

    >>> quantiles(np.array([1, 2, 3]))["median"]
    2.0
    """
    if len(values) == 0:
        return {}
    shares = {"least": 0.0, "tenth": 0.1, "median": 0.5, "nine tenths": 0.9, "99 %": 0.99, "most": 1.0}
    found: dict[str, Any] = {name: float(np.quantile(values, share)) for name, share in shares.items()}
    return found | {"mean": round(float(values.mean()), 2)}
