"""The shape of a `DagTransformer`: frozen, checked when made, so a wrong one fails before any data is read."""

from typing import Literal, get_args

import attrs

from gptlab.models.mask import MaskSpec
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, one_of, satisfies

Attention = Literal["dense", "gathered"]
MlpKind = Literal["swiglu", "relu2"]

_is_above_0 = satisfies(lambda value: value > 0, "a number above 0")


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

    layers: int = attrs.field(default=4, validator=at_least(1))
    width: int = attrs.field(default=128, validator=at_least(1))
    heads: int = attrs.field(default=4, validator=at_least(1))
    kv_heads: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    vocab_size: int = attrs.field(validator=at_least(1))
    max_seq_len: int = attrs.field(default=2048, validator=at_least(1))
    mask: MaskSpec = attrs.field(factory=MaskSpec)
    attention: Attention = attrs.field(default="gathered", validator=one_of(get_args(Attention)))
    mlp: MlpKind = attrs.field(default="relu2", validator=one_of(get_args(MlpKind)))
    mlp_ratio: float = attrs.field(default=4.0, validator=_is_above_0)
    rope_base: float = attrs.field(default=10_000.0, validator=_is_above_0)
    qk_norm: bool = True
    short_conv: int = attrs.field(default=4, validator=at_least(0, "0 is none; 4 is usual."))
    embedding_norm: bool = True
    tied_embeddings: bool = True
    dropout: float = attrs.field(
        default=0.0, validator=satisfies(lambda share: 0 <= share < 1, "at least 0 and below 1", "0 is none.")
    )
    soft_cap: float | None = attrs.field(
        default=None,
        validator=satisfies(lambda cap: cap is None or cap > 0, "above 0, or None", "None is no cap."),
    )
    init_scale: float = attrs.field(default=0.02, validator=_is_above_0)

    def __attrs_post_init__(self) -> None:
        divisors = [n for n in range(1, self.width + 1) if self.width % n == 0 and self.width // n % 2 == 0]
        if self.heads not in divisors:
            raise refusal(
                "DagTransformerConfig.heads",
                got=self.heads,
                wanted=f"width {self.width} over heads a whole even number",
                do=f"These fit: {', '.join(map(str, divisors)) or 'none; choose an even width'}.",
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise refusal(
                "DagTransformerConfig.kv_heads",
                got=self.kv_heads,
                wanted=f"a divisor of heads {self.heads}, or None",
                do="Queries share keys in groups of heads / kv_heads.",
            )

    @property
    def head_size(self) -> int:
        """Components of one head."""
        return self.width // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values: `kv_heads`, or `heads` where it is None."""
        return self.kv_heads or self.heads
