"""Plain text in rows without cutting what fits: best fit over a window of rows, after Ding et al. 2024.

"Fewer Truncations Improve Language Modeling" (Ding et al., ICML 2024, arXiv:2404.10830) finds that documents cut
where a row ends cost a model facts and coherence, and packs them by best-fit-decreasing, which sorts the whole corpus
first. Here rows are open in a window, so that documents are read as a stream: each goes to the open row with the
least room that holds it, and when none does, the fullest row is padded and let go.
It stands in the place of `Concatenate`; a walk's documents belong together, and `Pack` keeps them so.
"""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from gptlab.packing.concatenate import Pieces, end_of_text_of, row_of
from gptlab.pipeline import then
from gptlab.types import PackedSequence, TokenizedDocument
from gptlab.types.validators import at_least


@attrs.frozen
class BestFit:
    """Fill rows of exactly `seq_len` tokens with whole documents.

    A document longer than a row is cut to rows of its own and a rest, which goes where it fits best. Nothing is lost:
    joined again, the rows are the documents, token for token. Links are text here and make no edges.

    Args:
        seq_len: tokens in the row, end-of-text of each document included.
        window: rows that are open at once. More rows are filled better and held in memory.

    >>> BestFit(seq_len=1024).axes()
    {'seq': 1024}
    """

    seq_len: int = attrs.field(validator=at_least(2, "A row predicts one token from another: try 1024."))
    window: int = attrs.field(default=256, validator=at_least(1, "Try window=256."), kw_only=True)

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[PackedSequence]:
        """Yield a row when it is full, when the window needs its place, and at the end."""
        rows: list[Pieces] = []
        room: list[int] = []
        end: int | None = None
        for document in documents:
            end = end_of_text_of(document, end, "BestFit")
            rest = document.tokens
            while len(rest) >= self.seq_len:  # a row by itself, for which none that is open must make room
                yield row_of([(document.id, rest[: self.seq_len])], self.seq_len, end)
                rest = rest[self.seq_len :]
            if not len(rest):
                continue
            place = _best(room, len(rest))
            if place is None:
                if len(rows) == self.window:
                    fullest = room.index(min(room))
                    room.pop(fullest)
                    yield row_of(rows.pop(fullest), self.seq_len, end)
                rows.append([])
                room.append(self.seq_len)
                place = len(rows) - 1
            rows[place].append((document.id, rest))
            room[place] -= len(rest)
            if room[place] == 0:
                room.pop(place)
                yield row_of(rows.pop(place), self.seq_len, end)
        for pieces in rows if end is not None else ():
            yield row_of(pieces, self.seq_len, end or 0)

    __or__ = then

    def axes(self) -> Mapping[str, int]:
        """A row has `seq_len` tokens."""
        return {"seq": self.seq_len}


def _best(room: list[int], length: int) -> int | None:
    """The open row with the least room that is enough, the oldest among equals."""
    if not room:
        return None
    left = np.array(room) - length
    left[left < 0] = np.iinfo(np.int64).max
    place = int(left.argmin())
    return place if room[place] >= length else None
