"""Rows and batches of walks, made some dozens at a time by machine code or by the definition."""

from threading import Lock
from typing import Any

import attrs
import numpy as np
from jaxtyping import Int32, Int64

from gptlab.graph import NO_EDGE, Documents, Routes, walk_of
from gptlab.graph.compiled import plain
from gptlab.graph.compiled_order import CYCLE, OUTSIDE, order_walks
from gptlab.graph.compiled_routes import rule_of
from gptlab.graph.traverse import LINK_DROPS
from gptlab.packing.collate import stack
from gptlab.packing.excess import CutLast, FitRest, PadRest, Sizes
from gptlab.packing.pack import CUT_TOKENS, LEFT_OUT, PACK_DROPS, Pack
from gptlab.packing.packed_walks_compiled import (
    CUT,
    CUT_LAST,
    FIT_REST,
    NO_ROOM,
    PAD_REST,
    Placed,
    collate_rows,
    copy_tokens,
    first_too_long,
    pad_edges,
    place_rows,
)
from gptlab.pipeline.observe import drop
from gptlab.types import Batch, PackedSequence

_REASONS = (*NO_EDGE, "cycle", "budget", "cut", "no room")
_TOLD = {**LINK_DROPS, **PACK_DROPS}
_RULES: dict[type, int] = {CutLast: CUT_LAST, PadRest: PAD_REST, FitRest: FIT_REST}


