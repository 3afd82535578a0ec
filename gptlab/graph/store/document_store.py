"""`DocumentStore`: all documents of a corpus mapped from disk, read like a `DocumentTable`, at any size.

Opening maps the files and reads none: milliseconds, whatever lies in them, and many processes share one copy in the
page cache. Documents, links and titles are found by arithmetic on offsets and one binary search.

    tokens-00000.npy ...      tokens of all documents, back to back; no document lies across two shards
    token_offsets             where each begins, counted through all shards
    out_offsets, out_targets, out_positions, in_offsets, in_linkers, flags     the graph (`LinkGraph`)
    odd_offsets, odd_ordinals, odd_targets, odd_positions, no_edge             links that are no edges
    missing, missing_offsets  what links to no document lead to
    names, name_offsets       identities and titles
    hashes, hash_numbers      sorted hashes of the identities, and whose they are
    store.json, drops.json, manifest.json

A document costs 59 bytes and its title, a link 12 bytes both ways together, or 12 where it is no edge.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
import numpy as np
from jaxtyping import Int32, Int64, Integer

from gptlab.graph.link_graph import FLAGS, LinkGraph, offsets_of
from gptlab.graph.store.arrays import map_array, release
from gptlab.graph.store.build import build_store, merge_parts
from gptlab.graph.store.parts import PartSize
from gptlab.graph.store.summary import KIND, StoreSummary, read_summary, tokenizer_fingerprint
from gptlab.graph.store.titles import Ids, Names, Numbers, Titles
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.storage import StorageError, is_complete, verify
from gptlab.types import DocumentId, TokenArray, TokenizedDocument


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DocumentStore:
    """Documents by number and by identity, from disk; offers `gptlab.graph.Documents`.

    Attributes:
        directory: where it lies.
        summary: what it holds.
        graph: the links between documents.
        no_edge: per document how many of its links are not in `graph`, by the reasons `NO_EDGE`.
        token_offsets, token_shards, shard_offsets: where the tokens are.
        names: identities and titles; `ids`, `titles` and `numbers` read them.
        missing: what links to no document lead to.
        odd_offsets: of the links that are no edges, those of document `i` begin here.
        odd_ordinals: the place of each among the links of its document.
        odd_targets: a number, or `~m` for `missing[m]`.
        odd_positions: the token of the linker.

    >>> import tempfile
    >>> tea = TokenizedDocument(
    ...     id=DocumentId("Tea"), title="Tea", tokens=np.array([5, 6, 9], np.uint16),
    ...     link_positions=np.array([1], np.int32), link_targets=(DocumentId("Milk"),))
    >>> milk = attrs.evolve(tea, id=DocumentId("Milk"), title="Milk")
    >>> store = DocumentStore.build([tea, milk], Path(tempfile.mkdtemp()) / "store")
    >>> store, store.get(DocumentId("Tea")) == tea, store.graph.targets(0), store.ids[1]
    (<DocumentStore of 2 documents, 6 tokens, 1 edges>, True, array([1], dtype=int32), 'Milk')
    """

    directory: Path
    summary: StoreSummary
    graph: LinkGraph
    no_edge: Integer[np.ndarray, "documents 3"]
    token_offsets: Int64[np.ndarray, "offsets"]
    token_shards: Sequence[TokenArray]
    shard_offsets: Int64[np.ndarray, "shards"]
    names: Names
    ids: Ids
    titles: Titles
    numbers: Numbers
    missing: Names
    odd_offsets: Int64[np.ndarray, "offsets"]
    odd_ordinals: Int32[np.ndarray, "odd"]
    odd_targets: Int32[np.ndarray, "odd"]
    odd_positions: Int32[np.ndarray, "odd"]

    @classmethod
    def open(cls, directory: Path, *, tokenizer: Tokenizer | str | None = None) -> "DocumentStore":
        """Map a finished store.

        Args:
            directory: where it lies.
            tokenizer: whose tokens they must be, or its `tokenizer_fingerprint`; None takes any.

        Raises:
            StorageError: there is no store, or half of one, or one of another format or tokenizer.
        """
        summary = read_summary(directory, tokenizer)
        arrays = {
            name: map_array(directory, name)
            for name in ("token_offsets", "odd_offsets", "odd_ordinals", "odd_targets", "odd_positions")
        }
        names = Names(map_array(directory, "names"), map_array(directory, "name_offsets"))
        return cls(
            directory=directory,
            summary=summary,
            graph=_open_graph(directory, arrays["token_offsets"]),
            no_edge=map_array(directory, "no_edge").reshape(-1, 3),
            token_shards=tuple(map_array(directory, f"tokens-{shard:05d}") for shard in range(len(summary.shards))),
            shard_offsets=offsets_of(np.array(summary.shards, np.int64)),
            names=names,
            ids=Ids(names),
            titles=Titles(names),
            numbers=Numbers(names, map_array(directory, "hashes"), map_array(directory, "hash_numbers")),
            missing=Names(map_array(directory, "missing"), map_array(directory, "missing_offsets")),
            **arrays,
        )

    @classmethod
    def build(
        cls,
        documents: Iterable[TokenizedDocument] | Source[TokenizedDocument],
        directory: Path,
        *,
        tokenizer: Tokenizer | str | None = None,
        replace: bool = False,
        size: PartSize = PartSize(),
    ) -> "DocumentStore":
        """Write all documents and open the store.

        A build that was stopped, even killed, is gone on with by calling it again with the same documents: parts
        that are whole are kept, in a folder beside `directory` that is removed at the end.

        Args:
            documents: the same ones in the same order at every call.
            directory: appears when the store is whole.
            tokenizer: whose tokens they are, or its `tokenizer_fingerprint`.
            replace: swap out the store that is there, in one step.
            size: when a part is full.

        Raises:
            StorageError: there is a store already and `replace` is not given, or the disk is full.
            ValueError: documents that are not of one tokenizer, or without tokens.
        """
        _refuse_taken(directory, replace)
        build_store((documents,), directory, tokenizer=tokenizer_fingerprint(tokenizer), replace=replace, size=size)
        return cls.open(directory)

    @classmethod
    def merge(
        cls,
        parts: Sequence[Path],
        directory: Path,
        *,
        tokenizer: Tokenizer | str | None = None,
        replace: bool = False,
    ) -> "DocumentStore":
        """One store of parts that one or many processes have written by `write_parts`, in this order."""
        _refuse_taken(directory, replace)
        merge_parts(parts, directory, tokenizer=tokenizer_fingerprint(tokenizer), replace=replace)
        return cls.open(directory)

    def __reduce__(self) -> tuple[object, ...]:
        # A worker maps the files for itself; nothing is sent to it.
        return type(self).open, (self.directory,)

    def __len__(self) -> int:
        return self.summary.documents

    def __repr__(self) -> str:
        counts = self.summary
        return f"<DocumentStore of {counts.documents:,} documents, {counts.tokens:,} tokens, {counts.edges:,} edges>"

    def verify(self) -> None:
        """Read everything and compare it with the hashes of when it was built; a few seconds per GB.

        Raises:
            StorageError: a file is missing, cut or changed.
        """
        verify(self.directory, KIND)

    def release(self) -> None:
        """Let go of the pages that were read, which count as resident memory of whoever touched them.

        They stay in the page cache, so the next look costs a microsecond and no reading. A reader that wanders
        through a large store calls this every few hundred documents and stays small.
        """
        arrays = [getattr(self, field.name) for field in attrs.fields(type(self))]
        arrays += [getattr(self.graph, field.name) for field in attrs.fields(LinkGraph)]
        arrays += [*self.token_shards, self.names.data, self.names.offsets, self.missing.data, self.missing.offsets]
        for array in (*arrays, *self.numbers.arrays):
            if isinstance(array, np.ndarray):
                release(array)

    def get(self, id: DocumentId) -> TokenizedDocument | None:
        """The document with this identity, or None."""
        number = self.numbers.get(id)
        return None if number is None else self[number]

    def tokens_of(self, number: int) -> TokenArray:
        """The tokens of document `number`: a read-only view of the file."""
        self._check(number)
        first, last = self.token_offsets[number], self.token_offsets[number + 1]
        shard = int(np.searchsorted(self.shard_offsets, first, side="right")) - 1
        begins = self.shard_offsets[shard]
        return self.token_shards[shard][first - begins : last - begins]

    def __getitem__(self, number: int) -> TokenizedDocument:
        """Document `number`, as it was given to the build; its tokens are a read-only view of the file."""
        tokens = self.tokens_of(number)
        edges = slice(int(self.graph.out_offsets[number]), int(self.graph.out_offsets[number + 1]))
        odd = slice(int(self.odd_offsets[number]), int(self.odd_offsets[number + 1]))
        targets, positions = self.graph.out_targets[edges], self.graph.out_positions[edges]
        if odd.stop > odd.start:  # what is no edge stands among the edges, in its place
            is_odd = np.zeros(len(targets) + odd.stop - odd.start, bool)
            is_odd[self.odd_ordinals[odd]] = True
            targets = _mixed(is_odd, self.odd_targets[odd], targets)
            positions = _mixed(is_odd, self.odd_positions[odd], positions)
        bits = int(self.graph.flags[number])
        return TokenizedDocument(
            id=self.names.id(number),
            title=self.names.title(number),
            tokens=tokens,
            link_positions=positions,
            link_targets=tuple(
                self.names.id(target) if target >= 0 else self.missing.id(~target) for target in targets.tolist()
            ),
            flags=frozenset(flag for place, flag in enumerate(FLAGS) if bits >> place & 1),
        )

    def _check(self, number: int) -> None:
        if not 0 <= number < len(self):
            raise IndexError(f"document {number} of {len(self)}")


def _refuse_taken(directory: Path, replace: bool) -> None:
    if not replace and is_complete(directory, KIND):
        raise StorageError(
            directory,
            got="a document store that is there already",
            wanted="a free path",
            do="Open it by DocumentStore.open, or say replace=True.",
        )


def _open_graph(directory: Path, token_offsets: Int64[np.ndarray, "offsets"]) -> LinkGraph:
    names = ("out_offsets", "out_targets", "out_positions", "in_offsets", "in_linkers", "flags")
    return LinkGraph(token_offsets=token_offsets, **{name: map_array(directory, name) for name in names})


def _mixed(
    is_odd: np.ndarray, odd: Int32[np.ndarray, "odd"], others: Int32[np.ndarray, "others"]
) -> Int32[np.ndarray, "links"]:
    mixed = np.empty(len(is_odd), np.int32)
    mixed[is_odd], mixed[~is_odd] = odd, others
    mixed.flags.writeable = False
    return mixed
