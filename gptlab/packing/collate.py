"""Rows stacked for a model, with next-token targets; and how to take a row or a batch apart again."""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np
from jaxtyping import Bool, Int32, UInt16, UInt32

from gptlab.packing.collated import Collated, RowsInBatches
from gptlab.pipeline import AtMost, then
from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Source
from gptlab.types import Batch, PackedSequence
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

Piece = UInt16[np.ndarray, "_"] | UInt32[np.ndarray, "_"]
"""Tokens of a document or a part of one; the axis has no name, for pieces that stand together differ in length."""


@attrs.frozen
class Collate:
    """Stack rows to batches.

    Nothing is lost: when the rows end within a batch, the last batch is smaller. A model compiled for one size
    may ask to leave it out; what is dropped then is counted. Rows of an endless source never end.

    Args:
        batch_size: rows in a batch.
        drop_last: leave out a last batch that is not full.

    >>> Collate(8).axes(), Collate(8, drop_last=True).axes(), Collate(8).items_per_yield
    ({'batch': AtMost(size=8)}, {'batch': 8}, 8)
    """

    batch_size: int = attrs.field(validator=at_least(1, "Try batch_size=8."))
    drop_last: bool = attrs.field(default=False, kw_only=True)

    def __call__(self, rows: Iterator[PackedSequence]) -> Iterator[Batch]:
        """Read `batch_size` rows, yield them as one batch, and so on."""
        waiting: list[PackedSequence] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == self.batch_size:
                yield stack(waiting)
                waiting = []
        if waiting and self.drop_last:
            drop("row of a last batch that is not full", count=len(waiting), example=waiting[0].ids[0])
        elif waiting:
            yield stack(waiting)

    __or__ = then

    def joined(self, source: object) -> Source[Batch] | None:
        """What a pipeline reads in place of `source` and this stage: the same batches, without the rows in between.

        None for a source of which nothing is known but its rows.
        """
        if not isinstance(source, RowsInBatches):
            return None
        return Collated(source, self.batch_size, self.drop_last)

    @property
    def items_per_yield(self) -> int:
        """How many rows one batch takes, by which a pipeline seeks."""
        return self.batch_size

    def axes(self) -> Mapping[str, int | AtMost]:
        """A batch has `batch_size` rows, the last one perhaps fewer."""
        return {"batch": self.batch_size if self.drop_last else AtMost(self.batch_size)}


def stack(rows: list[PackedSequence]) -> Batch:
    """One batch of all `rows`, which must be of one length and one tokenizer."""
    _check(rows)
    tokens = np.stack([row.tokens for row in rows]).astype(np.int32)
    length = np.array([row.length for row in rows], np.int32)
    place = np.arange(tokens.shape[1], dtype=np.int32)
    is_padding = place >= length[:, None]
    is_end = tokens == rows[0].end_of_text
    targets = np.full_like(tokens, -1)
    targets[:, :-1] = np.where(is_padding[:, 1:] | is_end[:, :-1], -1, tokens[:, 1:])
    edges = np.full((len(rows), max(len(row.edges) for row in rows), 3), -1, np.int32)
    for number, row in enumerate(rows):
        edges[number, : len(row.edges)] = row.edges
    return Batch(
        tokens=tokens,
        targets=targets,
        documents=np.where(is_padding, -1, _exclusive_cumsum(is_end)).astype(np.int32),
        positions=np.where(is_padding, -1, place).astype(np.int32),
        edges=edges,
    )


def cut_edges(batch: Batch) -> Batch:
    """The same batch in which no document can read another: the control of every measurement of links.

    The shape of `edges` stays, so that a compiled model is not compiled again.
    """
    return attrs.evolve(batch, edges=np.full_like(batch.edges, -1))


def unpack(row: PackedSequence) -> list[Piece]:
    """The documents of a row, without the padding; copies."""
    return [part.copy() for part in np.split(row.tokens[: row.length], row.starts[1:])]


def _exclusive_cumsum(is_end: Bool[np.ndarray, "batch seq"]) -> Int32[np.ndarray, "batch seq"]:
    """Number of the document of each token: how many have ended before it."""
    ended: Int32[np.ndarray, "batch seq"] = np.cumsum(is_end, axis=1, dtype=np.int32) - is_end
    return ended


def _check(rows: list[PackedSequence]) -> None:
    first = rows[0]
    for number, row in enumerate(rows):
        if len(row.tokens) != len(first.tokens) or row.end_of_text != first.end_of_text:
            raise refusal(
                f"Collate, row {number} of a batch",
                got=f"{len(row.tokens)} tokens, end-of-text {row.end_of_text}",
                wanted=f"{len(first.tokens)} tokens, end-of-text {first.end_of_text}, as the first row has",
                do="Pack all rows with one seq_len and one tokenizer.",
            )
