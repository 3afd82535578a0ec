"""Packed rows on disk, back to back in large shards: written as a stream, read at random, alone or as batches.

Two questions were open when this was designed.

*One file per row, or rows back to back?* Back to back. One file per row costs an open, a read and a close each, and a
file system that holds millions of them; a row of a shard is a slice of a mapped array. Measured with a warm page
cache, 2026-11-24 (`experiments/row_reading`, beside memcpy, litdata and grain): a batch of 32 random rows of 2,048,
with targets, documents, positions and edges, takes 39 microseconds from shards; its tokens alone take 687 from a
file each, and nanoGPT's `get_batch` takes 797.

*The whole graph of a row in the row?* Yes: its starts, identities and edges, beside the tokens. A row is then read
without the documents or the graph that it was made of, at a few bytes per document and edge; what would be found
again by parsing or by looking up links is carried.

A row lies in two places: its tokens, and its story, all else that it is, as one run of integers. Reading rows at
random is waiting for memory: a batch took 57 microseconds of machine code with an array for each field, 38 with
stories, 33 with rows that begin where pages do, and 18 where it is the same row again and again.

A batch is read by machine code from the mapped arrays into one new block of memory (`batch_at`); no row is made.
Identities are written once each.
"""

import struct
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from jaxtyping import Int32, Int64, UInt8, UInt16, UInt32

from gptlab.graph import NO_EDGE
from gptlab.graph.link_graph import offsets_of
from gptlab.storage import StorageError
from gptlab.storage.jsonfiles import pretty_json, read_json
from gptlab.types import Batch, DocumentId, PackedSequence
from gptlab.types.errors import refusal

SHARD_TOKENS = 1 << 26
"""Tokens in a shard: 128 MiB of `uint16`, which is what a writer holds in memory."""

HEAD = 5
"""Numbers of a story before its starts."""

PAGE = 4096
"""Bytes of a page of memory."""


@attrs.frozen(kw_only=True)
class Summary:
    """What a store holds, small enough to read whole.

    Attributes:
        rows, seq_len, end_of_text: as in the rows.
        rows_per_shard: rows in every shard but the last.
        reasons: the keys of the rows' `dropped`, in the order in which stories have them.
        dropped: how many links were dropped for each reason, in all rows.
        tokens: tokens that are no padding.
        cut: tokens of the rows' documents that are not in them.
        documents, edges: how many, in all rows.
    """

    rows: int
    seq_len: int
    end_of_text: int
    rows_per_shard: int
    reasons: tuple[str, ...]
    dropped: tuple[int, ...]
    tokens: int
    cut: int
    documents: int
    edges: int

    @property
    def padding(self) -> int:
        """Tokens that are padding."""
        return self.rows * self.seq_len - self.tokens

    @property
    def kept_share(self) -> float | None:
        """Of the links between documents, of all documents in the rows, those that are edges; None: no links."""
        lost = sum(count for reason, count in zip(self.reasons, self.dropped, strict=True) if reason not in NO_EDGE)
        return self.edges / (self.edges + lost) if self.edges + lost else None

    def __str__(self) -> str:
        """One line for a person.

        >>> counts = {"rows": 2, "tokens": 12, "cut": 7, "documents": 3, "edges": 1}
        >>> lost = {"reasons": ("missing", "budget"), "dropped": (5, 3)}
        >>> print(Summary(seq_len=8, end_of_text=0, rows_per_shard=2, **lost, **counts))
        2 rows of 8 tokens: 25.0% padding, 7 tokens cut off, 1.5 documents and 0.5 edges (25.0% of links) per row
        """
        share = self.kept_share
        links = "" if share is None else f" ({share:.1%} of links)"
        padding = self.padding / (self.rows * self.seq_len)
        return (
            f"{self.rows:,} rows of {self.seq_len:,} tokens: {padding:.1%} padding, "
            f"{self.cut:,} tokens cut off, {self.documents / self.rows:.1f} documents and "
            f"{self.edges / self.rows:.1f} edges{links} per row"
        )


