"""Targets first: which links a row can keep, and the order of documents that makes all of them point backwards.

A row is read from left to right, so a document that is linked to must stand before its linker, and links that
close a cycle cannot all be kept. The rule: **links are taken in the order in which a reader meets them (the
document reached first, and in it from the top), and each is kept unless it closes a cycle with those already
kept.** So no link is dropped that need not be, of a cycle the later link goes, and every link from a document
to one that was reached after it is kept: a root reads all that was reached through its links.

MEASURED

`keep_acyclic_slowly` is that sentence in code and the definition. `keep_acyclic` holds the same reach as bits of
one integer per document; a property test keeps the two equal.
"""

import heapq
from collections.abc import Sequence

Edge = tuple[int, int, int]
"""(linker, target, position): documents by the order in which they were reached, the root being 0."""


def keep_acyclic_slowly(edges: Sequence[Edge]) -> list[Edge]:
    """The edges that are kept, by the rule and nothing else: the definition.

    Args:
        edges: one edge per pair of documents, none from a document to itself.

    >>> keep_acyclic_slowly([(0, 1, 9), (1, 0, 2), (1, 2, 4)])
    [(0, 1, 9), (1, 2, 4)]
    """
    kept: list[Edge] = []
    for linker, target, position in in_order_of_reading(edges):
        reached, grown = {target}, True
        while grown:
            further = {to for from_, to, _ in kept if from_ in reached}
            grown = not further <= reached
            reached |= further
        if linker not in reached:
            kept.append((linker, target, position))
    return kept


def in_order_of_reading(edges: Sequence[Edge]) -> list[Edge]:
    """The documents reached first come first, and in each its text from the top."""
    return sorted(edges, key=lambda edge: (edge[0], edge[2], edge[1]))


def keep_acyclic(documents: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges that are kept, fast.

    Args:
        documents: how many there are.
        edges: as for `keep_acyclic_slowly`.
    """
    reach = [1 << document for document in range(documents)]  # which documents can be read from each, as bits
    kept = []
    for edge in in_order_of_reading(edges):
        linker, target, _ = edge
        if reach[target] >> linker & 1:
            continue
        kept.append(edge)
        gained = reach[target]
        if gained & ~reach[linker]:
            for document, reached in enumerate(reach):
                if reached >> linker & 1:
                    reach[document] = reached | gained
    return kept


def targets_first(documents: int, edges: Sequence[Edge]) -> list[int]:
    """All documents in an order in which every edge points backwards; the root as late as that allows.

    Of the documents whose targets all stand, the one that was reached last is placed next, so that the nearest to
    the root stand nearest to it.

    Args:
        documents: how many there are.
        edges: without cycles.

    >>> targets_first(3, [(0, 1, 9), (1, 2, 4)])
    [2, 1, 0]
    """
    waiting_for = [0] * documents
    linkers: list[list[int]] = [[] for _ in range(documents)]
    for linker, target, _ in edges:
        waiting_for[linker] += 1
        linkers[target].append(linker)
    ready = [-document for document in range(documents) if not waiting_for[document]]
    heapq.heapify(ready)
    order = []
    while ready:
        placed = -heapq.heappop(ready)
        order.append(placed)
        for linker in linkers[placed]:
            waiting_for[linker] -= 1
            if not waiting_for[linker]:
                heapq.heappush(ready, -linker)
    assert len(order) == documents, "targets_first was given a cycle"
    return order
