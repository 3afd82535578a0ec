"""What one walk collects of all that its policy visits: none twice, none that may not be taken, one row's worth.

`collect` is the definition, in Python, for every policy; `compiled_visits` is held equal to it.
"""

from collections.abc import Callable

import attrs
import numpy as np

from gptlab.graph.link_graph import LinkGraph
from gptlab.graph.policies import VisitPolicy
from gptlab.types.errors import refusal

PATIENCE = 64
"""A visit is left after so many documents in a row that cannot be taken, so that no walk searches the whole graph."""


@attrs.frozen(kw_only=True)
class Limits:
    """What a walk may take, and where it goes on.

    Attributes:
        budget: tokens at which it is full.
        is_whole: a document that does not fit into the rest of the budget is not taken, except as the root;
            otherwise the last one may exceed it.
        may_take: whether a document may be taken at all.
        take: told of each document that is taken.
        go_on: the next root when a visit ends early, given the documents and the room left; None ends the walk.
    """

    budget: int
    is_whole: bool
    may_take: Callable[[int], bool]
    take: Callable[[int], None]
    go_on: Callable[[dict[int, None], int], int | None]


def collect(graph: LinkGraph, policy: VisitPolicy, root: int, rng: np.random.Generator, limits: Limits) -> list[int]:
    """Documents in the order reached, the root first.

    Args:
        graph: the documents.
        policy: what is visited next.
        root: where to begin; it may be taken.
        rng: all chance of this walk.
        limits: what may be taken.

    Raises:
        ValueError: the policy does not visit its root.
    """
    reached: dict[int, None] = {}
    room = limits.budget
    here: int | None = root
    while here is not None:
        idle = 0
        for document in policy.visit(graph, here, rng):
            length = graph.length(document)
            fits = not limits.is_whole or not reached or length <= room
            if fits and document not in reached and limits.may_take(document):
                reached[document] = None
                limits.take(document)
                room -= length
                idle = 0
                if room <= 0:
                    return list(reached)
            else:
                idle += 1
                if idle >= PATIENCE:
                    break
        if here not in reached:
            raise refusal(
                f"{type(policy).__name__}.visit",
                got="documents without the root",
                wanted="the root as the first document",
                do="Yield the root before anything else.",
            )
        here = limits.go_on(reached, room)
    return list(reached)
