"""Where a walk goes next: one method, `visit`, which gives documents in the order reached until nobody asks for more.

A policy knows nothing of tokens or budgets; whoever draws from it stops when the row is full. All of them are
values, and all chance comes from the generator that they are given, so a walk can be made again from its seed.
"""

from collections import deque
from collections.abc import Iterator
from typing import Literal, Protocol, get_args, runtime_checkable

import attrs
import numpy as np

from gptlab.graph.chance import below, shuffled
from gptlab.graph.link_graph import FLAGS, LinkGraph, flag_bits
from gptlab.types.records import Flag
from gptlab.types.validators import at_least, one_of, satisfies

Direction = Literal["out", "in", "both"]


@runtime_checkable
class VisitPolicy(Protocol):
    """Chooses which documents come into a row, and which of them first. A complete one, which stays at home:

    >>> class Alone:
    ...     def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
    ...         yield root
    >>> isinstance(Alone(), VisitPolicy)
    True
    """

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents in the order reached, each once, `root` first."""


are_flags = satisfies(
    lambda flags: set(flags) <= set(FLAGS), f"a frozenset of flags among {sorted(FLAGS)}", "Remove the others."
)
"""A validator for sets of flags."""


@attrs.frozen
class Follow:
    """Which links a policy follows, and in which order.

    What is excluded is not reached through a link. It remains a root of its own: leave it out before the
    traversal to be rid of it.

    Args:
        direction: to the documents linked to (`out`), to those that link here (`in`), or to both, out first.
        max_in_degree: documents that more documents than this link to are not entered (hubs: a country, a year).
        exclude: documents with one of these flags are not entered.
        shuffle: take a document's links in random order instead of the order of its text.
    """

    direction: Direction = attrs.field(default="out", validator=one_of(get_args(Direction)))
    max_in_degree: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(at_least(0, "Give None to enter hubs too.")), kw_only=True
    )
    exclude: frozenset[Flag] = attrs.field(default=frozenset(), validator=are_flags, kw_only=True)
    shuffle: bool = attrs.field(default=False, kw_only=True)

    def neighbours(self, graph: LinkGraph, document: int, rng: np.random.Generator) -> list[int]:
        """The documents that can be reached from this one in one step; in `both`, those linked both ways twice."""
        found = [each for each in self.links(graph, document) if self.enters(graph, each)]
        return shuffled(rng, found) if self.shuffle else found

    def links(self, graph: LinkGraph, document: int) -> list[int]:
        """The links of this document in the direction followed, those excluded too."""
        found: list[int] = []
        if self.direction != "in":
            found += graph.targets(document).tolist()
        if self.direction != "out":
            found += graph.linkers(document).tolist()
        return found

    def enters(self, graph: LinkGraph, document: int) -> bool:
        """Whether neither the cap on hubs nor a flag excludes the document."""
        if self.max_in_degree is not None and graph.in_degree(document) > self.max_in_degree:
            return False
        return not int(graph.flags[document]) & flag_bits(self.exclude)


@attrs.frozen
class BreadthFirst:
    """All documents one link away, then all two links away: the nearest first, so they are cut last."""

    follow: Follow = Follow()

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents by their distance from the root."""
        yield root
        seen, queue = {root}, deque([root])
        while queue:
            for each in self.follow.neighbours(graph, queue.popleft(), rng):
                if each not in seen:
                    seen.add(each)
                    queue.append(each)
                    yield each


@attrs.frozen
class DepthFirst:
    """The first link of the first link: long chains, in which a document's target has its own target beside it."""

    follow: Follow = Follow()

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents in pre-order."""
        yield root
        seen, stack = {root}, [iter(self.follow.neighbours(graph, root, rng))]
        while stack:
            each = next(stack[-1], None)
            if each is None:
                stack.pop()
            elif each not in seen:
                seen.add(each)
                yield each
                stack.append(iter(self.follow.neighbours(graph, each, rng)))


@attrs.frozen
class RandomWalk:
    """A random link of the current document, and now and then back to the root.

    Args:
        follow: which links.
        restart: the chance of going back to the root before each step. A document without links goes back too.
            A link to a document that is excluded costs a step and leads nowhere, so that no step, not even one from
            a document of a million links, looks at more than one of them.
        patience: the walk ends after so many steps in a row that reach nothing new.

    Source: random walk with restart, Tong, Faloutsos and Pan, ICDM 2006.
    """

    follow: Follow = Follow()
    restart: float = attrs.field(
        default=0.15, validator=at_least(0.0, "Give a probability, such as 0.15.", at_most=1.0), kw_only=True
    )
    patience: int = attrs.field(
        default=64, validator=at_least(1, "Give a number of steps, such as 64."), kw_only=True
    )

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """Documents as the walk meets them."""
        yield root
        seen, here, idle = {root}, root, 0
        while idle < self.patience:
            if rng.random() < self.restart:
                here = root
            links = self.follow.links(graph, here)
            if not links and here == root:
                return
            idle += 1
            there = links[below(rng, len(links))] if links else root
            if links and not self.follow.enters(graph, there):
                continue
            here = there
            if here not in seen:
                seen.add(here)
                idle = 0
                yield here


@attrs.frozen
class RandomOrder:
    """The control: follows no link. What a row holds beside its root is drawn from all documents alike."""

    def visit(self, graph: LinkGraph, root: int, rng: np.random.Generator) -> Iterator[int]:
        """The root, then all other documents at random."""
        yield root
        seen = {root}
        while len(seen) < len(graph):
            document = below(rng, len(graph))
            if document not in seen:
                seen.add(document)
                yield document
