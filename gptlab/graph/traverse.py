"""From documents to walks: every document is once the root of a walk along links, and walk k can be made alone.

Nothing carries over from one walk to the next: the root is entry k of a seeded order, and all chance in the walk
comes from a generator seeded by (seed, k). So walks can be made in any order, on any machine, and again.
"""

from collections.abc import Iterator

import attrs
import numpy as np
from jaxtyping import Int64

from gptlab.graph.documents import NO_EDGE
from gptlab.graph.order import Edge, keep_acyclic, targets_first
from gptlab.graph.permutation import seeded_permutation
from gptlab.graph.policies import VisitPolicy
from gptlab.graph.split import Split
from gptlab.graph.table import DocumentTable
from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, say, track
from gptlab.types import TokenizedDocument, Walk
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, satisfies

LINK_DROPS = {
    "missing": "link to no document",
    "self": "link of a document to itself",
    "repeat": "second link to a document",
    "cycle": "link that closes a cycle",
    "budget": "link to a document outside the walk",
}
"""What the person who watches is told for each reason of `Walk.dropped`."""


@attrs.frozen
class TraverseLinks:
    """Follow links from every document until a row's worth of tokens is found; order targets first.

    It reads all documents before the first walk, because a link may lead to the last one (`barrier`).

    Args:
        policy: where to go next.
        seed: of the order of roots and of all chance in the walks.
        budget: tokens that a walk collects; the document that reaches the budget is its last, and `Pack` cuts it.
            Give `Pack`'s `seq_len`.
        fill: go on from another root, drawn at random, when all that can be reached is collected too early.
        epochs: how many times each document is the root of a walk; each epoch has its own order and chance.
        roots: only documents of this split are roots. All may be reached: this is how held-out documents are
            read together with the training documents that they link to.
    """

    policy: VisitPolicy = attrs.field(
        validator=satisfies(
            lambda policy: callable(getattr(policy, "visit", None)),
            "a policy, which has visit(graph, root, rng)",
            "Give BreadthFirst() or another of gptlab.graph.policies.",
        )
    )
    seed: int = attrs.field(default=0, validator=at_least(0, "Any whole number from 0 on will do."), kw_only=True)
    budget: int = attrs.field(default=2048, validator=at_least(1, "Give Pack's seq_len, such as 2048."), kw_only=True)
    fill: bool = attrs.field(default=True, kw_only=True)
    epochs: int = attrs.field(default=1, validator=at_least(1, "One epoch makes one walk per root."), kw_only=True)
    roots: Split | None = attrs.field(default=None, kw_only=True)

    barrier = True

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[Walk]:
        """Yield the walks of all epochs, in order."""
        table = DocumentTable.from_documents(documents)
        if len(table) > 1 and not len(table.graph.out_targets):
            say(f"no document links to another, of {len(table):,}: what is read together is unrelated")
        roots = self.roots_of(table)
        for k in track(range(self.epochs * len(roots)), "follow links", total=self.epochs * len(roots), unit="walks"):
            epoch, place = divmod(k, len(roots))
            if place == 0:
                order = roots[seeded_permutation(len(roots), self.seed, epoch)]
            walk = self._walk(table, int(order[place]), k)
            for reason, count in walk.dropped.items():
                drop(LINK_DROPS[reason], count=count, example=walk.documents[-1].id)
            yield walk

    __or__ = then

    def walk(self, table: DocumentTable, k: int) -> Walk:
        """Walk `k` of all that `__call__` yields, made alone."""
        roots = self.roots_of(table)
        if not 0 <= k < self.epochs * len(roots):
            raise IndexError(f"walk {k} of {self.epochs * len(roots)}")
        epoch, place = divmod(k, len(roots))
        return self._walk(table, int(roots[seeded_permutation(len(roots), self.seed, epoch)[place]]), k)

    def roots_of(self, table: DocumentTable) -> Int64[np.ndarray, "roots"]:
        """The documents that are roots, ascending."""
        if self.roots is None:
            return np.arange(len(table))
        return np.array([number for number, id in enumerate(table.ids) if self.roots.takes(id)], np.int64)

    def _walk(self, table: DocumentTable, root: int, k: int) -> Walk:
        rng = np.random.default_rng([self.seed, k])
        return walk_of(table, self._collect(table, root, rng))

    def _collect(self, table: DocumentTable, root: int, rng: np.random.Generator) -> list[int]:
        """Documents in the order reached, until their tokens reach the budget."""
        reached: dict[int, None] = {}
        tokens = 0
        while True:
            for document in self.policy.visit(table.graph, root, rng):
                if document not in reached:
                    reached[document] = None
                    tokens += int(table.token_offsets[document + 1] - table.token_offsets[document])
                    if tokens >= self.budget:
                        return list(reached)
            if root not in reached:
                raise refusal(
                    f"{type(self.policy).__name__}.visit",
                    got="documents without the root",
                    wanted="the root as the first document",
                    do="Yield the root before anything else.",
                )
            if not self.fill or len(reached) == len(table):
                return list(reached)
            while root in reached:
                root = int(rng.integers(len(table)))


def walk_of(table: DocumentTable, reached: list[int]) -> Walk:
    """The walk over these documents: their links, without those that close cycles, and targets first.

    Every link of every document is either an edge or counted in `dropped`, by reason: those of `NO_EDGE`, `budget`
    (its target is not in the walk) and `cycle`.

    Args:
        table: the documents.
        reached: which of them, each once, in the order reached.
    """
    visits = {document: visit for visit, document in enumerate(reached)}
    found: list[Edge] = []
    outside = 0
    for document, visit in visits.items():
        targets = table.graph.targets(document).tolist()
        inside = [(link, visits[target]) for link, target in enumerate(targets) if target in visits]
        outside += len(targets) - len(inside)
        if inside:
            positions = table.graph.positions(document)
            found += [(visit, target, int(positions[link])) for link, target in inside]
    kept = keep_acyclic(len(reached), found)
    order = targets_first(len(reached), kept)
    place = {visit: place for place, visit in enumerate(order)}
    edges = sorted((place[linker], place[target], position) for linker, target, position in kept)
    counts = dict(zip(NO_EDGE, table.no_edge[reached].sum(axis=0).tolist(), strict=True))
    counts |= {"cycle": len(found) - len(kept), "budget": outside}
    return Walk(
        documents=tuple(table[reached[visit]] for visit in order),
        visited=np.array(order, np.int32),
        edges=np.array(edges, np.int32).reshape(-1, 3),
        dropped={reason: count for reason, count in counts.items() if count},
    )
