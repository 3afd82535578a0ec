"""Packed rows on disk, back to back in large shards: written as a stream, read at random, alone or as batches.

Two questions were open when this was designed.

*One file per row, or rows back to back?* Back to back. One file per row costs an open, a read and a close each, and a
file system that holds millions of them; a row of a shard is a slice of a mapped array. Measured with a warm page
cache, 2026-11-24 (`experiments/row_reading`, beside memcpy, litdata and grain): a batch of 32 random rows of 2,048,
with targets, documents, positions and edges, takes 75 microseconds from shards; its tokens alone take 723 from a
file each, and nanoGPT's `get_batch` takes 858.

*The whole graph of a row in the row?* Yes: its starts, identities and edges, beside the tokens. A row is then read
without the documents or the graph that it was made of, at a few bytes per document and edge; what would be found
again by parsing or by looking up links is carried.

A batch is read by machine code from the mapped arrays into one new block of memory (`batch_at`); no row is made.
What is ragged (starts, edges) lies back to back with an offset per row. Identities are written once each.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from jaxtyping import Int32, Int64, UInt8, UInt16, UInt32

from gptlab.graph.link_graph import offsets_of
from gptlab.storage import StorageError
from gptlab.storage.jsonfiles import pretty_json, read_json
from gptlab.types import Batch, DocumentId, PackedSequence
from gptlab.types.errors import refusal

SHARD_TOKENS = 1 << 26
"""Tokens in a shard: 128 MiB of `uint16`, which is what a writer holds in memory."""


@attrs.frozen(kw_only=True)
class Summary:
    """What a store holds, small enough to read whole.

    Attributes:
        rows, seq_len, end_of_text: as in the rows.
        rows_per_shard: rows in every shard but the last.
        reasons: the keys of the rows' `dropped`, in the order of the columns on disk.
        tokens: tokens that are no padding.
        documents, edges: how many, in all rows.
    """

    rows: int
    seq_len: int
    end_of_text: int
    rows_per_shard: int
    reasons: tuple[str, ...]
    tokens: int
    documents: int
    edges: int

    def __str__(self) -> str:
        """One line for a person.

        >>> counts = {"rows": 2, "tokens": 12, "documents": 3, "edges": 1}
        >>> print(Summary(seq_len=8, end_of_text=0, rows_per_shard=2, reasons=(), **counts))
        2 rows of 8 tokens: 75.0 % filled, 1.5 documents and 0.5 edges per row
        """
        return (
            f"{self.rows:,} rows of {self.seq_len:,} tokens: {self.tokens / (self.rows * self.seq_len):.1%} filled, "
            f"{self.documents / self.rows:.1f} documents and {self.edges / self.rows:.1f} edges per row"
        ).replace("% filled", " % filled")


@attrs.frozen(kw_only=True, eq=False)
class Shard:
    """Some rows, back to back.

    Attributes:
        tokens: of the rows, padding included.
        lengths: tokens before the padding.
        starts, ids: of all documents; those of row `i` begin at `document_offsets[i]`; an id is a number.
        edges: of all rows; those of row `i` begin at `edge_offsets[i]`.
        dropped: one column per reason; -1 where the row does not name it.
    """

    tokens: UInt16[np.ndarray, "rows seq"] | UInt32[np.ndarray, "rows seq"]
    lengths: Int32[np.ndarray, "rows"]
    starts: Int32[np.ndarray, "documents"]
    ids: Int32[np.ndarray, "documents"]
    document_offsets: Int64[np.ndarray, "offsets"]
    edges: Int32[np.ndarray, "edges 3"]
    edge_offsets: Int64[np.ndarray, "offsets"]
    dropped: Int32[np.ndarray, "rows reasons"]


_ARRAYS = tuple(field.name for field in attrs.fields(Shard))


def write_rows(rows: Iterable[PackedSequence], directory: Path, *, shard_tokens: int = SHARD_TOKENS) -> Summary:
    """Write all rows into an empty directory, holding one shard in memory at a time.

    Args:
        rows: all of one length, one tokenizer and one dtype.
        directory: where to.
        shard_tokens: how many tokens to put into one shard, at least one row.

    Raises:
        ValueError: there are no rows, or rows that differ in what must be one.
    """
    numbers: dict[DocumentId, int] = {}
    reasons: dict[str, int] = {}
    waiting: list[PackedSequence] = []
    first: PackedSequence | None = None
    counts = {"rows": 0, "tokens": 0, "documents": 0, "edges": 0}
    per_shard = shards = 0
    for row in rows:
        if first is None:
            first, per_shard = row, max(1, shard_tokens // len(row.tokens))
        _check(row, first, counts["rows"])
        waiting.append(row)
        counts["rows"] += 1
        counts["tokens"] += row.length
        counts["documents"] += len(row.starts)
        counts["edges"] += len(row.edges)
        if len(waiting) == per_shard:
            _write_shard(directory, shards, waiting, numbers, reasons)
            waiting, shards = [], shards + 1
    if first is None:
        raise refusal(
            "packed rows",
            got="no rows at all",
            wanted="at least one",
            do="Look at what was dropped, and whether the source holds documents: a part of a Split (`held_out`) has "
            "none when its share is 0 or 1, or the source has only a few.",
        )
    if waiting:
        _write_shard(directory, shards, waiting, numbers, reasons)
    _write_ids(directory, list(numbers))
    summary = Summary(
        seq_len=len(first.tokens),
        end_of_text=first.end_of_text,
        rows_per_shard=per_shard,
        reasons=tuple(reasons),
        **counts,
    )
    (directory / "summary.json").write_text(pretty_json(attrs.asdict(summary)), encoding="utf-8")
    return summary


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PackedShards:
    """Rows that `write_rows` wrote, by number. Opening maps the files and reads none of the rows."""

    summary: Summary
    shards: tuple[Shard, ...]
    id_bytes: UInt8[np.ndarray, "bytes"]
    id_offsets: Int64[np.ndarray, "offsets"]

    @classmethod
    def open(cls, directory: Path) -> "PackedShards":
        """Map the files of a finished directory."""
        fields = read_json(directory / "summary.json")
        summary = Summary(**{**fields, "reasons": tuple(fields["reasons"])})
        return cls(
            summary=summary,
            shards=tuple(
                Shard(**{name: _load(directory / _file(name, shard)) for name in _ARRAYS})
                for shard in range(-(-summary.rows // summary.rows_per_shard))
            ),
            id_bytes=_load(directory / "id_bytes.npy"),
            id_offsets=_load(directory / "id_offsets.npy"),
        )

    def __len__(self) -> int:
        return self.summary.rows

    def __getitem__(self, number: int) -> PackedSequence:
        """Row `number`; negative numbers count from the end. Its arrays are copies, so no row keeps a file open.

        Raises:
            IndexError: there are fewer rows.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} packed rows, so there is no row {number}")
        which, place = divmod(number % len(self), self.summary.rows_per_shard)
        shard = self.shards[which]
        documents = slice(int(shard.document_offsets[place]), int(shard.document_offsets[place + 1]))
        edges = slice(int(shard.edge_offsets[place]), int(shard.edge_offsets[place + 1]))
        return PackedSequence(
            tokens=np.array(shard.tokens[place]),
            starts=np.array(shard.starts[documents]),
            ids=tuple(self._id(number) for number in shard.ids[documents].tolist()),
            edges=np.array(shard.edges[edges]),
            length=int(shard.lengths[place]),
            end_of_text=self.summary.end_of_text,
            # Reasons that appeared after this shard was written are not in its columns.
            dropped={
                reason: count
                for reason, count in zip(self.summary.reasons, shard.dropped[place].tolist(), strict=False)
                if count >= 0
            },
        )

    def batch_at(self, numbers: Int64[np.ndarray, "batch"]) -> Batch:
        """The rows of these numbers as one batch: `stack([self[number] for number in numbers])`, without the rows.

        The fields of a batch share one block of memory, new for each batch: four times fewer calls of the allocator,
        and a block that it hands out again rather than gives back to the system.

        Raises:
            IndexError: a number is not from 0 to the number of rows less one, or there is none.
        """
        from gptlab.packing.packed_shards_compiled import (  # noqa: PLC0415 - numba is slow to import
            are_below,
            fill_batch,
            most_edges,
        )

        if not are_below(len(self), numbers):
            raise IndexError(f"there are {len(self)} packed rows, and not all of {numbers.tolist()} are among them")
        slots, places = {0: np.arange(len(numbers))}, numbers
        if len(self.shards) > 1:
            which, places = np.divmod(numbers, self.summary.rows_per_shard)
            slots = {shard: np.flatnonzero(which == shard) for shard in sorted(set(which.tolist()))}
        width = max(most_edges(self.shards[shard].edge_offsets, places[at]) for shard, at in slots.items())
        block = np.empty((4, len(numbers), self.summary.seq_len), np.int32)
        edges = np.empty((len(numbers), width, 3), np.int32)
        for shard, at in slots.items():
            held = self.shards[shard]
            fill_batch(
                held.tokens, held.lengths, held.starts, held.document_offsets, held.edges, held.edge_offsets,
                places[at], at, block, edges,
            )  # fmt: skip
        return Batch(tokens=block[0], targets=block[1], documents=block[2], positions=block[3], edges=edges)

    def _id(self, number: int) -> DocumentId:
        data = self.id_bytes[self.id_offsets[number] : self.id_offsets[number + 1]].tobytes()
        return DocumentId(data.decode("utf-8", "surrogatepass"))


