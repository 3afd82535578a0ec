"""Who links to whom, as arrays: what a traversal policy sees.

Compressed sparse rows in both directions: the links of document `i` are one slice, found in O(1) whatever the
size, and the arrays may as well be memory-mapped. One link is kept per pair of documents, the first, because
a target that has become visible stays visible; links to nowhere and to the document itself are no links here.
"""

from collections.abc import Collection
from typing import get_args

import attrs
import numpy as np
from jaxtyping import Int, Int32, Int64, UInt8

from gptlab.types.records import Flag

FLAGS: tuple[Flag, ...] = get_args(Flag)
"""The flags in the order of their bits."""


def flag_bits(flags: Collection[Flag]) -> int:
    """Flags as a set of bits.

    >>> flag_bits({"list"}), flag_bits({"list", "disambiguation"})
    (2, 3)
    """
    return sum(1 << bit for bit, flag in enumerate(FLAGS) if flag in flags)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LinkGraph:
    """The links between documents that exist.

    Attributes:
        out_offsets: the links of document `i` are those from `out_offsets[i]` to `out_offsets[i + 1]`.
        out_targets: where each link leads, in the order of the text.
        out_positions: the token of the linker that completes the link.
        in_offsets, in_linkers: the same arrows backwards, linkers ascending.
        flags: `flag_bits` of each document.
        token_offsets: document `i` has `token_offsets[i + 1] - token_offsets[i]` tokens, which is what a place in a
            row costs; the same array as that of the documents.
    """

    out_offsets: Int64[np.ndarray, "offsets"]
    out_targets: Int32[np.ndarray, "links"]
    out_positions: Int32[np.ndarray, "links"]
    in_offsets: Int64[np.ndarray, "offsets"]
    in_linkers: Int32[np.ndarray, "links"]
    flags: UInt8[np.ndarray, "documents"]
    token_offsets: Int64[np.ndarray, "offsets"]

    def __len__(self) -> int:
        return len(self.flags)

    def __repr__(self) -> str:
        return f"<LinkGraph of {len(self):,} documents and {len(self.out_targets):,} links>"

    def targets(self, document: int) -> Int32[np.ndarray, "targets"]:
        """The documents that this one links to, each once, in the order of their first links."""
        return self.out_targets[self.out_offsets[document] : self.out_offsets[document + 1]]

    def positions(self, document: int) -> Int32[np.ndarray, "targets"]:
        """For each of `targets`, the token at which the first link to it is complete."""
        return self.out_positions[self.out_offsets[document] : self.out_offsets[document + 1]]

    def linkers(self, document: int) -> Int32[np.ndarray, "linkers"]:
        """The documents that link to this one, each once, ascending."""
        return self.in_linkers[self.in_offsets[document] : self.in_offsets[document + 1]]

    def in_degree(self, document: int) -> int:
        """How many documents link to this one."""
        return int(self.in_offsets[document + 1] - self.in_offsets[document])

    def length(self, document: int) -> int:
        """How many tokens the document has."""
        return int(self.token_offsets[document + 1] - self.token_offsets[document])


def link_graph(
    linkers: Int32[np.ndarray, "links"],
    targets: Int32[np.ndarray, "links"],
    positions: Int32[np.ndarray, "links"],
    flags: UInt8[np.ndarray, "documents"],
    token_offsets: Int64[np.ndarray, "offsets"],
) -> LinkGraph:
    """Build the graph from links in any order.

    Args:
        linkers, targets: documents by number; no link may lead from a document to itself.
        positions: tokens of the linker; of the links of one pair the one of the lowest position stays.
        flags: one entry per document, so their number is known.
        token_offsets: as in the graph.
    """
    count = len(flags)
    order = np.lexsort((positions, linkers))
    linkers, targets, positions = linkers[order], targets[order], positions[order]
    pairs = linkers.astype(np.int64) * count + targets
    first = np.sort(np.unique(pairs, return_index=True)[1])
    linkers, targets, positions = linkers[first], targets[first], positions[first]
    backwards = np.argsort(targets, kind="stable")
    return LinkGraph(
        out_offsets=offsets_of(np.bincount(linkers, minlength=count)),
        out_targets=targets,
        out_positions=positions,
        in_offsets=offsets_of(np.bincount(targets, minlength=count)),
        in_linkers=linkers[backwards],
        flags=flags,
        token_offsets=token_offsets,
    )


def offsets_of(counts: Int[np.ndarray, "runs"]) -> Int64[np.ndarray, "offsets"]:
    """Where each run begins when runs of these lengths lie back to back, and where the last one ends.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
