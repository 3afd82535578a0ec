"""Documents as they come, written in parts that are each whole or absent: what a build that was killed goes on from.

A part is a shard of tokens and what belongs to it, so a writer holds the links of one part in memory and the tokens
of none. Links are kept as they came; each different target of a part is kept once. Nothing here knows of other parts:
`merge` brings them together.
"""

import contextlib
import inspect
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from gptlab.graph.link_graph import flag_bits, offsets_of
from gptlab.graph.store.arrays import Appender, growing_arrays, map_array, write_array
from gptlab.graph.store.strings import PADDING, Strings, encoded, first_of_each, hash_strings, packed_texts
from gptlab.pipeline.observe import Drops, progress, watching
from gptlab.pipeline.protocols import Source
from gptlab.storage import is_complete, keeping_drops, new_directory, pretty_json, read_json, tell_drops
from gptlab.types import TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

KIND = "document-part-1"  # the number goes up when what is stored changes, so that old parts are made again
TITLE = b"\xff"
"""Between identity and title, where the title is not the identity with spaces: a byte that UTF-8 does not have."""
_BATCH_TOKENS = 1 << 20
_BATCH_DOCUMENTS = 1 << 12
_SUMMARY = "part.json"


@attrs.frozen(kw_only=True)
class PartSize:
    """When a part is full.

    Attributes:
        tokens: the default is 128 MiB of `uint16`, and half a minute of tokenizing.
        links: what a writer holds in memory; the default costs about a quarter of a GB.
    """

    tokens: int = attrs.field(default=1 << 26, validator=at_least(1, "Leave it out for 67 million."))
    links: int = attrs.field(default=1 << 22, validator=at_least(1, "Leave it out for 4 million."))


@attrs.frozen(kw_only=True)
class Kind:
    """What all documents of a store have in common.

    Attributes:
        dtype: of the tokens.
        end_of_text: the last token of each.
    """

    dtype: str
    end_of_text: int

    @classmethod
    def of(cls, document: TokenizedDocument) -> "Kind":
        """The kind of one document, which must have tokens."""
        if len(document.tokens) == 0:
            raise refusal(
                f"document {document.id!r}",
                got="no tokens",
                wanted="tokens that end with end-of-text",
                do="Tokenize closes every document; check the stage that made this one.",
            )
        return cls(dtype=document.tokens.dtype.name, end_of_text=int(document.tokens[-1]))

    def __str__(self) -> str:
        return f"{self.dtype} tokens that end with {self.end_of_text}"


@attrs.frozen(kw_only=True)
class PartSummary:
    """What a part holds.

    Attributes:
        kind: None where there is no document.
        documents, tokens, links: how many.
        begins: how many documents of its source come before it.
        is_last: whether its source has no more.
    """

    kind: Kind | None
    documents: int
    tokens: int
    links: int
    begins: int
    is_last: bool


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Part:
    """A finished part, mapped.

    Attributes:
        tokens: of all its documents.
        lengths: tokens of each document.
        names: identities, and behind `TITLE` titles; `id_lengths` says how long the identities are.
        hashes: of the identities.
        flags: bits.
        link_counts: links of each document.
        link_positions: token of the linker, ascending within a document.
        link_targets: number among `targets`.
        targets: identities that are linked to, all different, by ascending hash.
    """

    directory: Path
    summary: PartSummary
    tokens: np.ndarray
    lengths: np.ndarray
    names: Strings
    id_lengths: np.ndarray
    hashes: np.ndarray
    flags: np.ndarray
    link_counts: np.ndarray
    link_positions: np.ndarray
    link_targets: np.ndarray
    targets: Strings
    target_hashes: np.ndarray

    @classmethod
    def open(cls, directory: Path) -> "Part":
        """Map what `write_parts` wrote."""
        fields = read_json(directory / _SUMMARY)
        kind = None if fields["kind"] is None else Kind(**fields["kind"])
        arrays = {
            field.name: map_array(directory, field.name)
            for field in attrs.fields(cls)
            if field.name not in ("directory", "summary", "names", "targets")
        }
        return cls(
            directory=directory,
            summary=PartSummary(**{**fields, "kind": kind}),
            names=_open_strings(directory, "names"),
            targets=_open_strings(directory, "targets"),
            **arrays,
        )

    def ids(self) -> Strings:
        """The identities alone."""
        return Strings(self.names.data, self.names.starts, self.id_lengths)