def _write_shard(
    directory: Path,
    shard: int,
    rows: list[PackedSequence],
    numbers: dict[DocumentId, int],
    reasons: dict[str, int],
) -> None:
    for row in rows:
        for id in row.ids:
            numbers.setdefault(id, len(numbers))
        for reason in row.dropped:
            reasons.setdefault(reason, len(reasons))
    arrays = Shard(
        tokens=np.stack([row.tokens for row in rows]),
        lengths=np.array([row.length for row in rows], np.int32),
        starts=np.concatenate([row.starts for row in rows]),
        ids=np.array([numbers[id] for row in rows for id in row.ids], np.int32),
        document_offsets=offsets_of(np.array([len(row.starts) for row in rows], np.int64)),
        edges=np.concatenate([row.edges for row in rows]),
        edge_offsets=offsets_of(np.array([len(row.edges) for row in rows], np.int64)),
        dropped=np.array([[row.dropped.get(reason, -1) for reason in reasons] for row in rows], np.int32).reshape(
            len(rows), len(reasons)
        ),
    )
    for name in _ARRAYS:
        np.save(directory / _file(name, shard), getattr(arrays, name), allow_pickle=False)


def _write_ids(directory: Path, ids: list[DocumentId]) -> None:
    encoded = [id.encode("utf-8", "surrogatepass") for id in ids]
    np.save(directory / "id_bytes.npy", np.frombuffer(b"".join(encoded), np.uint8))
    np.save(directory / "id_offsets.npy", offsets_of(np.array([len(each) for each in encoded], np.int64)))


