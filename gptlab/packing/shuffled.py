"""Rows in a new order every epoch, endlessly, from any point on, shared out over ranks.

Item k is a pure function of (rows, seed, k), so a run that resumes at k, on any machine, goes on exactly where it
stopped, and the state of the loader is one integer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

from gptlab.graph.permutation import seeded_permutation
from gptlab.pipeline import then
from gptlab.pipeline.protocols import HasAxes, PreCached
from gptlab.storage import FromMapping
from gptlab.types import PackedSequence
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
        size = len(self.rows)
        if size == 0:
            raise refusal("Shuffled.rows", got="no rows", wanted="at least one", do="Look at what was dropped.")
        at, known = start * self.world + self.rank, -1
        while self.epochs is None or at < self.epochs * size:
            epoch, place = divmod(at, size)
            if epoch != known:
                order, known = seeded_permutation(size, self.seed, epoch), epoch
            yield self.rows[int(order[place])]
            at += self.world

    __or__ = then
    initialize = FromMapping()

    def pre_cache(self) -> None:
        """Make the rows, where they are made once."""
        if isinstance(self.rows, PreCached):
            self.rows.pre_cache()

    def axes(self) -> Mapping[str, Any]:
        """The axes of the rows, as far as they claim any."""
        return self.rows.axes() if isinstance(self.rows, HasAxes) else {}
