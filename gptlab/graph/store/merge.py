"""Parts into one store: documents numbered, titles indexed, links resolved, tokens left where they are.

Nothing is looked up in a dictionary of titles. Identities are an array of sorted 64-bit hashes; each different target
of a part is found in it by one binary search and verified on the bytes; links then are arithmetic. Memory is 60 bytes
a document, the links of one part, and for the backward direction 4 bytes a link. Shards of tokens are not copied:
the store gets another name for the same file.
"""

import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from gptlab.graph.documents import NO_EDGE
from gptlab.graph.link_graph import offsets_of
from gptlab.graph.store.arrays import Appender, growing_arrays, map_array, write_array
from gptlab.graph.store.parts import Kind, Part
from gptlab.graph.store.strings import PADDING, StringIndex, Strings, decoded, run_starts
from gptlab.graph.store.summary import FORMAT, StoreSummary, write_summary
from gptlab.pipeline.observe import drop, track
from gptlab.types.errors import refusal

TAKEN = "document with an identity that is taken"
_EDGES_AT_ONCE = 1 << 22
_LINK_ARRAYS: dict[str, type[np.generic]] = {
    "out_targets": np.int32,
    "out_positions": np.int32,
    "odd_ordinals": np.int32,
    "odd_targets": np.int32,
    "odd_positions": np.int32,
    "missing": np.uint8,
}


@attrs.frozen(kw_only=True, eq=False)
class _Numbered:
    """A part whose documents have numbers.

    Attributes:
        kept: places in the part of the documents that stay; the others have an identity that is taken.
        begins: the number of the first that stays.
    """

    part: Part
    kept: np.ndarray
    begins: int

    @property
    def is_whole(self) -> bool:
        """Whether all documents stay, which is the rule."""
        return len(self.kept) == self.part.summary.documents


def write_store(parts: Sequence[Part], directory: Path, *, tokenizer: str = "") -> StoreSummary:
    """Write the documents of all parts, in order, into an empty directory as a store.

    Of two documents with one identity the later is dropped and counted.

    Args:
        parts: of documents of one kind.
        directory: where to; `new_directory` makes it appear whole.
        tokenizer: its fingerprint.

    Raises:
        ValueError: parts of different tokenizers.
    """
    kind = _kind_of(parts)
    numbered = _number(parts)
    index = _write_titles(numbered, directory)
    no_edge, missing_targets = _write_links(numbered, index, directory)
    _write_backwards(directory)
    write_array(directory, "flags", _joined([each.part.flags[each.kept] for each in numbered], np.uint8))
    lengths = _joined([each.part.lengths[each.kept] for each in numbered], np.int32)
    write_array(directory, "token_offsets", offsets_of(lengths))
    shards = _place_tokens(numbered, directory)
    lost = dict(zip(NO_EDGE, no_edge.sum(axis=0, dtype=np.int64).tolist(), strict=True))
    edges = len(map_array(directory, "out_targets"))
    summary = StoreSummary(
        format=FORMAT,
        tokenizer=tokenizer,
        dtype=kind.dtype if kind else "uint16",
        end_of_text=kind.end_of_text if kind else None,
        documents=len(lengths),
        tokens=sum(shards),
        links=edges + sum(lost.values()),
        edges=edges,
        missing=lost["missing"],
        self_links=lost["self"],
        repeats=lost["repeat"],
        missing_targets=missing_targets,
        shards=shards,
    )
    write_summary(directory, summary)
    return summary


def _kind_of(parts: Sequence[Part]) -> Kind | None:
    """What all documents have in common; None where there are none."""
    filled = [part for part in parts if part.summary.kind is not None]
    for part in filled:
        if part.summary.kind != filled[0].summary.kind:
            raise refusal(
                part.directory,
                got=part.summary.kind,
                wanted=f"{filled[0].summary.kind}, as {filled[0].directory.name} has",
                do="Tokenize the documents of all parts with one tokenizer.",
            )
    return filled[0].summary.kind if filled else None


