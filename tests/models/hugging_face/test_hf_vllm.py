"""What vLLM's loaders make of what we write, by the rules in its source: it has no build for a machine without GPU.

Source: `vllm/model_executor/models/{llama,qwen3,gpt2}.py`: which parameters each class has, how the names of a
checkpoint are mapped to them (q, k, v and gate, up are stacked), what is passed over, and which settings are read.
"""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.hugging_face import family_settings, save_pretrained_dir

STACKED = {
    ".q_proj": ".qkv_proj",
    ".k_proj": ".qkv_proj",
    ".v_proj": ".qkv_proj",
    ".gate_proj": ".gate_up_proj",
    ".up_proj": ".gate_up_proj",
}


def stacked(name: str) -> str:
    for part, whole in STACKED.items():
        name = name.replace(part, whole)
    return name


def decoder_parameters(config: dict, *, qk_norm: bool) -> set[str]:
    """The parameters of vLLM's Llama and Qwen3 classes."""
    kinds = ["weight", "bias"] if config["attention_bias"] else ["weight"]
    names = {"model.embed_tokens.weight", "model.norm.weight"}
    names |= set() if config["tie_word_embeddings"] else {"lm_head.weight"}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}"
        names |= {f"{start}.input_layernorm.weight", f"{start}.post_attention_layernorm.weight"}
        names |= {f"{start}.self_attn.qkv_proj.{kind}" for kind in kinds}
        # Qwen3's output projection never has a bias there.
        names |= {f"{start}.self_attn.o_proj.{kind}" for kind in (["weight"] if qk_norm else kinds)}
        mlp_kinds = ["weight", "bias"] if config.get("mlp_bias") else ["weight"]
        names |= {f"{start}.mlp.{part}.{kind}" for part in ("gate_up_proj", "down_proj") for kind in mlp_kinds}
        if qk_norm:
            names |= {f"{start}.self_attn.{part}_norm.weight" for part in "qk"}
    return names


def gpt2_parameters(config: dict) -> set[str]:
    names = {"transformer.wte.weight", "transformer.wpe.weight"}
    for layer in range(config["n_layer"]):
        for part in ("ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            names |= {f"transformer.h.{layer}.{part}.{kind}" for kind in ("weight", "bias")}
    return names | {f"transformer.ln_f.{kind}" for kind in ("weight", "bias")}


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("variant", ["plain", "tied", "biased"])
def test_every_parameter_has_its_arrays_and_every_array_a_parameter(
    family: str, variant: str, tmp_path: Path
) -> None:
    biased = variant == "biased" and family == "llama"
    cfg = DagTransformerConfig(
        **{
            **family_settings(family),
            **{"layers": 2, "width": 16, "heads": 2, "vocab_size": 30},
            "tied_embeddings": family == "gpt2" or variant == "tied",
            **({"qkv_bias": True, "attention_out_bias": True, "mlp_bias": True} if biased else {}),
        }
    )
    directory = save_pretrained_dir(DagTransformer.instantiate(cfg), tmp_path / "model")
    config = json.loads((directory / "config.json").read_text())
    with safe_open(directory / "model.safetensors", framework="np") as file:
        names = {stacked(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if family == "gpt2":
        assert names == gpt2_parameters(config)
        assert not (config["add_cross_attention"] or config["scale_attn_by_inverse_layer_idx"])
        assert config["activation_function"] in ("gelu", "gelu_new")
    else:
        assert names == decoder_parameters(config, qk_norm=family == "qwen3")
        assert config["hidden_act"] == "silu"
        assert {"rope_theta", "rope_scaling", "rope_parameters", "rms_norm_eps", "head_dim"} <= config.keys()
    assert config["architectures"] == [
        {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM", "gpt2": "GPT2LMHeadModel"}[family]
    ]
