"""The flagship model: a transformer that attends along links, as a stage from `Batch` to `ModelOutput`.

A plain class around a configuration and a network. The network is torch's; everything that the rest of the library
asks of a model (stages, their types, axes, saving, copying) is here.
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch

from gptlab.models import item_types
from gptlab.models.config import DagTransformerConfig
from gptlab.models.context import Evict, least_recently_linked
from gptlab.models.generation import Lookup, Piece, Reading, WriteMissing, next_logits_of, stream, write
from gptlab.models.output import ModelOutput
from gptlab.models.sampling import Sampling
from gptlab.models.tensors import batch_tensors
from gptlab.models.transformer import Mlp, Transformer
from gptlab.models.weights import load_config, load_weights, save_model
from gptlab.pipeline import AtMost
from gptlab.pipeline.observe import say
from gptlab.pipeline.protocols import Tokenizer
from gptlab.types import Batch, Generation, Prompt
from gptlab.types.errors import refusal


class DagTransformer:
    """A decoder-only transformer whose documents read the documents they link to.

    >>> import numpy as np
    >>> batch = Batch(
    ...     tokens=np.array([[7, 8, 0, 9, 0]], np.int32),
    ...     targets=np.array([[8, 0, -1, 0, -1]], np.int32),
    ...     documents=np.array([[0, 0, 0, 1, 1]], np.int32),
    ...     positions=np.array([[0, 1, 2, 3, 4]], np.int32),
    ...     edges=np.zeros((1, 0, 3), np.int32),
    ... )
    >>> model = DagTransformer.instantiate(DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=10))
    >>> output = next(model.forward(iter([batch])))
    >>> bool(abs(output.loss - np.log(10)) < 0.1), output.token_losses.shape
    (True, torch.Size([1, 5]))
    """

    def __init__(
        self,
        cfg: DagTransformerConfig,
        network: Transformer,
        reader: Reading | None = None,
        *,
        gives_log_sums: bool = False,
    ) -> None:
        """Wrap a network that exists; `instantiate` makes a fresh one, `reading` one that can write."""
        self.cfg = cfg
        self.network = network
        self.reader = reader
        if cfg.compile:
            say("torch.compile: the MLPs are compiled when first used, which takes tens of seconds")
            for module in network.modules():
                if isinstance(module, Mlp):
                    module.compile()
        self.gives_log_sums = gives_log_sums

    @classmethod
    def instantiate(
        cls, cfg: DagTransformerConfig, logger: logging.Logger | None = None, seed: int = 0
    ) -> "DagTransformer":
        """A fresh model, in evaluation mode. The same configuration and seed give the same weights.

        The global random state is left as it was.

        Args:
            cfg: its shape.
            logger: told the number of parameters.
            seed: of the initial weights.
        """
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global state when they are made
            network = Transformer(cfg)
        network.initialise(torch.Generator().manual_seed(seed))
        network.eval()
        model = cls(cfg, network)
        if logger is not None:
            logger.info("DagTransformer with %s parameters, seed %d", f"{model.parameter_count():,}", seed)
        return model

    def forward(self, batches: Iterator[Batch]) -> Iterator[ModelOutput]:
        """Losses of each batch, with their gradients; logits too in evaluation mode.

        Raises:
            ValueError: a row is longer than `max_seq_len`, or a token is outside the vocabulary.
        """
        for batch in batches:
            yield self._losses(batch)

    def _losses(self, batch: Batch) -> ModelOutput:
        self._check(batch)
        fields = batch_tensors(batch, self.device)
        targets = fields["targets"]
        logits, losses, log_sums = self.network(**fields, with_log_sums=self.gives_log_sums)
        learned = (targets >= 0).sum().clamp(min=1)
        return ModelOutput(
            loss=losses.sum() / learned,
            token_losses=losses,
            logits=None if self.network.training else logits,
            log_sums=log_sums,
        )

    def with_log_sums(self) -> "DagTransformer":
        """This model, giving what a z-loss needs: the weights are shared, not copied."""
        return DagTransformer(self.cfg, self.network, self.reader, gives_log_sums=True)

    def _check(self, batch: Batch) -> None:
        """Refuse what would be an index error within torch, or no error at all."""
        if batch.tokens.shape[1] > self.cfg.max_seq_len:
            raise refusal(
                "DagTransformer.forward",
                got=f"rows of {batch.tokens.shape[1]} tokens",
                wanted=f"at most max_seq_len {self.cfg.max_seq_len}",
                do="Pack shorter rows, or make the model for longer ones.",
            )
        for name, found in (("tokens", batch.tokens), ("targets", batch.targets)):
            if found.max(initial=0) >= self.cfg.vocab_size:
                raise refusal(
                    "DagTransformer.forward",
                    got=f"{name} up to {found.max()}",
                    wanted=f"below vocab_size {self.cfg.vocab_size}",
                    do="Give the model its tokenizer's vocab_size.",
                )

    def reading(
        self,
        tokenizer: Tokenizer,
        lookup: Lookup | None = None,
        sampling: Sampling | None = None,
        *,
        stop: Sequence[str] = (),
        evict: Evict = least_recently_linked,
        write_missing: WriteMissing | None = None,
        batch_size: int = 1,
        is_cached: bool = True,
    ) -> "DagTransformer":
        """This model with what it needs to write: the weights are shared, not copied.

        Args:
            tokenizer: the one it was trained with.
            lookup: where the targets of links are found, such as `DocumentTable.get`; None: none are read.
            sampling: how tokens are drawn.
            stop, evict, write_missing, batch_size, is_cached: see `gptlab.models.generation.Reading`.

        Raises:
            ValueError: the tokenizer has tokens that the model has not.
        """
        if tokenizer.vocab_size > self.cfg.vocab_size:
            raise refusal(
                "DagTransformer.reading",
                got=f"a tokenizer of {tokenizer.vocab_size} tokens",
                wanted=f"at most the model's vocab_size {self.cfg.vocab_size}",
                do="Give the tokenizer that the model was trained with.",
            )
        reader = Reading(
            tokenizer=tokenizer,
            lookup=lookup,
            sampling=sampling or Sampling(),
            stop=tuple(stop),
            evict=evict,
            write_missing=write_missing,
            batch_size=batch_size,
            is_cached=is_cached,
        )
        return DagTransformer(self.cfg, self.network, reader, gives_log_sums=self.gives_log_sums)

    def inference(self, prompts: Iterator[Prompt]) -> Iterator[Generation]:
        """Continue each prompt, reading what its links, and those that it writes, lead to.

        `batch_size` prompts are continued at once. Documents that are read are encoded once for all of them; the
        weights must not change between two of them.

        Raises:
            ValueError: `reading` was not called, or a prompt and its continuation do not fit into `max_seq_len`.
        """
        reader = self._reader()
        next_logits = next_logits_of(self.network, is_cached=reader.is_cached)
        while batch := list(islice(prompts, reader.batch_size)):
            yield from write(batch, next_logits, reader, self.cfg.max_seq_len)

    def stream(self, prompts: Iterator[Prompt]) -> Iterator[Piece]:
        """`inference`, one prompt after the other, each in the pieces in which it is written."""
        reader = self._reader()
        next_logits = next_logits_of(self.network, is_cached=reader.is_cached)
        for prompt in prompts:
            yield from stream(prompt, next_logits, reader, self.cfg.max_seq_len)

    def _reader(self) -> Reading:
        if self.reader is None:
            raise refusal(
                "DagTransformer.inference",
                got="a model without a tokenizer",
                wanted="one that was told how to read and write",
                do="Use model.reading(tokenizer, table.get).inference(prompts).",
            )
        return self.reader

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where batches are sent."""
        return next(self.network.parameters()).device

    def axes(self) -> Mapping[str, int | AtMost]:
        """The vocabulary and the row length that fit into the network."""
        return {"vocab": AtMost(self.cfg.vocab_size), "seq": AtMost(self.cfg.max_seq_len)}

    fwd_input_type = item_types.fwd_input_type
    fwd_output_type = item_types.fwd_output_type
    inf_input_type = item_types.inf_input_type
    inf_output_type = item_types.inf_output_type

    def parameter_count(self) -> int:
        """How many numbers are learned; tied ones count once."""
        return sum(weight.numel() for weight in self.network.parameters())

    def copy(self) -> "DagTransformer":
        """A model of its own with equal weights, in the same mode and on the same device."""
        network = copy.deepcopy(self.network)
        return DagTransformer(self.cfg, network, self.reader, gives_log_sums=self.gives_log_sums)

    def save_to_dir(self, directory: Path) -> None:
        """Write `config.json` and `model.safetensors`."""
        save_model(self.cfg, self.network, directory)

    @classmethod
    def load_from_dir(cls, directory: Path) -> "DagTransformer":
        """The same model, bit for bit, on the CPU and in evaluation mode.

        Raises:
            ValueError: a file is absent, or is not of a `DagTransformer`.
        """
        model = cls.instantiate(load_config(directory, DagTransformerConfig))
        load_weights(model.network, directory)
        return model
