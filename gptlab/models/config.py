"""The shape of a `DagTransformer`: frozen, checked when made, so a wrong one fails before any data is read."""

from typing import Literal, get_args

import attrs

from gptlab.models.mask import MaskSpec
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, one_of, satisfies

Attention = Literal["auto", "dense", "gathered", "flex", "varlen"]
MlpKind = Literal["swiglu", "relu2", "gelu", "gelu_tanh"]
NormKind = Literal["rms", "layer"]
PositionKind = Literal["rotary", "learned"]
PositionsWithin = Literal["row", "document"]
RopeScalingKind = Literal["none", "linear", "llama3"]

_is_above_0 = satisfies(lambda value: value > 0, "a number above 0")


@attrs.frozen(kw_only=True)
class RopeScaling:
    """How rotary angles are slowed down, so that a model reads longer rows than it was first trained on.

    Attributes:
        kind: `none`; `linear`: every angle divided by `factor` (https://arxiv.org/abs/2306.15595); `llama3`: the
            angles that turn less than `low_frequency_factor` times within `original_seq_len` divided by `factor`,
            those that turn more than `high_frequency_factor` times kept, a blend between
            (https://arxiv.org/abs/2407.21783, and `transformers`' `_compute_llama3_parameters`).
        factor: how much longer rows get.
        low_frequency_factor, high_frequency_factor, original_seq_len: of `llama3` alone.
    """

    kind: RopeScalingKind = attrs.field(default="none", validator=one_of(get_args(RopeScalingKind)))
    factor: float = attrs.field(default=1.0, validator=_is_above_0)
    low_frequency_factor: float = attrs.field(default=1.0, validator=_is_above_0)
    high_frequency_factor: float = attrs.field(default=4.0, validator=_is_above_0)
    original_seq_len: int = attrs.field(default=8192, validator=at_least(1))


