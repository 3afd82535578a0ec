"""Links to the most similar documents instead of the real ones: what retrieval would put before each document."""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from jaxtyping import Float64, Integer
from scipy import sparse

from gptlab.pipeline import then
from gptlab.pipeline.observe import track
from gptlab.types import TokenizedDocument
from gptlab.types.validators import at_least

_CHUNK = 256
"""Documents whose similarities to all others are held at a time: 8 bytes for each pair."""


@attrs.frozen(kw_only=True)
class LinkSimilar:
    """Replace the links of each document by links to those most similar to it by BM25, the most similar first.

    All its tokens ask. The links stand at its first token, which matters to no mask that this arm uses.

    Args:
        count: links of each document, as many as there are others at most.
        saturation: `k1`: how soon a token that comes again counts no more.
        length: `b`: how far long documents are held to say a token oftener.

    Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3
    """

    count: int = attrs.field(default=8, validator=at_least(1))
    saturation: float = 1.2
    length: float = 0.75

    barrier = True

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[TokenizedDocument]:
        """Yield the documents in the order in which they came."""
        kept = list(documents)
        if not kept:
            return
        asking, answering = bm25([document.tokens for document in kept], self.saturation, self.length)
        for first in track(range(0, len(kept), _CHUNK), "find similar documents", unit="parts"):
            scores = (asking[first : first + _CHUNK] @ answering.T).toarray()
            for number, row in enumerate(scores, first):
                row[number] = -np.inf
                nearest = np.argsort(-row, kind="stable")[: min(self.count, len(kept) - 1)]
                yield attrs.evolve(
                    kept[number],
                    link_positions=np.zeros(len(nearest), np.int32),
                    link_targets=tuple(kept[other].id for other in nearest.tolist()),
                )

    __or__ = then


def bm25(
    documents: Sequence[Integer[np.ndarray, "_"]], saturation: float, length: float
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """How often each document says each token, and what that is worth to whoever asks: their product is the score.

    Args:
        documents: token ids of each.
        saturation, length: as those of `LinkSimilar`.
    """
    sizes = np.array([len(tokens) for tokens in documents])
    rows = np.repeat(np.arange(len(documents)), sizes)
    tokens = np.concatenate(documents).astype(np.int64)
    shape = (len(documents), int(tokens.max(initial=0)) + 1)
    said = sparse.csr_array((np.ones(len(tokens)), (rows, tokens)), shape=shape)
    said.sum_duplicates()
    holders: Float64[np.ndarray, "vocab"] = np.bincount(said.indices, minlength=shape[1]).astype(np.float64)
    rarity = np.log1p((len(documents) - holders + 0.5) / (holders + 0.5))
    held = saturation * (1 - length + length * sizes / sizes.mean())
    worth = said.copy()
    worth.data = (
        rarity[said.indices] * said.data * (saturation + 1) / (said.data + np.repeat(held, np.diff(said.indptr)))
    )
    return said, worth
