"""Tokenized documents as a part of a recipe: stored once, found again by the next run, read by number from then on.

    articles = ArticleFolder(WikipediaDump(path))
    documents = StoredDocuments(pipeline(articles, Tokenize(tokenizer)))
    data = pipeline(Walks(documents, TraverseLinks(BreadthFirst())), Pack(2048), Collate(8))

An iterator cannot carry a store from one stage to the next, so `Walks` names the documents and how they are walked
over in one source. `pipeline(documents, TraverseLinks(...))` gives the same walks, but holds all documents in memory.

With several sources each is read by a process of its own:

    parts = tuple(pipeline(Portion(articles, part, of=8), Tokenize(tokenizer)) for part in range(8))
    documents = StoredDocuments(parts, processes=8)
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from gptlab.graph.store.build import build_store, remove_parts
from gptlab.graph.store.document_store import DocumentStore
from gptlab.graph.store.summary import FORMAT, KIND, tokenizer_fingerprint
from gptlab.pipeline import need_source_of, then
from gptlab.pipeline.observe import say
from gptlab.pipeline.pipelines import pre_cache
from gptlab.pipeline.protocols import HasAxes, Source
from gptlab.storage import LOCATION, FromMapping, fingerprint, is_complete, tell_drops
from gptlab.tokenizers import Tokenize
from gptlab.types import TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

Sources = tuple[Source[TokenizedDocument], ...]


def _as_tuple(documents: Source[TokenizedDocument] | Sources) -> Sources:
    return documents if isinstance(documents, tuple) else (documents,)


def _need_sources(stored: "StoredDocuments", attribute: object, documents: Sources) -> None:
    if not documents:
        raise refusal(
            "StoredDocuments.documents",
            got="no source",
            wanted="a source of TokenizedDocument, or several",
            do="Write StoredDocuments(pipeline(articles, Tokenize(tokenizer))).",
        )
    for source in documents:
        need_source_of(TokenizedDocument, source, "StoredDocuments.documents")


@attrs.frozen
class StoredDocuments:
    """The documents of a source, kept as a `DocumentStore`: a seekable source, and a sequence.

    The directory is named by the fingerprint of all that leads to the documents (dump, tokenizer), so another
    setting is another directory. A build that was stopped, even killed, is gone on with by the next run. What was
    dropped is kept with the documents and told again when they are found.

    Args:
        documents: where they come from, read once; of several sources the documents lie one behind the other.
        cache: where they are kept.
        processes: how many of the sources are read at once.
    """

    documents: Sources = attrs.field(converter=_as_tuple, validator=_need_sources)
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False, kw_only=True)
    processes: int = attrs.field(
        default=1,
        metadata=LOCATION,
        eq=False,
        kw_only=True,
        validator=at_least(1, "Give as many as there are sources, or cores."),
    )

    @cached_property
    def directory(self) -> Path:
        """Where the store is, or will be."""
        return self.cache / f"documents-{FORMAT}-{fingerprint(self)}"

    def pre_cache(self) -> None:
        """Build the store where it is missing; a build that was stopped is gone on with."""
        if is_complete(self.directory, KIND):
            if not self._opened:
                remove_parts(self.directory)
                self._opened.append(DocumentStore.open(self.directory))
                say(f"Found {self._opened[0].summary}, in {self.directory}.")
                tell_drops(self.directory)
            return
        self._opened.clear()
        for source in self.documents:
            pre_cache(source)
        tokenizer = next(filter(None, map(_tokenizer_of, self.documents)), "")
        build_store(self.documents, self.directory, tokenizer=tokenizer, processes=self.processes)
        self._opened.append(DocumentStore.open(self.directory))

    def tell_found(self) -> None:
        """Where the store is there, open it and tell again what was dropped: for whoever keeps what is made of it."""
        if is_complete(self.directory, KIND):
            self.pre_cache()

    @property
    def store(self) -> DocumentStore:
        """The open store; built where it is missing."""
        if not self._opened:
            self.pre_cache()
        return self._opened[0]

    @cached_property
    def _opened(self) -> list[DocumentStore]:
        """The open store, once there is one: no part of the value."""
        return []

    def get_data_generator(self, start: int = 0) -> Iterator[TokenizedDocument]:
        """The documents from number `start` on."""
        store = self.store
        for number in range(start, len(store)):
            yield store[number]

    __or__ = then
    initialize = FromMapping()

    def __len__(self) -> int:
        """How many documents there are; stores them where they are missing."""
        return len(self.store)

    def __getitem__(self, number: int) -> TokenizedDocument:
        """Document `number`; negative numbers count from the end.

        Raises:
            IndexError: there are fewer documents.
        """
        return self.store[range(len(self.store))[number]]

    def axes(self) -> Mapping[str, Any]:
        """The axes of the documents, as far as their sources claim any."""
        first = self.documents[0]
        return first.axes() if isinstance(first, HasAxes) else {}


def _tokenizer_of(source: object) -> str:
    """The fingerprint of the tokenizer of a pipeline; empty where none is seen."""
    found = (part.tokenizer for part in getattr(source, "parts", ()) if isinstance(part, Tokenize))
    return tokenizer_fingerprint(next(found, None))
