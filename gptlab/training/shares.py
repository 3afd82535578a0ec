"""Which rank reads which rows. The batches of a run do not depend on how many processes share them.

Batch k is item k of the data source, whatever the number of ranks, and each rank reads some of its rows. So a
checkpoint says nothing of ranks: it is gone on from with any number of them, up to one for each row of a batch.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from gptlab.packing import Prefetch
from gptlab.pipeline import SourcePipeline
from gptlab.training.errors import TrainingError
from gptlab.training.ranks import Ranks


def share_of(source: Any, ranks: Ranks) -> Any:
    """The part of every batch that this rank reads.

    Rows that can be read apart are (`Shuffled.shard`, then stages that stack a number of rows that the ranks
    divide). From any other source every rank reads whole batches and takes its rows of them: right for all, at the
    price of reading what others use.
    """
    if ranks.world == 1:
        return source
    if isinstance(source, Prefetch):
        return attrs.evolve(source, source=share_of(source.source, ranks))
    return _sharded(source, ranks) or _RowsOf(source, ranks)


def _sharded(source: Any, ranks: Ranks) -> Any:
    if not isinstance(source, SourcePipeline) or not hasattr(source.parts[0], "shard"):
        return None
    parts = [source.parts[0].shard(ranks.rank, ranks.world)]
    for stage in source.parts[1:]:
        size, stacked = getattr(stage, "items_per_yield", None), getattr(stage, "batch_size", None)
        if size == 1 and stacked is None:
            parts.append(stage)
        elif size is not None and stacked == size and size % ranks.world == 0:
            parts.append(attrs.evolve(stage, batch_size=size // ranks.world))
        else:
            return None
    return SourcePipeline(tuple(parts), checks=source.checks)


@attrs.frozen
class _RowsOf:
    """Every rank's rows of every batch: numbers `rank`, `rank + world`, and so on."""

    source: Any
    ranks: Ranks

    def get_data_generator(self, start: int = 0) -> Iterator[Any]:
        """The batches from `start` on, each cut."""
        can_seek = "start" in inspect.signature(self.source.get_data_generator).parameters
        batches = self.source.get_data_generator(start=start) if can_seek else self.source.get_data_generator()
        for batch in batches:
            yield rows_of(batch, self.ranks.rank, self.ranks.world)


def rows_of(batch: Any, rank: int, world: int) -> Any:
    """Rows `rank`, `rank + world`, ... of a record of arrays whose first axis is the batch.

    Raises:
        TrainingError: it is no such record, or has fewer rows than there are ranks.
    """
    fields = [field.name for field in attrs.fields(type(batch))] if attrs.has(type(batch)) else []
    arrays = {name: getattr(batch, name) for name in fields if isinstance(getattr(batch, name), np.ndarray)}
    sizes = {len(array) for array in arrays.values() if array.ndim}
    if len(sizes) != 1 or len(arrays) != len(fields):
        raise TrainingError(
            f"a batch of type {type(batch).__name__}, for {world} ranks",
            got="a value that is no record of arrays with one row each",
            wanted="an attrs class of NumPy arrays that all have the batch as their first axis, such as Batch",
            do="Yield such records, or train in one process.",
        )
    (rows,) = sizes
    if rows < world:
        raise TrainingError(
            f"a batch of {rows} rows, for {world} ranks",
            got="ranks without a row",
            wanted="at least one row for each rank in every batch",
            do=f"Start {rows} processes or fewer, or ask for larger batches.",
        )
    return attrs.evolve(batch, **{name: array[rank::world] for name, array in arrays.items()})