def _file(name: str, shard: int) -> str:
    return f"{name}-{shard:05d}.npy"


def _load(path: Path) -> Any:
    try:
        # A plain array over the mapping: a slice of `np.memmap` runs Python code of that class.
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise StorageError(
            path,
            got=str(error),
            wanted="an array that write_rows wrote",
            do="Remove the directory; it is made again.",
        ) from error


def _check(row: PackedSequence, first: PackedSequence, number: int) -> None:
    got, wanted = ((len(r.tokens), r.tokens.dtype.name, r.end_of_text) for r in (row, first))
    if got != wanted:
        raise refusal(
            f"packed row {number}",
            got="{} {} tokens, end-of-text {}".format(*got),
            wanted="{} {} tokens, end-of-text {}, as the first row has".format(*wanted),
            do="Pack all rows with one seq_len and one tokenizer.",
        )
    ends = np.flatnonzero(row.tokens[: row.length - 1] == row.end_of_text)
    if not np.array_equal(ends + 1, row.starts[1:]):
        raise refusal(
            f"packed row {number}, of {row.ids[0]!r} and others",
            got=f"end-of-text at {ends.tolist()}, documents that begin at {row.starts.tolist()}",
            wanted="end-of-text before each document but the first, and nowhere else but at the end of the row",
            do="Let every document end with end-of-text, and no other token be it.",
        )
