"""Rows in a new order every epoch, endlessly, from any point on, shared out over ranks.

Item k is a pure function of (rows, seed, k), so a run that resumes at k, on any machine, goes on exactly where it
stopped, and the state of the loader is one integer.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
from jaxtyping import Int64

from gptlab.graph.permutation import seeded_permutation
from gptlab.packing.collate import stack
from gptlab.pipeline import then
from gptlab.pipeline.protocols import HasAxes, PreCached
from gptlab.storage import FromMapping
from gptlab.types import Batch, PackedSequence
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least


@runtime_checkable
class RowsByNumber(Protocol):
    """What can be shuffled without reading all of it: `PackedRows`, a tuple of rows, or a store of your own.

    >>> isinstance((), RowsByNumber)
    True
    """

    def __len__(self) -> int:
        """How many rows there are."""

    def __getitem__(self, number: int, /) -> PackedSequence:
        """Row `number`."""


@runtime_checkable
class BatchesByNumber(Protocol):
    """Rows of which a batch can be read at once, as from `PackedRows`.

    >>> isinstance((), BatchesByNumber)
    False
    """

    def batch_at(self, numbers: Int64[np.ndarray, "batch"], /) -> Batch:
        """The rows of these numbers, as `stack` collates them."""


@attrs.frozen
class Shuffled:
    """Every row once per epoch, each epoch in an order of its own.

    Args:
        rows: what to draw from.
        seed: of all orders.
        epochs: how many times through; None never ends.
        rank, world: of the shuffled rows this value gives those of numbers `rank`, `rank + world`, and so on, so
            `world` ranks together give each row once. At a last epoch that `world` does not divide, the ranks
            below the remainder get one row more.
    """

    rows: RowsByNumber
    seed: int = attrs.field(default=0, validator=at_least(0, "Any whole number from 0 on will do."), kw_only=True)
    epochs: int | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(at_least(1, "Give None to go on for ever.")),
        kw_only=True,
    )
    rank: int = attrs.field(default=0, validator=at_least(0, "Ranks count from 0."), kw_only=True)
    world: int = attrs.field(default=1, validator=at_least(1, "Give the number of ranks."), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.rank >= self.world:
            raise refusal(
                "Shuffled.rank", got=self.rank, wanted=f"below world={self.world}", do="Ranks count from 0."
            )

    def shard(self, rank: int, world: int) -> "Shuffled":
        """The share of one rank of `world`."""
        return attrs.evolve(self, rank=rank, world=world)

    def get_data_generator(self, start: int = 0) -> Iterator[PackedSequence]:
        """The rows of this rank from its item `start` on.

        Raises:
            ValueError: there are no rows.
        """
        self._size()
        while len(number := self._numbers(start, start + 1)):
            yield self.rows[int(number[0])]
            start += 1

    def batch_of(self, first: int, last: int) -> Batch | None:
        """Items `first` to `last - 1` of this rank, or those of them that there are, as one batch; None: no item.

        Raises:
            ValueError: there are no rows.
        """
        numbers = self._numbers(first, last)
        if not len(numbers):
            return None
        if self._by_number is not None:
            return self._by_number.batch_at(numbers)
        return stack([self.rows[number] for number in numbers.tolist()])

    def _numbers(self, first: int, last: int) -> Int64[np.ndarray, "items"]:
        """Which rows the items `first` to `last - 1` of this rank are."""
        size = self._size()
        epoch, begin = divmod(first * self.world + self.rank, size)
        end = begin + (last - first - 1) * self.world
        if first < last and end < size and (self.epochs is None or epoch < self.epochs):  # as nearly always
            return self._order(size, epoch)[begin : end + 1 : self.world].copy()
        at = np.arange(first, last, dtype=np.int64) * self.world + self.rank
        epochs, places = np.divmod(at if self.epochs is None else at[at < self.epochs * size], size)
        numbers = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs).tolist():
            is_in = epochs == epoch
            numbers[is_in] = self._order(size, epoch)[places[is_in]]
        return numbers

    def _order(self, size: int, epoch: int) -> Int64[np.ndarray, "rows"]:
        """The order of one epoch; the last two are kept, for a batch may lie in both."""
        key = size, epoch
        if key not in self._orders:
            while len(self._orders) > 1:
                self._orders.popitem()
            self._orders[key] = seeded_permutation(size, self.seed, epoch)
        return self._orders[key]

    @cached_property
    def _by_number(self) -> BatchesByNumber | None:
        """The rows, where a batch of them can be read at once; to ask a Protocol takes longer than all else here."""
        return self.rows if isinstance(self.rows, BatchesByNumber) else None

    @cached_property
    def _orders(self) -> dict[tuple[int, int], Int64[np.ndarray, "rows"]]:
        """Orders that were drawn: no part of the value."""
        return {}

    def _size(self) -> int:
        size = len(self.rows)
        if size == 0:
            raise refusal("Shuffled.rows", got="no rows", wanted="at least one", do="Look at what was dropped.")
        return size

    __or__ = then
    initialize = FromMapping()

    def pre_cache(self) -> None:
        """Make the rows, where they are made once."""
        if isinstance(self.rows, PreCached):
            self.rows.pre_cache()

    def axes(self) -> Mapping[str, Any]:
        """The axes of the rows, as far as they claim any."""
        return self.rows.axes() if isinstance(self.rows, HasAxes) else {}
