"""From documents to walks: every document is once the root of a walk along links, and walk k can be made alone.

Nothing carries over from one walk to the next: the root is entry k of a seeded order, and all chance in the walk
comes from a stream found by (seed, k). So walks can be made in any order, on any machine, and again. Where a document
may come only once, or not too often, epochs are planned ahead, and walk k is an entry of its plan (`graph.routes`).

This is the definition, in Python: a few thousand walks a second. `gptlab.packing.PackedWalks` makes the same rows by
machine code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import attrs
import numpy as np

from gptlab.graph.documents import NO_EDGE, Documents
from gptlab.graph.order import Edge, keep_acyclic, targets_first
from gptlab.graph.policies import VisitPolicy, are_flags
from gptlab.graph.routes import Routes
from gptlab.graph.split import Split
from gptlab.graph.table import DocumentTable
from gptlab.graph.tour import Regime, Tour
from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, say, track
from gptlab.pipeline.protocols import Source
from gptlab.storage import LOCATION
from gptlab.types import TokenizedDocument, Walk
from gptlab.types.errors import refusal
from gptlab.types.records import Flag
from gptlab.types.validators import at_least, one_of, satisfies

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
        epochs: how many times through; each epoch has its own order and chance.
        roots: only documents of this split are roots. All may be reached: this is how held-out documents are
            read together with the training documents that they link to. In `cover_once` no others are reached.
        regime: `with_replacement`: each document is once per epoch the root of a walk, and comes into others as links
            lead there; or `cover_once`: each is in exactly one walk of an epoch. What does not fit whole into the
            rest of a row then waits for another, and only one longer than a row is cut, as the only one in it.
        max_repeats: no document is in more than so many walks of an epoch, the one that it is the root of included.
        exclude: documents with one of these flags come into no walk.
        cache: where epochs that are planned ahead are kept, in `cover_once` and with a cap on repeats.
    """

    policy: VisitPolicy = attrs.field(
        validator=satisfies(
            lambda policy: callable(getattr(policy, "visit", None)),
            "a policy, which has visit(graph, root, rng)",
            "Give BreadthFirst() or another of gptlab.graph.policies.",
        )
    )
    seed: int = attrs.field(
        default=0, validator=at_least(0, "Any whole number of 64 bits will do.", at_most=2**64 - 1), kw_only=True
    )
    budget: int = attrs.field(default=2048, validator=at_least(1, "Give Pack's seq_len, such as 2048."), kw_only=True)
    fill: bool = attrs.field(default=True, kw_only=True)
    epochs: int = attrs.field(default=1, validator=at_least(1, "One epoch makes one walk per root."), kw_only=True)
    roots: Split | None = attrs.field(default=None, kw_only=True)
    regime: Regime = attrs.field(
        default="with_replacement",
        validator=one_of(get_args(Regime), "Say how often documents may come."),
        kw_only=True,
    )
    max_repeats: int | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(at_least(2, "Give None for no cap; once each is regime='cover_once'.")),
        kw_only=True,
    )
    exclude: frozenset[Flag] = attrs.field(default=frozenset(), validator=are_flags, kw_only=True)
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False, kw_only=True)

    barrier = True

    def __attrs_post_init__(self) -> None:
        if self.regime == "cover_once" and self.max_repeats is not None:
            raise refusal(
                "TraverseLinks.max_repeats",
                got=f"{self.max_repeats} with regime='cover_once'",
                wanted="None, for no document is repeated then",
                do="Leave it out, or choose regime='with_replacement'.",
            )

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[Walk]:
        """Yield the walks of all epochs, in order."""
        table = DocumentTable.from_documents(documents)
        tell_unlinked(table)
        routes = self.over(table)
        for k in track(range(len(routes)), "follow links", total=len(routes), unit="walks"):
            walk = walk_of(table, routes[k])
            for reason, count in walk.dropped.items():
                drop(LINK_DROPS[reason], count=count, example=walk.documents[-1].id)
            yield walk

    __or__ = then

    def joined(self, source: object) -> Source[Walk] | None:
        """What a pipeline reads in place of stored documents and this stage: the same walks, without a table of all
        documents in memory. None for another source."""
        from gptlab.graph.store import StoredDocuments, Walks  # noqa: PLC0415 - walks over a store need this file

        return Walks(source, self) if isinstance(source, StoredDocuments) else None

    def walk(self, documents: Documents, k: int) -> Walk:
        """Walk `k` of all that `__call__` yields, made alone.

        Raises:
            IndexError: there are fewer walks.
        """
        return walk_of(documents, self.over(documents)[k])

    def over(self, documents: Documents, *, is_compiled: bool = False) -> Routes:
        """The walks over these documents, by number, as lists of documents.

        Args:
            documents: a table or a store.
            is_compiled: use machine code for policies that are built in.
        """
        tour = Tour(**{field.name: getattr(self, field.name) for field in attrs.fields(Tour)})
        return Routes(tour, documents, self.cache, is_compiled)


def tell_unlinked(documents: Documents) -> None:
    """Say so where no document links to another: nothing else would look wrong."""
    if len(documents) > 1 and not len(documents.graph.out_targets):
        say(f"no document links to another, of {len(documents):,}: what is read together is unrelated")


def walk_of(table: Documents, reached: list[int]) -> Walk:
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