@attrs.frozen(eq=False, repr=False)
class RowMaker:
    """Makes the rows of walks. One thread at a time works; the others wait.

    Attributes:
        documents, pack: what rows are made of, and how.
        routes: the walks.
        is_compiled: whether machine code is used: for policies that are built in.
        visit: room to work in.
        lock: held by the thread that works.
    """

    documents: Documents
    routes: Routes
    pack: Pack
    is_compiled: bool
    visit: Int32[np.ndarray, "documents"]
    lock: Lock = attrs.field(factory=Lock)

    @classmethod
    def of(cls, documents: Documents, routes: Routes, pack: Pack) -> "RowMaker":
        """One for these walks."""
        is_compiled = type(pack.excess) in _RULES and rule_of(routes.tour.policy) is not None
        return cls(documents, routes, pack, is_compiled, np.zeros(len(documents), np.int32))

    def rows(self, first: int, last: int) -> list[PackedSequence]:
        """The rows of walks `first` to `last - 1`."""
        if not self.is_compiled:
            return self._slow_rows(first, last)
        with self.lock:
            placed, counts = self._placed(first, last)
            tokens = self._tokens(placed, self.documents.token_shards[0].dtype)
        ids, end_of_text = self.documents.ids, self._end_of_text()
        names = [ids[number] for number in placed.documents[: placed.offsets[-1]].tolist()]
        offsets, edge_offsets = placed.offsets.tolist(), placed.edge_offsets.tolist()
        rows = []
        by_row = zip(placed.tokens.tolist(), placed.cut.tolist(), counts.tolist(), strict=True)
        for row, (length, cut, lost) in enumerate(by_row):
            begin, end = offsets[row], offsets[row + 1]
            rows.append(
                PackedSequence(
                    tokens=tokens[row].copy(),  # a row that is kept keeps no others
                    starts=placed.starts[begin:end].copy(),
                    ids=tuple(names[begin:end]),
                    edges=placed.edges[edge_offsets[row] : edge_offsets[row + 1]].copy(),
                    length=length,
                    end_of_text=end_of_text,
                    dropped={reason: count for reason, count in zip(_REASONS, lost, strict=True) if count},
                    cut=cut,
                )
            )
        return rows

    def batch(self, first: int, last: int) -> Batch:
        """The rows of walks `first` to `last - 1`, collated."""
        if not self.is_compiled:
            return stack(self._slow_rows(first, last))
        with self.lock:
            placed, _ = self._placed(first, last)
            tokens = self._tokens(placed, np.dtype(np.int32))
        targets, documents, positions = (np.empty(tokens.shape, np.int32) for _ in range(3))
        collate_rows(tokens, placed.tokens, self._end_of_text(), targets, documents, positions)
        edges = np.full((last - first, int(np.diff(placed.edge_offsets).max()), 3), -1, np.int32)
        pad_edges(placed.edges, placed.edge_offsets, edges)
        return Batch(tokens=tokens, targets=targets, documents=documents, positions=positions, edges=edges)

    def _placed(self, first: int, last: int) -> tuple[Placed, Int64[np.ndarray, "rows reasons"]]:
        """Where everything stands in these rows, and what each lost, by `_REASONS`."""
        graph, seq_len = self.documents.graph, self.pack.seq_len
        found, offsets = (plain(array) for array in self.routes.stretch(first, last))
        out_offsets, targets, positions = map(plain, (graph.out_offsets, graph.out_targets, graph.out_positions))
        order = order_walks(found, offsets, out_offsets, targets, positions, self.visit)
        token_offsets = plain(graph.token_offsets)
        rule = _RULES[type(self.pack.excess)]
        sizes, least = self._sizes(found, offsets, token_offsets)
        placed = place_rows(found, offsets, order, token_offsets, seq_len, rule, sizes, least)
        no_edge = np.add.reduceat(self.documents.no_edge[found], offsets[:-1], axis=0)
        lost = (order.lost[:, CYCLE], order.lost[:, OUTSIDE], placed.lost[:, CUT], placed.lost[:, NO_ROOM])
        counts = np.column_stack([no_edge, *lost]).astype(np.int64)
        totals = {_TOLD[reason]: count for reason, count in zip(_REASONS, counts.sum(axis=0).tolist(), strict=True)}
        totals |= {CUT_TOKENS: int(placed.cut.sum()), LEFT_OUT: len(found) - int(placed.offsets[-1])}
        example = self.documents.ids[int(found[-1])]
        for told, count in totals.items():
            drop(told, count=count, example=example)
        return placed, counts

    def _sizes(
        self, found: Int32[np.ndarray, "documents"], offsets: Int64[np.ndarray, "offsets"], token_offsets: np.ndarray
    ) -> tuple[Sizes, Sizes]:
        """What `Excess.kept` is given, walk by walk; titles are read only of documents that may be cut."""
        whole = token_offsets[found + 1] - token_offsets[found]
        least = np.zeros(len(found), np.int64)

        def ask(places: np.ndarray) -> None:
            least[places] = [self.pack.least(self.documents.titles[number]) for number in found[places].tolist()]

        sizes = np.minimum(whole, self.pack.max_document or whole)
        if self.pack.max_document is not None:
            is_capped = sizes < whole
            is_capped[offsets[:-1]] = False
            ask(np.flatnonzero(is_capped))
            sizes[is_capped & (sizes < least)] = 0
        if type(self.pack.excess) is CutLast:
            ask(first_too_long(sizes, offsets, self.pack.seq_len))
        return sizes, least

    def _tokens(self, placed: Placed, dtype: np.dtype[Any]) -> np.ndarray:
        tokens = np.full((len(placed.tokens), self.pack.seq_len), self._end_of_text(), dtype)
        begins = self.documents.shard_offsets.tolist()
        token_offsets = plain(self.documents.graph.token_offsets)
        documents = placed.documents[: placed.offsets[-1]]
        firsts = token_offsets[documents]
        which = np.searchsorted(self.documents.shard_offsets, firsts, side="right") - 1
        for shard in np.unique(which).tolist():
            source = plain(self.documents.token_shards[shard])
            copy_tokens(source, begins[shard], begins[shard + 1], placed, token_offsets, tokens)
        return tokens

    def _end_of_text(self) -> int:
        return int(self.documents.tokens_of(0)[-1])

    def _slow_rows(self, first: int, last: int) -> list[PackedSequence]:
        """By the definition, walk by walk."""
        rows: list[PackedSequence] = []
        found, offsets = self.routes.stretch(first, last)
        for numbers in np.split(found, offsets[1:-1]):
            walk = walk_of(self.documents, numbers.tolist())
            for reason, count in walk.dropped.items():
                drop(LINK_DROPS[reason], count=count, example=walk.documents[-1].id)
            rows += self.pack(iter([walk]))
        return rows
