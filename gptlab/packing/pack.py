"""From a walk to one training row of exactly `seq_len` tokens.

Which documents come in is decided by the order in which they were reached, root first, and where they stand by
the walk's own order, targets first. What is lost where they are too long is a policy (`gptlab.packing.excess`). By
default only the last one that comes in is cut, so the root and what lies nearest to it stay whole, and what is then
left of the row is padding: a piece too short to mean anything would teach nothing.
"""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np
from jaxtyping import Int32

from gptlab.graph import Walks
from gptlab.packing.excess import CutLast, Excess
from gptlab.pipeline import then
from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Source
from gptlab.types import PackedSequence, Walk
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, satisfies

PACK_DROPS = {
    "cut": "link cut off with its linker",
    "no room": "link to a document without room in the row",
}
"""What the person who watches is told for each reason that `Pack` adds to `PackedSequence.dropped`."""

CUT_TOKENS, LEFT_OUT = "token of a document that is cut", "document without room in the row"
"""What is told besides: of documents in a row, tokens that are not (`PackedSequence.cut`); and those not in it."""

MANY_WALKS = 50_000
"""So many are packed by machine code: it makes 30 times as many rows a second, and takes half a minute to compile."""

_TITLE_MARKS = 4  # a heading's `# ` and the line break after it, and one to spare


@attrs.frozen
class Pack:
    """Cut a walk to one row.

    Every link of the walk is an edge of the row or counted in `PackedSequence.dropped`: the walk's own reasons, `cut`
    (the token that completes the link, or its whole document, is not in the row) and `no room` (its target is not).

    Args:
        seq_len: tokens in the row, end-of-text of each document included.
        excess: what is lost where the documents are longer than the row: `CutLast()`, `PadRest()`, `FitRest()`, or
            an `Excess` of your own. The root is always in the row, cut at its end where it is longer than the row.
        min_document: a document that is cut keeps at least this many tokens beyond its title line, or is left out.
            The length of the title line is bounded by the bytes of the title, since no token is less than a byte.
        max_document: no document keeps more tokens than this, the root included; None for no cap. Walks count whole
            documents, so with a cap they fill a row only if `TraverseLinks` has a larger budget.

    >>> Pack(seq_len=2048).axes()
    {'seq': 2048}
    """

    seq_len: int = attrs.field(validator=at_least(2, "A row holds a token and end-of-text at least: try 2048."))
    excess: Excess = attrs.field(
        default=CutLast(),
        validator=satisfies(lambda excess: isinstance(excess, Excess), "an Excess", "Try CutLast() or FitRest()."),
        kw_only=True,
    )
    min_document: int = attrs.field(
        default=16, validator=at_least(0, "Give 0 to keep any piece, however short."), kw_only=True
    )
    max_document: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(at_least(2, "Give None for no cap.")), kw_only=True
    )

    def __call__(self, walks: Iterator[Walk]) -> Iterator[PackedSequence]:
        """Yield one row per walk."""
        for walk in walks:
            row = self.row(walk)
            for reason, told in PACK_DROPS.items():
                drop(told, count=row.dropped.get(reason, 0), example=row.ids[-1])
            drop(CUT_TOKENS, count=row.cut, example=row.ids[-1])
            drop(LEFT_OUT, count=len(walk.documents) - len(row.ids), example=row.ids[-1])
            yield row

    __or__ = then

    def joined(self, source: object) -> Source[PackedSequence] | None:
        """What a pipeline reads in place of many walks over stored documents and this stage: the same rows, by
        machine code. None for another source, and for fewer walks than compiling is worth."""
        from gptlab.packing.packed_walks import PackedWalks  # noqa: PLC0415 - its rows are defined here

        if not isinstance(source, Walks) or len(source) < MANY_WALKS:
            return None
        return PackedWalks(source.documents, source.traverse, self)

    def axes(self) -> Mapping[str, int]:
        """A row has `seq_len` tokens."""
        return {"seq": self.seq_len}

    def row(self, walk: Walk) -> PackedSequence:
        """The row of one walk."""
        end_of_text, lengths = _end_of_text(walk), self._lengths(walk)
        kept = np.flatnonzero(lengths)
        starts = np.zeros(len(walk.documents) + 1, np.int32)
        np.cumsum(lengths, out=starts[1:])
        length = int(starts[-1])
        tokens = np.full(self.seq_len, end_of_text, walk.documents[0].tokens.dtype)
        for number in kept.tolist():
            # The last token of the slice stays end-of-text, whether or not the document is cut.
            tokens[starts[number] : starts[number + 1] - 1] = walk.documents[number].tokens[: lengths[number] - 1]
        edges, lost = _moved(walk, lengths, starts)
        dropped = dict(walk.dropped)
        for reason, count in lost.items():
            if count:
                dropped[reason] = dropped.get(reason, 0) + count
        return PackedSequence(
            tokens=tokens,
            starts=starts[kept],
            ids=tuple(walk.documents[number].id for number in kept.tolist()),
            edges=edges,
            length=length,
            end_of_text=end_of_text,
            dropped=dropped,
            cut=sum(len(walk.documents[number].tokens) for number in kept.tolist()) - length,
        )

    def _lengths(self, walk: Walk) -> Int32[np.ndarray, "documents"]:
        """Tokens that each document keeps; 0 for those left out."""
        order = np.argsort(walk.visited, kind="stable")
        documents = [walk.documents[number] for number in order.tolist()]
        whole = np.array([len(document.tokens) for document in documents], np.int64)
        least = np.array([self.least(document.title) for document in documents], np.int64)
        sizes = np.minimum(whole, self.max_document or whole)
        sizes[1:][(sizes < whole)[1:] & (sizes < least)[1:]] = 0
        kept = self.excess.kept(sizes.copy(), least, self.seq_len)
        fits = kept.shape == sizes.shape and bool(((kept >= 0) & (kept <= sizes)).all())
        if not fits or kept[0] == 0 or kept.sum() > self.seq_len:
            raise refusal(
                f"{type(self.excess).__name__}.kept, in the walk from {documents[0].id!r}",
                got=f"{kept.tolist()} of {sizes.tolist()} tokens, for a row of {self.seq_len}",
                wanted="some of the first, of each no more than it has, and together no more than the row holds",
                do="Return an array as long as the documents, 0 for those that are left out.",
            )
        lengths = np.zeros(len(documents), np.int32)
        lengths[order] = kept
        return lengths

    def least(self, title: str) -> int:
        """Tokens without which a cut document is not worth its place: title line, `min_document`, end-of-text."""
        return len(title.encode("utf-8", "surrogatepass")) + _TITLE_MARKS + self.min_document + 1


