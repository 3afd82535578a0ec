"""Which documents each walk of a traversal holds, by number: what `walk_of` then puts in order.

Two regimes. In `with_replacement` every document is once the root of a walk, whatever else it came into, and walk `k`
is a pure function of (documents, policy, seed, k). In `cover_once` every document is in one walk of an epoch and no
more, because repeats were found to hurt (Shi et al., "In-Context Pretraining", ICLR 2024); which is in which depends
on all walks before, so an epoch is planned ahead (`gptlab.graph.plan`). A cap on repeats is planned in the same way.

Policies that are built in run as machine code where that is wanted; a policy of the user's own runs in Python, by
`collect`. Both give the same, which property tests hold them to.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from jaxtyping import Int32, Int64

from gptlab.graph.chance import below, chance_of
from gptlab.graph.collect import Limits, collect
from gptlab.graph.documents import Documents
from gptlab.graph.link_graph import offsets_of
from gptlab.graph.permutation import seeded_permutation
from gptlab.graph.plan import Plan, joined, kept_plan, planned
from gptlab.graph.tour import Tour

Stretch = tuple[Int32[np.ndarray, "documents"], Int64[np.ndarray, "offsets"]]
"""The documents of some walks back to back, each walk's in the order reached; and where each begins."""


@attrs.frozen(eq=False, repr=False)
class Routes:
    """The walks of a tour over some documents.

    Args:
        tour: what decides.
        documents: over which.
        cache: where plans are kept.
        is_compiled: whether machine code is used where there is any. numba takes a second to import, and half a
            minute to compile when it has never run.
    """

    tour: Tour
    documents: Documents
    cache: Path = Path(".gptlab/cache")
    is_compiled: bool = False

    def __len__(self) -> int:
        """How many walks all epochs have."""
        return sum(self._counts)

    def __getitem__(self, k: int) -> list[int]:
        """The documents of walk `k` in the order reached, the root first.

        Raises:
            IndexError: there are fewer walks.
        """
        if not 0 <= k < len(self):
            raise IndexError(f"walk {k} of {len(self)}")
        numbers: list[int] = self.stretch(k, k + 1)[0].tolist()
        return numbers

    def stretch(self, first: int, last: int) -> Stretch:
        """The documents of walks `first` to `last - 1`, of which there must be that many."""
        parts = [self._of_epoch(*stretch) for stretch in self._by_epoch(first, last)]
        if len(parts) == 1:
            return parts[0]
        counts = [np.diff(offsets) for _, offsets in parts]
        return np.concatenate([found for found, _ in parts]), offsets_of(np.concatenate(counts))

    @cached_property
    def roots(self) -> Int64[np.ndarray, "roots"]:
        """The documents that are roots, ascending."""
        is_root = (self.documents.graph.flags & self.tour.excluded_bits) == 0
        if self.tour.roots is not None:
            takes = self.tour.roots.takes
            is_root &= np.fromiter((takes(id) for id in self.documents.ids), np.bool_, len(self.documents))
        return np.flatnonzero(is_root)

    @cached_property
    def eligible(self) -> Int32[np.ndarray, "eligible"]:
        """The documents that may be in a walk; empty where all may."""
        if not self.tour.exclude:
            return np.empty(0, np.int32)
        return np.flatnonzero((self.documents.graph.flags & self.tour.excluded_bits) == 0).astype(np.int32)

    def plan(self, epoch: int) -> Plan:
        """The plan of an epoch, made when it is first asked for and found again by the next run."""
        if epoch not in self._plans:
            order, graph = self._order(epoch), self.documents.graph
            self._plans[epoch] = kept_plan(self.tour, graph, order, self.cache, lambda: self._planned(epoch))
        return self._plans[epoch]

    def _planned(self, epoch: int) -> Plan:
        order, first = self._order(epoch), epoch * len(self.roots)
        if self._machine is not None:
            plan: Plan = self._machine.planned(order, first)
            return plan
        return planned(self.tour, self.documents.graph, order, self.eligible, first)

    def _of_epoch(self, epoch: int, first: int, last: int) -> Stretch:
        """Walks of one epoch, by their places in it."""
        if self.tour.is_planned:
            return self.plan(epoch).batch(first, last)
        roots, number = self._order(epoch)[first:last], epoch * len(self.roots) + first
        if self._machine is not None:
            stretch: Stretch = self._machine.collected(roots, number)
            return stretch
        return joined([self._walk(root, k) for k, root in enumerate(roots.tolist(), number)])

    def _walk(self, root: int, k: int) -> list[int]:
        rng = chance_of(self.tour.seed, k)
        graph, bits, eligible = self.documents.graph, self.tour.excluded_bits, self.eligible
        size = len(eligible) or len(graph)

        def go_on(reached: dict[int, None], room: int) -> int | None:
            if not self.tour.fill or len(reached) == size:
                return None
            document = root
            while document in reached:
                document = below(rng, size)
                document = int(eligible[document]) if len(eligible) else document
            return document

        limits = Limits(
            budget=self.tour.budget,
            is_whole=False,
            may_take=lambda document: not int(graph.flags[document]) & bits,
            take=lambda document: None,
            go_on=go_on,
        )
        return collect(graph, self.tour.policy, root, rng, limits)

    def _order(self, epoch: int) -> Int64[np.ndarray, "roots"]:
        """The roots of an epoch in their order; that of the last epoch asked for is kept."""
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = self.roots[seeded_permutation(len(self.roots), self.tour.seed, epoch)]
        return self._orders[epoch]

    def _by_epoch(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """The epochs that these walks lie in, with their places there."""
        begin = 0
        for epoch, count in enumerate(self._counts):
            if first < begin + count and last > begin:
                yield epoch, max(first - begin, 0), min(last - begin, count)
            begin += count

    @cached_property
    def _counts(self) -> list[int]:
        epochs = range(self.tour.epochs)
        return [len(self.plan(epoch)) if self.tour.is_planned else len(self.roots) for epoch in epochs]

    @cached_property
    def _machine(self) -> "Any":
        if not self.is_compiled:
            return None
        from gptlab.graph.compiled_routes import compiled_routes  # noqa: PLC0415 - numba takes a second to import

        return compiled_routes(self.tour, self.documents.graph, self.eligible)

    @cached_property
    def _orders(self) -> dict[int, Int64[np.ndarray, "roots"]]:
        return {}

    @cached_property
    def _plans(self) -> dict[int, Plan]:
        return {}
