"""GPT-2, and what nanoGPT writes: LayerNorm, learned positions, GELU, biases, matrices with their inputs first.

Source: `transformers/models/gpt2`; Radford et al. 2019.
"""

from collections.abc import Iterator
from typing import Any

from gptlab.models.config import DagTransformerConfig, RopeScaling
from gptlab.models.hugging_face.families.family import (
    Difference,
    Family,
    Settings,
    Slot,
    common_differences,
    plain_only,
    unless,
)

_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}
_NEUTRAL = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def _read(settings: Settings) -> tuple[dict[str, Any], list[Difference]]:
    activation = settings.get("activation_function", "gelu_new")
    width = settings["n_embd"]
    differences = [
        *common_differences(settings),
        *unless(activation, tuple(_ACTIVATIONS), "activation_function"),
        *(each for name, value in _NEUTRAL.items() for each in unless(settings.get(name, value), value, name)),
    ]
    return {
        "layers": settings["n_layer"],
        "width": width,
        "heads": settings["n_head"],
        "vocab_size": settings["vocab_size"],
        "max_seq_len": settings.get("n_positions", 1024),
        "norm": "layer",
        "norm_eps": settings.get("layer_norm_epsilon", 1e-5),
        "mlp": _ACTIVATIONS.get(activation, "gelu_tanh"),
        "mlp_ratio": (settings.get("n_inner") or 4 * width) / width,
        "qkv_bias": True,
        "attention_out_bias": True,
        "mlp_bias": True,
        "position_kind": "learned",
        "qk_norm": False,
        "short_conv": 0,
        "embedding_norm": False,
        "tied_embeddings": bool(settings.get("tie_word_embeddings", True)),
    }, differences


def _differs(cfg: DagTransformerConfig) -> list[Difference]:
    return [
        *unless(cfg.mlp, ("gelu_tanh", "gelu"), "mlp"),
        *unless(cfg.norm, "layer", "norm"),
        *unless(cfg.position_kind, "learned", "position_kind"),
        *(
            each
            for name in ("qkv_bias", "attention_out_bias", "mlp_bias")
            for each in unless(getattr(cfg, name), True, name)
        ),
        *unless(cfg.qk_norm, False, "qk_norm"),
        *unless(cfg.key_heads, cfg.heads, "kv_heads"),
        *unless(cfg.head_size * cfg.heads, cfg.width, "heads * head_dim"),
        *unless(cfg.rope_scaling, RopeScaling(), "rope_scaling"),
        # vLLM takes the embedding for the output layer of a GPT-2, whatever the checkpoint says: it would be another.
        *unless(cfg.tied_embeddings, True, "tied_embeddings"),
        *plain_only(cfg),
    ]


def _write(cfg: DagTransformerConfig) -> dict[str, Any]:
    return {
        "n_embd": cfg.width,
        "n_layer": cfg.layers,
        "n_head": cfg.heads,
        "n_inner": cfg.mlp_width,
        "n_positions": cfg.max_seq_len,
        "n_ctx": cfg.max_seq_len,
        "activation_function": "gelu_new" if cfg.mlp == "gelu_tanh" else "gelu",
        "layer_norm_epsilon": cfg.norm_eps,
        "resid_pdrop": cfg.dropout,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": cfg.init_scale,
        **_NEUTRAL,
    }


def _slots(cfg: DagTransformerConfig) -> Iterator[Slot]:
    yield Slot(theirs="transformer.wte.weight", ours="embedding.weight")
    if not cfg.tied_embeddings:
        yield Slot(theirs="lm_head.weight", ours="unembedding.weight")
    yield Slot(theirs="transformer.wpe.weight", ours="position_embedding.weight")
    norms = [("transformer.ln_f", "final_norm")]
    for layer in range(cfg.layers):
        theirs, ours = f"transformer.h.{layer}", f"blocks.{layer}"
        norms += [(f"{theirs}.ln_1", f"{ours}.attention_norm"), (f"{theirs}.ln_2", f"{ours}.mlp_norm")]
        for name, matrix in {
            "attn.c_attn": "attention.qkv",
            "attn.c_proj": "attention.project",
            "mlp.c_fc": "mlp.expand",
            "mlp.c_proj": "mlp.project",
        }.items():
            yield Slot(theirs=f"{theirs}.{name}.weight", ours=f"{ours}.{matrix}.weight", transposed=True)
            yield Slot(theirs=f"{theirs}.{name}.bias", ours=f"{ours}.{matrix}.bias")
    for name, norm in norms:
        yield Slot(theirs=f"{name}.weight", ours=f"{norm}.weight")
        yield Slot(theirs=f"{name}.bias", ours=f"{norm}.bias")


GPT2 = Family(
    name="gpt2",
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
    meaningless=("*.attn.bias", "*.attn.masked_bias"),
    read=_read,
    differs=_differs,
    write=_write,
    slots=_slots,
)
"""LayerNorm, learned positions, GELU, biases everywhere."""
