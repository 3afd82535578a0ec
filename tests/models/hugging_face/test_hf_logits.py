"""Logits agree with `transformers` to 1e-4 in float32, both ways, for each family and every setting that it has."""

import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
import transformers
from checkpoints import CLASSES, SETTINGS, any_checkpoint, checkpoint, documents_of, lengths, ours, saved, theirs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.models.config import RopeScaling
from gptlab.models.hugging_face import family_settings, from_pretrained_dir, save_pretrained_dir

CLOSE = {"atol": 1e-4, "rtol": 0}
SLOW = settings(max_examples=25, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain})  # models are small


@SLOW
@given(any_checkpoint, lengths, st.sampled_from(["1GB", "3KB"]))
def test_what_is_read_computes_the_same(
    made: tuple[str, dict[str, Any], int], lengths: list[int], shard: str
) -> None:
    family, choices, seed = made
    batch = documents_of(lengths, seed)
    model = checkpoint(family, choices, seed)
    with tempfile.TemporaryDirectory() as folder:
        directory = saved(model, Path(folder), shard)
        assert (directory / "model.safetensors.index.json").exists() == (shard == "3KB")
        causal = from_pretrained_dir(directory, mask=MaskSpec("causal"))
        document = from_pretrained_dir(directory, mask=MaskSpec("document"))
        fresh = from_pretrained_dir(directory, mask=MaskSpec("document"), positions_within="document")
    torch.testing.assert_close(ours(causal, batch), theirs(model, batch), **CLOSE)
    torch.testing.assert_close(ours(document, batch), theirs(model, batch, by_document=True), **CLOSE)
    alone = theirs(model, batch, by_document=True, fresh_positions=True)
    torch.testing.assert_close(ours(fresh, batch), alone, **CLOSE)
    assert not causal.network.training


@st.composite
def configs(draw: st.DrawFn) -> DagTransformerConfig:
    """Configurations of ours that a family can hold."""
    family = draw(st.sampled_from(sorted(SETTINGS)))
    shape = family_settings(family)
    heads = draw(st.sampled_from([1, 2, 4]))
    chosen: dict[str, Any] = {
        "layers": draw(st.integers(1, 2)),
        "width": 8 * heads,
        "heads": heads,
        "vocab_size": 61,
        "max_seq_len": 64,
        "mlp_ratio": draw(st.sampled_from([1.0, 2.6, 4.0])),
        "tied_embeddings": family == "gpt2" or draw(st.booleans()),
        "attention": draw(st.sampled_from(["dense", "gathered"])),
        "norm_eps": draw(st.sampled_from([1e-6, 1e-3])),
    }
    if family != "gpt2":
        chosen |= {
            "kv_heads": draw(st.sampled_from([None, 1, heads])),
            "head_dim": draw(st.sampled_from([None, 6])),
            "rope_base": draw(st.sampled_from([500.0, 1e6])),
            "rope_scaling": draw(
                st.sampled_from(
                    [
                        RopeScaling(),
                        RopeScaling(kind="linear", factor=3.0),
                        RopeScaling(kind="llama3", factor=8.0, original_seq_len=20),
                    ]
                )
            ),
        }
        biased = family == "llama" and draw(st.booleans())
        chosen |= {"qkv_bias": biased, "attention_out_bias": biased}
    return DagTransformerConfig(**{**shape, **chosen})


def randomised(cfg: DagTransformerConfig, seed: int) -> DagTransformer:
    """A model none of whose parameters are as they were made: zeros and ones would hide an exchange."""
    model = DagTransformer.instantiate(cfg)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2, generator=generator)
    return model


@SLOW
@given(configs(), lengths, st.integers(0, 99), st.sampled_from([1 << 30, 2000]))
def test_what_is_written_computes_the_same_there_and_comes_back(
    cfg: DagTransformerConfig, lengths: list[int], seed: int, shard: int
) -> None:
    batch = documents_of(lengths, seed)
    model = randomised(attrs.evolve(cfg, mask=MaskSpec("document")), seed)
    with tempfile.TemporaryDirectory() as folder:
        directory = save_pretrained_dir(model, Path(folder) / "model", shard_bytes=shard)
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
        back = from_pretrained_dir(directory, attention=cfg.attention)
        causal = from_pretrained_dir(directory, mask=MaskSpec("causal"))
    assert not any(report.values()), f"{report}"
    # The same shape, though said in whole numbers where ours may be left to a default or a ratio.
    shape = {name: getattr(back.cfg, name) for name in ("kv_heads", "head_dim", "mlp_ratio")}
    assert back.cfg == attrs.evolve(model.cfg, **shape)
    for (name, weight), (_, original) in zip(
        back.network.named_parameters(), model.network.named_parameters(), strict=True
    ):
        assert torch.equal(weight, original), name
    loaded = loaded.eval().float()
    torch.testing.assert_close(theirs(loaded, batch), ours(causal, batch), **CLOSE)
    torch.testing.assert_close(theirs(loaded, batch, by_document=True), ours(model, batch), **CLOSE)


@pytest.mark.parametrize("family", CLASSES)
def test_the_test_can_fail(family: str, tmp_path: Path) -> None:
    """One number changed in any array is seen in the logits."""
    small = {
        "llama": {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2},
        "gpt2": {"n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 64},
    }
    choices = {**small.get(family, {**small["llama"], "num_key_value_heads": 2, "head_dim": 4})}
    model = checkpoint(family, choices)
    batch = documents_of([5, 7])
    before = ours(from_pretrained_dir(saved(model, tmp_path / "whole"), mask=MaskSpec("causal")), batch)
    for number, weight in enumerate(model.parameters()):
        with torch.no_grad():
            weight.mul_(1.5).add_(0.1)
        changed = from_pretrained_dir(saved(model, tmp_path / str(number)), mask=MaskSpec("causal"))
        assert not torch.allclose(ours(changed, batch), before, atol=1e-4)
        before = ours(changed, batch)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_on_disk_is_read_into_float32(dtype: str, tmp_path: Path) -> None:
    cfg = DagTransformerConfig(layers=1, width=16, vocab_size=61, heads=2, **family_settings("qwen3"))
    model = randomised(cfg, 0)
    directory = save_pretrained_dir(model, tmp_path / "model", dtype=dtype)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(directory)
    assert str(loaded.dtype) == f"torch.{dtype}"
    back = from_pretrained_dir(directory, mask=MaskSpec("causal"))
    batch = documents_of([9])
    assert ours(back, batch).dtype == torch.float32
    torch.testing.assert_close(ours(back, batch), theirs(loaded.float(), batch), **CLOSE)