def write_parts(
    documents: Iterable[TokenizedDocument] | Source[TokenizedDocument],
    folder: Path,
    *,
    size: PartSize = PartSize(),
) -> list[Path]:
    """Write all documents as parts; those that an earlier call finished are kept, and it goes on behind them.

    What was dropped on the way is kept with each part. For parts that are found it is told again.

    Args:
        documents: the same ones in the same order at every call; a source is asked for those that are missing.
        folder: for the parts of these documents and nothing else.
        size: when a part is full.

    Returns:
        The finished parts, in order.

    Raises:
        ValueError: a document without tokens, of another tokenizer than those before it, or with links that are out
            of order or outside its tokens.
    """
    paths: list[Path] = []
    kind: Kind | None = None
    read, is_last = 0, False
    while not is_last and is_complete(path := folder / f"part-{len(paths):05d}", KIND):
        found = Part.open(path).summary
        tell_drops(path)
        paths.append(path)
        read, is_last, kind = read + found.documents, found.is_last, found.kind or kind
    items = iter(()) if is_last else _behind(documents, read)
    while not is_last:
        path = folder / f"part-{len(paths):05d}"
        with new_directory(path, kind=KIND) as directory, keeping_drops(directory):
            summary = _write_part(items, directory, kind, read, size)
        paths.append(path)
        read, is_last, kind = read + summary.documents, summary.is_last, summary.kind or kind
    progress("store documents", read, read, "documents")
    return paths


def _behind(
    documents: Iterable[TokenizedDocument] | Source[TokenizedDocument], read: int
) -> Iterator[TokenizedDocument]:
    """The documents behind the first `read`; what is dropped on the way to them has been told already."""
    if isinstance(documents, Source):
        make: Any = documents.get_data_generator
        # The last of those read is read again, so that what is dropped behind it is told, and told once.
        is_seekable = read > 0 and "start" in inspect.signature(make).parameters
        items: Iterator[TokenizedDocument] = make(start=read - 1) if is_seekable else make()
        skip = 1 if is_seekable else read
    else:
        items, skip = iter(documents), read
    with watching(Drops()):
        for _ in range(skip):
            next(items, None)
    return items


def _write_part(
    items: Iterator[TokenizedDocument],
    directory: Path,
    kind: Kind | None,
    begins: int,
    size: PartSize,
) -> PartSummary:
    """Write documents until the part is full or there are no more."""
    counts = {"documents": 0, "tokens": 0, "links": 0}
    targets: list[tuple[np.ndarray, np.ndarray]] = []
    batch: list[TokenizedDocument] = []
    first = kind
    with contextlib.ExitStack() as stack:
        arrays: Appender | None = None
        waiting, is_last = 0, True
        for document in items:
            first = _checked(document, first)
            batch.append(document)
            waiting += len(document.tokens)
            counts["documents"] += 1
            counts["tokens"] += len(document.tokens)
            counts["links"] += len(document.link_targets)
            is_full = counts["tokens"] >= size.tokens or counts["links"] >= size.links
            if is_full or waiting >= _BATCH_TOKENS or len(batch) == _BATCH_DOCUMENTS:
                arrays = arrays or stack.enter_context(growing_arrays(directory, _dtypes(first)))
                targets.append(_flush(batch, arrays))
                progress("store documents", begins + counts["documents"], None, "documents")
                batch, waiting = [], 0
            if is_full:
                is_last = False
                break
        arrays = arrays or stack.enter_context(growing_arrays(directory, _dtypes(first)))
        targets.append(_flush(batch, arrays))
        arrays["names"].append(np.zeros(PADDING, np.uint8))
    _write_targets(directory, targets)
    _write_hashes(directory)
    summary = PartSummary(kind=first, begins=begins, is_last=is_last, **counts)
    (directory / _SUMMARY).write_text(pretty_json(attrs.asdict(summary)), encoding="utf-8")
    return summary


