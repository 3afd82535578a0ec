"""The network: a nanoGPT-sized decoder whose attention is handed to it, made once per batch for all layers.

Who knows nanoGPT's `model.py` is at home: `Attention`, `Mlp`, `Block`, `Transformer`. What differs: RMSNorm for
LayerNorm, rotary positions for learned ones, RMSNorm of queries and keys, squared ReLU or SwiGLU for GELU, no biases,
and zeros where a block writes to the residual stream.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gptlab.models.attention import Attend, dense_attention
from gptlab.models.config import DagTransformerConfig
from gptlab.models.gathered import gathered_attention

LARGEST_LOGITS = 2**27
"""Numbers of one batch's logits (512 MiB in float32) above which training makes them in parts. A transformer of 124 M
parameters has 50 thousand tokens: 2,600 tokens in a batch are enough to get there."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, each `[batch 1 seq size/2]`."""


class Attention(nn.Module):
    """Queries, keys and values by head; what is seen is the business of `attend`."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = cfg.heads, cfg.key_heads, cfg.head_size
        self.qkv = nn.Linear(cfg.width, (cfg.heads + 2 * cfg.key_heads) * cfg.head_size, bias=False)
        self.project = nn.Linear(cfg.width, cfg.width, bias=False)
        self.query_norm: nn.Module = nn.RMSNorm(cfg.head_size) if cfg.qk_norm else nn.Identity()
        self.key_norm: nn.Module = nn.RMSNorm(cfg.head_size) if cfg.qk_norm else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch seq width"], rotation: Rotation, attend: Attend
    ) -> Float[Tensor, "batch seq width"]:
        """What each token gathers from those that `attend` lets it see."""
        batch, seq, width = x.shape
        by_head = self.qkv(x).view(batch, seq, -1, self.size).transpose(1, 2)
        queries, keys, values = by_head.split([self.heads, self.key_heads, self.key_heads], dim=1)
        queries, keys = rotate(self.query_norm(queries), rotation), rotate(self.key_norm(keys), rotation)
        mixed = attend(queries, keys, values)
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, seq, width))
        return out


class Mlp(nn.Module):
    """Two layers, token by token: squared ReLU, or SwiGLU where a gate multiplies."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        hidden = int(cfg.width * cfg.mlp_ratio)
        self.is_gated = cfg.mlp == "swiglu"
        self.expand = nn.Linear(cfg.width, hidden * (2 if self.is_gated else 1), bias=False)
        self.project = nn.Linear(hidden, cfg.width, bias=False)

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        """Each token by itself."""
        x = self.expand(x)
        if self.is_gated:
            gate, x = x.chunk(2, dim=-1)
            x = functional.silu(gate) * x
        else:
            x = functional.relu(x).square()
        out: Tensor = self.project(x)
        return out


class ShortConv(nn.Module):
    """To each token a learned mix, channel by channel, of the tokens just before it in its document, and itself."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(taps, 1, width))  # three axes: no matrix, for optimisers that ask

    def forward(
        self, x: Float[Tensor, "batch seq width"], documents: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq width"]:
        """Each token with a learned share of those before it in its document."""
        out = x + x * self.weight[0]
        for back in range(1, min(len(self.weight), x.shape[1])):
            is_same = (documents[:, back:] == documents[:, :-back]).unsqueeze(-1)
            out = out + functional.pad(x[:, :-back] * is_same, (0, 0, back, 0)) * self.weight[back]
        return out


class Block(nn.Module):
    """Attention and MLP, each reading the normed residual stream and adding to it."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.conv = ShortConv(cfg.width, cfg.short_conv) if cfg.short_conv else None
        self.attention_norm = nn.RMSNorm(cfg.width)
        self.attention = Attention(cfg)
        self.mlp_norm = nn.RMSNorm(cfg.width)
        self.mlp = Mlp(cfg)
        self.dropout = nn.Dropout(cfg.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        documents: Int[Tensor, "batch seq"],
        rotation: Rotation,
        attend: Attend,
    ) -> Float[Tensor, "batch seq width"]:
        """Mix along the document, attend, and think; each adds to the stream."""
        normed = self.attention_norm(x)
        if self.conv is not None:
            normed = self.conv(normed, documents)
        x = x + self.dropout(self.attention(normed, rotation, attend))
        out: Tensor = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return out


