"""An epoch planned ahead, where a walk depends on those before it: made once, kept on disk, found again.

A plan names the documents of each walk. It is kept under a fingerprint of all that it follows from: the settings, the
links, the lengths and the flags of all documents, and which of them are roots.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import attrs
import numpy as np
from jaxtyping import Int32, Int64

from gptlab.graph.chance import below, chance_of
from gptlab.graph.collect import PATIENCE, Limits, collect
from gptlab.graph.link_graph import LinkGraph, offsets_of
from gptlab.graph.tour import Tour
from gptlab.pipeline.observe import say
from gptlab.storage import fingerprint, is_complete, new_directory

_KIND = "walk-plan-1"  # the number goes up when planning changes, so that old plans are made again


@attrs.frozen(eq=False)
class Plan:
    """The walks of an epoch.

    Attributes:
        documents: of all walks, back to back, each walk's in the order reached.
        offsets: where each walk begins, and where the last one ends.
    """

    documents: Int32[np.ndarray, "documents"]
    offsets: Int64[np.ndarray, "offsets"]

    def __len__(self) -> int:
        """How many walks there are.

        >>> len(Plan(*joined([[3, 1], [2]])))
        2
        """
        return len(self.offsets) - 1

    def batch(self, first: int, last: int) -> tuple[Int32[np.ndarray, "documents"], Int64[np.ndarray, "offsets"]]:
        """The documents of walks `first` to `last - 1`, and where each begins among them."""
        offsets = self.offsets[first : last + 1]
        return self.documents[offsets[0] : offsets[-1]], offsets - offsets[0]


def joined(walks: Sequence[Sequence[int]]) -> tuple[Int32[np.ndarray, "documents"], Int64[np.ndarray, "offsets"]]:
    """Lists back to back, and where each begins.

    >>> documents, offsets = joined([[3, 1], [2]])
    >>> documents.tolist(), offsets.tolist()
    ([3, 1, 2], [0, 2, 3])
    """
    flat = np.fromiter((document for walk in walks for document in walk), np.int32)
    return flat, offsets_of(np.array([len(walk) for walk in walks], np.int64))


def kept_plan(
    tour: Tour, graph: LinkGraph, order: Int64[np.ndarray, "roots"], cache: Path, make: Callable[[], Plan]
) -> Plan:
    """The plan under `cache`, made where it is missing; it appears whole or not at all.

    Args:
        tour, graph, order: what the plan follows from; `order` is of the roots of the epoch.
        cache: the folder of all plans.
        make: makes it.
    """
    directory = cache / f"{_KIND}-{_name_of(tour, graph, order)}"
    if not is_complete(directory, _KIND):
        with new_directory(directory, kind=_KIND) as temporary:
            plan = make()
            np.save(temporary / "documents.npy", plan.documents, allow_pickle=False)
            np.save(temporary / "offsets.npy", plan.offsets, allow_pickle=False)
        say(f"Planned {len(plan):,} walks that hold {len(plan.documents):,} documents, in {directory}.")
    mapped = (
        np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("documents", "offsets")
    )
    return Plan(*(np.asarray(array) for array in mapped))


def _name_of(tour: Tour, graph: LinkGraph, order: Int64[np.ndarray, "roots"]) -> str:
    digest = blake2b(fingerprint(attrs.evolve(tour, epochs=1)).encode(), digest_size=8)
    for array in (graph.token_offsets, graph.flags, graph.out_offsets, graph.out_targets, order):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def first_left(tour: Tour, graph: LinkGraph, order: Int64[np.ndarray, "roots"]) -> Int32[np.ndarray, "documents"]:
    """How often each document may be taken, besides the walk that it is the root of."""
    left = np.zeros(len(graph), np.int32)
    if tour.max_repeats is not None and not tour.covers:
        left[(graph.flags & tour.excluded_bits) == 0] = tour.max_repeats
        left[order] -= 1
    else:
        left[order] = 1
    return left


def planned(
    tour: Tour,
    graph: LinkGraph,
    order: Int64[np.ndarray, "roots"],
    eligible: Int32[np.ndarray, "eligible"],
    first: int,
) -> Plan:
    """An epoch, walk by walk: the definition, for every policy.

    Args:
        tour: the settings.
        graph: the documents.
        order: the roots in their order.
        eligible: documents that may be taken; none where all may.
        first: the number of the walk from the first root; that of the next is one more, whether or not it is made.
    """
    left = first_left(tour, graph, order).tolist()
    roots = order.tolist()
    limits = partial(_limits, tour, graph, roots, eligible.tolist(), left)
    walks = []
    for k, root in enumerate(roots, first):
        if not tour.covers:
            left[root] += 1  # its own walk was reserved
        elif not left[root]:
            continue
        rng = chance_of(tour.seed, k)
        walks.append(collect(graph, tour.policy, root, rng, limits(rng)))
    return Plan(*joined(walks))


def _limits(  # noqa: PLR0917 - all but the last are bound once
    tour: Tour, graph: LinkGraph, roots: list[int], eligible: list[int], left: list[int], rng: np.random.Generator
) -> Limits:
    size = len(eligible) or len(graph)

    def take(document: int) -> None:
        left[document] -= 1

    def go_on(reached: dict[int, None], room: int) -> int | None:
        if not tour.fill or (not tour.covers and len(reached) == size):
            return None
        if tour.covers:
            return next((each for each in _waiting(roots, left) if graph.length(each) <= room), None)
        for _ in range(PATIENCE):
            document = below(rng, size)
            document = eligible[document] if eligible else document
            if document not in reached and left[document] > 0:
                return document
        return None

    return Limits(
        budget=tour.budget,
        is_whole=tour.covers,
        may_take=lambda document: left[document] > 0,
        take=take,
        go_on=go_on,
    )


def _waiting(roots: list[int], left: list[int]) -> Iterator[int]:
    """The first documents in the order of roots that are in no walk yet."""
    looked = 0
    for document in roots:
        if left[document]:
            yield document
            looked += 1
            if looked == PATIENCE:
                return
