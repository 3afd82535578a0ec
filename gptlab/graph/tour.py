"""The settings that decide which documents a walk holds, apart from what is done with them then."""

from typing import Literal

import attrs

from gptlab.graph.link_graph import flag_bits
from gptlab.graph.policies import VisitPolicy
from gptlab.graph.split import Split
from gptlab.types.records import Flag

Regime = Literal["with_replacement", "cover_once"]


@attrs.frozen(kw_only=True)
class Tour:
    """What decides; the meaning and the bounds of each are those of `TraverseLinks`.

    >>> from gptlab.graph import BreadthFirst
    >>> Tour(policy=BreadthFirst()).is_planned, Tour(policy=BreadthFirst(), regime="cover_once").is_planned
    (False, True)
    """

    policy: VisitPolicy
    seed: int = 0
    budget: int = 2048
    fill: bool = True
    epochs: int = 1
    roots: Split | None = None
    regime: Regime = "with_replacement"
    max_repeats: int | None = None
    exclude: frozenset[Flag] = frozenset()

    @property
    def is_planned(self) -> bool:
        """Whether a walk depends on those before it, so that epochs are planned ahead."""
        return self.regime == "cover_once" or self.max_repeats is not None

    @property
    def covers(self) -> bool:
        """Whether an epoch holds each document once."""
        return self.regime == "cover_once"

    @property
    def excluded_bits(self) -> int:
        """The flags of documents that come into no walk."""
        return flag_bits(self.exclude)
