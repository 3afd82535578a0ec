"""The network: a nanoGPT-sized decoder whose attention is handed to it, made once per batch for all layers.

Who knows nanoGPT's `model.py` is at home: `Attention`, `Mlp`, `Block`, `Transformer` stand in its order. `wte` is
`embedding`, `h` is `blocks`, `ln_f` is `final_norm`, `lm_head` is `unembedding`; `c_attn` is `qkv`, `c_fc` is
`expand`, and `c_proj` is `project`. What differs by default: RMSNorm for LayerNorm, rotary positions for learned
ones, RMSNorm of queries and keys, squared ReLU for GELU, a short convolution before attention, no biases, and zeros
where a block writes to the residual stream. Operations with gradients of their own are in `gptlab.models.by_hand`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gptlab.models.attention import Attend
from gptlab.models.by_hand import (
    RmsNorm,
    Rotation,
    crossings,
    linear_losses,
    relu_squared,
    short_conv,
    split_heads,
)
from gptlab.models.config import DagTransformerConfig, RopeScaling
from gptlab.models.kernels import kernel_for
from gptlab.models.onednn import Linear

LARGEST_LOGITS = 2**27
"""Numbers of one batch's logits (512 MiB in float32) above which training makes them in parts. A transformer of 124 M
parameters has 50 thousand tokens: 2,600 tokens in a batch are enough to get there."""


class Attention(nn.Module):
    """Queries, keys and values by head; what is seen is the business of `attend`."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = cfg.heads, cfg.key_heads, cfg.head_size
        all_heads = cfg.heads + 2 * cfg.key_heads  # those of queries first, then of keys, then of values
        self.qkv = Linear(cfg.width, all_heads * cfg.head_size, bias=cfg.qkv_bias)
        self.project = Linear(cfg.heads * cfg.head_size, cfg.width, bias=cfg.attention_out_bias)
        self.query_norm = nn.RMSNorm(cfg.head_size, cfg.norm_eps) if cfg.qk_norm else None
        self.key_norm = nn.RMSNorm(cfg.head_size, cfg.norm_eps) if cfg.qk_norm else None

    def forward(
        self, x: Float[Tensor, "batch seq width"], rotation: Rotation | None, attend: Attend
    ) -> Float[Tensor, "batch seq width"]:
        """What each token gathers from those that `attend` lets it see."""
        batch, seq, _ = x.shape
        qkv = self.qkv(x).view(batch, seq, -1, self.size)
        norms = None if self.query_norm is None or self.key_norm is None else (self.query_norm, self.key_norm)
        queries, keys, values = split_heads(qkv, norms, rotation, self.heads, self.key_heads)
        mixed = attend(queries, keys, values)
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, seq, -1))
        return out


class Mlp(nn.Module):
    """Two layers, token by token, and between them what is not linear; in SwiGLU a gate multiplies."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.kind = cfg.mlp
        gated = 2 if cfg.mlp == "swiglu" else 1  # the gate's rows first
        self.expand = Linear(cfg.width, cfg.mlp_width * gated, bias=cfg.mlp_bias)
        self.project = Linear(cfg.mlp_width, cfg.width, bias=cfg.mlp_bias)

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        """Each token by itself."""
        x = self.expand(x)
        if self.kind == "swiglu":
            gate, x = x.chunk(2, dim=-1)
            x = functional.silu(gate) * x
        elif self.kind == "relu2":
            x = relu_squared(x)
        else:
            x = functional.gelu(x, approximate="tanh" if self.kind == "gelu_tanh" else "none")
        out: Tensor = self.project(x)
        return out


class ShortConv(nn.Module):
    """To each token a learned mix, channel by channel, of the tokens just before it in its document, and itself."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(taps, 1, width))  # three axes: no matrix, for optimisers that ask

    def forward(
        self, x: Float[Tensor, "batch seq width"], crossing: list[Int[Tensor, "_"]]
    ) -> Float[Tensor, "batch seq width"]:
        """Each token with a learned share of those before it in its document."""
        return short_conv(x, self.weight, crossing)