def _dtypes(kind: Kind | None) -> dict[str, Any]:
    """The arrays that grow document by document."""
    return {
        "tokens": np.dtype(kind.dtype if kind else "uint16"),
        "lengths": np.int32,
        "names": np.uint8,
        "names_lengths": np.int32,
        "id_lengths": np.int32,
        "flags": np.uint8,
        "link_counts": np.int32,
        "link_positions": np.int32,
    }


def _checked(document: TokenizedDocument, first: Kind | None) -> Kind:
    kind = Kind.of(document)
    if first is not None and kind != first:
        raise refusal(
            f"document {document.id!r}",
            got=kind,
            wanted=f"{first}, as the documents before it have",
            do="Tokenize all documents with one tokenizer.",
        )
    return kind


def _flush(batch: list[TokenizedDocument], arrays: Appender) -> tuple[np.ndarray, np.ndarray]:
    """Write some documents; the bytes and lengths of their links' targets are handed back."""
    if not batch:
        return packed_texts(())
    lengths = np.array([len(document.tokens) for document in batch], np.int32)
    counts = np.array([len(document.link_targets) for document in batch], np.int32)
    positions = np.concatenate([document.link_positions for document in batch])
    _check_links(batch, lengths, counts, positions)
    ids = [encoded(document.id) for document in batch]
    names = [
        id if document.title == document.id.replace("_", " ") else id + TITLE + encoded(document.title)
        for id, document in zip(ids, batch, strict=True)
    ]
    arrays["tokens"].append(np.concatenate([document.tokens for document in batch]))
    arrays["lengths"].append(lengths)
    arrays["names"].append(np.frombuffer(b"".join(names), np.uint8))
    arrays["names_lengths"].append(np.array([len(name) for name in names]))
    arrays["id_lengths"].append(np.array([len(id) for id in ids]))
    arrays["flags"].append(np.array([flag_bits(document.flags) if document.flags else 0 for document in batch]))
    arrays["link_counts"].append(counts)
    arrays["link_positions"].append(positions)
    return packed_texts(chain.from_iterable(document.link_targets for document in batch))


def _check_links(
    batch: list[TokenizedDocument], lengths: np.ndarray, counts: np.ndarray, positions: np.ndarray
) -> None:
    """Links that lie within their document and come in its order: what makes edges and the text's order one."""
    wrong = np.array([len(document.link_positions) for document in batch]) != counts
    if not wrong.any():
        linkers = np.repeat(np.arange(len(batch)), counts)
        falls = np.zeros(len(positions), bool)
        falls[1:] = (positions[1:] < positions[:-1]) & (linkers[1:] == linkers[:-1])
        wrong[linkers[falls | (positions < 0) | (positions >= lengths[linkers])]] = True
    if wrong.any():
        document = batch[int(wrong.argmax())]
        raise refusal(
            f"document {document.id!r}",
            got=f"{len(document.link_targets)} links at tokens {document.link_positions.tolist()!s:.60}",
            wanted=f"one token for each link, ascending, below {len(document.tokens)}",
            do="Check the stage that made the document; Tokenize puts links in the order of the text.",
        )


def _write_targets(directory: Path, targets: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Each different target once, by ascending hash; and for each link which of them it leads to."""
    data = np.concatenate([*(data for data, _ in targets), np.zeros(PADDING, np.uint8)])
    lengths = np.concatenate([lengths for _, lengths in targets])
    strings = Strings(data, offsets_of(lengths)[:-1], lengths)
    hashes = hash_strings(strings)
    first = first_of_each(strings, hashes)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    distinct = distinct[np.argsort(hashes[distinct], kind="stable")]
    place = np.empty(len(first), np.int32)
    place[distinct] = np.arange(len(distinct), dtype=np.int32)
    taken = strings.take(distinct)
    write_array(directory, "link_targets", place[first])
    write_array(directory, "targets", taken.data)
    write_array(directory, "targets_lengths", taken.lengths.astype(np.int32))
    write_array(directory, "target_hashes", hashes[distinct])


def _write_hashes(directory: Path) -> None:
    names = _open_strings(directory, "names")
    ids = Strings(names.data, names.starts, map_array(directory, "id_lengths"))
    write_array(directory, "hashes", hash_strings(ids))


def _open_strings(directory: Path, name: str) -> Strings:
    lengths = map_array(directory, f"{name}_lengths")
    return Strings(map_array(directory, name), offsets_of(lengths)[:-1], lengths)
