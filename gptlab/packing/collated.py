"""Batches without the rows in between: what a pipeline reads where `Collate` follows a source that can give them."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

from gptlab.pipeline.observe import drop
from gptlab.types import Batch, PackedSequence


@runtime_checkable
class RowsInBatches(Protocol):
    """A seekable source of rows that can give some of them as a batch, faster than one by one.

    >>> from gptlab.packing import PackedRows, Shuffled
    >>> isinstance(Shuffled(()), RowsInBatches), issubclass(PackedRows, RowsInBatches)
    (True, True)
    """

    def get_data_generator(self, start: int = 0) -> Iterator[PackedSequence]:
        """The rows from number `start` on."""

    def batch_of(self, first: int, last: int) -> Batch | None:
        """Its rows `first` to `last - 1`, or those of them that there are, as `stack` collates them; None: no row."""


@attrs.frozen
class Collated:
    """Batches of a source of rows: equal to `Collate` behind it.

    Args:
        rows: the source.
        batch_size, drop_last: as in `Collate`.
    """

    rows: RowsInBatches
    batch_size: int
    drop_last: bool

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        """The batches from number `start` on."""
        first = start * self.batch_size
        while (batch := self.rows.batch_of(first, first + self.batch_size)) is not None:
            if self.drop_last and len(batch.tokens) < self.batch_size:
                example = next(self.rows.get_data_generator(first)).ids[0]
                drop("row of a last batch that is not full", count=len(batch.tokens), example=example)
                return
            waiting = [batch]
            del batch  # while the next one is made, its memory may be what this one had
            yield waiting.pop()
            first += self.batch_size

    def axes(self) -> Mapping[str, Any]:
        """Those of the rows, as far as they claim any."""
        return getattr(self.rows, "axes", dict)()
