"""From scored arms to statements: differences paired by edge, with intervals that know what is independent.

Edges to one target repeat what it says, and seeds differ by more than edges do, so a replicate of the bootstrap draws
targets and seeds, never edges or tokens.
"""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from jaxtyping import Float64

from gptlab.benchmarks.link_specificity import CONTEXTS, EdgeScores

DISTANCES = 32
"""Tokens after the link for which the curve is drawn."""


@attrs.frozen(kw_only=True)
class Cell:
    """One arm at one seed, as it is kept: figures, and sums for each edge.

    Attributes:
        figures: by name.
        targets: cluster of each edge, the same for all arms and seeds.
        sums: nats by context and edge, after the link.
        tokens: that they are of.
        curve: mean loss by context and distance from the link.
        alone: nats for each held-out document that stands alone; `alone_tokens` are what it is of.
    """

    figures: Mapping[str, float]
    targets: Sequence[str]
    sums: Float64[np.ndarray, "contexts edges"]
    tokens: Float64[np.ndarray, "edges"]
    curve: Float64[np.ndarray, "contexts distances"]
    alone: Float64[np.ndarray, "documents"]
    alone_tokens: Float64[np.ndarray, "documents"]

    @property
    def specificity(self) -> Float64[np.ndarray, "edges"]:
        """Nats that each edge's linked document saves against a random one."""
        linked, other = CONTEXTS.index("linked"), CONTEXTS.index("random")
        return self.sums[other] - self.sums[linked]


@attrs.frozen
class Interval:
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def edge_sums(scores: EdgeScores) -> tuple[Float64[np.ndarray, "contexts edges"], Float64[np.ndarray, "edges"]]:
    """The losses of each edge's tokens summed, by context, and how many tokens they are."""
    count = len(scores.targets)
    sums = np.stack([np.bincount(scores.edge, row, minlength=count) for row in scores.losses.astype(np.float64)])
    return sums, np.bincount(scores.edge, minlength=count).astype(np.float64)


def curve(scores: EdgeScores) -> Float64[np.ndarray, "contexts distances"]:
    """Mean loss by distance from the link."""
    near = scores.distance < DISTANCES
    counts = np.bincount(scores.distance[near], minlength=DISTANCES)
    sums = [np.bincount(scores.distance[near], row[near], minlength=DISTANCES) for row in scores.losses]
    return np.stack(sums) / np.maximum(counts, 1)


def interval(
    sums: Sequence[Float64[np.ndarray, "observations"]],
    tokens: Float64[np.ndarray, "observations"],
    clusters: Sequence[str],
    replicates: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean per token with a percentile interval, resampled over clusters and over seeds.

    Args:
        sums: nats for each observation, one array for each training seed.
        tokens: that they are of.
        clusters: what is independent within a seed.
        replicates: of the bootstrap.
        seed: of its draws.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13

    >>> interval([np.array([1.0, 1.0]), np.array([3.0, 3.0])], np.array([1.0, 1.0]), ["a", "b"])
    Interval(mean=2.0, low=1.0, high=3.0)
    """
    numbers = np.unique(np.array(clusters), return_inverse=True)[1]
    values = np.stack([np.bincount(numbers, row) for row in sums])
    weights = np.bincount(numbers, tokens)
    dice = np.random.default_rng(seed)
    drawn = dice.multinomial(len(weights), np.full(len(weights), 1 / len(weights)), size=replicates)
    seeds = dice.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=replicates) / len(sums)
    means = np.einsum("rs,sc,rc->r", seeds, values, drawn, optimize=True) / (drawn @ weights)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean(axis=0).sum() / weights.sum()), float(low), float(high))


def specificity(cells: Sequence[Cell]) -> Interval:
    """S of one arm over its seeds."""
    return interval([cell.specificity for cell in cells], cells[0].tokens, cells[0].targets)


def difference(ones: Sequence[Cell], others: Sequence[Cell]) -> Interval:
    """S of one arm minus S of another, paired by edge and seed."""
    pairs = [one.specificity - other.specificity for one, other in zip(ones, others, strict=True)]
    return interval(pairs, ones[0].tokens, ones[0].targets)


def harm(ones: Sequence[Cell], others: Sequence[Cell]) -> Interval:
    """Loss without any context of one arm minus that of another, paired by document and seed."""
    pairs = [one.alone - other.alone for one, other in zip(ones, others, strict=True)]
    clusters = [str(number) for number in range(len(ones[0].alone))]
    return interval(pairs, ones[0].alone_tokens, clusters)
