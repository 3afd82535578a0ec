"""What cannot be held is refused with the list of everything that is in the way, before anything is allocated."""

import json
import struct
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from checkpoints import checkpoint, documents_of, ours, saved
from safetensors.torch import load_file, save_file

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.models.config import RopeScaling
from gptlab.models.hugging_face import family_settings, from_pretrained_dir, save_pretrained_dir

LLAMA = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
QWEN = {**LLAMA, "num_key_value_heads": 2, "head_dim": 8}
GPT2 = {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 64}
SMALL = {"llama": LLAMA, "qwen3": QWEN, "gpt2": GPT2}


def directory_of(family: str, tmp_path: Path, **changes: Any) -> Path:
    """A checkpoint whose config.json says something else afterwards."""
    directory = saved(checkpoint(family, SMALL[family]), tmp_path / family)
    return changed(directory, **changes)


def changed(directory: Path, **changes: Any) -> Path:
    path = directory / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in config.items() if value != "absent"}))
    return directory


CANNOT_BE_READ = [
    ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_type = yarn"),
    ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type = dynamic"),
    ("llama", {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "rope_type = longrope"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
    ("llama", {"hidden_act": "relu"}, "hidden_act = relu"),
    ("llama", {"num_local_experts": 8}, "num_local_experts = 8"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4}"),
    ("llama", {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map = "),
    ("llama", {"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30.0"),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8}, "use_sliding_window = True"),
    ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types = ['full_attention', 'sliding"),
    ("gpt2", {"activation_function": "relu"}, "activation_function = relu"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx = True"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights = False"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention = True"),
]


@pytest.mark.parametrize(("family", "changes", "got"), CANNOT_BE_READ)
def test_settings_that_compute_something_else(family: str, changes: dict[str, Any], got: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as raised:
        from_pretrained_dir(directory_of(family, tmp_path, **changes))
    assert got in str(raised.value)
    assert f"This {family} checkpoint computes what a DagTransformer does not" in str(raised.value)


def test_everything_that_differs_is_listed(tmp_path: Path) -> None:
    directory = directory_of("llama", tmp_path, hidden_act="gelu", num_experts=4, rope_scaling={"type": "yarn"})
    with pytest.raises(ValueError) as raised:
        from_pretrained_dir(directory)
    assert str(raised.value) == (
        f"{directory / 'config.json'}\n"
        "  got     rope_type = yarn; num_experts = 4; hidden_act = gelu\n"
        "  wanted  rope_type = default or linear or llama3; num_experts = none; hidden_act = silu or swish\n"
        "  This llama checkpoint computes what a DagTransformer does not; choose another."
    )


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba'"),
        ({"model_type": "absent"}, "model_type None"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "architectures ['LlamaForSequenceClassification']"),
        ({"hidden_size": "absent"}, "no setting 'hidden_size'"),
        ({"hidden_size": 0}, "settings that do not fit together (division by zero)"),
        ({"intermediate_size": "many"}, "settings that do not fit together"),
        ({"num_hidden_layers": 2.5}, "2.5"),
        ({"gptlab": {"mask": "os.system"}}, "gptlab = {'mask': 'os.system'}"),
        ({"gptlab": {"mask": {"class": "os.system"}, "positions_within": "row"}}, "os.system"),
    ],
)
def test_a_configuration_of_another_kind(changes: dict[str, Any], got: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as raised:
        from_pretrained_dir(directory_of("llama", tmp_path, **changes))
    assert got in str(raised.value) and "\n  wanted  " in str(raised.value)


def test_settings_that_the_weights_fix_are_not_chosen(tmp_path: Path) -> None:
    directory = directory_of("gpt2", tmp_path)
    with pytest.raises(ValueError, match="got     layers, max_seq_len, wdith"):
        from_pretrained_dir(directory, layers=3, max_seq_len=9, wdith=2)
    longer = from_pretrained_dir(directory_of("llama", tmp_path), max_seq_len=4096, dropout=0.1)
    assert (longer.cfg.max_seq_len, longer.cfg.dropout) == (4096, 0.1)


# Arrays.


def test_arrays_beyond_and_arrays_that_lack_are_listed(tmp_path: Path) -> None:
    directory = directory_of("llama", tmp_path)
    arrays = load_file(directory / "model.safetensors")
    del arrays["model.layers.1.mlp.up_proj.weight"]
    arrays["model.layers.0.adapter.weight"] = torch.zeros(2)
    save_file(arrays, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError) as raised:
        from_pretrained_dir(directory)
    assert (
        "got     arrays beyond: model.layers.0.adapter.weight; arrays that lack: model.layers.1.mlp.up_proj.weight\n"
        in str(raised.value)
    )
    many = changed(directory, num_hidden_layers=10**9)
    with pytest.raises(ValueError, match="and 1 more"):
        from_pretrained_dir(many)


def test_shapes_that_are_not_of_the_configuration(tmp_path: Path) -> None:
    directory = directory_of("llama", tmp_path, vocab_size=10**12)
    with pytest.raises(ValueError) as raised:
        from_pretrained_dir(directory)  # and 64 TB are not asked for
    assert "got     model.embed_tokens.weight [61, 16], lm_head.weight [61, 16]\n" in str(raised.value)
    assert "wanted  model.embed_tokens.weight [1000000000000, 16]" in str(raised.value)


def test_an_output_layer_that_is_stored_though_tied_must_be_the_embedding(tmp_path: Path) -> None:
    model = checkpoint("llama", {**LLAMA, "tie_word_embeddings": True})
    directory = saved(model, tmp_path / "model")
    arrays = load_file(directory / "model.safetensors")
    before = ours(from_pretrained_dir(directory), documents_of([5]))
    arrays["lm_head.weight"] = arrays["model.embed_tokens.weight"].clone()
    save_file(arrays, directory / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(ours(from_pretrained_dir(directory), documents_of([5])), before)
    arrays["lm_head.weight"][0, 0] += 1
    save_file(arrays, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"an lm_head\.weight that is not the embedding"):
        from_pretrained_dir(directory)


def test_old_gpt2_names_and_constants_are_read(tmp_path: Path) -> None:
    """As the first GPT-2 on the hub: no prefix, and the causal mask stored as an array."""
    directory = directory_of("gpt2", tmp_path)
    before = ours(from_pretrained_dir(directory), documents_of([5]))
    arrays = load_file(directory / "model.safetensors")
    bare = {name.removeprefix("transformer."): array for name, array in arrays.items() if name != "lm_head.weight"}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(bare, directory / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(ours(from_pretrained_dir(directory), documents_of([5])), before)


def test_old_rope_settings_are_read_as_the_new(tmp_path: Path) -> None:
    new = directory_of("llama", tmp_path, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0})
    cfg = from_pretrained_dir(new).cfg
    assert (cfg.rope_base, cfg.rope_scaling) == (500.0, RopeScaling(kind="linear", factor=2.0))
    old = changed(new, rope_parameters="absent", rope_theta=500.0, rope_scaling={"type": "linear", "factor": 2.0})
    assert from_pretrained_dir(old).cfg == cfg


# Files.


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_are_not_read(name: str, tmp_path: Path) -> None:
    directory = directory_of("llama", tmp_path)
    (directory / "model.safetensors").rename(directory / name)
    with pytest.raises(ValueError, match=f"no such file, but {name}\n.*\n.*Pickles are not read"):
        from_pretrained_dir(directory)


def test_absent_cut_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Look whether the folder is the right one, and whole"):
        from_pretrained_dir(tmp_path / "absent")
    directory = directory_of("llama", tmp_path)
    weights = (directory / "model.safetensors").read_bytes()
    for content in (weights[:-7], weights[:20], b"", struct.pack("<Q", 1 << 60) + b"{}", b"\x80\x04pickle" * 9):
        (directory / "model.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="wanted  a whole safetensors file"):
            from_pretrained_dir(directory)


def sharded(tmp_path: Path) -> Path:
    return saved(checkpoint("llama", LLAMA), tmp_path / "shards", "3KB")


def edit_index(directory: Path, edit: Any) -> None:
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    edit(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "sub/x.safetensors", "weights.bin", "a\\b.safetensors"]
)
def test_an_index_that_names_files_elsewhere(name: str, tmp_path: Path) -> None:
    directory = sharded(tmp_path)
    edit_index(directory, lambda index: index["weight_map"].update({"lm_head.weight": name}))
    with pytest.raises(ValueError, match="wanted  safetensors files of the same folder"):
        from_pretrained_dir(directory)


def test_an_index_that_does_not_belong_to_its_files(tmp_path: Path) -> None:
    directory = sharded(tmp_path)
    edit_index(directory, lambda index: index["weight_map"].update(ghost=index["weight_map"]["lm_head.weight"]))
    with pytest.raises(ValueError, match="ghost, which only one of file and index has"):
        from_pretrained_dir(directory)
    edit_index(directory, lambda index: index.update(weight_map={}))
    with pytest.raises(ValueError, match="weight_map"):
        from_pretrained_dir(directory)
    directory = saved(checkpoint("llama", LLAMA), tmp_path / "more", "3KB")
    next(directory.glob("model-00002-*")).unlink()
    with pytest.raises(ValueError, match=r"model-00002-of-.*\n.*no such file"):
        from_pretrained_dir(directory)


def test_links_out_of_the_folder_are_refused_and_those_of_a_cache_are_followed(tmp_path: Path) -> None:
    directory = directory_of("llama", tmp_path)
    before = ours(from_pretrained_dir(directory), documents_of([5]))
    repository = tmp_path / "models--a--b"
    snapshot, blobs = repository / "snapshots" / "c0ffee", repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name in ("config.json", "model.safetensors"):
        (directory / name).rename(blobs / f"hash-{name}")
        (snapshot / name).symlink_to(Path("../../blobs") / f"hash-{name}")
    assert torch.equal(ours(from_pretrained_dir(snapshot), documents_of([5])), before)
    (snapshot / "config.json").unlink()
    (tmp_path / "elsewhere.json").write_text("{}")
    (snapshot / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ValueError, match="a symbolic link that leads out of the folder"):
        from_pretrained_dir(snapshot)


# What cannot be written.


def test_a_default_model_is_refused_with_all_that_is_in_the_way(tmp_path: Path) -> None:
    model = DagTransformer.instantiate(
        DagTransformerConfig(layers=1, width=16, heads=2, vocab_size=61, soft_cap=20.0)
    )
    with pytest.raises(ValueError) as raised:
        save_pretrained_dir(model, tmp_path / "model")
    assert str(raised.value) == (
        "a DagTransformer as Qwen3ForCausalLM\n"
        "  got     mlp = relu2; short_conv = 4; embedding_norm = True; soft_cap = 20.0\n"
        "  wanted  mlp = swiglu; short_conv = 0; embedding_norm = False; soft_cap = None\n"
        '  Train with DagTransformerConfig(..., **family_settings("qwen3")); '
        "save_to_dir keeps any model for gptlab itself."
    )
    assert not (tmp_path / "model").exists()


CANNOT_BE_WRITTEN = [
    ("llama", {"qk_norm": True}, "qk_norm = True"),
    ("llama", {"qkv_bias": True}, "attention_out_bias = False"),
    ("llama", {"width": 20, "heads": 3, "head_dim": 4}, "width % heads = 2"),
    ("llama", {"norm": "layer"}, "norm = layer"),
    ("llama", {"position_kind": "learned"}, "position_kind = learned"),
    ("qwen3", {"mlp_bias": True}, "mlp_bias = True"),
    ("qwen3", {"mlp": "gelu"}, "mlp = gelu"),
    ("qwen3", {"qkv_bias": True, "attention_out_bias": True}, "attention_out_bias = True"),
    ("gpt2", {"tied_embeddings": False}, "tied_embeddings = False"),
    ("gpt2", {"kv_heads": 1}, "kv_heads = 1"),
    ("gpt2", {"head_dim": 4}, "heads * head_dim = 8"),
    ("gpt2", {"mlp_bias": False}, "mlp_bias = False"),
    ("gpt2", {"short_conv": 2}, "short_conv = 2"),
]


@pytest.mark.parametrize(("family", "changes", "got"), CANNOT_BE_WRITTEN)
def test_what_a_family_cannot_hold(family: str, changes: dict[str, Any], got: str, tmp_path: Path) -> None:
    cfg = DagTransformerConfig(
        **{**family_settings(family), **{"layers": 1, "width": 16, "heads": 2, "vocab_size": 9}, **changes}
    )
    with pytest.raises(ValueError) as raised:
        save_pretrained_dir(DagTransformer.instantiate(cfg), tmp_path / "model", family=family)
    assert got in str(raised.value)


def test_wrong_arguments_of_saving(tmp_path: Path) -> None:
    cfg = DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=9, **family_settings("llama"))
    model = DagTransformer.instantiate(cfg)
    for wrong, said in (
        ({"family": "bert"}, "got     'bert'"),
        ({"dtype": "int4"}, "dtype 'int4'"),
        ({"shard_bytes": 0}, "shards of 0 bytes"),
    ):
        with pytest.raises(ValueError, match=said):
            save_pretrained_dir(model, tmp_path / "model", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got     'bert'"):
        family_settings("bert")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="nothing was touched"):
        save_pretrained_dir(model, tmp_path / "model")


def test_the_mask_comes_back(tmp_path: Path) -> None:
    cfg = DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=9, **family_settings("llama"))
    cfg = attrs.evolve(cfg, mask=MaskSpec("from_link", ancestors=True), positions_within="document")
    back = from_pretrained_dir(save_pretrained_dir(DagTransformer.instantiate(cfg), tmp_path / "model"))
    assert (back.cfg.mask, back.cfg.positions_within) == (cfg.mask, cfg.positions_within)
    assert from_pretrained_dir(tmp_path / "model", mask=MaskSpec("causal")).cfg.mask == MaskSpec("causal")
