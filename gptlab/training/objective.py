"""What is made small: the loss of a step's batches, each learned token of which counts the same.

A batch's loss is a mean over what it teaches (`learned`), so its share in the step is what it teaches over what all
batches of the step teach, those of other ranks included. Four batches of one row are then one batch of four rows,
in one process or in four, whatever padding there is; a mean of means is not.
"""

from typing import Any

import numpy as np
import torch

from gptlab.training.data import learned
from gptlab.training.errors import TrainingError
from gptlab.training.ranks import Ranks


def shares(batches: list[Any], count: int, ranks: Ranks) -> list[float]:
    """What part of the step's loss each of this rank's batches is; 1 in all, over all ranks.

    Batches that teach nothing at all share equally, and their loss is whatever the model says.

    Args:
        batches: what this rank has read.
        count: how many it should have.
        ranks: all of which ask at the same time, and get the same answer.

    Returns:
        Nothing where any rank has fewer batches than it should: the data have ended.
    """
    weights = [learned(batch) for batch in batches]
    taught, found = ranks.total(sum(weights), len(batches))
    if found < count * ranks.world:
        return []
    return [weight / taught if taught else 1 / found for weight in weights]


def z_loss(output: Any, batch: Any) -> torch.Tensor:
    """The mean over learned tokens of the squared logarithm of the softmax's sum (PaLM, arXiv:2204.02311, section 5).

    Args:
        output: has `log_sums` [batch, seq], or `logits` [batch, seq, vocab].
        batch: has `targets` [batch, seq], -1 where nothing is learned.

    Raises:
        TrainingError: the model gives neither.
    """
    log_sums: Any = getattr(output, "log_sums", None)
    logits: Any = getattr(output, "logits", None)
    if log_sums is None and logits is None:
        raise TrainingError(
            "TrainerConfig.z_loss",
            got=f"a {type(output).__name__} without log_sums or logits while training",
            wanted="the logarithm of the softmax's sum at each token",
            do="Set z_loss=0, or let the model yield log_sums.",
        )
    if log_sums is None:
        log_sums = logits.float().logsumexp(dim=-1)
    is_learned = torch.as_tensor(np.asarray(batch.targets) >= 0, device=log_sums.device)
    squares: torch.Tensor = log_sums.square() * is_learned
    return squares.sum() / is_learned.sum().clamp(min=1)
