"""The peers of `measure.py`: each a function of (tokens, targets) to a loss, and its parameters.

14 million parameters each: 6 layers of width 384, 6 heads of 64, 8,192 tokens, embedding and head tied.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, VOCAB = 6, 384, 6, 8192
Loss = Callable[[Tensor, Tensor], Tensor]


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """As nanoGPT has it."""
    return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1), ignore_index=-1)


class NanoBlock(nn.Module):
    """nanoGPT's block: LayerNorm, one linear layer for queries, keys and values, SDPA, GELU; no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.expand, self.contract = (
            nn.Linear(a, b, bias=False) for a, b in ((WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then think."""
        batch, seq, _ = x.shape
        q, k, v = (
            part.view(batch, seq, HEADS, -1).transpose(1, 2)
            for part in self.qkv(self.first_norm(x)).split(WIDTH, dim=2)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).contiguous().view(batch, seq, WIDTH))
        return x + self.contract(functional.gelu(self.expand(self.second_norm(x))))


class Nano(nn.Module):
    """A nanoGPT-style model, written for this comparison after its `model.py`."""

    def __init__(self, seq_len: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCAB, WIDTH), nn.Embedding(seq_len, WIDTH)
        self.blocks = nn.ModuleList(NanoBlock() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def nano(seq_len: int) -> tuple[Loss, nn.Module]:
    """A nanoGPT-style model."""
    network = Nano(seq_len)
    return lambda tokens, targets: next_token_loss(network(tokens), targets), network


def transformers_llama(seq_len: int) -> tuple[Loss, nn.Module]:
    """transformers' Llama, SDPA."""
    from transformers import LlamaConfig, LlamaForCausalLM

    cfg = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=WIDTH * 8 // 3,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=seq_len,
        tie_word_embeddings=True,
        use_cache=False,
    )
    network = LlamaForCausalLM(cfg)
    return lambda tokens, targets: next_token_loss(network(tokens).logits, targets), network


def transformers_gpt2(seq_len: int) -> tuple[Loss, nn.Module]:
    """transformers' GPT-2, SDPA, without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    cfg = GPT2Config(
        vocab_size=VOCAB,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=seq_len,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    network = GPT2LMHeadModel(cfg)
    return lambda tokens, targets: next_token_loss(network(tokens).logits, targets), network


def _litgpt(seq_len: int, **shape: object) -> tuple[Loss, nn.Module]:
    from litgpt import GPT, Config

    network = GPT(
        Config(
            block_size=seq_len,
            vocab_size=VOCAB,
            padded_vocab_size=VOCAB,
            n_layer=LAYERS,
            n_head=HEADS,
            n_embd=WIDTH,
            **shape,
        )
    )
    network.lm_head.weight = network.transformer.wte.weight
    return lambda tokens, targets: next_token_loss(network(tokens), targets), network


def litgpt_pythia(seq_len: int) -> tuple[Loss, nn.Module]:
    """litgpt's Pythia: parallel residual, a quarter of the components rotary, biases."""
    return _litgpt(seq_len, rotary_percentage=0.25, parallel_residual=True, intermediate_size=4 * WIDTH)


def litgpt_llama(seq_len: int) -> tuple[Loss, nn.Module]:
    """litgpt's Llama."""
    return _litgpt(
        seq_len,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        intermediate_size=WIDTH * 8 // 3,
    )


PEERS = {
    "nanoGPT style": nano,
    "litgpt Pythia": litgpt_pythia,
    "litgpt Llama": litgpt_llama,
    "transformers Llama": transformers_llama,
    "transformers GPT-2": transformers_gpt2,
}
