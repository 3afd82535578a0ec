"""What walks, policies and reports read: documents by number, wherever they lie.

Two classes have it: `DocumentTable`, all in memory, which is the definition, and `DocumentStore`, mapped from disk,
which is held equal to it by property tests. Code that takes `Documents` works on either, and a reader of seven
million documents holds none of them: what it does not touch is not read.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Integer

from gptlab.graph.link_graph import LinkGraph
from gptlab.types import DocumentId, TokenArray, TokenizedDocument

NO_EDGE = ("missing", "self", "repeat")
"""Why a link is no edge, whatever the walk: its target is no document, is the linker, or was linked before."""


@runtime_checkable
class Documents(Protocol):
    """Documents by number, with the links between them.

    Arrays are read-only and may be memory-mapped; in loops take `.tolist()` or a compiled function over them, and
    use `tokens_of` rather than `[number]` where only the tokens are wanted: the record costs its links' titles.

    `gptlab.graph.DocumentTable` is a complete implementation:

    >>> from gptlab.graph import DocumentTable
    >>> isinstance(DocumentTable.from_documents([]), Documents)
    True
    """

    @property
    def ids(self) -> Sequence[DocumentId]:
        """The identity of each document; made when it is asked for."""

    @property
    def titles(self) -> Sequence[str]:
        """The title of each document, for people; made when it is asked for."""

    @property
    def numbers(self) -> Mapping[DocumentId, int]:
        """From identity to number."""

    @property
    def graph(self) -> LinkGraph:
        """The links between documents, with their positions, and the documents' flags."""

    @property
    def no_edge(self) -> Integer[np.ndarray, "documents 3"]:
        """Per document how many of its links are not in `graph`, by the reasons `NO_EDGE`."""

    @property
    def token_offsets(self) -> Int64[np.ndarray, "offsets"]:
        """The tokens of document `i`, counted through all documents, are those from entry `i` to entry `i + 1`."""

    @property
    def token_shards(self) -> Sequence[TokenArray]:
        """The tokens of all documents, back to back, in one or more arrays; no document lies across two."""

    @property
    def shard_offsets(self) -> Int64[np.ndarray, "shards"]:
        """Which token, counted through all documents, each shard begins with; and at the end, how many there are.

        So the tokens of document `i` lie in shard `s = searchsorted(shard_offsets, token_offsets[i], "right") - 1`,
        from `token_offsets[i] - shard_offsets[s]` on.
        """

    def __len__(self) -> int:
        """How many documents there are."""

    def __getitem__(self, number: int, /) -> TokenizedDocument:
        """Document `number`, whole; its tokens are a read-only view."""

    def get(self, id: DocumentId) -> TokenizedDocument | None:
        """The document with this identity, or None."""

    def tokens_of(self, number: int) -> TokenArray:
        """The tokens of document `number`: a read-only view, nothing is copied."""
