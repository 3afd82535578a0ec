"""Llama 2 and 3, and the many that are built alike (SmolLM, TinyLlama, Yi, ...).

Source: `transformers/models/llama` (configuration and modeling); Touvron et al., https://arxiv.org/abs/2302.13971.
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


def read_decoder(settings: Settings) -> tuple[dict[str, Any], list[Difference]]:
    """The settings that Llama and those after it share."""
    heads, width = settings["num_attention_heads"], settings["hidden_size"]
    rope, differences = read_rope(settings)
    kinds = set(settings.get("layer_types") or ["full_attention"])
    differences += [
        *common_differences(settings),
        *unless(settings.get("hidden_act", "silu"), ("silu", "swish"), "hidden_act"),
        *unless(kinds == {"full_attention"} or sorted(kinds), True, "layer_types"),
    ]
    attention_bias = bool(settings.get("attention_bias", False))
    return {
        "layers": settings["num_hidden_layers"],
        "width": width,
        "heads": heads,
        "kv_heads": settings.get("num_key_value_heads") or heads,
        "head_dim": settings.get("head_dim") or width // heads,
        "vocab_size": settings["vocab_size"],
        "max_seq_len": settings.get("max_position_embeddings", 2048),
        "norm": "rms",
        "norm_eps": settings.get("rms_norm_eps", 1e-6),
        "mlp": "swiglu",
        "mlp_ratio": settings["intermediate_size"] / width,
        "qkv_bias": attention_bias,
        "attention_out_bias": attention_bias,
        "short_conv": 0,
        "embedding_norm": False,
        "tied_embeddings": bool(settings.get("tie_word_embeddings", False)),
        **rope,
    }, differences


def read_rope(settings: Settings) -> tuple[dict[str, Any], list[Difference]]:
    """Rotary angles: `rope_theta` and `rope_scaling` of old, or `rope_parameters` that hold both."""
    rope = dict(settings.get("rope_scaling") or settings.get("rope_parameters") or {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    base = rope.get("rope_theta") or settings.get("rope_theta") or 10_000.0
    share = rope.get("partial_rotary_factor") or settings.get("partial_rotary_factor") or 1.0
    differences = [
        *unless(kind, ("default", "linear", "llama3"), "rope_type"),
        *unless(float(share), 1.0, "partial_rotary_factor"),
    ]
    scaling = RopeScaling()
    if kind == "linear" and not differences:
        scaling = RopeScaling(kind="linear", factor=float(rope["factor"]))
    elif kind == "llama3" and not differences:
        scaling = RopeScaling(
            kind="llama3",
            factor=float(rope["factor"]),
            low_frequency_factor=float(rope["low_freq_factor"]),
            high_frequency_factor=float(rope["high_freq_factor"]),
            original_seq_len=rope.get("original_max_position_embeddings") or settings["max_position_embeddings"],
        )
    return {"position_kind": "rotary", "rope_base": float(base), "rope_scaling": scaling}, differences


def write_rope(cfg: DagTransformerConfig) -> dict[str, Any]:
    """In both writings, the old and the new: `transformers` 4 and 5 and vLLM read one or the other."""
    scaling = cfg.rope_scaling
    described: dict[str, Any] = {"rope_type": "default" if scaling.kind == "none" else scaling.kind}
    if scaling.kind != "none":
        described["factor"] = scaling.factor
    if scaling.kind == "llama3":
        described |= {
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
            "original_max_position_embeddings": scaling.original_seq_len,
        }
    return {
        "rope_theta": cfg.rope_base,
        "rope_scaling": None if scaling.kind == "none" else described,
        "rope_parameters": {**described, "rope_theta": cfg.rope_base},
    }


def decoder_differences(cfg: DagTransformerConfig) -> list[Difference]:
    """What of ours neither Llama nor Qwen3 can hold."""
    return [
        *unless(cfg.mlp, "swiglu", "mlp"),
        *unless(cfg.norm, "rms", "norm"),
        *unless(cfg.position_kind, "rotary", "position_kind"),
        *unless(cfg.attention_out_bias, cfg.qkv_bias, "attention_out_bias"),
        *plain_only(cfg),
    ]


def write_decoder(cfg: DagTransformerConfig) -> dict[str, Any]:
    """The settings that Llama and those after it share."""
    return {
        "hidden_size": cfg.width,
        "intermediate_size": cfg.mlp_width,
        "num_hidden_layers": cfg.layers,
        "num_attention_heads": cfg.heads,
        "num_key_value_heads": cfg.key_heads,
        "head_dim": cfg.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": cfg.max_seq_len,
        "rms_norm_eps": cfg.norm_eps,
        "attention_bias": cfg.qkv_bias,
        "attention_dropout": 0.0,
        "initializer_range": cfg.init_scale,
        **write_rope(cfg),
    }


def decoder_slots(cfg: DagTransformerConfig) -> Iterator[Slot]:
    """Every array; queries, keys and values lie in one of ours, and so do gate and up."""
    yield Slot(theirs="model.embed_tokens.weight", ours="embedding.weight")
    if not cfg.tied_embeddings:
        yield Slot(theirs="lm_head.weight", ours="unembedding.weight")
    yield Slot(theirs="model.norm.weight", ours="final_norm.weight")
    queries, keys = cfg.heads * cfg.head_size, cfg.key_heads * cfg.head_size
    shares = {"q": (0, queries), "k": (queries, queries + keys), "v": (queries + keys, queries + 2 * keys)}
    hidden = cfg.mlp_width
    for layer in range(cfg.layers):
        theirs, ours = f"model.layers.{layer}", f"blocks.{layer}"
        yield Slot(theirs=f"{theirs}.input_layernorm.weight", ours=f"{ours}.attention_norm.weight")
        yield Slot(theirs=f"{theirs}.post_attention_layernorm.weight", ours=f"{ours}.mlp_norm.weight")
        if cfg.qk_norm:
            yield Slot(theirs=f"{theirs}.self_attn.q_norm.weight", ours=f"{ours}.attention.query_norm.weight")
            yield Slot(theirs=f"{theirs}.self_attn.k_norm.weight", ours=f"{ours}.attention.key_norm.weight")
        for kind in ("weight", "bias") if cfg.qkv_bias else ("weight",):
            for name, rows in shares.items():
                yield Slot(
                    theirs=f"{theirs}.self_attn.{name}_proj.{kind}", ours=f"{ours}.attention.qkv.{kind}", rows=rows
                )
            yield Slot(theirs=f"{theirs}.self_attn.o_proj.{kind}", ours=f"{ours}.attention.project.{kind}")
        for kind in ("weight", "bias") if cfg.mlp_bias else ("weight",):
            yield Slot(theirs=f"{theirs}.mlp.gate_proj.{kind}", ours=f"{ours}.mlp.expand.{kind}", rows=(0, hidden))
            yield Slot(
                theirs=f"{theirs}.mlp.up_proj.{kind}", ours=f"{ours}.mlp.expand.{kind}", rows=(hidden, 2 * hidden)
            )
            yield Slot(theirs=f"{theirs}.mlp.down_proj.{kind}", ours=f"{ours}.mlp.project.{kind}")


def _read(settings: Settings) -> tuple[dict[str, Any], list[Difference]]:
    ours, differences = read_decoder(settings)
    return {**ours, "qk_norm": False, "mlp_bias": bool(settings.get("mlp_bias", False))}, differences


def _differs(cfg: DagTransformerConfig) -> list[Difference]:
    return [
        *decoder_differences(cfg),
        *unless(cfg.qk_norm, False, "qk_norm"),
        # The family's own check, though it has a `head_dim` beside.
        *unless(cfg.width % cfg.heads, 0, "width % heads"),
    ]


LLAMA = Family(
    name="llama",
    architecture="LlamaForCausalLM",
    prefix="model.",
    meaningless=("*.rotary_emb.inv_freq",),
    read=_read,
    differs=_differs,
    write=lambda cfg: {**write_decoder(cfg), "mlp_bias": cfg.mlp_bias},
    slots=decoder_slots,
)
"""RMSNorm, rotary positions, grouped heads, SwiGLU."""