@attrs.frozen(kw_only=True, eq=False)
class Shard:
    """Some rows, back to back.

    Attributes:
        tokens: of the rows, padding included.
        stories: of all rows; that of row `i` begins at `offsets[i]`. A story is `length`, `cut`, the numbers of
            documents, edges and reasons, and then `starts`, `edges`, the numbers of `ids`, and what was dropped for
            each reason, -1 for one that the row does not name.
        offsets: where each story begins, and the end of the last.
    """

    tokens: UInt16[np.ndarray, "rows seq"] | UInt32[np.ndarray, "rows seq"]
    stories: Int32[np.ndarray, "numbers"]
    offsets: Int64[np.ndarray, "offsets"]


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
    dropped: Counter[str] = Counter()
    counts = {"rows": 0, "tokens": 0, "cut": 0, "documents": 0, "edges": 0}
    per_shard = shards = 0
    for row in rows:
        if first is None:
            first, per_shard = row, max(1, shard_tokens // len(row.tokens))
        _check(row, first, counts["rows"])
        waiting.append(row)
        counts["rows"] += 1
        counts["tokens"] += row.length
        counts["cut"] += row.cut
        dropped.update(row.dropped)
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
        dropped=tuple(dropped[reason] for reason in reasons),
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
        summary = Summary(**fields | {name: tuple(fields[name]) for name in ("reasons", "dropped")})
        return cls(
            summary=summary,
            shards=tuple(
                _open_shard(directory, first, summary) for first in range(0, summary.rows, summary.rows_per_shard)
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
        story = shard.stories[shard.offsets[place] : shard.offsets[place + 1]]
        length, cut, documents, edges, reasons = story[:HEAD].tolist()
        of_edges = HEAD + documents
        of_ids = of_edges + 3 * edges
        of_dropped = of_ids + documents
        return PackedSequence(
            tokens=np.array(shard.tokens[place]),
            starts=np.array(story[HEAD:of_edges]),
            ids=tuple(self._id(number) for number in story[of_ids:of_dropped].tolist()),
            edges=np.array(story[of_edges:of_ids]).reshape(-1, 3),
            length=length,
            end_of_text=self.summary.end_of_text,
            # Reasons that appeared after this story was written are not in it.
            dropped={
                reason: count
                for reason, count in zip(self.summary.reasons[:reasons], story[of_dropped:].tolist(), strict=True)
                if count >= 0
            },
            cut=cut,
        )

    def batch_at(self, numbers: Int64[np.ndarray, "batch"]) -> Batch:
        """The rows of these numbers as one batch: `stack([self[number] for number in numbers])`, without the rows.

        The fields of a batch share one block of memory, new for each batch: four times fewer calls of the allocator,
        and a block that it hands out again rather than gives back to the system.

        Raises:
            IndexError: a number is not from 0 to the number of rows less one, or there is none.
        """
        if not self._machine.are_below(len(self), numbers):
            raise IndexError(f"there are {len(self)} packed rows, and not all of {numbers.tolist()} are among them")
        block, edges, _ = self._machine.read_batch(*self._places, numbers)
        return Batch(tokens=block[0], targets=block[1], documents=block[2], positions=block[3], edges=edges)

    @cached_property
    def _machine(self) -> Any:
        from gptlab.packing import packed_shards_compiled  # noqa: PLC0415 - numba is slow to import

        return packed_shards_compiled

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray, int, int]:
        """The shards as machine code takes them: where they lie, which is there as long as `shards` are."""
        arrays = [[shard.tokens, shard.stories, shard.offsets] for shard in self.shards]
        addresses = np.array([[array.ctypes.data for array in each] for each in arrays], np.int64)
        none = np.empty(0, self.shards[0].tokens.dtype)
        return addresses, none, self.summary.rows_per_shard, self.summary.seq_len

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
    stories = [_story(row, numbers, reasons) for row in rows]
    arrays = Shard(
        tokens=np.stack([row.tokens for row in rows]),
        stories=np.concatenate(stories),
        offsets=offsets_of(np.array([len(story) for story in stories], np.int64)),
    )
    for name in _ARRAYS:
        _save(directory / _file(name, shard), getattr(arrays, name))


def _story(
    row: PackedSequence, numbers: dict[DocumentId, int], reasons: dict[str, int]
) -> Int32[np.ndarray, "story"]:
    """All of a row but its tokens, as `Shard` says."""
    ids = [numbers[id] for id in row.ids]
    dropped = [row.dropped.get(reason, -1) for reason in reasons]
    head = [row.length, row.cut, len(ids), len(row.edges), len(dropped)]
    return np.concatenate([head, row.starts, row.edges.reshape(-1), ids, dropped]).astype(np.int32)


def _write_ids(directory: Path, ids: list[DocumentId]) -> None:
    encoded = [id.encode("utf-8", "surrogatepass") for id in ids]
    np.save(directory / "id_bytes.npy", np.frombuffer(b"".join(encoded), np.uint8))
    np.save(directory / "id_offsets.npy", offsets_of(np.array([len(each) for each in encoded], np.int64)))


def _file(name: str, shard: int) -> str:
    return f"{name}-{shard:05d}.npy"


def _open_shard(directory: Path, first: int, summary: Summary) -> Shard:
    """The shard that begins with row `first`; its arrays are what machine code may take them for."""
    number, rows = first // summary.rows_per_shard, min(summary.rows_per_shard, summary.rows - first)
    shard = Shard(**{name: _load(directory / _file(name, number)) for name in _ARRAYS})
    found = (shard.tokens.shape, len(shard.offsets), int(shard.offsets[-1]))
    wanted = ((rows, summary.seq_len), rows + 1, len(shard.stories))
    if found != wanted or not shard.tokens.flags.c_contiguous:
        raise StorageError(
            directory / _file("tokens", number),
            got="tokens of shape {}, {} offsets that end with {}".format(*found),
            wanted="{}, {} and {}, row by row".format(*wanted),
            do="Remove the directory; it is made again.",
        )
    return shard


def _save(path: Path, array: np.ndarray) -> None:
    """As `np.save`, with a header as long as a page: a row of 2,048 tokens lies in one page of memory, not in two."""
    start = np.lib.format.magic(1, 0)
    header = repr(np.lib.format.header_data_from_array_1_0(array)).encode().ljust(PAGE - len(start) - 3) + b"\n"
    with path.open("wb") as file:
        file.write(start + struct.pack("<H", len(header)) + header)
        array.tofile(file)


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
