"""Learning rate, batches and random seed of a step, each a pure function of the configuration and the step.

Nothing that moves is stored: a run that goes on from step k computes what it would have computed anyway.
"""

import hashlib
import inspect
import math
from collections.abc import Callable

from gptlab.storage import StorageError, import_from_nested_path
from gptlab.training.config import SCHEDULES, TrainerConfig
from gptlab.training.errors import TrainingError

Rate = Callable[[TrainerConfig, int], float]
"""The learning rate of a step, counted from 0."""

WSD_DECAY_SHARE = 0.2
"""The last share of all steps, in which the "wsd" schedule falls (arXiv:2405.18392, 20 % for short runs)."""


def learning_rate(cfg: TrainerConfig, step: int) -> float:
    """The learning rate of step `step`, counted from 0.

    A line from near 0 during the warm-up; then "cosine" falls along half a cosine to the lowest rate at the last
    step, "wsd" (warm-up, stable, decay) stays and falls in a line over the last fifth, "constant" stays.

    Args:
        cfg: names the schedule, its highest rate and its length.
        step: from 0 to `cfg.steps - 1`.

    Source: cosine, https://arxiv.org/abs/1608.03983; wsd, https://arxiv.org/abs/2405.18392

    >>> cfg = TrainerConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    >>> [round(learning_rate(cfg, step), 2) for step in (0, 9, 10, 54, 99)]
    [0.1, 1.0, 1.0, 0.56, 0.1]
    """
    if step < cfg.warmup_steps:
        return cfg.learning_rate * (step + 1) / cfg.warmup_steps
    low = cfg.learning_rate * cfg.min_learning_rate_ratio
    if cfg.schedule == "cosine":
        share = (1 - math.cos(math.pi * _share(step, cfg.warmup_steps, cfg.steps))) / 2
        return cfg.learning_rate * (1 - share) + low * share
    if cfg.schedule == "wsd":
        begin = max(cfg.warmup_steps, round(cfg.steps * (1 - WSD_DECAY_SHARE)))
        share = _share(step, begin, cfg.steps)
        return cfg.learning_rate * (1 - share) + low * share
    return cfg.learning_rate


def rate_function(cfg: TrainerConfig, allow: tuple[str, ...] = ()) -> Rate:
    """What gives the learning rate: `learning_rate`, or the function that `cfg.schedule` names.

    Args:
        cfg: names it.
        allow: packages beside gptlab that it may be from.

    Raises:
        TrainingError: there is no such function, or it does not take a configuration and a step.

    >>> rate_function(TrainerConfig(schedule="gptlab.training.learning_rate")) is learning_rate
    True
    """
    if cfg.schedule in SCHEDULES:
        return learning_rate
    try:
        found = import_from_nested_path(cfg.schedule, allow=allow)
        inspect.signature(found).bind(cfg, 0)
    except (StorageError, TypeError) as error:
        raise TrainingError(
            "TrainerConfig.schedule",
            got=f"{cfg.schedule!r}: {error}",
            wanted="the import path of a function (cfg, step) -> learning rate",
            do="Define it at the top of a module, and name it as `package.module.function`.",
        ) from error
    rate: Rate = found
    return rate


def batches_at(cfg: TrainerConfig, step: int) -> int:
    """How many batches step `step` reads, counted from 0.

    >>> cfg = TrainerConfig(accumulate=1, batch_schedule=((100, 2), (200, 4)))
    >>> [batches_at(cfg, step) for step in (0, 99, 100, 199, 200)]
    [1, 1, 2, 2, 4]
    """
    return next((count for begin, count in reversed(cfg.batch_schedule) if step >= begin), cfg.accumulate)


def batches_before(cfg: TrainerConfig, step: int) -> int:
    """How many batches all steps before `step` read: where it goes on in the data, without looking at any.

    >>> cfg = TrainerConfig(accumulate=1, batch_schedule=((100, 2), (200, 4)))
    >>> [batches_before(cfg, step) for step in (0, 100, 150, 201)]
    [0, 100, 200, 304]
    """
    total, since, count = 0, 0, cfg.accumulate
    for begin, next_count in cfg.batch_schedule:
        if begin >= step:
            break
        total, since, count = total + (begin - since) * count, begin, next_count
    return total + (step - since) * count


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """What the random generators of a rank are seeded with before step `step`.

    Seeding every step (5 microseconds) replaces saving the generators' states, and keeps what hooks draw in
    between from changing the training.

    >>> step_seed(0, 1) != step_seed(1, 0)
    True
    """
    text = f"{seed}:{step}:{rank}" if rank else f"{seed}:{step}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _share(step: int, begin: int, steps: int) -> float:
    """How much of the way from `begin` to the last step is behind, from 0 to 1."""
    return min(1.0, max(0.0, (step - begin) / max(1, steps - 1 - begin)))