class Transformer(nn.Module):
    """Embedding, blocks, logits."""

    def __init__(self, cfg: DagTransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embedding = nn.Embedding(cfg.vocab_size, cfg.width)
        self.embedding_norm: nn.Module = nn.RMSNorm(cfg.width) if cfg.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.layers))
        self.final_norm = nn.RMSNorm(cfg.width)
        self.unembedding = nn.Linear(cfg.width, cfg.vocab_size, bias=False)
        if cfg.tied_embeddings:
            self.unembedding.weight = self.embedding.weight

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"],
        documents: Int[Tensor, "batch seq"],
        positions: Int[Tensor, "batch seq"],
        edges: Int[Tensor, "batch edges 3"],
        targets: Int[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq vocab"] | None, Float[Tensor, "batch seq"] | None]:
        """Logits for the token after each, and the cross-entropy at each where targets are given.

        Args:
            tokens, documents, positions, edges, targets: the fields of `Batch`.

        Returns:
            No logits in training mode above `LARGEST_LOGITS`: they are made and used in parts.
        """
        make_attention = gathered_attention if self.cfg.attention == "gathered" else dense_attention
        attend = make_attention(documents, edges, self.cfg.mask)
        rotation = rotary_angles(positions, self.cfg.head_size, self.cfg.rope_base)
        x = self.embedding_norm(self.embedding(tokens))
        for block in self.blocks:
            x = block(x, documents, rotation, attend)
        x = self.final_norm(x)
        if targets is not None and self.training and tokens.numel() * self.cfg.vocab_size > LARGEST_LOGITS:
            return None, self._losses_in_parts(x, targets)
        logits = self._logits(x)
        return logits, None if targets is None else token_losses(logits, targets)

    def _logits(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq vocab"]:
        logits: Tensor = self.unembedding(x)
        if self.cfg.soft_cap is not None:
            logits = self.cfg.soft_cap * torch.tanh(logits / self.cfg.soft_cap)
        return logits

    def _losses_in_parts(
        self, x: Float[Tensor, "batch seq width"], targets: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq"]:
        """Losses of a few tokens at a time; their logits are thrown away and made again for the gradient."""

        def losses_of(part: Tensor, wanted: Tensor) -> Tensor:
            return token_losses(self._logits(part), wanted)

        size = max(1, LARGEST_LOGITS // self.cfg.vocab_size)
        parts = (torch.split(whole[None], size, dim=1) for whole in (x.flatten(0, 1), targets.flatten()))
        losses = [checkpoint(losses_of, *pair, use_reentrant=False) for pair in zip(*parts, strict=True)]
        return torch.cat(losses, dim=1).view(targets.shape)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight from `generator`; see `DagTransformerConfig.init_scale` for the scheme."""
        for name, weight in self.named_parameters():
            if name.endswith("norm.weight"):
                weight.fill_(1.0)
            elif name.endswith(("project.weight", "conv.weight")):
                weight.zero_()
            else:
                is_embedding = name in ("embedding.weight", "unembedding.weight")
                scale = self.cfg.init_scale if is_embedding else 1 / math.sqrt(weight.shape[1])
                weight.normal_(0.0, scale, generator=generator)


def rotary_angles(positions: Int[Tensor, "batch seq"], size: int, base: float) -> Rotation:
    """Cosine and sine of each position's angles, which all layers share. In float32: bf16 has 8 bits, not enough."""
    frequencies = base ** (-torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    angles = positions[:, None, :, None].float() * frequencies
    return angles.cos(), angles.sin()


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
