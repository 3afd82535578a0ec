"""Perplexity of documents, each token scored exactly once: comparable with `loglikelihood_rolling` of the harness.

The figure depends on how much context a token has, so the window and its stride are figures too. It is comparable
between models of one tokenizer; bits per byte is comparable between all.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.continuations import Continuation, ContinuationRows, RollingWindows, count_words, exp_or_inf
from gptlab.benchmarks.likelihood import BATCH_TOKENS, longest_row, score
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.training import TrainableModel, ratio_of_means
from gptlab.types import Document
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class Perplexity:
    """Perplexity per token, bits per byte and perplexity per word of a model over documents.

    Attributes:
        tokenizer: the model's.
        seq_len: tokens of a window; None for the model's longest row.
        stride: tokens that a window scores, beyond a document's first window: the rest of it is context. None for
            `seq_len`, the harness's way: fastest, and one token of context at worst.
        with_titles: the title line is part of the text, as in training; False for the text alone.
        max_documents: of the data; None: all.
        batch_tokens: tokens of a batch, padding included, at most.
    """

    tokenizer: Tokenizer
    seq_len: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    stride: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    with_titles: bool = True
    max_documents: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    batch_tokens: int = attrs.field(default=BATCH_TOKENS, validator=at_least(1))

    def calculate(self, data: Source[Document], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score every token of every document once; links are text.

        Args:
            data: documents that the model was not trained on.
            model: yields `token_losses`.

        Returns:
            `perplexity` and `loss` per token, in nats, with `loss_stderr`; `bits_per_byte` with its `_stderr`;
            `word_perplexity`, words being parts between white space; `documents`, `tokens`, `bytes`, `words`,
            `seq_len` and `stride`. Standard errors take documents for independent, not tokens.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
            ValueError: windows of unknown size, or a stride longer than they are.
        """
        windows = self._windows(model)
        check_data(self, data, model, windows, ContinuationRows(batch_tokens=self.batch_tokens))
        sizes: list[tuple[int, int]] = []  # bytes and words of each document
        counts: list[int] = []  # windows of each document

        def continuations() -> Iterator[Continuation]:
            documents = track(data.get_data_generator(), "perplexity", unit="documents", every=64)
            for _, document in zip(range(self.max_documents or 2**63), documents, strict=False):
                text = windows.text(document)
                sizes.append((len(text.encode()), count_words(text)))
                counts.append(0)
                for continuation in windows(iter([document])):
                    counts[-1] += 1
                    yield continuation

        found = [
            (each.total, len(each.log_probs))
            for each in score(continuations(), model, batch_tokens=self.batch_tokens)
        ]
        owner = np.repeat(np.arange(len(counts)), counts)
        nats = np.bincount(owner, [-total for total, _ in found], len(counts))
        tokens = np.bincount(owner, [size for _, size in found], len(counts))
        size = np.array(sizes, np.float64).reshape(-1, 2)
        loss, stderr = ratio_of_means(nats, tokens)
        per_byte, per_byte_stderr = ratio_of_means(nats, size[:, 0])
        per_word, _ = ratio_of_means(nats, size[:, 1])
        return {
            "perplexity": exp_or_inf(loss),
            "loss": loss,
            "loss_stderr": stderr,
            "bits_per_byte": per_byte / math.log(2),
            "bits_per_byte_stderr": per_byte_stderr / math.log(2),
            "word_perplexity": exp_or_inf(per_word),
            "documents": float(len(counts)),
            "tokens": float(tokens.sum()),
            "bytes": float(size[:, 0].sum()),
            "words": float(size[:, 1].sum()),
            "seq_len": float(windows.seq_len),
            "stride": float(windows.stride),
        }

    def _windows(self, model: object) -> RollingWindows:
        longest = longest_row(model)
        seq_len = longest if self.seq_len is None else self.seq_len
        if seq_len is None or (longest is not None and seq_len > longest):
            raise refusal(
                "Perplexity.seq_len",
                got=seq_len,
                wanted="the tokens of a window" if longest is None else f"at most the model's {longest}",
                do="Set seq_len; None is the model's longest row, where it says one.",
            )
        stride = seq_len if self.stride is None else self.stride
        return RollingWindows(tokenizer=self.tokenizer, seq_len=seq_len, stride=stride, with_titles=self.with_titles)
