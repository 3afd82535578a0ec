"""What the arms need beside gptlab's own stages: the root last, loss on the root only, false links.

The loss counts on the root of each row alone. So every arm learns from the same tokens in the same order, each
document once in an epoch and cut alike; arms differ in nothing but what else stands in the row and may be read.
"""

from collections.abc import Iterator

import attrs
import numpy as np
from jaxtyping import Int64

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop
from gptlab.types import Batch, TokenizedDocument, Walk
from gptlab.types.validators import at_least


@attrs.frozen
class RootLast:
    """Move the root of each walk behind all other documents, which keep their order.

    A link of another document to the root would point forwards then and is dropped.
    """

    def __call__(self, walks: Iterator[Walk]) -> Iterator[Walk]:
        """Yield one walk for each."""
        for walk in walks:
            root = int(walk.visited.argmin())
            count = len(walk.documents)
            order = [number for number in range(count) if number != root] + [root]
            place = np.empty(count, np.int32)
            place[order] = np.arange(count, dtype=np.int32)
            kept = walk.edges[walk.edges[:, 1] != root]
            edges = np.column_stack([place[kept[:, 0]], place[kept[:, 1]], kept[:, 2]]).astype(np.int32)
            lost = len(walk.edges) - len(kept)
            drop("link to the root of its walk", count=lost)
            yield Walk(
                documents=tuple(walk.documents[number] for number in order),
                visited=walk.visited[order],
                edges=edges[np.lexsort(edges.T[::-1])],
                dropped={**walk.dropped, "cycle": walk.dropped.get("cycle", 0) + lost},
            )

    __or__ = then


@attrs.frozen
class LearnLast:
    """Leave targets on the last document of each row only."""

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield one batch for each."""
        for batch in batches:
            is_last = batch.documents == batch.documents.max(axis=1, keepdims=True)
            yield attrs.evolve(batch, targets=np.where(is_last, batch.targets, np.int32(-1)))

    __or__ = then


@attrs.frozen
class RewireLinks:
    """Give every link another target and keep all degrees: the planted null.

    The targets of all links are shuffled together, so each document links as often, from the same positions, and is
    linked to as often as before; what a link says about its target is gone. A link that would lead to its own
    document, or to one that it led to before, trades places with another one.

    Args:
        seed: of the shuffle.
    """

    seed: int = attrs.field(default=0, validator=at_least(0))

    barrier = True

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[TokenizedDocument]:
        """Yield the documents in the order in which they came."""
        kept = list(documents)
        numbers = {document.id: number for number, document in enumerate(kept)}
        linkers = np.repeat(np.arange(len(kept)), [len(document.link_targets) for document in kept])
        true = np.array([numbers.get(target, -1) for document in kept for target in document.link_targets], np.int64)
        false = rewired(linkers, true, self.seed)
        ids = [document.id for document in kept]
        first = 0
        for document in kept:
            last = first + len(document.link_targets)
            targets = tuple(
                ids[new] if new >= 0 else old
                for new, old in zip(false[first:last].tolist(), document.link_targets, strict=True)
            )
            first = last
            yield attrs.evolve(document, link_targets=targets)

    __or__ = then


def rewired(
    linkers: Int64[np.ndarray, "links"], targets: Int64[np.ndarray, "links"], seed: int
) -> Int64[np.ndarray, "links"]:
    """Other targets for the same links; -1, a target that is no document, stays.

    Args:
        linkers, targets: document numbers.
        seed: of the shuffle.

    >>> rewired(np.array([0, 1, 2]), np.array([1, 2, 0]), seed=0).tolist()
    [2, 0, 1]
    """
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(targets >= 0)
    own = linkers[places].tolist()
    true = set(zip(own, targets[places].tolist(), strict=True))
    false = targets[places][rng.permutation(len(places))]
    for _ in range(100):
        wrong = [
            at for at, pair in enumerate(zip(own, false.tolist(), strict=True)) if pair in true or len({*pair}) == 1
        ]
        for one, other in zip(wrong, rng.integers(len(places), size=len(wrong)).tolist(), strict=True):
            false[one], false[other] = false[other], false[one]
        if not wrong:
            break
    result = targets.copy()
    result[places] = false
    return result
