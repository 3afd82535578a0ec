"""A tokenizer is trained through the same contract as a network: from a model and data to a new model.

`LearnedBPE` is the tokenizer of a recipe, which trains itself when it is first needed; this is for who wants the
step in hand, or compares trainers.
"""

from collections.abc import Iterator
from typing import Any

import attrs

from gptlab.pipeline import track, yields
from gptlab.pipeline.protocols import Source
from gptlab.tokenizers import ByteLevelBPE, document_text
from gptlab.tokenizers.training import train_ranks
from gptlab.training.errors import TrainingError
from gptlab.types import Document

BYTES = tuple(bytes([value]) for value in range(256))


@attrs.frozen(kw_only=True, eq=False)
class BPETrainer:
    """Learns the merges of a byte-level BPE from documents.

    Attributes:
        model: whose `vocab_size` and `pattern` the trained one has; its merges are not gone on from.
        data_source: documents, read once.

    >>> from gptlab.sources import LinkedFactsWiki
    >>> trainer = BPETrainer.instantiate(300, ByteLevelBPE(ranks=BYTES, vocab_size=300), LinkedFactsWiki(pages=30))
    >>> trained = trainer.train()
    >>> len(trained.ranks), trained.end_of_text, len(trainer.model.ranks)
    (299, 299, 256)
    """

    model: ByteLevelBPE
    data_source: Source[Document]

    @classmethod
    def instantiate(cls, vocab_size: int, model: ByteLevelBPE, data_source: Source[Document]) -> "BPETrainer":
        """A trainer whose data are known to be documents.

        Args:
            vocab_size: of the trained tokenizer.
            model: gives the pattern.
            data_source: what it is learned from.

        Raises:
            TrainingError: the source yields something else.
        """
        if yields(data_source) is not Document:
            raise TrainingError(
                f"{type(data_source).__name__}, the data source of BPETrainer",
                got=f"items of type {getattr(yields(data_source), '__name__', yields(data_source))}",
                wanted="Document",
                do="Train the tokenizer on a source of documents, before any stage that makes tokens of them.",
            )
        return cls(model=attrs.evolve(model, vocab_size=vocab_size), data_source=data_source)

    def train_input_type(self) -> Any:
        """What an item must be."""
        return Document

    def train_output_type(self) -> type[Any]:
        """What `train` returns."""
        return ByteLevelBPE

    def train(self) -> ByteLevelBPE:
        """A tokenizer with the merges that the documents give, titles and links as `Tokenize` will see them."""
        ranks = train_ranks(self._texts(), size=self.model.vocab_size - 1, pattern=self.model.pattern)
        return attrs.evolve(self.model, ranks=ranks)

    def _texts(self) -> Iterator[str]:
        for document in track(self.data_source.get_data_generator(), "train tokenizer: read", unit="documents"):
            yield document_text(document)