def _end_of_text(walk: Walk) -> int:
    if not walk.documents:
        raise refusal(
            "Pack", got="a walk without documents", wanted="a root at least", do="Check the stage before Pack."
        )
    ends = {int(document.tokens[-1]) if len(document.tokens) else None for document in walk.documents}
    end = ends.pop()
    if ends or end is None:
        raise refusal(
            f"Pack, in the walk from {walk.documents[int(walk.visited.argmin())].id!r}",
            got="documents that end with different tokens, or have none",
            wanted="end-of-text as the last token of every document",
            do="Tokenize all documents with one tokenizer.",
        )
    return end


def _moved(
    walk: Walk, lengths: Int32[np.ndarray, "documents"], starts: Int32[np.ndarray, "offsets"]
) -> tuple[Int32[np.ndarray, "edges 3"], dict[str, int]]:
    """The walk's edges in the row, and why the others are lost."""
    linker, target, position = walk.edges.T
    is_cut = position >= lengths[linker] - 1  # the last token is end-of-text: no link is completed there
    is_homeless = ~is_cut & (lengths[target] == 0)
    stays = ~is_cut & ~is_homeless
    number = np.cumsum(lengths > 0) - 1
    linker, target, position = linker[stays], target[stays], position[stays]
    edges = np.stack([number[linker], number[target], starts[linker] + position], axis=1).astype(np.int32)
    return edges, {"cut": int(is_cut.sum()), "no room": int(is_homeless.sum())}
