"""Plain text: documents back to back, cut wherever a row is full. The nanoGPT case, and the control without links."""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from gptlab.packing.collate import Piece
from gptlab.pipeline import then
from gptlab.types import DocumentId, PackedSequence, TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

Pieces = list[tuple[DocumentId, Piece]]
"""What stands in a row, in order."""


@attrs.frozen
class Concatenate:
    """Fill rows of exactly `seq_len` tokens without gaps.

    A document may begin in one row and go on in the next, where its rest stands as a document of its own; joined
    again, the rows are the documents, token for token. Links are text here and make no edges. Only the last row is
    padded.

    >>> Concatenate(seq_len=1024).axes()
    {'seq': 1024}
    """

    seq_len: int = attrs.field(validator=at_least(2, "A row predicts one token from another: try 1024."))

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[PackedSequence]:
        """Yield each row as soon as it is full, and the last one padded."""
        pieces: Pieces = []
        room, end_of_text = self.seq_len, None
        for document in documents:
            end_of_text = end_of_text_of(document, end_of_text, "Concatenate")
            rest = document.tokens
            while len(rest):
                pieces.append((document.id, rest[:room]))
                rest, room = rest[room:], room - len(pieces[-1][1])
                if room == 0:
                    yield row_of(pieces, self.seq_len, end_of_text)
                    pieces, room = [], self.seq_len
        if pieces and end_of_text is not None:
            yield row_of(pieces, self.seq_len, end_of_text)

    __or__ = then

    def axes(self) -> Mapping[str, int]:
        """A row has `seq_len` tokens."""
        return {"seq": self.seq_len}


def row_of(pieces: Pieces, seq_len: int, end_of_text: int) -> PackedSequence:
    """A row of these pieces, back to back, padded to `seq_len`."""
    lengths = [len(tokens) for _, tokens in pieces]
    length = sum(lengths)
    row = np.full(seq_len, end_of_text, pieces[0][1].dtype)
    row[:length] = np.concatenate([tokens for _, tokens in pieces])
    return PackedSequence(
        tokens=row,
        starts=(np.cumsum(lengths) - lengths).astype(np.int32),
        ids=tuple(id for id, _ in pieces),
        edges=np.empty((0, 3), np.int32),
        length=length,
        end_of_text=end_of_text,
        dropped={},
    )


def end_of_text_of(document: TokenizedDocument, before: int | None, stage: str) -> int:
    """The token that ends the document, which must be the one that ended those before.

    Raises:
        ValueError: it has no tokens, or another ended those before.
    """
    last = int(document.tokens[-1]) if len(document.tokens) else None
    if last is None or before not in (None, last):
        raise refusal(
            f"{stage}, at document {document.id!r}",
            got="no tokens" if last is None else f"a last token of {last}",
            wanted="end-of-text as the last token" + (f", {before} as before" if before is not None else ""),
            do="Tokenize all documents with one tokenizer.",
        )
    return last
