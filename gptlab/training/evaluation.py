"""Mean loss on held-out data with its standard error, and the hook that computes it every so many steps.

Tokens of one row depend on each other, so the standard error counts rows, not tokens: taking tokens for
independent would make it several times too small.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from jaxtyping import Float64

from gptlab.pipeline.observe import say
from gptlab.pipeline.protocols import Source
from gptlab.training.state import TrainableModel, TrainState


@attrs.frozen(kw_only=True)
class MeanLoss:
    """A mean over held-out data.

    Attributes:
        mean: nats for each learned token; for models without token losses, the mean of their losses.
        stderr: its standard error, from the differences between rows (or batches); 0 for a single one.
        units: rows (or batches) read.
        tokens: learned tokens read; 0 where there are none.
    """

    mean: float
    stderr: float
    units: int
    tokens: int


def scored(model: TrainableModel[Any, Any], batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each batch with the model's output for it, without gradients and with dropout off.

    The network's mode is put back at the end, so that evaluation in the middle of training changes nothing.

    Args:
        model: its `forward` yields one output for each batch, in order, without reading ahead.
        batches: read lazily.
    """
    network = model.network
    was_training = network.training
    given: list[Any] = []

    def remember() -> Iterator[Any]:
        for batch in batches:
            given.append(batch)
            yield batch

    network.eval()
    try:
        outputs = model.forward(remember())
        while True:
            with torch.no_grad():
                output = next(outputs, None)
            if output is None:
                return
            yield given.pop(0), output
    finally:
        network.train(was_training)


def mean_loss(model: TrainableModel[Any, Any], batches: Iterable[Any]) -> MeanLoss:
    """The mean loss over all learned tokens of `batches`, with its standard error.

    Args:
        model: scored as it is.
        batches: all of them are read.

    Returns:
        The ratio of sums over rows; its standard error by the usual linearisation of a ratio of means
        (Cochran, Sampling Techniques, 1977, section 6.4).
    """
    sums: list[float] = []
    counts: list[float] = []
    tokens = 0
    for batch, output in scored(model, batches):
        token_losses = getattr(output, "token_losses", None)
        if token_losses is None:
            sums.append(float(output.loss))
            counts.append(1.0)
        else:
            learned = (np.asarray(batch.targets) >= 0).sum(axis=1)
            sums.extend(token_losses.double().sum(dim=1).tolist())
            counts.extend(learned.tolist())
            tokens += int(learned.sum())
    mean, stderr = ratio_of_means(np.array(sums, np.float64), np.array(counts, np.float64))
    return MeanLoss(mean=mean, stderr=stderr, units=len(sums), tokens=tokens)


def ratio_of_means(sums: Float64[np.ndarray, "units"], counts: Float64[np.ndarray, "units"]) -> tuple[float, float]:
    """`sum(sums) / sum(counts)` and its standard error, where each entry is one independent unit.

    Returns:
        NaN for no units at all; a standard error of 0 for one.

    >>> ratio_of_means(np.array([2.0, 4.0]), np.array([1.0, 1.0]))
    (3.0, 1.0)
    """
    total, units = float(counts.sum()), len(counts)
    if total == 0:
        return math.nan, math.nan
    mean = float(sums.sum()) / total
    if units == 1:
        return mean, 0.0
    residuals = sums - mean * counts
    return mean, math.sqrt(units / (units - 1) * float((residuals**2).sum())) / total


@attrs.frozen(kw_only=True)
class Evaluate:
    """Hook: the mean loss on held-out batches, every so many steps and at the last.

    Where an average of the weights is kept, that is what is evaluated. Every rank reads all of the batches.

    Attributes:
        source: held-out batches.
        every: steps.
        batches: how many of them are read; None: all.
        name: the figures are `<name>_loss` and `<name>_loss_stderr`.
    """

    source: Source[Any]
    every: int
    batches: int | None = None
    name: str = "held_out"

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Evaluate where it is due, and say so."""
        if not state.is_due(self.every):
            return {}
        with state.averaged():
            found = mean_loss(state.model, itertools.islice(self.source.get_data_generator(), self.batches))
        say(
            f"step {state.step} of {state.steps}: loss {state.loss:.4f}, "
            f"{self.name} loss {found.mean:.4f} ± {found.stderr:.4f}"
        )
        return {f"{self.name}_loss": found.mean, f"{self.name}_loss_stderr": found.stderr}
