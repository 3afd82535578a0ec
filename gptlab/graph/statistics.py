"""The link graph in numbers, for a run's report."""

import attrs
import numpy as np

from gptlab.graph.documents import NO_EDGE, Documents
from gptlab.types import DocumentId


@attrs.frozen(kw_only=True)
class GraphStatistics:
    """What a corpus holds.

    Attributes:
        documents, tokens, links: how many of each.
        kept: links that are in the graph: the first one of each pair of documents that exist.
        missing: links to no document.
        self_links: links of a document to itself.
        repeats: links to a document that the same one has linked to before.
        in_degree_max, most_linked: how many documents link to the one that the most link to, and which it is.
        unlinked: documents with no link in the graph, in or out.
    """

    documents: int
    tokens: int
    links: int
    kept: int
    missing: int
    self_links: int
    repeats: int
    in_degree_max: int
    most_linked: DocumentId | None
    unlinked: int


def graph_statistics(table: Documents) -> GraphStatistics:
    """Count what `table` holds.

    >>> from gptlab.graph import DocumentTable
    >>> graph_statistics(DocumentTable.from_documents([])).documents
    0
    """
    graph = table.graph
    in_degrees, out_degrees = np.diff(graph.in_offsets), np.diff(graph.out_offsets)
    no_edge = dict(zip(NO_EDGE, table.no_edge.sum(axis=0).tolist(), strict=True))
    return GraphStatistics(
        documents=len(table),
        tokens=int(table.token_offsets[-1]),
        links=len(graph.out_targets) + sum(no_edge.values()),
        kept=len(graph.out_targets),
        missing=no_edge["missing"],
        self_links=no_edge["self"],
        repeats=no_edge["repeat"],
        in_degree_max=int(in_degrees.max(initial=0)),
        most_linked=table.ids[int(in_degrees.argmax())] if len(table) else None,
        unlinked=int(((in_degrees == 0) & (out_degrees == 0)).sum()),
    )
