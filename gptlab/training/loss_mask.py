"""Which tokens are learned: a stage between batches, for where not every token should teach.

A target of -1 is read, but not learned; that is how padding and the ends of documents are marked already. Masks
come by composition: `pipeline(..., Collate(8), LossMask(linkers), model.forward)`.
"""

from collections.abc import Callable, Iterator

import attrs
import numpy as np
from jaxtyping import Bool

from gptlab.pipeline import then
from gptlab.types import Batch

Keep = Callable[[Batch], Bool[np.ndarray, "batch seq"]]
"""Which tokens of a batch stay targets."""


@attrs.frozen
class LossMask:
    """Batches in which only some tokens are learned; all of them are still read.

    Args:
        keep: says which: `linkers`, or a function of your own.
    """

    keep: Keep

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches with fewer targets."""
        for batch in batches:
            yield attrs.evolve(batch, targets=np.where(self.keep(batch), batch.targets, np.int32(-1)))

    __or__ = then

    @property
    def items_per_yield(self) -> int:
        """One batch makes one batch, so a pipeline seeks through it."""
        return 1


def linkers(batch: Batch) -> Bool[np.ndarray, "batch seq"]:
    """Tokens of documents that read at least one other: what links are there for.

    >>> row = np.array([[5, 6, 0, 7, 0]], np.int32)
    >>> batch = Batch(
    ...     tokens=row, targets=np.array([[6, 0, -1, 0, -1]], np.int32),
    ...     documents=np.array([[0, 0, 0, 1, 1]], np.int32), positions=np.arange(5, dtype=np.int32)[None],
    ...     edges=np.array([[[1, 0, 3]]], np.int32),
    ... )
    >>> next(LossMask(linkers)(iter([batch]))).targets
    array([[-1, -1, -1,  0, -1]], dtype=int32)
    """
    found = np.zeros(batch.documents.shape, bool)
    for row, (numbers, edges) in enumerate(zip(batch.documents, batch.edges, strict=True)):
        found[row] = np.isin(numbers, edges[edges[:, 0] >= 0, 0])
    return found
