"""Whole communities held out: what a model has not read is then not one link away from what it has.

A split by title hash holds out one document here and one there, and almost every link of theirs leads to a document
that was trained on. Communities are found by Leiden's method (Traag, Waltman and van Eck, "From Louvain to Leiden",
Scientific Reports 9, 2019) on links without direction, by igraph, at about a million links a second.
"""

import random
from collections.abc import Iterator

import attrs
import numpy as np
from jaxtyping import Bool, Int32, Int64

from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.permutation import seeded_permutation
from gptlab.graph.split import Part
from gptlab.pipeline import then
from gptlab.pipeline.observe import say, track
from gptlab.types import Document
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, one_of

Edges = Int32[np.ndarray, "edges 2"]
"""(linker, target): documents by number."""


@attrs.frozen
class SplitByCommunity:
    """Keep one part of the documents, in which whole communities of links are held out.

    It reads all documents before the first is yielded (`barrier`). Communities are held out in an order drawn by
    `seed`, each that still fits, so that at most `fraction` of the documents are.

    Args:
        part: what to keep.
        fraction: the share of documents that is held out at most.
        seed: another seed holds out others.
        resolution: above 1.0 for more and smaller communities.
    """

    part: Part = attrs.field(validator=one_of(("train", "held_out"), "Say which part to keep."))
    fraction: float = attrs.field(
        default=0.1, validator=at_least(0.0, "Give the share to hold out, such as 0.1.", at_most=1.0)
    )
    seed: int = attrs.field(default=0, validator=at_least(0, "Any whole number from 0 on will do."))
    resolution: float = attrs.field(
        default=1.0, validator=at_least(0.0, "Give 1.0, or more for smaller communities."), kw_only=True
    )

    barrier = True

    def __call__(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Yield the documents of this part, in the order in which they come."""
        kept = list(track(documents, "read documents to split", unit="documents"))
        numbers = {document.id: number for number, document in enumerate(kept)}
        pairs = [
            (number, numbers[link.target])
            for number, document in enumerate(kept)
            for link in document.links
            if link.target in numbers
        ]
        labels = communities(len(kept), np.array(pairs, np.int32).reshape(-1, 2), self.seed, self.resolution)
        is_held_out = hold_out(labels, self.fraction, self.seed)
        say(f"Held out {is_held_out.sum():,} of {len(kept):,} documents, in whole communities.")
        for document, is_out in zip(kept, is_held_out.tolist(), strict=True):
            if is_out == (self.part == "held_out"):
                yield document

    __or__ = then


def communities(count: int, edges: Edges, seed: int = 0, resolution: float = 1.0) -> Int64[np.ndarray, "documents"]:
    """The community of each document, numbered from 0 in the order of first members.

    Args:
        count: how many documents there are.
        edges: links between them, in either direction.
        seed: the method draws.
        resolution: of modularity.

    Raises:
        ValueError: igraph is not installed.
    """
    try:
        import igraph  # type: ignore[import-untyped]  # noqa: PLC0415 - optional
    except ImportError as error:
        raise refusal(
            "communities", got="no igraph", wanted="the extra `communities`", do="pip install 'gptlab[communities]'"
        ) from error
    graph = igraph.Graph(n=count, edges=edges[edges[:, 0] != edges[:, 1]])
    graph.simplify()
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(objective_function="modularity", resolution=resolution, n_iterations=4)
    finally:
        igraph.set_random_number_generator(random)
    names: dict[int, int] = {}
    return np.array([names.setdefault(label, len(names)) for label in found.membership], np.int64)


def hold_out(labels: Int64[np.ndarray, "documents"], fraction: float, seed: int = 0) -> Bool[np.ndarray, "documents"]:
    """Which documents are held out: whole communities, in an order drawn by `seed`, while they fit.

    >>> hold_out(np.array([0, 0, 0, 1, 2, 2]), fraction=0.5).tolist()
    [True, True, True, False, False, False]
    """
    sizes = np.bincount(labels)
    room = int(fraction * len(labels))
    is_out = np.zeros(len(sizes), np.bool_)
    for label in seeded_permutation(len(sizes), seed, 0).tolist():
        if sizes[label] <= room:
            is_out[label] = True
            room -= int(sizes[label])
    held_out: Bool[np.ndarray, "documents"] = is_out[labels]
    return held_out


def edges_within(graph: LinkGraph, is_held_out: Bool[np.ndarray, "documents"]) -> Int32[np.ndarray, "edges 3"]:
    """The edges with both ends held out: links that nothing in training has shown, for tests of link prediction.

    Args:
        graph: all documents.
        is_held_out: which are held out, by whatever split.

    Returns:
        (linker, target, position), by linker.
    """
    linkers = np.repeat(np.arange(len(graph), dtype=np.int32), np.diff(graph.out_offsets))
    is_within = is_held_out[linkers] & is_held_out[graph.out_targets]
    columns = (linkers, graph.out_targets, graph.out_positions)
    return np.stack([column[is_within] for column in columns], axis=1).astype(np.int32)
