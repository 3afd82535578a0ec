"""What a training run is asked to do, as one frozen value.

It is checked when it is made, so that a wrong setting costs no download and no packing. Nothing here depends on
the machine, unless `dtype="auto"` is asked for: the same value gives the same run on any of them, up to the order in
which a device adds floats.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, get_args

import attrs

from gptlab.training.errors import TrainingError
from gptlab.types.validators import Validator, at_least, one_of, satisfies

SCHEDULES = ("cosine", "wsd", "constant")
"""How the learning rate falls after the warm-up; see `gptlab.training.learning_rate`."""

OptimizerName = Literal["adamw", "muon"]
"""AdamW for everything, or Muon for the matrices between embedding and head and AdamW for the rest."""

ComputeType = Literal["float32", "bfloat16", "auto"]
"""`bfloat16` is autocast: weights stay in 32 bits. `auto` is that where the device multiplies it in hardware."""

ParallelKind = Literal["ddp", "fsdp"]
"""What several processes do: each holds all weights (DDP), or each a part of them (FSDP2)."""

Groups = tuple[tuple[str, float, float], ...]
"""(pattern of parameter names, factor of the learning rate, weight decay); the first that matches a name counts."""

Counts = tuple[tuple[int, int], ...]
"""(step, batches): from this step on (counted from 0) so many batches each."""


def _number(wanted: str, is_right: Callable[[float], bool]) -> Validator:
    """A validator for a finite number."""
    return satisfies(lambda value: _is_real(value) and is_right(value), wanted, error=TrainingError)


def _count(least: int) -> Validator:
    """A validator for a whole number."""
    return at_least(least, error=TrainingError)


def _choice(hint: Any) -> Validator:
    """A validator for one of the values of a Literal."""
    return one_of(get_args(hint), error=TrainingError)


def _or_none(wanted: str, is_right: Callable[[float], bool]) -> Validator:
    """A validator for a finite number, or None."""
    return satisfies(
        lambda value: value is None or (_is_real(value) and is_right(value)),
        f"{wanted}, or None",
        error=TrainingError,
    )


def _is_schedule(value: Any) -> bool:
    parts = value.split(".") if isinstance(value, str) else []
    return value in SCHEDULES or (len(parts) > 1 and all(part.isidentifier() for part in parts))


def _are_groups(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(group, tuple)
        and len(group) == 3
        and isinstance(group[0], str)
        and all(_is_real(number) and number >= 0 for number in group[1:])
        for group in value
    )


def _are_counts(value: Any) -> bool:
    if not isinstance(value, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return False
    whole = all(type(number) is int for pair in value for number in pair)
    return (
        whole and all(a[0] < b[0] for a, b in pairwise(((-1, 1), *value))) and all(count >= 1 for _, count in value)
    )


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair_of_betas(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_real(beta) and 0 <= beta < 1 for beta in value)


@attrs.frozen(kw_only=True)
class TrainerConfig:
    """How long, how fast and how carefully to train.

    Attributes:
        steps: optimiser steps in all; a step reads `accumulate` batches.
        learning_rate: the highest, reached when the warm-up ends.
        min_learning_rate_ratio: the lowest at the end, as a share of `learning_rate`.
        warmup_steps: steps in which the learning rate rises in a line from near 0.
        schedule: what happens after the warm-up: cosine, wsd, constant; or a function of your own by its import
            path, `my_package.my_rate`, called as `my_rate(cfg, step)` for every step, warm-up included.
        optimizer: which rule changes the weights.
        weight_decay: of matrices; vectors (norms, biases) are never decayed.
        groups: parameters with a learning rate and weight decay of their own: (pattern of names as in a shell,
            factor of the learning rate, weight decay), such as `("*embedding*", 0.5, 0.0)`.
        betas: AdamW's.
        clip: the largest norm of all gradients together; longer ones are scaled down to it. None: as they are.
        ema: decay of a moving average of the weights, which then is what is evaluated, kept and returned.
        z_loss: weight of the mean squared logarithm of the softmax's sum (1e-4 in arXiv:2204.02311).
        accumulate: batches per step; every learned token of them counts the same.
        batch_schedule: (step, batches) pairs: from that step on a step reads so many batches, before the first
            `accumulate`.
        evaluate_every: steps between evaluations on held-out data; the last step always evaluates.
        patience: evaluations without a better held-out loss before training ends early. None: it never does.
        keep_best: keep the model with the lowest held-out loss in the run's `best/`.
        checkpoint_every: steps between checkpoints; the last step always saves.
        checkpoint_minutes: minutes after which a checkpoint is due as well.
        keep_last: checkpoints kept; older ones are removed once a newer one is whole.
        save_in_background: write checkpoints beside the training; a step waits for a copy of the weights only.
        spike: standard deviations above the mean of the last losses at which a loss stops the training, where it
            is also above twice the highest of them. None: it goes on whatever the loss, as long as it is finite.
        seed: the source of everything random in training (dropout), step by step and rank by rank.
        dtype: in what the forward pass computes; with `auto` the first line of the run tells which it is.
        compile: pass the network through `torch.compile`.
        activation_checkpointing: compute the inside of each block again for its gradients, rather than keep it.
        parallel: what several processes do.

    >>> TrainerConfig(steps=0)
    Traceback (most recent call last):
    gptlab.training.errors.TrainingError: TrainerConfig.steps
      got     0
      wanted  a whole number of at least 1
      Set steps; the default is 1000.
    """

    steps: int = attrs.field(default=1000, validator=_count(1))
    learning_rate: float = attrs.field(default=3e-3, validator=_number("more than 0", lambda rate: rate > 0))
    min_learning_rate_ratio: float = attrs.field(
        default=0.1, validator=_number("from 0 to 1", lambda ratio: 0 <= ratio <= 1)
    )
    warmup_steps: int = attrs.field(default=50, validator=_count(0))
    schedule: str = attrs.field(
        default="cosine",
        validator=satisfies(
            _is_schedule,
            "one of 'cosine', 'wsd', 'constant', or the import path of a function",
            error=TrainingError,
        ),
    )
    optimizer: OptimizerName = attrs.field(default="adamw", validator=_choice(OptimizerName))
    weight_decay: float = attrs.field(default=0.1, validator=_number("0 or more", lambda decay: decay >= 0))
    groups: Groups = attrs.field(
        default=(),
        validator=satisfies(
            _are_groups, "triples of a pattern, a factor and a weight decay of 0 or more", error=TrainingError
        ),
    )
    betas: tuple[float, float] = attrs.field(
        default=(0.9, 0.95),
        validator=satisfies(_is_pair_of_betas, "a tuple of two numbers, each from 0 to below 1", error=TrainingError),
    )
    clip: float | None = attrs.field(default=1.0, validator=_or_none("more than 0", lambda norm: norm > 0))
    ema: float | None = attrs.field(
        default=None, validator=_or_none("above 0 and below 1", lambda decay: 0 < decay < 1)
    )
    z_loss: float = attrs.field(default=0.0, validator=_number("0 or more", lambda weight: weight >= 0))
    accumulate: int = attrs.field(default=1, validator=_count(1))
    batch_schedule: Counts = attrs.field(
        default=(),
        validator=satisfies(
            _are_counts,
            "pairs (step, batches), steps ascending from 0 or more, batches of at least 1",
            error=TrainingError,
        ),
    )
    evaluate_every: int = attrs.field(default=100, validator=_count(1))
    patience: int | None = attrs.field(
        default=None, validator=_or_none("a whole number of at least 1", lambda n: isinstance(n, int) and n >= 1)
    )
    keep_best: bool = False
    checkpoint_every: int = attrs.field(default=100, validator=_count(1))
    checkpoint_minutes: float | None = attrs.field(
        default=None, validator=_or_none("more than 0", lambda minutes: minutes > 0)
    )
    keep_last: int = attrs.field(default=2, validator=_count(1))
    save_in_background: bool = False
    spike: float | None = attrs.field(default=20.0, validator=_or_none("more than 0", lambda times: times > 0))
    seed: int = attrs.field(default=0, validator=_count(0))
    dtype: ComputeType = attrs.field(default="float32", validator=_choice(ComputeType))
    compile: bool = False
    activation_checkpointing: bool = False
    parallel: ParallelKind = attrs.field(default="ddp", validator=_choice(ParallelKind))
