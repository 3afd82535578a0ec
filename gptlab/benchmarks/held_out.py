"""Loss on held-out data: the figure that every run has, comparable between models with one tokenizer.

`bits_per_byte` is comparable between tokenizers too: it divides by the bytes of the text, not by how many tokens
somebody cut it into.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from jaxtyping import Float64, Int64, Num

from gptlab.benchmarks.check import check_data
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.training import TrainableModel, ratio_of_means, scored
from gptlab.types import Batch
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class HeldOutLoss:
    """Mean loss of a language model over held-out batches.

    Attributes:
        tokenizer: says how many bytes a token stands for; without it there is no `bits_per_byte`.
        batches: how many are read; None: all.
    """

    tokenizer: Tokenizer | None = None
    batches: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))

    def calculate(self, data: Source[Batch], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score the model as it is.

        Args:
            data: batches that the model was not trained on.
            model: yields `token_losses` for each batch.

        Returns:
            `loss` in nats for each learned token and `loss_stderr`; `tokens` and `rows` read; with a tokenizer
            `bits_per_byte` and `bits_per_byte_stderr`. The standard errors take rows for independent, not tokens.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
        """
        check_data(self, data, model)
        sizes = None if self.tokenizer is None else token_sizes(self.tokenizer)
        losses, tokens, sizes_read = [], [], []
        batches = itertools.islice(data.get_data_generator(), self.batches)
        for batch, output in scored(model, track(batches, "held-out loss", unit="batches", every=8)):
            learned = batch.targets >= 0
            losses.append(output.token_losses.double().sum(dim=1).cpu().numpy())
            tokens.append(learned.sum(axis=1))
            if sizes is not None:
                sizes_read.append(np.where(learned, sizes[np.maximum(batch.targets, 0)], 0).sum(axis=1))
        row_losses, row_tokens = _joined(losses), _joined(tokens)
        loss, stderr = ratio_of_means(row_losses, row_tokens)
        figures = {
            "loss": loss,
            "loss_stderr": stderr,
            "tokens": float(row_tokens.sum()),
            "rows": float(len(row_tokens)),
        }
        if sizes is not None:
            bits, bits_stderr = ratio_of_means(row_losses / math.log(2), _joined(sizes_read))
            figures |= {"bits_per_byte": bits, "bits_per_byte_stderr": bits_stderr}
        return figures


def token_sizes(tokenizer: Tokenizer) -> Int64[np.ndarray, "vocab"]:
    """How many bytes each token stands for: an int64 array over the vocabulary.

    >>> class Bits:
    ...     vocab_size, end_of_text = 3, 2
    ...     def encode(self, text: str) -> list[int]: return [int(character) for character in text]
    ...     def token_bytes(self, token: int) -> bytes: return b"01"[token : token + 1]
    >>> token_sizes(Bits()).tolist()
    [1, 1, 0]
    """
    return np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], dtype=np.int64)


def _joined(arrays: list[Num[np.ndarray, "_"]]) -> Float64[np.ndarray, "rows"]:
    return np.concatenate(arrays).astype(np.float64) if arrays else np.zeros(0)
