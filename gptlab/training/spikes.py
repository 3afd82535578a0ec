"""When a loss is one that no step should learn from: not a finite number, or far above all that came before."""

import math
import statistics

WINDOW = 64
"""Losses that are looked back on; until there are so many nothing is called a spike."""

HIGHEST = 2.0
"""A spike is also above so many times the highest of them: a run that has converged has tiny deviations."""


def is_spike(loss: float, before: list[float], times: float | None) -> bool:
    """Whether a loss is more than `times` deviations above the mean of the last, and twice over their highest.

    >>> is_spike(5.0, [2.0, 2.1] * 32, times=20.0), is_spike(3.0, [2.0, 2.1] * 32, times=20.0)
    (True, False)
    """
    if times is None or len(before) < WINDOW or loss <= HIGHEST * max(before):
        return False
    return loss > statistics.fmean(before) + times * statistics.pstdev(before)


def refusal_of(
    loss: float, grad_norm: float, before: list[float], times: float | None
) -> tuple[str, str, str] | None:
    """What is wrong with a step's figures as (got, wanted, what may help); None where nothing is."""
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        return (
            f"loss {loss}, gradient norm {grad_norm}",
            "finite numbers",
            "Lower learning_rate or clip, or look at the batch.",
        )
    if is_spike(loss, before, times):
        mean, deviation = statistics.fmean(before), statistics.pstdev(before)
        return (
            f"loss {loss:.4g}, gradient norm {grad_norm:.4g}",
            f"a loss near those of the last {len(before)} steps, {mean:.4g} ± {deviation:.2g}",
            "Lower learning_rate or clip, or look at the batch; load_checkpoint(..., spike=None) goes on regardless.",
        )
    return None


def remember(losses: list[float], loss: float) -> None:
    """Add a loss and forget the oldest."""
    losses.append(loss)
    del losses[:-WINDOW]