def _number(parts: Sequence[Part]) -> list[_Numbered]:
    """Give numbers to the documents, in order, the first of each identity."""
    begins = offsets_of(np.array([part.summary.documents for part in parts], np.int64))
    hashes = _joined([part.hashes for part in parts], np.uint64)
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(run_starts(hashes[order]))
    ends = np.append(starts[1:], len(order))
    taken: list[int] = []
    for run in np.flatnonzero(ends - starts > 1).tolist():  # documents of one hash, few if any
        seen: set[bytes] = set()
        for document in order[starts[run] : ends[run]].tolist():
            id = _id(parts, begins, document)
            if id in seen:
                taken.append(document)
            seen.add(id)
    if taken:
        drop(TAKEN, count=len(taken), example=decoded(_id(parts, begins, min(taken))))
    keep = np.ones(len(hashes), bool)
    keep[taken] = False
    numbers = offsets_of(keep.astype(np.int64))
    return [
        _Numbered(part=part, kept=np.flatnonzero(keep[first:last]), begins=int(numbers[first]))
        for part, first, last in zip(parts, begins[:-1], begins[1:], strict=True)
    ]


def _id(parts: Sequence[Part], begins: np.ndarray, document: int) -> bytes:
    part = int(np.searchsorted(begins, document, side="right")) - 1
    return parts[part].ids()[document - int(begins[part])]


def _write_titles(numbered: Sequence[_Numbered], directory: Path) -> StringIndex:
    """Identities and titles back to back, and the index by which an identity is found."""
    lengths = _joined([each.part.names.lengths[each.kept] for each in numbered], np.int32)
    with growing_arrays(directory, {"names": np.uint8}) as arrays:
        for each in numbered:
            names = each.part.names if each.is_whole else each.part.names.take(each.kept)
            arrays["names"].append(names.bytes_used())
        arrays["names"].append(np.zeros(PADDING, np.uint8))
    offsets = offsets_of(lengths)
    write_array(directory, "name_offsets", offsets)
    id_lengths = _joined([each.part.id_lengths[each.kept] for each in numbered], np.int32)
    ids = Strings(map_array(directory, "names"), offsets[:-1], id_lengths)
    index = StringIndex.of(ids, _joined([each.part.hashes[each.kept] for each in numbered], np.uint64))
    write_array(directory, "hashes", index.hashes)
    write_array(directory, "hash_numbers", index.numbers.astype(np.int32))
    return index


def _write_links(numbered: Sequence[_Numbered], index: StringIndex, directory: Path) -> tuple[np.ndarray, int]:
    """All links, those that are edges and those that are not; returns `no_edge` and how many targets are missing."""
    degrees = [np.zeros(0, np.int64)]
    lost = [np.zeros((0, len(NO_EDGE)), np.int32)]
    missing_lengths = [np.zeros(0, np.int32)]
    missing = 0
    with growing_arrays(directory, _LINK_ARRAYS) as arrays:
        for each in track(numbered, "resolve links", total=len(numbered), unit="parts", every=1):
            found = index.find(each.part.targets, each.part.target_hashes)
            absent = np.flatnonzero(found < 0)
            found[absent] = ~np.arange(missing, missing + len(absent))
            gone = each.part.targets.take(absent)
            arrays["missing"].append(gone.bytes_used())
            missing_lengths.append(gone.lengths.astype(np.int32))
            missing += len(absent)
            out, odd = _write_part_links(each, found.astype(np.int32), len(index.strings), arrays)
            degrees.append(out)
            lost.append(odd)
    no_edge = np.concatenate(lost)
    write_array(directory, "missing_offsets", offsets_of(np.concatenate(missing_lengths)))
    write_array(directory, "out_offsets", offsets_of(np.concatenate(degrees)))
    write_array(directory, "odd_offsets", offsets_of(no_edge.sum(axis=1, dtype=np.int64)))
    narrow = np.uint16 if no_edge.max(initial=0) < 1 << 16 else np.int32
    write_array(directory, "no_edge", no_edge.astype(narrow).reshape(-1))
    return no_edge, missing


