"""One of several equal runs of a folder's documents, so that several processes can share the work."""

from collections.abc import Iterator
from itertools import islice
from typing import Protocol, runtime_checkable

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.protocols import PreCached
from gptlab.storage import FromMapping
from gptlab.types import Document
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, satisfies


@runtime_checkable
class DocumentsFrom(Protocol):
    """Documents that can be read from any one on, and know how many they are: `ArticleFolder`.

    >>> class Two:
    ...     def __len__(self) -> int:
    ...         return 2
    ...     def get_data_generator(self, start: int = 0) -> Iterator[Document]:
    ...         for number in range(start, 2):
    ...             yield Document(id="ab"[number], title="", text="")
    >>> isinstance(Two(), DocumentsFrom)
    True
    """

    def __len__(self) -> int:
        """How many documents there are."""

    def get_data_generator(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on."""


@attrs.frozen
class Portion:
    """Run `part` of `of` runs, back to back and as equal as can be: a seekable source.

    Args:
        documents: all of them.
        part: which run, from 0 on.
        of: how many runs there are.
    """

    documents: DocumentsFrom = attrs.field(
        validator=satisfies(
            lambda documents: isinstance(documents, DocumentsFrom),
            "a source with a length and a start",
            "Put an ArticleFolder behind the source.",
        )
    )
    part: int = attrs.field(validator=at_least(0, "Parts count from 0."))
    of: int = attrs.field(kw_only=True, validator=at_least(1, "Give the number of parts."))

    def __attrs_post_init__(self) -> None:
        if self.part >= self.of:
            raise refusal("Portion.part", got=self.part, wanted=f"below of={self.of}", do="Parts count from 0.")

    def pre_cache(self) -> None:
        """Make the folder, where it is made once."""
        if isinstance(self.documents, PreCached):
            self.documents.pre_cache()

    def get_data_generator(self, start: int = 0) -> Iterator[Document]:
        """The documents of this run from its number `start` on."""
        size = len(self.documents)
        first, last = (part * size // self.of for part in (self.part, self.part + 1))
        yield from islice(self.documents.get_data_generator(start=first + start), max(0, last - first - start))

    __or__ = then
    initialize = FromMapping()
