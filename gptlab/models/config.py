"""The shape of a `DagTransformer`: frozen, checked when made, so a wrong one fails before any data is read."""

from typing import Literal

import attrs

from gptlab.models.mask import MaskSpec
from gptlab.models.refusal import refusal


@attrs.frozen(kw_only=True)
class DagTransformerConfig:
    """A decoder-only transformer that attends along links.

    Attributes:
        layers: number of blocks.
        width: of the residual stream.
        heads: of queries; `width / heads` is the size of a head and must be even (rotary turns pairs).
        kv_heads: of keys and values, a divisor of `heads`; None for as many (https://arxiv.org/abs/2305.13245).
        vocab_size: at least the tokenizer's.
        max_seq_len: the longest row it will read; generation keeps its context within it.
        mask: what a token may see.
        attention: the kernel; both compute the same, `gathered` faster on a CPU (`gptlab.models.gathered`).
        mlp: `swiglu` (https://arxiv.org/abs/2002.05202) or `relu2` (https://arxiv.org/abs/2109.08668).
        mlp_ratio: width of the hidden layer over `width`.
        rope_base: of the rotary angles (https://arxiv.org/abs/2104.09864).
        qk_norm: RMSNorm of queries and keys by head (https://arxiv.org/abs/2302.05442): larger learning rates hold.
        short_conv: each block first adds to every token a learned mix of the `short_conv` tokens that end with it
            in its document; 0 for none. One layer can then match "name value" pairs, which plain
            attention needs two for and finds late (https://ssrn.com/abstract=5240330, "Canon layers"). Recall of
            facts stated in linked documents, 2 layers of 96: 0.91 after 1.6 M tokens with 3, 0.48 without.
        embedding_norm: RMSNorm of the embeddings before the first block.
        tied_embeddings: the output layer is the embedding.
        dropout: of each block's two outputs, while training.
        soft_cap: logits are `soft_cap * tanh(logits / soft_cap)`; None for plain ones.
        init_scale: standard deviation of the embeddings; matrices have `1 / sqrt(inputs)`, and those that write to
            the residual stream begin at zero, so a fresh model's loss is close to log(vocab_size).

    >>> DagTransformerConfig(layers=2, width=128, vocab_size=512).head_size
    32
    """

    layers: int = 4
    width: int = 128
    heads: int = 4
    kv_heads: int | None = None
    vocab_size: int
    max_seq_len: int = 2048
    mask: MaskSpec = attrs.field(factory=MaskSpec)
    attention: Literal["dense", "gathered"] = "gathered"
    mlp: Literal["swiglu", "relu2"] = "relu2"
    mlp_ratio: float = 4.0
    rope_base: float = 10_000.0
    qk_norm: bool = True
    short_conv: int = 4
    embedding_norm: bool = True
    tied_embeddings: bool = True
    dropout: float = 0.0
    soft_cap: float | None = None
    init_scale: float = 0.02

    def __attrs_post_init__(self) -> None:
        for name in ("layers", "width", "heads", "vocab_size", "max_seq_len", "mlp_ratio", "rope_base", "init_scale"):
            self._require(name, getattr(self, name) > 0, "a number above 0", "Give a positive one.")
        divisors = [n for n in range(1, self.width + 1) if self.width % n == 0 and self.width // n % 2 == 0]
        self._require(
            "heads",
            self.heads in divisors,
            f"width {self.width} over heads a whole even number",
            f"These fit: {', '.join(map(str, divisors)) or 'none; choose an even width'}.",
        )
        self._require(
            "kv_heads",
            self.kv_heads is None or (self.kv_heads > 0 and self.heads % self.kv_heads == 0),
            f"a divisor of heads {self.heads}, or None",
            "Queries share keys in groups of heads / kv_heads.",
        )
        self._require("mlp", self.mlp in ("swiglu", "relu2"), "swiglu or relu2", "Choose one of them.")
        self._require(
            "attention", self.attention in ("dense", "gathered"), "dense or gathered", "Choose one of them."
        )
        self._require("dropout", 0 <= self.dropout < 1, "at least 0 and below 1", "0 is none.")
        self._require("short_conv", self.short_conv >= 0, "0 or more tokens", "0 is none; 4 is usual.")
        self._require("soft_cap", self.soft_cap is None or self.soft_cap > 0, "above 0, or None", "None is no cap.")

    def _require(self, name: str, holds: bool, wanted: str, remedy: str) -> None:
        if not holds:
            raise refusal(f"DagTransformerConfig.{name}", got=repr(getattr(self, name)), wanted=wanted, remedy=remedy)

    @property
    def head_size(self) -> int:
        """Components of one head."""
        return self.width // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values: `kv_heads`, or `heads` where it is None."""
        return self.kv_heads or self.heads