def _write_part_links(
    numbered: _Numbered, resolved: np.ndarray, documents: int, arrays: Appender
) -> tuple[np.ndarray, np.ndarray]:
    """The links of one part; returns for each document how many edges it has, and how many links by `NO_EDGE`."""
    part, kept = numbered.part, numbered.kept
    counts = part.link_counts[kept].astype(np.int64)
    places, positions = part.link_targets, part.link_positions
    if not numbered.is_whole:
        keep = np.zeros(part.summary.documents, bool)
        keep[kept] = True
        of_kept = np.repeat(keep, part.link_counts)
        places, positions = places[of_kept], positions[of_kept]
    targets = resolved[places]
    rows = np.repeat(np.arange(len(kept)), counts)
    is_missing, is_self = targets < 0, targets == rows + numbered.begins
    between = np.flatnonzero(~is_missing & ~is_self)
    firsts = np.unique(rows[between] * documents + targets[between], return_index=True)[1]
    is_edge = np.zeros(len(targets), bool)
    is_edge[between[firsts]] = True
    is_repeat = ~(is_edge | is_missing | is_self)
    arrays["out_targets"].append(targets[is_edge])
    arrays["out_positions"].append(positions[is_edge])
    odd = np.flatnonzero(~is_edge)
    arrays["odd_ordinals"].append(odd - offsets_of(counts)[rows[odd]])
    arrays["odd_targets"].append(targets[odd])
    arrays["odd_positions"].append(positions[odd])
    columns = [np.bincount(rows[mask], minlength=len(kept)) for mask in (is_edge, is_missing, is_self, is_repeat)]
    return columns[0], np.stack(columns[1:], axis=1).astype(np.int32)


def _write_backwards(directory: Path) -> None:
    """The edges once more, sorted by their targets, linkers ascending: some documents at a time, a counting sort."""
    offsets, targets = map_array(directory, "out_offsets"), map_array(directory, "out_targets")
    size = len(offsets) - 1
    cursor = np.zeros(size + 1, np.int64)
    spans = _spans(offsets, _EDGES_AT_ONCE)
    for first, last in spans:
        cursor[1:] += np.bincount(targets[offsets[first] : offsets[last]], minlength=size)
    np.cumsum(cursor, out=cursor)
    write_array(directory, "in_offsets", cursor)
    backwards = np.empty(len(targets), np.int32)
    for first, last in spans:
        linkers = np.repeat(np.arange(first, last, dtype=np.int32), np.diff(offsets[first : last + 1]))
        order = np.argsort(targets[offsets[first] : offsets[last]], kind="stable")
        ordered = targets[offsets[first] : offsets[last]][order]
        starts = np.flatnonzero(run_starts(ordered))
        sizes = np.diff(starts, append=len(ordered))
        rank = np.arange(len(ordered)) - np.repeat(starts, sizes)
        backwards[cursor[ordered] + rank] = linkers[order]
        cursor[ordered[starts]] += sizes
    write_array(directory, "in_linkers", backwards)


def _spans(offsets: np.ndarray, most: int) -> list[tuple[int, int]]:
    """The documents cut into runs of about `most` edges."""
    steps = np.arange(0, int(offsets[-1]), most)
    cuts = np.unique([*np.searchsorted(offsets, steps), len(offsets) - 1]).tolist()
    return list(itertools.pairwise([0, *cuts] if cuts[0] else cuts))


def _place_tokens(numbered: Sequence[_Numbered], directory: Path) -> tuple[int, ...]:
    """A shard for each part that has tokens; returns how many each has."""
    shards: list[int] = []
    for each in numbered:
        if not len(each.kept):
            continue
        name = f"tokens-{len(shards):05d}"
        source, target = each.part.directory / "tokens.npy", directory / f"{name}.npy"
        if each.is_whole:
            _link_or_copy(source, target)
            shards.append(len(each.part.tokens))
        else:
            keep = np.zeros(each.part.summary.documents, bool)
            keep[each.kept] = True
            tokens = each.part.tokens[np.repeat(keep, each.part.lengths)]
            write_array(directory, name, tokens)
            shards.append(len(tokens))
    return tuple(shards)


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that nobody changes, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _joined(arrays: Sequence[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays])
