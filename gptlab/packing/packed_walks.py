"""From documents to rows and batches in one part, by machine code: `TraverseLinks | Pack` at any size.

The rows are those of the stages, bit for bit, which property tests hold it to; what is between the stages is left
out. A walk is a list of numbers here and never a record. Where `Collate` comes next, a pipeline asks for batches
(`batch_of`), and tokens are copied once, from where they lie to where a batch has them. Row `k` is found by its
number alone, so reading may begin anywhere.

A policy of the user's own, or a score, runs in Python as in the stages; all else is the same.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import attrs

from gptlab.graph import Documents, DocumentTable, TraverseLinks
from gptlab.graph.traverse import tell_unlinked
from gptlab.packing.pack import Pack
from gptlab.pipeline import need_source_of, then
from gptlab.pipeline.protocols import HasAxes, PreCached, Source
from gptlab.storage import FromMapping
from gptlab.types import Batch, PackedSequence, TokenizedDocument
from gptlab.types.errors import refusal

ROWS_AT_ONCE = 64
"""Rows that are made in one go where they are asked for one by one."""


def _is_documents(instance: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, Documents):
        need_source_of(TokenizedDocument, value, "PackedWalks.documents")


@attrs.frozen
class PackedWalks:
    """Rows of walks over documents: a seekable source, and a sequence.

    Args:
        documents: a source of tokenized documents: `StoredDocuments`, whose store is mapped and not read, or any
            other, which is read into memory; or a `DocumentStore` or `DocumentTable` that is open already.
        traverse: how documents are chosen and ordered.
        pack: how they are cut to a row.

    >>> from gptlab.graph import BreadthFirst, DocumentTable
    >>> PackedWalks(DocumentTable.from_documents([]), TraverseLinks(BreadthFirst(), budget=64), Pack(64)).axes()
    {'seq': 64}
    """

    documents: Source[TokenizedDocument] | Documents = attrs.field(validator=_is_documents)
    traverse: TraverseLinks
    pack: Pack

    def __attrs_post_init__(self) -> None:
        if self.traverse.regime == "cover_once" and self.traverse.budget > self.pack.seq_len:
            raise refusal(
                "PackedWalks",
                got=f"walks of {self.traverse.budget} tokens for rows of {self.pack.seq_len}",
                wanted="walks that fit, for each document is to be in a row once",
                do=f"Write TraverseLinks(..., budget={self.pack.seq_len}).",
            )

    def get_data_generator(self, start: int = 0) -> Iterator[PackedSequence]:
        """The rows from number `start` on."""
        size = len(self)
        for first in range(start, size, ROWS_AT_ONCE):
            yield from self._maker.rows(first, min(first + ROWS_AT_ONCE, size))

    __or__ = then
    initialize = FromMapping()

    def pre_cache(self) -> None:
        """Make the documents and the plans of all epochs where they are missing."""
        if isinstance(self.documents, PreCached):
            self.documents.pre_cache()
        len(self)

    def __len__(self) -> int:
        """How many rows all epochs have."""
        return len(self._maker.routes)

    def __getitem__(self, number: int) -> PackedSequence:
        """Row `number`; negative numbers count from the end.

        Raises:
            IndexError: there are fewer rows.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} rows, so there is no row {number}")
        place = number % len(self)
        row: PackedSequence = self._maker.rows(place, place + 1)[0]
        return row

    def batch(self, first: int, last: int) -> Batch:
        """Rows `first` to `last - 1` as one batch, equal to `stack` of them.

        Raises:
            IndexError: there are fewer rows.
        """
        if not 0 <= first < last <= len(self):
            raise IndexError(f"there are {len(self)} rows, so there are no rows {first} to {last - 1}")
        batch: Batch = self._maker.batch(first, last)
        return batch

    def batch_of(self, first: int, last: int) -> Batch | None:
        """Rows `first` to `last - 1`, or those of them that there are, as one batch; None: no row (`Collate`)."""
        last = min(last, len(self))
        return self.batch(first, last) if first < last else None

    def axes(self) -> Mapping[str, Any]:
        """A row has as many tokens as `pack` says, of the vocabulary that the documents claim."""
        return {**(self.documents.axes() if isinstance(self.documents, HasAxes) else {}), **self.pack.axes()}

    @cached_property
    def _maker(self) -> Any:
        from gptlab.packing.packed_walks_rows import RowMaker  # noqa: PLC0415 - numba takes a second to import

        documents = self._opened()
        tell_unlinked(documents)
        return RowMaker.of(documents, self.traverse.over(documents, is_compiled=True), self.pack)

    def _opened(self) -> Documents:
        if isinstance(self.documents, Documents):
            return self.documents
        store = getattr(self.documents, "store", None)
        if isinstance(store, Documents):
            return store
        return DocumentTable.from_documents(self.documents.get_data_generator())
