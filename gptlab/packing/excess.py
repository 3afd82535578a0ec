"""What is lost where a walk holds more tokens than a row: a policy of `Pack`, given as one of the values here.

Each says how many tokens every document keeps, from nothing but their lengths, so that a policy of your own is one
method (`Excess`). None of them takes the root out of the row, and none keeps a piece of a document so short that it
is little more than its title. `packed_walks_compiled` has the three as machine code, which property tests hold
equal to these. What each costs on real articles: `experiments/link_budget`.
"""

from typing import Protocol, runtime_checkable

import attrs
import numpy as np
from jaxtyping import Int64

Sizes = Int64[np.ndarray, "documents"]
"""A number of tokens for each document of a walk, in the order in which they were reached: the root is the first."""


@runtime_checkable
class Excess(Protocol):
    """What `Pack` asks. Those built in run as machine code; one of your own runs in Python.

    >>> @attrs.frozen
    ... class RootOnly:
    ...     def kept(self, sizes: Sizes, least: Sizes, seq_len: int) -> Sizes:
    ...         return np.minimum(sizes, seq_len) * (np.arange(len(sizes)) == 0)
    >>> isinstance(RootOnly(), Excess)
    True
    """

    def kept(self, sizes: Sizes, least: Sizes, seq_len: int) -> Sizes:
        """How many tokens each document keeps, end-of-text included; 0 leaves it out.

        Args:
            sizes: how many it may keep: its length, or `Pack.max_document`; 0 for one that stays out.
            least: without so many, a piece of it is not worth its place.
            seq_len: tokens in the row, at least as many as are kept together. The root keeps some.
        """


@attrs.frozen
class CutLast:
    """What was reached first stays whole, and only the last document that comes in is cut.

    So the root and what is nearest to it are cut last. Where too little of the last one would be left, it is left
    out and the rest of the row is padding.

    >>> CutLast().kept(np.array([4, 3, 9]), np.array([3, 3, 3]), 10).tolist()
    [4, 3, 3]
    """

    def kept(self, sizes: Sizes, least: Sizes, seq_len: int) -> Sizes:
        """All of each in turn, as far as it goes."""
        kept, room = np.zeros_like(sizes), seq_len
        for visit, size in enumerate(sizes.tolist()):
            if room == 0 or (size > room and visit > 0 and room < least[visit]):
                break
            kept[visit] = min(size, room)
            room -= min(size, room)
        return kept


@attrs.frozen
class PadRest:
    """No document is cut but a root longer than a row: the first that does not fit ends the row, the rest is padding.

    >>> PadRest().kept(np.array([4, 3, 9, 2]), np.array([3, 3, 3, 3]), 10).tolist()
    [4, 3, 0, 0]
    """

    def kept(self, sizes: Sizes, least: Sizes, seq_len: int) -> Sizes:
        """All of each in turn, as long as they fit."""
        ends = np.cumsum(sizes)
        kept = np.where(ends <= seq_len, sizes, 0)
        kept[0] = min(sizes[0], seq_len)
        return kept


@attrs.frozen
class FitRest:
    """As `PadRest`, and then the rest goes to documents of the walk that fit it whole, the longest that does first.

    This is best fit over what is left over (Ding et al., "Fewer Truncations Improve Language Modeling", ICML 2024)
    within a walk: no document is cut and less is padded. It needs walks of more documents than a row holds, as
    `TraverseLinks(..., budget=2 * seq_len)` makes.

    >>> FitRest().kept(np.array([4, 3, 9, 2, 1]), np.array([3, 3, 3, 3, 3]), 10).tolist()
    [4, 3, 0, 2, 1]
    """

    def kept(self, sizes: Sizes, least: Sizes, seq_len: int) -> Sizes:
        """All of each in turn, as long as they fit; then the longest that fits, the first reached among equals."""
        kept = PadRest().kept(sizes, least, seq_len)
        room = seq_len - int(kept.sum())
        for visit in np.argsort(-sizes, kind="stable").tolist():
            if kept[visit] == 0 and sizes[visit] <= room:
                kept[visit] = sizes[visit]
                room -= int(sizes[visit])
        return kept