@attrs.frozen(kw_only=True)
class DagTransformerConfig:
    """A decoder-only transformer that attends along links.

    The defaults are what trains well; the rest is there to hold the weights of Llama, Qwen3 and GPT-2 exactly.

    Attributes:
        layers: number of blocks.
        width: of the residual stream.
        heads: of queries.
        kv_heads: of keys and values, a divisor of `heads`; None for as many (https://arxiv.org/abs/2305.13245).
        head_dim: components of a head; None for `width / heads`. Rotary positions turn pairs: even.
        vocab_size: at least the tokenizer's.
        max_seq_len: the longest row it will read; generation keeps its context within it.
        mask: what a token may see.
        attention: the kernel; all compute the same. `auto`: `gathered` on a CPU, `flex` on CUDA
            (`gptlab.models.kernels`).
        norm: `rms` (https://arxiv.org/abs/1910.07467), or `layer` with biases.
        norm_eps: added to the mean square, or the variance, before its root.
        mlp: `swiglu` (https://arxiv.org/abs/2002.05202), `relu2` (https://arxiv.org/abs/2109.08668), `gelu`, or
            GPT-2's approximation of it, `gelu_tanh`.
        mlp_ratio: width of the hidden layer over `width`.
        qkv_bias, attention_out_bias, mlp_bias: whether these linear layers have biases.
        position_kind: `rotary`, or `learned`: one vector per position, added to the embedding.
        positions_within: count positions from the start of the `row`, or of each `document`: a document then
            has the same keys and values wherever it lies.
        rope_base: of the rotary angles (https://arxiv.org/abs/2104.09864); others call it `rope_theta`.
        rope_scaling: of rotary angles, for rows longer than the model was first trained on.
        qk_norm: RMSNorm of queries and keys by head (https://arxiv.org/abs/2302.05442): larger learning rates hold.
        short_conv: each block first adds to every token a learned mix of the `short_conv` tokens that end with it
            in its document; 0 for none. One layer can then match "name value" pairs, which plain
            attention needs two for and finds late (https://ssrn.com/abstract=5240330, "Canon layers"). Recall of
            facts stated in linked documents, 2 layers of 96: 0.91 after 1.6 M tokens with 3, 0.48 without.
        embedding_norm: RMSNorm of the embeddings before the first block.
        tied_embeddings: the output layer is the embedding.
        dropout: of each block's two outputs, while training.
        checkpoint_blocks: keep only what goes into each block, and compute it again for the gradient: memory of
            one block instead of all, for a third more time.
        compile: let torch.compile fuse the MLPs. It takes tens of seconds once; whole models of this size gain
            0 to 13 % on a CPU. The model says that it does so.
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
    head_dim: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    vocab_size: int = attrs.field(validator=at_least(1))
    max_seq_len: int = attrs.field(default=2048, validator=at_least(1))
    mask: MaskSpec = attrs.field(factory=MaskSpec)
    attention: Attention = attrs.field(default="auto", validator=one_of(get_args(Attention)))
    norm: NormKind = attrs.field(default="rms", validator=one_of(get_args(NormKind)))
    norm_eps: float = attrs.field(default=1e-6, validator=_is_above_0)
    mlp: MlpKind = attrs.field(default="relu2", validator=one_of(get_args(MlpKind)))
    mlp_ratio: float = attrs.field(default=4.0, validator=_is_above_0)
    qkv_bias: bool = False
    attention_out_bias: bool = False
    mlp_bias: bool = False
    position_kind: PositionKind = attrs.field(default="rotary", validator=one_of(get_args(PositionKind)))
    positions_within: PositionsWithin = attrs.field(default="row", validator=one_of(get_args(PositionsWithin)))
    rope_base: float = attrs.field(default=10_000.0, validator=_is_above_0)
    rope_scaling: RopeScaling = RopeScaling()
    qk_norm: bool = True
    short_conv: int = attrs.field(default=4, validator=at_least(0, "0 is none; 4 is usual."))
    embedding_norm: bool = True
    tied_embeddings: bool = True
    dropout: float = attrs.field(
        default=0.0, validator=satisfies(lambda share: 0 <= share < 1, "at least 0 and below 1", "0 is none.")
    )
    checkpoint_blocks: bool = False
    compile: bool = False
    soft_cap: float | None = attrs.field(
        default=None,
        validator=satisfies(lambda cap: cap is None or cap > 0, "above 0, or None", "None is no cap."),
    )
    init_scale: float = attrs.field(default=0.02, validator=_is_above_0)

    def __attrs_post_init__(self) -> None:
        if self.head_dim is None:
            self._check_that_heads_divide_width()
        elif self.position_kind == "rotary" and self.head_dim % 2:
            raise refusal(
                "DagTransformerConfig.head_dim",
                got=self.head_dim,
                wanted="an even number: rotary positions turn pairs",
                do=f"Take {self.head_dim + 1}, or learned positions.",
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise refusal(
                "DagTransformerConfig.kv_heads",
                got=self.kv_heads,
                wanted=f"a divisor of heads {self.heads}, or None",
                do="Queries share keys in groups of heads / kv_heads.",
            )

    def _check_that_heads_divide_width(self) -> None:
        pair = 2 if self.position_kind == "rotary" else 1
        divisors = [n for n in range(1, self.width + 1) if self.width % n == 0 and self.width // n % pair == 0]
        if self.heads not in divisors:
            raise refusal(
                "DagTransformerConfig.heads",
                got=self.heads,
                wanted=f"width {self.width} over heads a whole {'even ' if pair == 2 else ''}number",
                do=f"These fit: {', '.join(map(str, divisors)) or 'none; choose an even width'}.",
            )

    @property
    def head_size(self) -> int:
        """Components of one head."""
        return self.head_dim or self.width // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values: `kv_heads`, or `heads` where it is None."""
        return self.kv_heads or self.heads

    @property
    def mlp_width(self) -> int:
        """Components of the hidden layer between a block's two matrices."""
        return round(self.width * self.mlp_ratio)
