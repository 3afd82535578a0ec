"""Policies that ask what a document is worth: the best of all that is linked to what has been reached comes next.

What a document is worth to a row is the user's to say, by a `Score`. The default is the share of a reader's time that
random clicks from the root would give it, per token that it costs: near and often linked is good, long is bad.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import attrs
import numpy as np

from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.policies import Follow
from gptlab.types.validators import at_least, satisfies


@runtime_checkable
class Score(Protocol):
    """What documents are worth to a row. A complete one, which wants those that many link to:

    >>> class MostLinked:
    ...     def around(self, graph: LinkGraph, root: int, follow: Follow) -> Callable[[int], float]:
    ...         return graph.in_degree
    >>> isinstance(MostLinked(), Score)
    True
    """

    def around(self, graph: LinkGraph, root: int, follow: Follow) -> Callable[[int], float]:
        """The worth of each document in a row whose root is `root`; higher is better."""


@attrs.frozen
class PageRankPerToken:
    """Personalised PageRank of the root, divided by the tokens of the document.

    The mass is found by pushing (Andersen, Chung and Lang, "Local graph partitioning using PageRank vectors", FOCS
    2006): the root holds all mass; a document that holds `epsilon` or more per link keeps the share `restart` for
    good and hands the rest on to its links alike. That ends after at most `1 / (restart * epsilon)` links, however
    large the graph is. The worth is what a document has kept, and what it would keep of the mass that it still
    holds: a lower bound of its PageRank. A document without links hands back to the root.

    Args:
        restart: the chance of going back to the root at each step.
        epsilon: the mass per link from which on a document hands on. Smaller looks further and costs more.
    """

    restart: float = attrs.field(
        default=0.15, validator=at_least(0.01, "Give a probability, such as 0.15.", at_most=1.0), kw_only=True
    )
    epsilon: float = attrs.field(
        default=1e-3, validator=at_least(1e-9, "Give a small mass, such as 1e-3.", at_most=1.0), kw_only=True
    )

    def around(self, graph: LinkGraph, root: int, follow: Follow) -> Callable[[int], float]:
        """The worth of documents in rows of this root; nothing that was not reached by pushing is worth anything."""
        kept, held = self.push(graph, root, follow)

        def worth(document: int) -> float:
            mass = kept.get(document, 0.0) + self.restart * held.get(document, 0.0)
            return mass / graph.length(document)

        return worth

    def push(self, graph: LinkGraph, root: int, follow: Follow) -> tuple[dict[int, float], dict[int, float]]:
        """The mass that documents have kept, and that they still hold; together 1."""
        kept: dict[int, float] = {}
        held = {root: 1.0}
        queue, is_queued = deque([root]), {root}

        def give(document: int, mass: float) -> None:
            held[document] = held.get(document, 0.0) + mass
            links = max(1, len(follow.links(graph, document)))
            if held[document] >= self.epsilon * links and document not in is_queued:
                is_queued.add(document)
                queue.append(document)

        while queue:
            document = queue.popleft()
            is_queued.remove(document)
            mass, held[document] = held[document], 0.0
            kept[document] = kept.get(document, 0.0) + self.restart * mass
            onward = [each for each in follow.links(graph, document) if follow.enters(graph, each)]
            for each in onward:
                give(each, (1.0 - self.restart) * mass / len(onward))
            if not onward:
                give(root, (1.0 - self.restart) * mass)
        return kept, held


@attrs.frozen
class BestFirst:
    """Of all documents linked to those reached, the one of the highest score comes next; of equals the first met.

    Args:
        follow: which links.
        score: what a document is worth.
    """

    follow: Follow = attrs.field(factory=Follow)
    score: Score = attrs.field(
        factory=PageRankPerToken,
        kw_only=True,
        validator=satisfies(
            lambda score: callable(getattr(score, "around", None)),
            "a score, which has around(graph, root, follow)",
            "Give PageRankPerToken() or a score of your own.",
        ),
    )

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents by their worth, as far as links lead."""
        return _best_first(graph, root, rng, self.follow, self.score.around(graph, root, self.follow))


@attrs.frozen
class ShortestFirst:
    """Of all documents linked to those reached, the shortest comes next: the most documents in a row."""

    follow: Follow = attrs.field(factory=Follow)

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents by their length, as far as links lead."""
        return _best_first(graph, root, rng, self.follow, lambda document: -float(graph.length(document)))


def _best_first(
    graph: LinkGraph, root: int, rng: np.random.Generator, follow: Follow, worth: Callable[[int], float]
) -> Iterator[int]:
    seen, heap, here = {root}, list[tuple[float, int, int]](), root
    yield root
    while True:
        for each in follow.neighbours(graph, here, rng):
            if each not in seen:
                heapq.heappush(heap, (-worth(each), len(seen), each))
                seen.add(each)
        if not heap:
            return
        here = heapq.heappop(heap)[2]
        yield here
