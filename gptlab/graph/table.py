"""All tokenized documents with their link graph: tokens back to back in one array, links resolved to numbers.

Two arrays and their offsets, instead of a Python object per document and per link: 2 bytes a token and 16 bytes
a link and direction. Titles are Python strings here and found by a dictionary, which is why this is the definition
of `Documents` for tests and small corpora; `DocumentStore` offers the same from disk.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np
from jaxtyping import Int32, Int64

from gptlab.graph.link_graph import LinkGraph, flag_bits, link_graph, offsets_of
from gptlab.pipeline.observe import drop, track
from gptlab.types import DocumentId, TokenArray, TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.records import Flag


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DocumentTable:
    """All documents, by number and by identity.

    Attributes:
        ids, titles, flags: one entry per document.
        numbers: from identity to number.
        tokens: the tokens of all documents; those of `i` begin at `token_offsets[i]`.
        link_positions: the token positions of all links as they came; those of `i` begin at `link_offsets[i]`.
        link_targets: the number of the target, or `~m` for the target `missing[m]`, which is no document.
        graph: the links between documents.
        no_edge: per document how many of its links are not in `graph`, by the reasons `NO_EDGE`.
    """

    ids: Sequence[DocumentId]
    titles: Sequence[str]
    flags: Sequence[frozenset[Flag]]
    numbers: Mapping[DocumentId, int]
    tokens: TokenArray
    token_offsets: Int64[np.ndarray, "offsets"]
    link_positions: Int32[np.ndarray, "links"]
    link_targets: Int32[np.ndarray, "links"]
    link_offsets: Int64[np.ndarray, "offsets"]
    missing: Sequence[DocumentId]
    graph: LinkGraph
    no_edge: Int32[np.ndarray, "documents 3"]

    @classmethod
    def from_documents(cls, documents: Iterable[TokenizedDocument]) -> "DocumentTable":
        """Read all documents; of two with one identity the later is dropped and counted.

        Raises:
            ValueError: where a document has no tokens, or tokens of another type than those before it.
        """
        kept: dict[DocumentId, TokenizedDocument] = {}
        for document in track(documents, "read documents", unit="documents"):
            if document.id in kept:
                drop("document with an identity that is taken", example=document.id)
                continue
            _check(document, next(iter(kept.values()), document))
            kept[document.id] = document
        return _table(kept)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<DocumentTable of {len(self):,} documents, {len(self.tokens):,} tokens, {self.graph!r}>"

    def __getitem__(self, number: int) -> TokenizedDocument:
        """Document `number`; its arrays are read-only views of the table's."""
        if not 0 <= number < len(self):
            raise IndexError(f"document {number} of {len(self)}")
        first, last = self.link_offsets[number], self.link_offsets[number + 1]
        return TokenizedDocument(
            id=self.ids[number],
            title=self.titles[number],
            tokens=self.tokens_of(number),
            link_positions=self.link_positions[first:last],
            link_targets=tuple(
                self.ids[target] if target >= 0 else self.missing[~target]
                for target in self.link_targets[first:last].tolist()
            ),
            flags=self.flags[number],
        )

    def get(self, id: DocumentId) -> TokenizedDocument | None:
        """The document with this identity, or None.

        >>> DocumentTable.from_documents([]).get(DocumentId("Moon")) is None
        True
        """
        number = self.numbers.get(id)
        return None if number is None else self[number]

    def tokens_of(self, number: int) -> TokenArray:
        """The tokens of document `number`: a read-only view."""
        if not 0 <= number < len(self):
            raise IndexError(f"document {number} of {len(self)}")
        return self.tokens[self.token_offsets[number] : self.token_offsets[number + 1]]

    @property
    def token_shards(self) -> tuple[TokenArray]:
        """All tokens in one array."""
        return (self.tokens,)

    @property
    def shard_offsets(self) -> Int64[np.ndarray, "shards"]:
        """The one shard begins with the first token."""
        return np.array([0, len(self.tokens)])


def _check(document: TokenizedDocument, first: TokenizedDocument) -> None:
    if len(document.tokens) == 0:
        raise refusal(
            f"document {document.id!r}",
            got="no tokens",
            wanted="tokens that end with end-of-text",
            do="Tokenize closes every document; check the stage that made this one.",
        )
    if document.tokens.dtype != first.tokens.dtype or document.tokens[-1] != first.tokens[-1]:
        raise refusal(
            f"document {document.id!r}",
            got=f"{document.tokens.dtype} tokens that end with {document.tokens[-1]}",
            wanted=f"{first.tokens.dtype} tokens that end with {first.tokens[-1]}, as {first.id!r} has",
            do="Tokenize all documents with one tokenizer.",
        )


def _table(documents: dict[DocumentId, TokenizedDocument]) -> DocumentTable:
    numbers = {id: number for number, id in enumerate(documents)}
    missing: dict[DocumentId, int] = {}
    targets = np.fromiter(
        (
            numbers[target] if target in numbers else ~missing.setdefault(target, len(missing))
            for document in documents.values()
            for target in document.link_targets
        ),
        dtype=np.int32,
    )
    positions = _joined([document.link_positions for document in documents.values()], np.int32)
    link_offsets = offsets_of(np.array([len(d.link_targets) for d in documents.values()], np.int64))
    flags = tuple(document.flags for document in documents.values())
    token_offsets = offsets_of(np.array([len(d.tokens) for d in documents.values()], np.int64))
    graph, no_edge = _graph(targets, positions, link_offsets, flags, token_offsets)
    tokens = _joined([document.tokens for document in documents.values()], np.uint16)
    for array in (tokens, token_offsets, positions, targets):
        array.flags.writeable = False  # views of them are handed out
    return DocumentTable(
        ids=tuple(documents),
        titles=tuple(document.title for document in documents.values()),
        flags=flags,
        numbers=numbers,
        tokens=tokens,
        token_offsets=token_offsets,
        link_positions=positions,
        link_targets=targets,
        link_offsets=link_offsets,
        missing=tuple(missing),
        graph=graph,
        no_edge=no_edge,
    )


def _graph(
    targets: Int32[np.ndarray, "links"],
    positions: Int32[np.ndarray, "links"],
    link_offsets: Int64[np.ndarray, "offsets"],
    flags: Sequence[frozenset[Flag]],
    token_offsets: Int64[np.ndarray, "offsets"],
) -> tuple[LinkGraph, Int32[np.ndarray, "documents 3"]]:
    """The graph, and the links that are not in it per document and reason."""
    count = len(flags)
    linkers = np.repeat(np.arange(count, dtype=np.int32), np.diff(link_offsets))
    is_missing, is_self = targets < 0, targets == linkers
    is_between = ~is_missing & ~is_self
    bits = np.array([flag_bits(each) for each in flags], np.uint8)
    graph = link_graph(linkers[is_between], targets[is_between], positions[is_between], bits, token_offsets)
    found, alone = (np.bincount(linkers[mask], minlength=count) for mask in (is_missing, is_self))
    between = np.bincount(linkers[is_between], minlength=count)
    repeats = between - np.diff(graph.out_offsets)
    return graph, np.stack([found, alone, repeats], axis=1).astype(np.int32)


def _joined(arrays: list[np.ndarray], empty: type) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.empty(0, empty)
