"""What a model has before it while it writes: the documents it has read, then the one that it writes.

The same form as a training row: targets first, one edge per linker and target at the token that completes the first
such link, the same rule for cycles. A property test packs the finished context by the training path and gets the
same next-token distribution. One difference is meant: no document links to the one that is being written.
"""

import numpy as np

from gptlab.graph.order import keep_acyclic, targets_first
from gptlab.pipeline.observe import drop
from gptlab.types import Batch, DocumentId, TokenizedDocument

LEAST_TOKENS = 16
"""A document is not read where it would be cut to fewer tokens than these."""


class Context:
    """The documents read, oldest first, and the document being written, within `room` tokens for those read.

    Attributes:
        own: the document being written, so far, without end-of-text.
        documents: those read, oldest first.
    """

    def __init__(self, own: TokenizedDocument, room: int) -> None:
        """Begin with the prompt as a document.

        Args:
            own: the prompt; its last token, end-of-text, is taken off.
            room: how many tokens of other documents may be held at once.
        """
        self.id = own.id
        self.tokens: list[int] = own.tokens[:-1].tolist()
        self.links: list[tuple[int, DocumentId]] = []
        self.documents: dict[DocumentId, TokenizedDocument] = {}
        self.room = room

    def write(self, token: int) -> None:
        """Add one token to the document being written."""
        self.tokens.append(token)

    def link(self, position: int, target: DocumentId) -> None:
        """A link was completed at this token of the document being written."""
        self.links.append((position, target))

    def read(self, document: TokenizedDocument) -> bool:
        """Put a document before the one being written; the oldest make room. Whether there was any."""
        if len(document.tokens) > self.room:
            if self.room < LEAST_TOKENS:
                drop("linked document without room in the context", example=document.id)
                return False
            document = cut(document, self.room)
        held = len(document.tokens) + sum(len(each.tokens) for each in self.documents.values())
        for oldest in list(self.documents):
            if held <= self.room:
                break
            held -= len(self.documents.pop(oldest).tokens)
        self.documents[document.id] = document
        return True

    def batch(self) -> Batch:
        """All of it as a batch of one row, the document being written last, without end-of-text or padding."""
        ids = [self.id, *self.documents]
        links = [self.links] + [
            list(zip(each.link_positions.tolist(), each.link_targets, strict=True))
            for each in self.documents.values()
        ]
        found = [
            (linker, ids.index(target), position)
            for linker, of_linker in enumerate(links)
            for target, position in _first(of_linker).items()
            if target in self.documents and target != ids[linker]
        ]
        kept = keep_acyclic(len(ids), found)
        order = targets_first(len(ids), kept)
        texts = [np.array(self.tokens, np.int32), *(each.tokens.astype(np.int32) for each in self.documents.values())]
        lengths = [len(texts[number]) for number in order]
        starts = np.cumsum([0, *lengths])
        place = {number: index for index, number in enumerate(order)}
        edges = sorted((place[linker], place[target], int(starts[place[linker]]) + at) for linker, target, at in kept)
        tokens = np.concatenate([texts[number] for number in order])[None]
        return Batch(
            tokens=tokens,
            targets=np.full_like(tokens, -1),
            documents=np.repeat(np.arange(len(ids), dtype=np.int32), lengths)[None],
            positions=np.arange(tokens.shape[1], dtype=np.int32)[None],
            edges=np.array(edges, np.int32).reshape(1, -1, 3),
        )


def cut(document: TokenizedDocument, length: int) -> TokenizedDocument:
    """The document as `Pack` cuts it: its first tokens, end-of-text last, and the links completed in what stays."""
    stays = document.link_positions < length - 1
    return TokenizedDocument(
        id=document.id,
        title=document.title,
        tokens=np.concatenate([document.tokens[: length - 1], document.tokens[-1:]]),
        link_positions=document.link_positions[stays],
        link_targets=tuple(target for target, is_in in zip(document.link_targets, stays, strict=True) if is_in),
        flags=document.flags,
    )


def _first(links: list[tuple[int, DocumentId]]) -> dict[DocumentId, int]:
    """Where each target is linked first."""
    first: dict[DocumentId, int] = {}
    for position, target in links:
        first.setdefault(target, position)
    return first
