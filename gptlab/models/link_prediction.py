"""A model that is no language model: does one document link to another? Two bags of tokens, two towers, one number.

It passes through the same contracts as the transformer: a stage from its own record to its own output, a network
and a loss for the trainer, `copy`, `save_to_dir`, `load_from_dir`.
"""

import copy
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gptlab.models import item_types
from gptlab.models.link_pairs import LinkPairs
from gptlab.models.weights import load_config, load_weights, save_model
from gptlab.pipeline import AtMost
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class LinkPredictorConfig:
    """The shape of a `LinkPredictor`.

    >>> LinkPredictorConfig(vocab_size=512).width
    64
    """

    vocab_size: int = attrs.field(validator=at_least(1))
    width: int = attrs.field(default=64, validator=at_least(1))


@attrs.frozen(kw_only=True, eq=False)
class LinkScores:
    """Scores of a batch of pairs.

    Attributes:
        loss: mean binary cross-entropy in nats; log(2) for a model that knows nothing.
        scores: logit of "this is a link" for each pair.
    """

    loss: Float[Tensor, ""]
    scores: Float[Tensor, "batch"]


class TwoTowers(nn.Module):
    """Mean embedding of each document's tokens, a layer for each role, and the scaled product of the two."""

    def __init__(self, cfg: LinkPredictorConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(cfg.vocab_size, cfg.width)
        self.linker = nn.Linear(cfg.width, cfg.width)
        self.target = nn.Linear(cfg.width, cfg.width)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(
        self, linkers: Int[Tensor, "batch tokens"], targets: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch"]:
        """A logit for each pair; tokens of -1 are none."""
        left, right = self.linker(self._bag(linkers)), self.target(self._bag(targets))
        scores: Tensor = (left * right).sum(dim=-1) / left.shape[-1] ** 0.5 + self.bias
        return scores

    def _bag(self, tokens: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch width"]:
        is_token = (tokens >= 0).unsqueeze(-1)
        total: Tensor = (self.embedding(tokens.clamp(min=0)) * is_token).sum(dim=1)
        return total / is_token.sum(dim=1).clamp(min=1).sqrt()


class LinkPredictor:
    """Scores pairs of documents.

    >>> import numpy as np
    >>> ones = np.ones((2, 3), np.int32)
    >>> pairs = LinkPairs(linkers=ones, targets=ones, is_link=np.array([True, False]))
    >>> model = LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=10))
    >>> next(model.forward(iter([pairs]))).scores.shape
    torch.Size([2])
    """

    def __init__(self, cfg: LinkPredictorConfig, network: TwoTowers) -> None:
        """Wrap a network that exists; `instantiate` makes a fresh one."""
        self.cfg = cfg
        self.network = network

    @classmethod
    def instantiate(
        cls, cfg: LinkPredictorConfig, logger: logging.Logger | None = None, seed: int = 0
    ) -> "LinkPredictor":
        """A fresh model in evaluation mode; weights by the seed alone.

        Args:
            cfg: its shape.
            logger: told the number of parameters.
            seed: of the initial weights.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = TwoTowers(cfg)
        network.eval()
        if logger is not None:
            count = sum(weight.numel() for weight in network.parameters())
            logger.info("LinkPredictor with %s parameters, seed %d", f"{count:,}", seed)
        return cls(cfg, network)

    def forward(self, batches: Iterator[LinkPairs]) -> Iterator[LinkScores]:
        """Score each pair; the loss says how well."""
        device = self.network.bias.device
        for batch in batches:
            scores = self.network(
                torch.as_tensor(batch.linkers, device=device), torch.as_tensor(batch.targets, device=device)
            )
            is_link = torch.as_tensor(batch.is_link, device=device).to(scores.dtype)
            yield LinkScores(loss=functional.binary_cross_entropy_with_logits(scores, is_link), scores=scores)

    def axes(self) -> Mapping[str, int | AtMost]:
        """The vocabulary that fits into the embedding."""
        return {"vocab": AtMost(self.cfg.vocab_size)}

    fwd_input_type = item_types.fwd_input_type
    fwd_output_type = item_types.fwd_output_type

    def copy(self) -> "LinkPredictor":
        """A model of its own with equal weights."""
        return LinkPredictor(self.cfg, copy.deepcopy(self.network))

    def save_to_dir(self, directory: Path) -> None:
        """Write `config.json` and `model.safetensors`."""
        save_model(self.cfg, self.network, directory)

    @classmethod
    def load_from_dir(cls, directory: Path) -> "LinkPredictor":
        """The same model, bit for bit, on the CPU and in evaluation mode."""
        model = cls.instantiate(load_config(directory, LinkPredictorConfig))
        load_weights(model.network, directory)
        return model
