"""`store.json`: what a store holds, small enough to read whole, and what must agree before anything is read."""

from pathlib import Path
from typing import Any

import attrs

from gptlab.pipeline.protocols import Tokenizer
from gptlab.storage import StorageError, fingerprint, is_complete, pretty_json, read_json
from gptlab.storage.manifest import MANIFEST, kind_of

KIND = "document-store"
FORMAT = 1
"""Goes up when what lies on disk changes; a store of another format is refused."""
_FILE = "store.json"


@attrs.frozen(kw_only=True)
class StoreSummary:
    """What a store holds.

    Attributes:
        format: of what lies on disk.
        tokenizer: `tokenizer_fingerprint`; empty where it was not said.
        dtype: of the tokens.
        end_of_text: the last token of every document; None where there is no document.
        documents, tokens: how many.
        links: as they came; each is an edge, or counted in one of the next three.
        edges: links in the graph: the first one of each pair of documents that exist.
        missing: links to no document.
        self_links: links of a document to itself.
        repeats: links to a document that the same one has linked to before.
        missing_targets: strings kept for links to no document; one may be kept once per part.
        shards: tokens in each.
    """

    format: int
    tokenizer: str
    dtype: str
    end_of_text: int | None
    documents: int
    tokens: int
    links: int
    edges: int
    missing: int
    self_links: int
    repeats: int
    missing_targets: int
    shards: tuple[int, ...]

    def __str__(self) -> str:
        """One line for a person.

        >>> counts = {"links": 4, "edges": 1, "missing": 2, "self_links": 1, "repeats": 0, "missing_targets": 2}
        >>> kind = {"format": 1, "tokenizer": "", "dtype": "uint16", "end_of_text": 9}
        >>> print(StoreSummary(documents=2, tokens=1200, shards=(1200,), **counts, **kind))
        2 documents of 600.0 tokens; 4 links, of which 1 edges, 2 to no document, 1 to itself, 0 repeated
        """
        return (
            f"{self.documents:,} documents of {self.tokens / max(1, self.documents):,.1f} tokens; "
            f"{self.links:,} links, of which {self.edges:,} edges, {self.missing:,} to no document, "
            f"{self.self_links:,} to itself, {self.repeats:,} repeated"
        )


def tokenizer_fingerprint(tokenizer: Tokenizer | str | None) -> str:
    """16 hex digits of a tokenizer, or as they are given; one that was learned counts as the table that it learned.

    >>> tokenizer_fingerprint("0123456789abcdef"), tokenizer_fingerprint(None)
    ('0123456789abcdef', '')
    """
    if isinstance(tokenizer, str | None):
        return tokenizer or ""
    return fingerprint(getattr(tokenizer, "table", tokenizer))


def write_summary(directory: Path, summary: StoreSummary) -> None:
    """Write `store.json`."""
    (directory / _FILE).write_text(pretty_json(attrs.asdict(summary)), encoding="utf-8")


def read_summary(directory: Path, tokenizer: Tokenizer | str | None = None) -> StoreSummary:
    """What the store at `directory` holds, once it is known to be whole and of the right format and tokenizer.

    Costs a look at the size of every file; hashes are for `verify`.

    Raises:
        StorageError: there is no store, or half of one, or one of another format or tokenizer.
    """
    if not is_complete(directory, KIND):
        raise _not_whole(directory)
    fields: dict[str, Any] = read_json(directory / _FILE)
    if fields.get("format") != FORMAT:
        raise StorageError(
            directory,
            got=f"a document store of format {fields.get('format')}",
            wanted=f"format {FORMAT}, which this version reads",
            do="Build the store again with this version; its sources are as they were.",
        )
    summary = StoreSummary(**{**fields, "shards": tuple(fields["shards"])})
    wanted = tokenizer_fingerprint(tokenizer)
    if wanted and summary.tokenizer != wanted:
        raise StorageError(
            directory,
            got=f"the documents in tokens of {summary.tokenizer or 'a tokenizer that was not said'}",
            wanted=f"tokens of {wanted}, the tokenizer that was given",
            do="Give the tokenizer that the store was built with, or build a store with this one.",
        )
    return summary


def _not_whole(directory: Path) -> StorageError:
    found = kind_of(directory)
    if found == KIND:
        got = "a document store with a file that is missing or cut"
        do = "Remove the directory and build it again, or restore a copy."
    elif found is not None:
        got, do = f"a {found}", "Look whether the folder is the right one."
    elif not directory.exists():
        got, do = "nothing", "Build the store first: pre_cache() of StoredDocuments, or DocumentStore.build."
    else:
        got, do = f"a directory without {MANIFEST}", "Look whether the folder is the right one, or build the store."
    return StorageError(directory, got=got, wanted="a finished document store", do=do)
