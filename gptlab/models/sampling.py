"""From logits to one token: penalty, temperature, top-k, top-p, min-p. In numpy, so a seed gives one text anywhere.

The order is that of `transformers`, and so is what each of them does: a test puts its processors beside ours.
"""

from collections.abc import Sequence

import attrs
import numpy as np
from jaxtyping import Float, Float64

from gptlab.types.validators import at_least, satisfies

_share = satisfies(lambda share: 0 < share <= 1, "above 0 and at most 1", "1 is no limit.")


@attrs.frozen(kw_only=True)
class Sampling:
    """How the next token is drawn.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token always.
        top_k: only the `k` likeliest tokens are drawn from; None for all.
        top_p: only the fewest likeliest tokens that together have this probability (https://arxiv.org/abs/1904.09751).
        min_p: only tokens with at least this share of the likeliest one's probability
            (https://arxiv.org/abs/2407.01082); 0 is no limit.
        repetition_penalty: divides the logits above 0 of tokens that the document being written has already, and
            multiplies those below (https://arxiv.org/abs/1909.05858); 1 is none. What was read is not counted: a
            document that quotes what it links to repeats nothing of its own.

    >>> Sampling(temperature=0).draw(np.array([0.0, 2.0, 1.0]), np.random.default_rng(0))
    1
    >>> Sampling(temperature=0, repetition_penalty=3).draw(np.array([0.0, 2.0, 1.0]), np.random.default_rng(0), [1])
    2
    """

    temperature: float = attrs.field(default=0.8, validator=at_least(0.0, "0 takes the likeliest token."))
    top_k: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(at_least(1, "None is no limit."))
    )
    top_p: float = attrs.field(default=0.95, validator=_share)
    min_p: float = attrs.field(
        default=0.0, validator=satisfies(lambda share: 0 <= share <= 1, "at least 0 and at most 1", "0 is no limit.")
    )
    repetition_penalty: float = attrs.field(
        default=1.0,
        validator=satisfies(lambda factor: factor > 0, "a number above 0", "1 is none; 1.2 is usual."),
    )

    def probabilities(
        self, logits: Float[np.ndarray, "vocab"], written: Sequence[int] = ()
    ) -> Float64[np.ndarray, "vocab"]:
        """The distribution that is drawn from.

        Args:
            logits: of every token.
            written: tokens of the document so far, which `repetition_penalty` is for.
        """
        logits = self._penalised(logits, written)
        if self.temperature == 0:
            certain = np.zeros(len(logits))
            certain[np.argmax(logits)] = 1.0
            return certain
        chances: Float64[np.ndarray, "vocab"] = np.exp((logits - logits.max()).astype(np.float64) / self.temperature)
        if self.top_k is not None or self.top_p < 1:
            order = np.argsort(-logits, kind="stable")
            chances[order[len(logits) if self.top_k is None else self.top_k :]] = 0.0
            chances /= chances.sum()
            before = np.concatenate([[0.0], np.cumsum(chances[order])[:-1]])
            if self.top_p < 1:
                chances[order[before >= self.top_p]] = 0.0
        chances[chances < self.min_p * chances.max()] = 0.0
        chances /= chances.sum()
        return chances

    def draw(self, logits: Float[np.ndarray, "vocab"], rng: np.random.Generator, written: Sequence[int] = ()) -> int:
        """One token, by one number from `rng`."""
        if self.temperature == 0:  # nothing to draw, and no distribution to make
            rng.random()
            return int(np.argmax(self._penalised(logits, written)))
        chances = self.probabilities(logits, written)
        cumulative = np.cumsum(chances)
        token = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
        return min(token, int(np.flatnonzero(chances)[-1]))

    def _penalised(self, logits: Float[np.ndarray, "vocab"], written: Sequence[int]) -> Float[np.ndarray, "vocab"]:
        if self.repetition_penalty == 1 or not len(written):
            return logits
        again = np.unique(np.asarray(written))
        found, factor = logits[again], self.repetition_penalty
        penalised = logits.copy()
        penalised[again] = np.where(found > 0, found / factor, found * factor)
        return penalised
