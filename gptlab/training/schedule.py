"""The learning rate and the random seed of a step, each a pure function of the configuration and the step.

Nothing that moves is stored: a run that goes on from step k computes what it would have computed anyway.
"""

import hashlib
import math

from gptlab.training.config import TrainerConfig

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


def step_seed(seed: int, step: int) -> int:
    """What the random generators are seeded with before step `step`.

    Seeding every step (5 microseconds) replaces saving the generators' states, and keeps what hooks draw in
    between from changing the training.

    >>> step_seed(0, 1) != step_seed(1, 0)
    True
    """
    return int.from_bytes(hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest(), "little") >> 1


def _share(step: int, begin: int, steps: int) -> float:
    """How much of the way from `begin` to the last step is behind, from 0 to 1."""
    return min(1.0, max(0.0, (step - begin) / max(1, steps - 1 - begin)))
