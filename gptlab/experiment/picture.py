"""The picture of one row as the model sees it: its mask by the dense definition, beside its documents and links."""

from pathlib import Path

import torch

from gptlab.experiment.plot_mask import plot_mask
from gptlab.models import MaskSpec, dense_mask
from gptlab.models.tensors import batch_tensors
from gptlab.packing import stack
from gptlab.pipeline.protocols import Source
from gptlab.types import PackedSequence

_LOOKED_AT = 64
"""Rows of which the one with the most edges is drawn."""


def draw_row(rows: Source[PackedSequence], spec: MaskSpec, out: Path) -> Path:
    """Draw the row with the most edges among the first.

    Args:
        rows: held-out rows, say.
        spec: the model's mask.
        out: the PNG.
    """
    first = [row for row, _ in zip(rows.get_data_generator(), range(_LOOKED_AT), strict=False)]
    row = max(first, key=lambda each: len(each.edges))
    fields = batch_tensors(stack([row]), torch.device("cpu"))
    mask = dense_mask(fields["documents"], fields["edges"], spec)[0].numpy()
    titles = [str(document).replace("_", " ") for document in row.ids]
    return plot_mask(mask, row.starts, titles, row.edges, out, length=row.length)
