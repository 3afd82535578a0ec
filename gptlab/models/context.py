"""What a model has before it while it writes: the documents it has read, then the one that it writes.

The same form as a training row: targets first, one edge per linker and target at the token that completes the first
such link, the same rule for cycles. A property test packs the finished context by the training path and gets the
same next-token distribution. One difference is meant: no document links to the one that is being written.

The room for what is read is limited. Where it is full, a policy (`Evict`) says what goes: by default what the text
linked to longest ago, since a writer returns to what it spoke of last.
"""

from collections.abc import Callable

import attrs
import numpy as np

from gptlab.graph.order import keep_acyclic, targets_first
from gptlab.pipeline.observe import drop
from gptlab.types import Batch, DocumentId, TokenizedDocument

LEAST_TOKENS = 16
"""A document is not read where it would be cut to fewer tokens than these."""


@attrs.frozen(kw_only=True)
class Arrangement:
    """What a context holds in the order of a training row: targets first, the document being written last.

    Attributes:
        ids: of each document.
        tokens: of each document; a read one ends with end-of-text, the one being written does not.
        edges: (linker, target, position within the linker), documents by their place.
    """

    ids: tuple[DocumentId, ...]
    tokens: tuple[np.ndarray, ...]
    edges: tuple[tuple[int, int, int], ...]

    @property
    def starts(self) -> list[int]:
        """Where each document begins in the row, and where the row ends."""
        starts = [0]
        for tokens in self.tokens:
            starts.append(starts[-1] + len(tokens))
        return starts


class Context:
    """The documents read, oldest first, and the document being written, within `room` tokens for those read.

    Attributes:
        id: of the document being written.
        tokens: of the document being written, so far, without end-of-text.
        links: (position, target) of every link completed in it.
        documents: those read, oldest first.
        changes: how often links or documents changed: as long as it is the same, only tokens were added.
    """

    def __init__(self, own: TokenizedDocument, room: int, evict: "Evict | None" = None) -> None:
        """Begin with the prompt as a document.

        Args:
            own: the prompt; its last token, end-of-text, is taken off.
            room: how many tokens of other documents may be held at once.
            evict: which of them goes where a new one has no room; None for `least_recently_linked`.
        """
        self.id = own.id
        self.tokens: list[int] = own.tokens[:-1].tolist()
        self.links: list[tuple[int, DocumentId]] = []
        self.documents: dict[DocumentId, TokenizedDocument] = {}
        self.room = room
        self.evict = evict or least_recently_linked
        self.evicted: list[DocumentId] = []
        self.changes = 0

    def write(self, token: int) -> None:
        """Add one token to the document being written."""
        self.tokens.append(token)

    def link(self, position: int, target: DocumentId) -> None:
        """A link was completed at this token of the document being written."""
        self.links.append((position, target))
        self.changes += 1

    def last_linked(self, target: DocumentId) -> int:
        """The token that completes the last link to `target`; -1 where there is none."""
        return max((position for position, linked in self.links if linked == target), default=-1)

    def read(self, document: TokenizedDocument) -> bool:
        """Put a document before the one being written; others make room, by `evict`. Whether there was any."""
        if len(document.tokens) > self.room:
            if self.room < LEAST_TOKENS:
                drop("linked document without room in the context", example=document.id)
                return False
            document = cut(document, self.room)
        held = len(document.tokens) + sum(len(each.tokens) for each in self.documents.values())
        while held > self.room:
            gone = self.evict(self)
            held -= len(self.documents.pop(gone).tokens)
            self.evicted.append(gone)
        self.documents[document.id] = document
        self.changes += 1
        return True

    def arranged(self) -> Arrangement:
        """The documents in the order of a training row, with the links that it can keep."""
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
        place = {number: index for index, number in enumerate(order)}
        texts = [np.array(self.tokens, np.int32), *(each.tokens.astype(np.int32) for each in self.documents.values())]
        return Arrangement(
            ids=tuple(ids[number] for number in order),
            tokens=tuple(texts[number] for number in order),
            edges=tuple(sorted((place[linker], place[target], at) for linker, target, at in kept)),
        )

    def batch(self) -> Batch:
        """All of it as a batch of one row, the document being written last, without end-of-text or padding."""
        arranged = self.arranged()
        starts = arranged.starts
        edges = [(linker, target, starts[linker] + at) for linker, target, at in arranged.edges]
        tokens = np.concatenate(arranged.tokens)[None]
        numbers = np.arange(len(arranged.tokens), dtype=np.int32)
        return Batch(
            tokens=tokens,
            targets=np.full_like(tokens, -1),
            documents=np.repeat(numbers, [len(each) for each in arranged.tokens])[None],
            positions=np.arange(tokens.shape[1], dtype=np.int32)[None],
            edges=np.array(edges, np.int32).reshape(1, -1, 3),
        )


Evict = Callable[[Context], DocumentId]
"""Which of `Context.documents`, of which there is one at least, makes room for the next."""


def oldest(context: Context) -> DocumentId:
    """The document that was read first."""
    return next(iter(context.documents))


def least_recently_linked(context: Context) -> DocumentId:
    """The document whose last link from the text being written lies farthest back."""
    return min(context.documents, key=context.last_linked)


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
