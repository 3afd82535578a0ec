"""Sequences that begin alike, as trees: what they share is computed once. A tree is a row of a batch.

The choices of a question share its context, and the questions after the same examples share those. Sorted,
sequences that begin alike are neighbours, so a tree is built by appending to the path of the last one, and its nodes
come out in the order of a walk in depth. In that order the nodes below a node are a run, from it to `ends`, so that
one comparison is the mask: a token sees itself and what is above it.
"""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from jaxtyping import Int32

from gptlab.benchmarks.continuations import Continuation

MOST_NODES = 1024
"""Of a tree with branches. Attention looks at all pairs of its nodes: a larger one would cost more than it saves."""

LEAST_SHARED = 4
"""A sequence is put into a tree when one part in `LEAST_SHARED` of it is there already."""


@attrs.frozen(kw_only=True, eq=False)
class PrefixTree:
    """Some sequences as one row.

    Attributes:
        tokens: of each node.
        depths: how many nodes are above each: its position.
        parents: the node before it in its sequence; -1 for the first.
        ends: one past the last node below it.
        asked: for each of the sequences its number, and the nodes that its continuation is predicted at.
    """

    tokens: Int32[np.ndarray, "nodes"]
    depths: Int32[np.ndarray, "nodes"]
    parents: Int32[np.ndarray, "nodes"]
    ends: Int32[np.ndarray, "nodes"]
    asked: tuple[tuple[int, Int32[np.ndarray, "_"]], ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def is_chain(self) -> bool:
        """Whether it has no branches."""
        return bool((self.ends == len(self)).all())


def prefix_trees(continuations: Sequence[Continuation], most_nodes: int = MOST_NODES) -> list[PrefixTree]:
    """Trees that hold what a model reads for each continuation, once.

    Args:
        continuations: in any order.
        most_nodes: of a tree; a single sequence may be longer.

    >>> both = [Continuation(before=(5, 6), tokens=(7, 8)), Continuation(before=(5, 6), tokens=(9,))]
    >>> [tree.tokens.tolist() for tree in prefix_trees(both)]
    [[5, 6, 7]]
    """
    return list(_trees(continuations, most_nodes))


def _trees(continuations: Sequence[Continuation], most_nodes: int) -> Iterator[PrefixTree]:
    read = [continuation.read for continuation in continuations]
    growing = _Growing()
    last: tuple[int, ...] = ()
    for number in sorted(range(len(read)), key=read.__getitem__):
        tokens = read[number]
        shared = shared_length(last, tokens)
        is_worth_it = (
            shared * LEAST_SHARED >= len(tokens) and len(growing.tokens) + len(tokens) - shared <= most_nodes
        )
        if growing.tokens and not is_worth_it:
            yield growing.tree()
            growing = _Growing()
        growing.add(number, tokens, shared if growing.tokens else 0, len(continuations[number].tokens))
        last = tokens
    if growing.tokens:
        yield growing.tree()


def shared_length(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many first tokens are the same.

    >>> shared_length((1, 2, 3), (1, 2, 4, 5)), shared_length((), (1,))
    (2, 0)
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


@attrs.define
class _Growing:
    """A tree in the making, and the nodes of the sequence that was put in last."""

    tokens: list[int] = attrs.field(factory=list)
    depths: list[int] = attrs.field(factory=list)
    parents: list[int] = attrs.field(factory=list)
    ends: list[int] = attrs.field(factory=list)
    path: list[int] = attrs.field(factory=list)
    asked: list[tuple[int, Int32[np.ndarray, "_"]]] = attrs.field(factory=list)

    def add(self, number: int, tokens: tuple[int, ...], shared: int, asked: int) -> None:
        """Put a sequence in, whose first `shared` tokens the last one has too."""
        start, size = len(self.tokens), len(self.tokens) + len(tokens) - shared
        for node in self.path[shared:]:
            self.ends[node] = start
        new = range(start, size)
        self.tokens += tokens[shared:]
        self.depths += range(shared, len(tokens))
        self.parents += [self.path[shared - 1] if shared else -1, *new[:-1]][: len(new)]
        self.ends += [0] * len(new)
        self.path[shared:] = new
        self.asked.append((number, np.array(self.path[len(tokens) - asked :], np.int32)))

    def tree(self) -> PrefixTree:
        """What has grown."""
        for node in self.path:
            self.ends[node] = len(self.tokens)
        tokens, depths, parents, ends = (
            np.array(values, np.int32) for values in (self.tokens, self.depths, self.parents, self.ends)
        )
        return PrefixTree(tokens=tokens, depths=depths, parents=parents, ends=ends, asked=tuple(self.asked))
