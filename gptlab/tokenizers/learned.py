"""A tokenizer that is told by its corpus: a frozen value, trained when it is first needed, then found in the cache.

A recipe can so name its tokenizer without a file that must be there first, and a different corpus, size or pattern
is a different value with a cache of its own.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from gptlab.pipeline.observe import progress, say, track
from gptlab.pipeline.protocols import PreCached, Source
from gptlab.storage import LOCATION, fingerprint, is_complete, new_directory, verify
from gptlab.tokenizers.byte_level import ByteLevelBPE
from gptlab.tokenizers.errors import TokenizerError
from gptlab.tokenizers.pattern import PATTERN
from gptlab.tokenizers.tokenize import document_text, is_unicode
from gptlab.tokenizers.training import train_ranks
from gptlab.types import Document
from gptlab.types.validators import at_least

_STORED_AS = "tokenizer"


@attrs.frozen(kw_only=True)
class LearnedBPE:
    """Byte-level BPE learned from the first documents of a corpus.

    `vocab_size` is known before anything is read. Where the corpus is too small for so many merges, the ids from the
    last merge to end-of-text, which is always the last id, stay unused, and whoever watches is told.

    Attributes:
        corpus: what it is learned from, title lines and all, just as `Tokenize` will see it.
        vocab_size: 256 bytes, merges and end-of-text.
        max_bytes: of text to read; a few hundred MB tell all that there is to tell. Half a GB takes minutes.
        pattern: how text is cut into words.
        cache: where the ranks are kept.
    """

    corpus: Source[Document]
    vocab_size: int = attrs.field(
        default=8192,
        validator=at_least(
            257, "256 are bytes, one is end-of-text: ask for more, or use ByteTokenizer().", error=TokenizerError
        ),
    )
    max_bytes: int = attrs.field(default=1 << 28, validator=at_least(1, error=TokenizerError))
    pattern: str = attrs.field(default=PATTERN, repr=False)
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    @property
    def directory(self) -> Path:
        """Where the ranks are, or will be."""
        return self.cache / f"{_STORED_AS}-{fingerprint(self)}"

    def pre_cache(self) -> None:
        """Train, unless the ranks are in the cache; the corpus makes its own cache first."""
        if is_complete(self.directory, _STORED_AS):
            return
        if isinstance(self.corpus, PreCached):
            self.corpus.pre_cache()
        ranks = train_ranks(self._texts(), size=self.vocab_size - 1, pattern=self.pattern)
        progress("train tokenizer: merge", 1, 1, "vocabularies")
        if len(ranks) < self.vocab_size - 1:
            say(
                f"tokenizer: the corpus gives only {len(ranks) - 256:,} merges of {self.vocab_size - 257:,}; "
                f"the ids {len(ranks):,} to {self.vocab_size - 2:,} stay unused"
            )
        with new_directory(self.directory, kind=_STORED_AS) as directory:
            ByteLevelBPE(ranks=ranks, vocab_size=self.vocab_size, pattern=self.pattern).save_to_dir(directory)

    @functools.cached_property
    def table(self) -> ByteLevelBPE:
        """The trained tokenizer, which needs no corpus and no cache."""
        self.pre_cache()
        verify(self.directory, _STORED_AS)
        return ByteLevelBPE.load_from_dir(self.directory)

    @property
    def end_of_text(self) -> int:
        """The last id."""
        return self.vocab_size - 1

    @property
    def token_lengths(self) -> np.ndarray:
        """How many bytes each id stands for; 0 for end-of-text and for ids that are not used."""
        return self.table.token_lengths

    def encode(self, text: str) -> list[int]:
        """The ids of the text; trains first if need be."""
        return self.table.encode(text)

    def encode_array(self, text: str) -> np.ndarray:
        """As `encode`, without a Python object per token."""
        return self.table.encode_array(text)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of an id; none for end-of-text and for ids that are not used."""
        return self.table.token_bytes(token)

    def _texts(self) -> Iterator[str]:
        """What is trained on: the first `max_bytes` of the corpus, in whole documents."""
        read = 0
        for document in track(self.corpus.get_data_generator(), "train tokenizer: read", unit="documents"):
            text = document_text(document)
            if is_unicode(text):
                read += len(text.encode())
                yield text
            if read >= self.max_bytes:
                break
        progress("train tokenizer: merge", 0, 1, "vocabularies")
