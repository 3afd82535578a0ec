"""The key-value cache: for each row a bag of keys and values, each with the token from which on it is seen.

Attention does not ask in what order keys lie. So a bag only ever grows at its end: by the tokens that are written,
and, when a link is complete, by the keys of the document it leads to, right behind them. With every key goes one
number, `opens_at`: the first token of the document being written that sees it, which for that document's own keys is
the token itself. Then one comparison is the mask, whatever its kind: `opens_at <= index of the query`.
"""

from functools import partial

import attrs
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from gptlab.models.attention import Attend
from gptlab.models.config import DagTransformerConfig
from gptlab.models.transformer import ShortConv, rotary_angles, rotate

NEVER = 2**31 - 1
"""`opens_at` of a place in a bag that holds nothing."""

GROWTH = 128
"""Places are made for so many tokens at a time: each time all of the bag is copied."""


@attrs.frozen(eq=False, kw_only=True)
class Encoded:
    """A document as its linkers see it: keys, rotated as if it began at position 0, and values, of every layer.

    Attributes:
        key: what they are a pure function of, besides the weights.
        keys, values: by layer, each `[key_heads tokens size]`.
    """

    key: bytes
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def __len__(self) -> int:
        return self.keys[0].shape[1]


class Memory:
    """The bags of a batch of rows.

    Attributes:
        own: for each row where in its bag the tokens of the document being written lie, in order.
        used: for each row how many places of its bag are taken.
        latest: for each row the latest `opens_at` of a document in it.
    """

    def __init__(self, cfg: DagTransformerConfig, rows: int, dtype: torch.dtype, device: torch.device) -> None:
        """Empty bags."""
        self.cfg = cfg
        empty = partial(torch.zeros, dtype=dtype, device=device)
        self.keys = [empty(rows, cfg.key_heads, 0, cfg.head_size) for _ in range(cfg.layers)]
        self.values = [empty(rows, cfg.key_heads, 0, cfg.head_size) for _ in range(cfg.layers)]
        # What the short convolution looks back at, by index in the document, after `short_conv - 1` zeros.
        self.streams = [empty(rows, 0, cfg.width) for _ in range(cfg.layers if cfg.short_conv else 0)]
        self.opens_at = torch.full((rows, 0), NEVER, dtype=torch.int32, device=device)
        self.own: list[list[int]] = [[] for _ in range(rows)]
        self.used = [0] * rows
        self.latest = [0] * rows

    def add_document(self, row: int, document: Encoded, opens_at: int, moved_by: int) -> None:
        """Let the row see a document from its own token `opens_at` on.

        Args:
            row: of the batch.
            document: its keys and values.
            opens_at: an index within the document being written.
            moved_by: where the document begins, counted from where the one being written does; 0 where positions
                are counted within each document.
        """
        start, count = self.used[row], len(document)
        self._make_room(start + count)
        place = slice(start, start + count)
        rotation = None
        if moved_by:
            position = torch.tensor([[moved_by]], device=self.opens_at.device)
            rotation = rotary_angles(position, self.cfg.head_size, self.cfg.rope_base, self.cfg.rope_scaling)
        for layer, (keys, values) in enumerate(zip(document.keys, document.values, strict=True)):
            self.keys[layer][row, :, place] = keys if rotation is None else rotate(keys[None], rotation)[0]
            self.values[layer][row, :, place] = values
        self.opens_at[row, place] = opens_at
        self.used[row] += count
        self.latest[row] = max(self.latest[row], opens_at)

    def rewind(self, row: int, length: int) -> None:
        """Forget all documents, and of the one being written all but the first `length` tokens."""
        places = torch.tensor(self.own[row][:length], device=self.opens_at.device, dtype=torch.long)
        for stored in (*self.keys, *self.values):
            stored[row, :, :length] = stored[row][:, places]
        self.opens_at[row] = NEVER
        self.opens_at[row, :length] = torch.arange(length, device=self.opens_at.device)
        self.own[row], self.used[row], self.latest[row] = list(range(length)), length, 0

    def rearranged(self, sources: list[int | None]) -> "Memory":
        """Other rows: each one that is here already, or, where None, an empty one."""
        other = Memory(self.cfg, len(sources), self.keys[0].dtype, self.opens_at.device)
        other._make_room(max([0, *(self.used[source] for source in sources if source is not None)]))
        for row, source in enumerate(sources):
            if source is None:
                continue
            used = self.used[source]
            for mine, theirs in zip((*self.keys, *self.values), (*other.keys, *other.values), strict=True):
                theirs[row, :, :used] = mine[source, :, :used]
            for mine, theirs in zip(self.streams, other.streams, strict=True):
                length = len(self.own[source]) + self.cfg.short_conv
                theirs[row, :length] = mine[source, :length]
            other.opens_at[row, :used] = self.opens_at[source, :used]
            other.own[row], other.used[row], other.latest[row] = self.own[source], used, self.latest[source]
        return other

    def encoded(self, row: int, key: bytes) -> Encoded:
        """The document that was written into a row, for its linkers."""
        places = torch.tensor(self.own[row], device=self.opens_at.device, dtype=torch.long)
        return Encoded(
            key=key,
            keys=tuple(keys[row][:, places] for keys in self.keys),
            values=tuple(values[row][:, places] for values in self.values),
        )

    def appending(self, rows: range, count: int) -> "Appending":
        """Take places for the next `count` tokens of each of these rows."""
        self._make_room(max(self.used[row] for row in rows) + count)
        indices = [len(self.own[row]) for row in rows]
        starts = [self.used[row] for row in rows]
        steps = torch.arange(count, device=self.opens_at.device)
        index = torch.tensor(indices, device=self.opens_at.device)[:, None] + steps
        place = torch.tensor(starts, device=self.opens_at.device)[:, None] + steps
        at = torch.arange(rows.start, rows.stop, device=self.opens_at.device)[:, None]
        self.opens_at[at, place] = index.int()
        for row, start in zip(rows, starts, strict=True):
            self.own[row].extend(range(start, start + count))
            self.used[row] = start + count
        end = max(starts) + count
        is_even = len(set(starts)) == 1
        is_behind = all(self.latest[row] <= at for row, at in zip(rows, indices, strict=True))
        seen = None
        if count > 1 or not (is_even and is_behind):  # else the one token that is new sees all that is held
            seen = (self.opens_at[rows.start : rows.stop, None, :end] <= index[:, :, None])[:, None]
        return Appending(self, rows, index, place, starts[0] if is_even else None, end, seen)

    def _make_room(self, places: int) -> None:
        missing = places - self.opens_at.shape[1]
        if missing <= 0:
            return
        more = -(-missing // GROWTH) * GROWTH
        self.keys = [functional.pad(keys, (0, 0, 0, more)) for keys in self.keys]
        self.values = [functional.pad(values, (0, 0, 0, more)) for values in self.values]
        self.opens_at = functional.pad(self.opens_at, (0, more), value=NEVER)
        if self.streams:
            lacking = self.opens_at.shape[1] + self.cfg.short_conv - self.streams[0].shape[1]
            self.streams = [functional.pad(stream, (0, 0, 0, lacking)) for stream in self.streams]


@attrs.frozen(eq=False)
class Appending:
    """Tokens on their way through the layers, which leave their keys and values behind.

    Attributes:
        memory: where.
        rows: of the memory.
        index: of each new token within its document.
        place: of each in its bag.
        start: the first place, where it is the same in all rows.
        end: one past the last place that any row uses.
        seen: which places each token sees; None for all.
    """

    memory: Memory
    rows: range
    index: Int[Tensor, "rows new"]
    place: Int[Tensor, "rows new"]
    start: int | None
    end: int
    seen: Bool[Tensor, "rows 1 new places"] | None

    def attend(self, layer: int) -> Attend:
        """Attention of one layer."""
        return partial(self._attend, layer)

    def _attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        held_keys = self._kept(self.memory.keys[layer], keys)
        held_values = self._kept(self.memory.values[layer], values)
        return functional.scaled_dot_product_attention(
            queries,
            held_keys,
            held_values,
            attn_mask=self.seen,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )

    def _kept(self, held: Tensor, new: Tensor) -> Tensor:
        """Put what is new into the bags; all that these rows hold."""
        held = held[self.rows.start : self.rows.stop]
        if self.start is not None:
            held[:, :, self.start : self.end] = new
        else:
            row = torch.arange(len(self.rows), device=held.device)[:, None]
            held[row, :, self.place] = new.transpose(1, 2)
        return held[:, :, : self.end]

    def convolve(self, layer: int, conv: ShortConv, x: Tensor) -> Tensor:
        """`ShortConv` over the new tokens and those before them."""
        taps, count = conv.weight.shape[0], x.shape[1]
        stream = self.memory.streams[layer][self.rows.start : self.rows.stop]
        row = torch.arange(len(self.rows), device=x.device)[:, None]
        stream[row, self.index + taps - 1] = x
        before = self.index[:, :1] + torch.arange(count + taps - 1, device=x.device)
        window = stream[row, before]
        out = x
        for back in range(taps):
            out = torch.addcmul(out, window[:, taps - 1 - back : taps - 1 - back + count], conv.weight[back, 0])
        return out