class Block(nn.Module):
    """Attention and MLP, each reading the normed residual stream and adding to it."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.conv = ShortConv(cfg.width, cfg.short_conv) if cfg.short_conv else None
        self.attention_norm = norm(cfg)
        self.attention = Attention(cfg)
        self.mlp_norm = norm(cfg)
        self.mlp = Mlp(cfg)
        self.dropout = nn.Dropout(cfg.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        crossing: list[Int[Tensor, "_"]],
        rotation: Rotation | None,
        attend: Attend,
    ) -> Float[Tensor, "batch seq width"]:
        """Mix along the document, attend, and think; each adds to the stream."""
        normed = self.attention_norm(x)
        if self.conv is not None:
            normed = self.conv(normed, crossing)
        x = x + self.dropout(self.attention(normed, rotation, attend))
        out: Tensor = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return out


def norm(cfg: DagTransformerConfig) -> nn.Module:
    """The normalisation of the residual stream."""
    kind = RmsNorm if cfg.norm == "rms" else nn.LayerNorm
    return kind(cfg.width, eps=cfg.norm_eps)


class Transformer(nn.Module):
    """Embedding, blocks, logits."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embedding = nn.Embedding(cfg.vocab_size, cfg.width)
        learned = cfg.position_kind == "learned"
        self.position_embedding = nn.Embedding(cfg.max_seq_len, cfg.width) if learned else None
        self.embedding_norm: nn.Module = norm(cfg) if cfg.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.layers))
        self.final_norm = norm(cfg)
        self.unembedding = Linear(cfg.width, cfg.vocab_size, bias=False)
        if cfg.tied_embeddings:
            self.unembedding.weight = self.embedding.weight

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"],
        documents: Int[Tensor, "batch seq"],
        positions: Int[Tensor, "batch seq"],
        edges: Int[Tensor, "batch edges 3"],
        targets: Int[Tensor, "batch seq"] | None = None,
        *,
        with_log_sums: bool = False,
    ) -> tuple[
        Float[Tensor, "batch seq vocab"] | None, Float[Tensor, "batch seq"] | None, Float[Tensor, "batch seq"] | None
    ]:
        """Logits for the token after each, and the cross-entropy at each where targets are given.

        Args:
            tokens, documents, positions, edges, targets: the fields of `Batch`.
            with_log_sums: give, beside the losses, the logarithm of the softmax's sum at each token with a target.

        Returns:
            No logits in training mode with targets: the largest array of a step, and nobody reads it.
        """
        # Three things are made here once, for all blocks: attention under this batch's mask, where the short
        # convolution must not look back across, and the angles of rotary positions.
        attend = kernel_for(self.cfg.attention, tokens.device)(documents, edges, self.cfg.mask)
        crossing = crossings(documents, self.cfg.short_conv - 1)
        if self.cfg.positions_within == "document":
            positions = positions_in_documents(documents)
        x, rotation = self.embedding(tokens), None
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions.clamp(min=0))
        else:
            rotation = rotary_angles(positions, self.cfg.head_size, self.cfg.rope_base, self.cfg.rope_scaling)
        x = self.embedding_norm(x)
        for block in self.blocks:
            if self.cfg.checkpoint_blocks and self.training:
                x = checkpoint(block, x, crossing, rotation, attend, use_reentrant=False)
            else:
                x = block(x, crossing, rotation, attend)
        x = self.final_norm(x)
        logits = self.logits(x) if targets is None or not self.training else None
        if targets is None:
            return logits, None, None
        losses = self._losses(x, targets) if logits is None else token_losses(logits, targets)
        return logits, losses, losses + self._target_logits(x, targets) if with_log_sums else None

    def _target_logits(
        self, x: Float[Tensor, "batch seq width"], targets: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq"]:
        """The logit of each target alone: added to its loss it is the logarithm of the softmax's sum."""
        logits = (x * functional.embedding(targets.clamp(min=0), self.unembedding.weight)).sum(dim=-1).float()
        cap = self.cfg.soft_cap
        return (logits if cap is None else cap * torch.tanh(logits / cap)) * (targets >= 0)

    def logits(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq vocab"]:
        """Of the token after each, from the residual stream after the final norm."""
        logits: Tensor = self.unembedding(x)
        if self.cfg.soft_cap is not None:
            logits = self.cfg.soft_cap * torch.tanh(logits / self.cfg.soft_cap)
        return logits

    def _losses(
        self, x: Float[Tensor, "batch seq width"], targets: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq"]:
        """Losses alone. Above `LARGEST_LOGITS`, logits of a few tokens at a time, made again for the gradient."""
        flat, wanted = x.flatten(0, 1), targets.flatten()
        if self.cfg.soft_cap is None:
            losses = linear_losses(flat, self.unembedding.weight, wanted, LARGEST_LOGITS)
            return losses.view(targets.shape)

        def losses_of(part: Tensor, wanted: Tensor) -> Tensor:
            return token_losses(self.logits(part), wanted)

        size = max(1, LARGEST_LOGITS // self.cfg.vocab_size)
        parts = zip(torch.split(flat[None], size, 1), torch.split(wanted[None], size, 1), strict=True)
        losses = torch.cat([checkpoint(losses_of, *pair, use_reentrant=False) for pair in parts], dim=1)
        return losses.view(targets.shape)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight from `generator`; see `DagTransformerConfig.init_scale` for the scheme."""
        for name, weight in self.named_parameters():
            if name.endswith("norm.weight"):
                weight.fill_(1.0)
            elif name.endswith(("project.weight", "conv.weight", "bias")):
                weight.zero_()
            else:
                is_embedding = name.split(".")[0].endswith("embedding")
                scale = self.cfg.init_scale if is_embedding else 1 / math.sqrt(weight.shape[1])
                weight.normal_(0.0, scale, generator=generator)


def positions_in_documents(documents: Int[Tensor, "batch seq"]) -> Int[Tensor, "batch seq"]:
    """Each token's index within its document, from the field that the mask is made of; -1 for padding.

    >>> positions_in_documents(torch.tensor([[0, 0, 0, 1, 1, -1]]))
    tensor([[ 0,  1,  2,  0,  1, -1]])
    """
    index = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    is_first = torch.ones_like(documents, dtype=torch.bool)
    is_first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return torch.where(documents >= 0, index - (index * is_first).cummax(dim=1).values, -1)


def rotary_angles(
    positions: Int[Tensor, "batch seq"], size: int, base: float, scaling: RopeScaling = RopeScaling()
) -> Rotation:
    """Cosine and sine of each position's angles, which all layers share. In float32: bf16 has 8 bits, not enough."""
    steps = torch.arange(0, size, 2, device=positions.device, dtype=torch.float32)
    frequencies = scaled_frequencies(base ** (-steps / size), scaling)
    angles = positions[:, None, :, None].float() * frequencies
    return angles.cos(), angles.sin()


def scaled_frequencies(frequencies: Float[Tensor, "half"], scaling: RopeScaling) -> Float[Tensor, "half"]:
    """Angles per token, slowed down as `scaling` says.

    >>> scaled_frequencies(torch.tensor([1.0, 0.5]), RopeScaling(kind="linear", factor=2.0))
    tensor([0.5000, 0.2500])
    """
    if scaling.kind == "none":
        return frequencies
    slowed = frequencies / scaling.factor
    if scaling.kind == "linear":
        return slowed
    turns = scaling.original_seq_len * frequencies / (2 * math.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * frequencies + (1 - kept) * slowed


def rotate(x: Float[Tensor, "batch heads seq size"], rotation: Rotation) -> Float[Tensor, "batch heads seq size"]:
    """Turn the pairs (i, i + size/2) of each head by its position's angles."""
    cosine, sine = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1).type_as(x)


def token_losses(
    logits: Float[Tensor, "batch seq vocab"], targets: Int[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq"]:
    """Cross-entropy at each token in nats; 0 where the target is -1.

    >>> token_losses(torch.zeros(1, 2, 4), torch.tensor([[3, -1]]))
    tensor([[1.3863, 0.0000]])
    """
    flat = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten().long(), ignore_index=-1, reduction="none"
    )
    return flat.view(targets.shape)
