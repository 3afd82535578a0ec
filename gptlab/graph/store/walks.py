"""Walks over stored documents, from any one on: nothing is read but what the walks hold."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from gptlab.graph.store.stored_documents import StoredDocuments
from gptlab.graph.traverse import LINK_DROPS, TraverseLinks, tell_unlinked, walk_of
from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.storage import FromMapping
from gptlab.types import Walk

_RELEASE_EVERY = 2
"""Walks after which the pages of the store are let go of: what a reader holds is what so many walks touch."""


@attrs.frozen
class Walks:
    """The walks that `traverse` makes of stored documents: a seekable source.

    They are those of `pipeline(documents, traverse)`, without reading all documents first, and walk `k` is made
    without those before it.

    Args:
        documents: what is walked over.
        traverse: how.
    """

    documents: StoredDocuments
    traverse: TraverseLinks

    def pre_cache(self) -> None:
        """Store the documents where they are missing."""
        self.documents.pre_cache()

    def get_data_generator(self, start: int = 0) -> Iterator[Walk]:
        """The walks from number `start` on, in the order of all epochs."""
        documents = self.documents.store
        tell_unlinked(documents)
        routes = self.traverse.over(documents)
        left = range(start, len(routes))
        for k in track(left, "follow links", total=len(left), unit="walks"):
            walk = walk_of(documents, routes[k])
            for reason, count in walk.dropped.items():
                drop(LINK_DROPS[reason], count=count, example=walk.documents[-1].id)
            yield walk
            if k % _RELEASE_EVERY == 0:
                documents.release()

    __or__ = then
    initialize = FromMapping()

    def __len__(self) -> int:
        """How many walks there are in all epochs."""
        return len(self.traverse.over(self.documents.store))

    def axes(self) -> Mapping[str, Any]:
        """The axes of the documents, as far as they claim any."""
        return self.documents.axes()
