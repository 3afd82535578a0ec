"""Pairs of documents, linked or not: training data for a model that is no language model."""

from collections.abc import Iterator

import attrs
import numpy as np
from jaxtyping import Bool, Int, Int32

from gptlab.graph import DocumentTable
from gptlab.pipeline import then
from gptlab.types import TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, satisfies

_array = attrs.cmp_using(eq=np.array_equal)


@attrs.frozen(kw_only=True)
class LinkPairs:
    """A batch of pairs, each a document and one that it may link to.

    Attributes:
        linkers: the first tokens of the documents that may link; filled up with -1.
        targets: the same of the documents that may be linked to.
        is_link: whether the first links to the second.
    """

    linkers: Int32[np.ndarray, "batch tokens"] = attrs.field(eq=_array)
    targets: Int32[np.ndarray, "batch tokens"] = attrs.field(eq=_array)
    is_link: Bool[np.ndarray, "batch"] = attrs.field(eq=_array)


@attrs.frozen(kw_only=True)
class SampleLinks:
    """Every link once per epoch, in random order, and beside each a pair of the same linker that is no link.

    It reads all documents first: a negative may be any of them (`barrier`). Batch k is a function of the
    documents, the seed and k alone.

    Attributes:
        batch_size: pairs in a batch, half of them links.
        length: tokens of each document that are looked at, from its beginning.
        seed: of order and negatives.
        epochs: how often each link comes.

    >>> SampleLinks(batch_size=64, seed=1).barrier
    True
    """

    batch_size: int = attrs.field(
        default=64,
        validator=satisfies(
            lambda size: size >= 2 and size % 2 == 0,
            "an even number from 2 on",
            "Each link has a negative beside it.",
        ),
    )
    length: int = attrs.field(default=64, validator=at_least(1))
    seed: int = attrs.field(default=0, validator=at_least(0))
    epochs: int = attrs.field(default=1, validator=at_least(1))

    barrier = True
    __or__ = then

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[LinkPairs]:
        """Yield batches; the last of an epoch may be smaller.

        Raises:
            ValueError: no document links to another, or every document links to all.
        """
        table = DocumentTable.from_documents(documents)
        linkers = np.repeat(np.arange(len(table)), np.diff(table.graph.out_offsets))
        targets = np.concatenate([table.graph.targets(number) for number in range(len(table))] or [linkers])
        has_other = np.diff(table.graph.out_offsets) < len(table) - 1
        if not has_other[linkers].any():
            raise refusal(
                "SampleLinks",
                got=f"{len(table)} documents with {len(linkers)} links",
                wanted="a link, and for its document another that it does not link to",
                do="Give documents that link to each other, such as those of LinkedFactsWiki.",
            )
        links = np.stack([linkers, targets], axis=1)[has_other[linkers]]
        for epoch in range(self.epochs):
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(len(links))
            for start in range(0, len(order), self.batch_size // 2):
                yield self._batch(table, links[order[start : start + self.batch_size // 2]], rng)

    def _batch(self, table: DocumentTable, links: Int[np.ndarray, "links 2"], rng: np.random.Generator) -> LinkPairs:
        negatives = [_other(table, int(linker), rng) for linker, _ in links]
        linkers, targets = np.tile(links[:, 0], 2), np.concatenate([links[:, 1], negatives])
        return LinkPairs(
            linkers=self._tokens(table, linkers),
            targets=self._tokens(table, targets),
            is_link=np.arange(2 * len(links)) < len(links),
        )

    def _tokens(self, table: DocumentTable, numbers: Int[np.ndarray, "batch"]) -> Int32[np.ndarray, "batch tokens"]:
        filled = np.full((len(numbers), self.length), -1, np.int32)
        for row, number in enumerate(numbers.tolist()):
            tokens = table[number].tokens[: self.length]
            filled[row, : len(tokens)] = tokens
        return filled


def _other(table: DocumentTable, linker: int, rng: np.random.Generator) -> int:
    """A document that is neither the linker nor linked to by it."""
    taken = {linker, *table.graph.targets(linker).tolist()}
    while (number := int(rng.integers(len(table)))) in taken:
        pass
    return number
