"""From logits to one token: temperature, top-k, top-p. numpy in float64, so a seed gives the same text anywhere."""

import attrs
import numpy as np
from jaxtyping import Float, Float64

from gptlab.types.validators import at_least, satisfies


@attrs.frozen(kw_only=True)
class Sampling:
    """How the next token is drawn.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token always.
        top_k: only the `k` likeliest tokens are drawn from; None for all.
        top_p: only the fewest likeliest tokens that together have this probability (https://arxiv.org/abs/1904.09751).

    >>> Sampling(temperature=0).draw(np.array([0.0, 2.0, 1.0]), np.random.default_rng(0))
    1
    """

    temperature: float = attrs.field(default=0.8, validator=at_least(0.0, "0 takes the likeliest token."))
    top_k: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(at_least(1, "None is no limit."))
    )
    top_p: float = attrs.field(
        default=0.95, validator=satisfies(lambda share: 0 < share <= 1, "above 0 and at most 1", "1 is no limit.")
    )

    def probabilities(self, logits: Float[np.ndarray, "vocab"]) -> Float64[np.ndarray, "vocab"]:
        """The distribution that is drawn from.

        Args:
            logits: of every token.
        """
        order = np.argsort(-logits, kind="stable")
        if self.temperature == 0:
            certain = np.zeros(len(logits))
            certain[order[0]] = 1.0
            return certain
        scaled = (logits - logits[order[0]]).astype(np.float64) / self.temperature
        chances: Float64[np.ndarray, "vocab"] = np.exp(scaled[order])
        chances[len(logits) if self.top_k is None else self.top_k :] = 0.0
        chances /= chances.sum()
        before = np.concatenate([[0.0], np.cumsum(chances)[:-1]])
        chances[before >= self.top_p] = 0.0
        spread: Float64[np.ndarray, "vocab"] = np.empty_like(chances)
        spread[order] = chances / chances.sum()
        return spread

    def draw(self, logits: Float[np.ndarray, "vocab"], rng: np.random.Generator) -> int:
        """One token, by one number from `rng`."""
        chances = self.probabilities(logits)
        cumulative = np.cumsum(chances)
        token = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
        return min(token, int(np.flatnonzero(chances)[-1]))
