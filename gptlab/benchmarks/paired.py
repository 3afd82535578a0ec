"""The same rows with their edges and without, through the same weights: what the links alone are worth.

Tokens, positions and documents are identical; only the edges of the mask are gone. So for a model that reads
along links (`from_link`, `whole_document`) every other document is hidden, and a difference can come from nothing
but the linked documents; for one that ignores edges (`causal`, `document`) the difference is exactly 0.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import numpy as np
from jaxtyping import Float64, Shaped

from gptlab.packing import Collate, cut_edges
from gptlab.training import TrainableModel, ratio_of_means, scored
from gptlab.types import Batch, PackedSequence


@attrs.frozen(kw_only=True, eq=False)
class PairedOutput:
    """One batch of rows scored twice.

    Attributes:
        first_row: index, among all rows, of the first row of this batch.
        rows: of this batch.
        batch: as the model read it, edges and all.
        linked: the output with the edges as they are.
        cut: the output with all edges cut.
    """

    first_row: int
    rows: tuple[PackedSequence, ...]
    batch: Batch
    linked: Any
    cut: Any


def score_with_and_without_edges(
    rows: Iterable[PackedSequence], model: TrainableModel[Any, Any], batch_size: int
) -> Iterator[PairedOutput]:
    """Score all rows, the last batch being as small as it must.

    Args:
        rows: read lazily, each once.
        model: yields an output for each batch; the network is in evaluation mode meanwhile.
        batch_size: rows at a time; two outputs of this many rows are held at once.
    """
    groups: list[tuple[PackedSequence, ...]] = []

    def batches() -> Iterator[Batch]:
        remaining = iter(rows)
        while group := tuple(itertools.islice(remaining, batch_size)):
            groups.append(group)
            batch = next(iter(Collate(len(group))(iter(group))))
            yield batch
            yield cut_edges(batch)

    first_row = 0
    outputs = scored(model, batches())
    for (batch, linked), (_, cut) in zip(outputs, outputs, strict=True):
        group = groups.pop(0)
        yield PairedOutput(first_row=first_row, rows=group, batch=batch, linked=linked, cut=cut)
        first_row += len(group)


def clustered_mean(
    values: Float64[np.ndarray, "observations"],
    clusters: Shaped[np.ndarray, "observations"],
    weights: Float64[np.ndarray, "observations"] | None = None,
) -> tuple[float, float]:
    """The mean of `values` and its standard error when only clusters are independent of each other.

    Args:
        values: one for each observation, or its sum over `weights` observations.
        clusters: whose observation it is; any values that compare.
        weights: how many observations a value is the sum of; None: one each.

    Source: Miller, Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640, section 2.2

    >>> clustered_mean(np.array([1.0, 1.0, 3.0, 3.0]), np.array(["a", "a", "b", "b"]))
    (2.0, 1.0)
    """
    if len(values) == 0:
        return float("nan"), float("nan")
    _, numbers = np.unique(clusters, return_inverse=True)
    counts = np.ones(len(values)) if weights is None else weights
    return ratio_of_means(np.bincount(numbers, values), np.bincount(numbers, counts))
