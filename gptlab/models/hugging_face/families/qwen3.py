"""Qwen3 (dense): Llama with RMSNorm of queries and keys by head.

Source: `transformers/models/qwen3`; https://arxiv.org/abs/2505.09388.
"""

from typing import Any

from gptlab.models.config import DagTransformerConfig
from gptlab.models.hugging_face.families.family import Difference, Family, Settings, unless
from gptlab.models.hugging_face.families.llama import (
    decoder_differences,
    decoder_slots,
    read_decoder,
    write_decoder,
)

_HEAD_DIM = 128
"""Of a configuration that does not say: not `width / heads`, as in Llama."""


def _read(settings: Settings) -> tuple[dict[str, Any], list[Difference]]:
    ours, differences = read_decoder({"head_dim": _HEAD_DIM, "num_key_value_heads": 32, **settings})
    if settings.get("use_sliding_window"):
        differences.append(Difference("use_sliding_window", True, "False"))
    return {**ours, "qk_norm": True, "mlp_bias": False}, differences


def _differs(cfg: DagTransformerConfig) -> list[Difference]:
    return [
        *decoder_differences(cfg),
        *unless(cfg.qk_norm, True, "qk_norm"),
        *unless(cfg.mlp_bias, False, "mlp_bias"),
        # `transformers` has this bias where queries have theirs, vLLM never: such a checkpoint is read, not written.
        *unless(cfg.attention_out_bias, False, "attention_out_bias"),
    ]


QWEN3 = Family(
    name="qwen3",
    architecture="Qwen3ForCausalLM",
    prefix="model.",
    meaningless=("*.rotary_emb.inv_freq",),
    read=_read,
    differs=_differs,
    write=lambda cfg: {**write_decoder(cfg), "use_sliding_window": False, "sliding_window": None},
    slots=decoder_slots,
)
"""As Llama, with normed queries and keys."""
