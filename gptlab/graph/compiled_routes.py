"""From settings and graphs to what machine code takes, and back."""

from threading import Lock

import attrs
import numpy as np
from jaxtyping import Int32, Int64

from gptlab.graph.best_first import BestFirst, PageRankPerToken, ShortestFirst
from gptlab.graph.compiled import plain
from gptlab.graph.compiled_visits import (
    BREADTH_FIRST,
    CAPPED,
    COVER,
    DEPTH_FIRST,
    FREE,
    PAGE_RANK,
    RANDOM_ORDER,
    RANDOM_WALK,
    SHORTEST_FIRST,
    Bounds,
    Links,
    Rule,
    Scratch,
    Work,
    collect_walks,
    plan_walks,
    scratch_for,
)
from gptlab.graph.link_graph import LinkGraph, flag_bits
from gptlab.graph.plan import Plan, first_left
from gptlab.graph.policies import BreadthFirst, DepthFirst, Follow, RandomOrder, RandomWalk, VisitPolicy
from gptlab.graph.tour import Tour

_NO_CAP = 2**31 - 1


@attrs.frozen(eq=False, repr=False)
class CompiledRoutes:
    """The walks of a tour by machine code. One thread at a time works; the others wait."""

    tour: Tour
    graph: LinkGraph
    eligible: Int32[np.ndarray, "eligible"]
    rule: Rule
    links: Links
    scratch: Scratch
    lock: Lock = attrs.field(factory=Lock)

    def collected(
        self, roots: Int64[np.ndarray, "roots"], first: int
    ) -> tuple[Int32[np.ndarray, "documents"], Int64[np.ndarray, "offsets"]]:
        """The walks of these roots, numbered from `first` on."""
        most = min(self.tour.budget, len(self.graph))
        bounds = self._bounds(FREE, np.empty(0, np.int32))
        found, offsets = np.empty(len(roots) * most, np.int32), np.zeros(len(roots) + 1, np.int64)
        with self.lock:
            count = collect_walks(
                plain(roots), first, np.uint64(self.tour.seed), offsets[1:], self._work(bounds, found)
            )
        return found[:count].copy(), offsets

    def planned(self, order: Int64[np.ndarray, "roots"], first: int) -> Plan:
        """An epoch whose roots come in this order and whose walks are numbered from `first` on."""
        left = first_left(self.tour, self.graph, order)
        bounds = self._bounds(COVER if self.tour.covers else CAPPED, left)
        found = np.empty(int(left.sum()) + (0 if self.tour.covers else len(order)), np.int32)
        offsets = np.zeros(len(order) + 1, np.int64)
        with self.lock:
            walks = plan_walks(plain(order), first, np.uint64(self.tour.seed), offsets[1:], self._work(bounds, found))
        return Plan(found[: offsets[walks]], offsets[: walks + 1])

    def _work(self, bounds: Bounds, found: Int32[np.ndarray, "documents"]) -> Work:
        return Work(self.links, self.rule, bounds, self.scratch, found)

    def _bounds(self, regime: int, left: Int32[np.ndarray, "documents"]) -> Bounds:
        return Bounds(
            regime=regime,
            budget=self.tour.budget,
            fill=self.tour.fill,
            exclude=self.tour.excluded_bits,
            eligible=plain(self.eligible),
            left=left,
        )


def compiled_routes(tour: Tour, graph: LinkGraph, eligible: Int32[np.ndarray, "eligible"]) -> CompiledRoutes | None:
    """The tour as machine code; None where its policy is not built in."""
    rule = rule_of(tour.policy)
    if rule is None:
        return None
    links = links_of(graph)
    return CompiledRoutes(tour, graph, eligible, rule, links, scratch_for(links, rule))


def links_of(graph: LinkGraph) -> Links:
    """The arrays of a graph."""
    return Links(
        out_offsets=plain(graph.out_offsets),
        out_targets=plain(graph.out_targets),
        in_offsets=plain(graph.in_offsets),
        in_linkers=plain(graph.in_linkers),
        flags=plain(graph.flags),
        token_offsets=plain(graph.token_offsets),
    )


def rule_of(policy: VisitPolicy) -> Rule | None:
    """A built-in policy in numbers; None for any other, such as a best-first search by a score of the user's.

    >>> rule_of(BreadthFirst()).kind == BREADTH_FIRST, rule_of(BestFirst(score=PageRankPerToken())).epsilon
    (True, 0.001)
    """
    if isinstance(policy, RandomWalk):
        return _rule(RANDOM_WALK, policy.follow, restart=policy.restart, patience=policy.patience)
    if isinstance(policy, BestFirst):
        if not isinstance(policy.score, PageRankPerToken):
            return None
        return _rule(PAGE_RANK, policy.follow, restart=policy.score.restart, epsilon=policy.score.epsilon)
    if isinstance(policy, RandomOrder):
        return _rule(RANDOM_ORDER, Follow())
    for kind, built_in in ((BREADTH_FIRST, BreadthFirst), (DEPTH_FIRST, DepthFirst), (SHORTEST_FIRST, ShortestFirst)):
        if isinstance(policy, built_in):
            return _rule(kind, policy.follow)
    return None


def _rule(kind: int, follow: Follow, *, restart: float = 0.0, patience: int = 0, epsilon: float = 0.0) -> Rule:
    return Rule(
        kind=kind,
        follows_out=follow.direction != "in",
        follows_in=follow.direction != "out",
        max_in_degree=_NO_CAP if follow.max_in_degree is None else follow.max_in_degree,
        exclude=flag_bits(follow.exclude),
        shuffle=follow.shuffle,
        restart=float(restart),
        patience=patience,
        epsilon=float(epsilon),
    )
