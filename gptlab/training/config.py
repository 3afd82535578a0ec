"""What a training run is asked to do, as one frozen value.

It is checked when it is made, so that a wrong setting costs no download and no packing. Nothing here depends on
the machine: the same value gives the same run on any of them, up to the order in which a device adds floats.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import attrs

from gptlab.training.errors import TrainingError
from gptlab.types.validators import Validator, at_least, one_of, satisfies

Schedule = Literal["cosine", "wsd", "constant"]
"""How the learning rate falls after the warm-up; see `gptlab.training.learning_rate`."""

OptimizerName = Literal["adamw", "muon"]
"""AdamW for everything, or Muon for the matrices between embedding and head and AdamW for the rest."""

ComputeType = Literal["float32", "bfloat16"]
"""`bfloat16` is autocast: weights stay in 32 bits. Ten times slower on a CPU that has no bfloat16 units."""


def _number(wanted: str, is_right: Callable[[float], bool]) -> Validator:
    """A validator for a finite number."""
    return satisfies(lambda value: _is_real(value) and is_right(value), wanted, error=TrainingError)


def _count(least: int) -> Validator:
    """A validator for a whole number."""
    return at_least(least, error=TrainingError)


def _choice(hint: Any) -> Validator:
    """A validator for one of the values of a Literal."""
    return one_of(get_args(hint), error=TrainingError)


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
        schedule: what happens after the warm-up.
        optimizer: which rule changes the weights.
        weight_decay: of matrices; vectors (norms, biases) are never decayed.
        betas: AdamW's.
        clip: the largest norm of all gradients together; longer ones are scaled down to it. None: as they are.
        accumulate: batches per step, whose gradients are averaged.
        evaluate_every: steps between evaluations on held-out data; the last step always evaluates.
        checkpoint_every: steps between checkpoints; the last step always saves.
        keep_last: checkpoints kept; older ones are removed once a newer one is whole.
        seed: the source of everything random in training (dropout), step by step.
        dtype: in what the forward pass computes.

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
    schedule: Schedule = attrs.field(default="cosine", validator=_choice(Schedule))
    optimizer: OptimizerName = attrs.field(default="adamw", validator=_choice(OptimizerName))
    weight_decay: float = attrs.field(default=0.1, validator=_number("0 or more", lambda decay: decay >= 0))
    betas: tuple[float, float] = attrs.field(
        default=(0.9, 0.95),
        validator=satisfies(_is_pair_of_betas, "a tuple of two numbers, each from 0 to below 1", error=TrainingError),
    )
    clip: float | None = attrs.field(
        default=1.0,
        validator=satisfies(
            lambda norm: norm is None or (_is_real(norm) and norm > 0), "more than 0, or None", error=TrainingError
        ),
    )
    accumulate: int = attrs.field(default=1, validator=_count(1))
    evaluate_every: int = attrs.field(default=100, validator=_count(1))
    checkpoint_every: int = attrs.field(default=100, validator=_count(1))
    keep_last: int = attrs.field(default=2, validator=_count(1))
    seed: int = attrs.field(default=0, validator=_count(0))
    dtype: ComputeType = attrs.field(default="float32", validator=_choice(ComputeType))
