"""Tiny checkpoints of each family with random weights, made by `transformers` itself, and the logits of both."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from hypothesis import strategies as st

from gptlab.models import DagTransformer
from gptlab.types import Batch

transformers.logging.disable_progress_bar()

CLASSES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
}
VOCAB = 61


def checkpoint(family: str, settings: dict[str, Any], seed: int = 0) -> Any:
    """A model of `transformers`, all of whose parameters are random, biases and norms too."""
    config_class, model_class = CLASSES[family]
    torch.manual_seed(seed)
    model = model_class(config_class(vocab_size=VOCAB, bos_token_id=None, eos_token_id=None, **settings)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = "norm" in name or "ln_" in name
            weight.normal_(1.0 if is_norm and name.endswith("weight") else 0.0, 0.3 if is_norm else 0.15)
    return model


def saved(model: Any, directory: Path, shard: str = "1GB") -> Path:
    model.save_pretrained(directory, max_shard_size=shard)
    return directory


def documents_of(lengths: list[int], seed: int = 0) -> Batch:
    """One row of documents back to back; every field as the packer makes it."""
    total = sum(lengths)
    tokens = np.random.default_rng(seed).integers(0, VOCAB, (1, total)).astype(np.int32)
    documents = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)[None]
    return Batch(
        tokens=tokens,
        targets=np.full_like(tokens, -1),
        documents=documents,
        positions=np.arange(total, dtype=np.int32)[None],
        edges=np.zeros((1, 0, 3), np.int32),
    )


def ours(model: DagTransformer, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        output = next(model.forward(iter([batch])))
    assert output.logits is not None
    return output.logits


def theirs(model: Any, batch: Batch, *, by_document: bool = False, fresh_positions: bool = False) -> torch.Tensor:
    """Logits over the row, or of each document alone, at the positions that it has in the row or from 0."""
    tokens = torch.as_tensor(batch.tokens).long()
    positions = torch.as_tensor(batch.positions).long()
    with torch.no_grad():
        if not by_document:
            return model(tokens, position_ids=positions).logits
        parts = []
        for document in range(int(batch.documents.max()) + 1):
            where = torch.as_tensor(batch.documents[0] == document)
            at = positions[:, where] - (positions[:, where][:, :1] if fresh_positions else 0)
            parts.append(model(tokens[:, where], position_ids=at).logits)
        return torch.cat(parts, dim=1)


@st.composite
def llama_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Small Llamas: grouped heads, head sizes of their own, ties, biases, angles of every kind."""
    kv_heads = draw(st.sampled_from([1, 2]))
    heads = kv_heads * draw(st.sampled_from([1, 2]))
    longest = 64
    scaling = draw(
        st.sampled_from(
            [
                {"rope_type": "default"},
                {"rope_type": "linear", "factor": 2.5},
                {
                    **{"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
                    "original_max_position_embeddings": 16,
                },
            ]
        )
    )
    theta = draw(st.sampled_from([100.0, 10_000.0, 500_000.0]))
    return {
        "hidden_size": 8 * heads,
        "intermediate_size": draw(st.sampled_from([24, 37])),
        "num_hidden_layers": draw(st.integers(1, 2)),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw(st.sampled_from([4, 8, 12])),
        "max_position_embeddings": longest,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-5, 1e-2])),
        "rope_parameters": {**scaling, "rope_theta": theta},
        "attention_bias": draw(st.booleans()),
        "mlp_bias": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
    }


@st.composite
def qwen3_settings(draw: st.DrawFn) -> dict[str, Any]:
    settings = draw(llama_settings())
    del settings["mlp_bias"]
    return {**settings, "hidden_size": draw(st.sampled_from([10, 16]))}


@st.composite
def gpt2_settings(draw: st.DrawFn) -> dict[str, Any]:
    heads = draw(st.sampled_from([1, 2, 3]))
    return {
        "n_embd": heads * draw(st.sampled_from([5, 8])),
        "n_head": heads,
        "n_layer": draw(st.integers(1, 2)),
        "n_positions": 64,
        "n_inner": draw(st.sampled_from([None, 33])),
        "activation_function": draw(st.sampled_from(["gelu_new", "gelu", "gelu_pytorch_tanh"])),
        "layer_norm_epsilon": draw(st.sampled_from([1e-5, 1e-2])),
        "tie_word_embeddings": draw(st.booleans()),
    }


SETTINGS = {"llama": llama_settings(), "qwen3": qwen3_settings(), "gpt2": gpt2_settings()}
any_checkpoint = st.sampled_from(sorted(SETTINGS)).flatmap(
    lambda family: st.tuples(st.just(family), SETTINGS[family], st.integers(0, 99))
)
lengths = st.lists(st.integers(1, 9), min_size=1, max_size=5)
