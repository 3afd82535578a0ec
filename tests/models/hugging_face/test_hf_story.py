"""The whole way: a public model is trained further on linked documents, published, and loaded by others unchanged."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import checkpoint, documents_of, ours, saved, theirs
from loopback_hub import Fault, Hub, client_of, serving
from test_hf_tokenizers import public

from gptlab.experiment.run_directory import FINISHED
from gptlab.graph import BreadthFirst, TraverseLinks
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, NGram, NGramConfig
from gptlab.models.hugging_face import (
    Card,
    PretrainedTokenizer,
    family_settings,
    from_pretrained_dir,
    load_from_cloud,
    save_pretrained_dir,
    save_to_cloud,
)
from gptlab.models.hugging_face.__main__ import main
from gptlab.packing import Collate, Pack, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import LinkedFactsWiki
from gptlab.storage import save_to_dir
from gptlab.storage.hub import Patience, download
from gptlab.tokenizers import ByteLevelBPE, Tokenize
from gptlab.tokenizers.training import train_ranks
from gptlab.training import TorchTrainer, TrainerConfig

QUICK = Patience(attempts=3, first_wait=0.0)
CLOSE = {"atol": 1e-4, "rtol": 0}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as found, client_of(found, tmp_path / "cache", monkeypatch):
        yield found


def small(family: str = "qwen3", vocab: int = 61, seed: int = 0) -> DagTransformer:
    model = DagTransformer.instantiate(
        DagTransformerConfig(layers=2, width=16, heads=2, vocab_size=vocab, **family_settings(family)), seed=seed
    )
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.1)
    return model


def test_a_public_model_is_trained_on_linked_documents_and_loaded_by_others(tmp_path: Path) -> None:
    """A tiny Llama with its own tokenizer, three steps under the link mask, and back."""
    tokenizer = PretrainedTokenizer.from_pretrained_dir(public(tmp_path / "public"))
    settings = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = checkpoint("llama", {**settings, "num_key_value_heads": 1, "max_position_embeddings": 1024})
    made.resize_token_embeddings(tokenizer.vocab_size)
    model = from_pretrained_dir(saved(made, tmp_path / "llama"), mask=MaskSpec("from_link"))
    rows = PackedRows(
        pipeline(
            LinkedFactsWiki(pages=40, cache=tmp_path / "cache"),
            Tokenize(tokenizer),
            TraverseLinks(BreadthFirst(), seed=1, budget=1024),
            Pack(seq_len=1024),
        ),
        cache=tmp_path / "cache",
    )
    rows.pre_cache()
    data = pipeline(Shuffled(rows), Collate(batch_size=2))
    first = next(data.get_data_generator())
    assert (first.edges[..., 0] >= 0).any(), "there are links to follow"
    trained = TorchTrainer.instantiate(
        TrainerConfig(steps=3, warmup_steps=1, learning_rate=1e-3), model, data, directory=tmp_path / "run"
    ).train()
    assert isinstance(trained, DagTransformer)
    directory = save_pretrained_dir(trained, tmp_path / "published", tokenizer=tokenizer)

    loaded = transformers.AutoModelForCausalLM.from_pretrained(directory).eval()
    assert type(loaded).__name__ == "LlamaForCausalLM"
    batch = documents_of([60])
    causal = from_pretrained_dir(directory, mask=MaskSpec("causal"))
    torch.testing.assert_close(theirs(loaded, batch), ours(causal, batch), **CLOSE)
    assert not torch.allclose(theirs(loaded, batch), theirs(made, batch), atol=1e-4), "it has learned something"
    text = "the harbour of [Lisbon](Lisbon)"
    written = transformers.AutoTokenizer.from_pretrained(directory)
    assert written(text)["input_ids"] == tokenizer.encode(text)
    generated = loaded.generate(**written(text, return_tensors="pt"), max_new_tokens=4, do_sample=False)
    assert generated.shape[1] == len(tokenizer.encode(text)) + 4


def test_to_the_cloud_and_back(hub: Hub, tmp_path: Path) -> None:
    model = small()
    commit = save_to_cloud(
        model,
        "owner/model",
        patience=QUICK,
        shard_bytes=2000,
    )
    assert hub.repos["owner/model"].private
    assert hub.asked("PUT /lfs") > 1, "in shards"
    back = load_from_cloud("owner/model", commit, patience=QUICK, mask=MaskSpec("causal"))
    for weight, original in zip(back.network.parameters(), model.network.parameters(), strict=True):
        assert torch.equal(weight, original)
    # What transformers gets from the same hub is the same.
    loaded = transformers.AutoModelForCausalLM.from_pretrained("owner/model", revision=commit).eval()
    batch = documents_of([9, 4])
    torch.testing.assert_close(theirs(loaded, batch), ours(back, batch), **CLOSE)


def test_a_public_tokenizer_comes_from_the_cloud(hub: Hub, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in public(tmp_path / "public").iterdir()}
    commit = hub.add("owner/public", {**files, "model.safetensors": b"never asked for"})
    tokenizer = PretrainedTokenizer.load_from_cloud("owner/public", commit, patience=QUICK)
    assert tokenizer == PretrainedTokenizer.from_pretrained_dir(tmp_path / "public")
    assert hub.asked("safetensors") == 0


def test_a_single_file_takes_the_place_of_shards(hub: Hub) -> None:
    save_to_cloud(small(), "owner/model", patience=QUICK, shard_bytes=2000)
    save_to_cloud(small(seed=1), "owner/model", patience=QUICK)
    names = [name for name in hub.repos["owner/model"].files if "safetensors" in name]
    assert names == ["model.safetensors"]
    back = load_from_cloud("owner/model", patience=QUICK)
    assert torch.equal(next(back.network.parameters()), next(small(seed=1).network.parameters()))


def test_a_hostile_repository_is_refused(hub: Hub, tmp_path: Path) -> None:
    directory = save_pretrained_dir(small(), tmp_path / "model")
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    hub.add("owner/evil", {**files, "../evil.json": b"{}"})
    with pytest.raises(ValueError, match="Do not trust this repository; nothing was fetched"):
        load_from_cloud("owner/evil", patience=QUICK)
    del files["model.safetensors"]
    hub.add("owner/pickled", {**files, "pytorch_model.bin": b"\x80"})
    with pytest.raises(ValueError, match=r"weights only as pytorch_model\.bin"):
        load_from_cloud("owner/pickled", patience=QUICK)
    config = json.loads(files["config.json"]) | {"auto_map": {"AutoModelForCausalLM": "modeling.Evil"}}
    hub.add("owner/code", {"config.json": json.dumps(config).encode(), "modeling.py": b"raise SystemExit"})
    with pytest.raises(ValueError, match="auto_map"):
        load_from_cloud("owner/code", patience=QUICK)
    assert hub.asked(r"\.py") == 0


def test_offline_the_model_comes_from_the_cache(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_to_cloud(small(), "owner/model", patience=QUICK)
    online = load_from_cloud("owner/model", patience=QUICK)
    with client_of(hub, tmp_path / "cache", monkeypatch, offline=True):
        hub.requests.clear()
        offline = load_from_cloud("owner/model", patience=QUICK)
        with pytest.raises(ValueError, match="nothing of it in the cache, and offline mode"):
            load_from_cloud("owner/another", patience=QUICK)
    assert torch.equal(next(offline.network.parameters()), next(online.network.parameters()))
    assert not hub.requests


# The card.


def card_of(directory: Path) -> tuple[dict[str, Any], str]:
    """Its header, read as the hub does, and its text."""
    yaml = pytest.importorskip("yaml")
    _, header, text = (directory / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


def test_a_card_asks_for_what_only_the_user_knows(tmp_path: Path) -> None:
    header, text = card_of(save_pretrained_dir(small(), tmp_path / "model"))
    assert header == {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["gptlab"]}
    assert "# license: choose one, such as mit or apache-2.0\n" in (tmp_path / "model" / "README.md").read_text()
    assert "**Not stated**: nobody else may use the weights until one is chosen." in text
    assert "**Not stated.** Say what it was trained on" in text
    assert "**None**: it was saved without a run directory." in text


def test_a_card_says_what_is_known(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    figures = {"held out": {"loss": 2.34567891, "tokens": 1200, "odd": None}, "a | b": {"x\ny": 1.0}}
    assert FINISHED == "finished.json"
    (run / FINISHED).write_text(json.dumps({"figures": figures}))
    (run / "metrics.jsonl").write_text('{"step": 9, "loss": 3.0}\n{"step": 10, "loss": 2.5}\n{"step": 11, "lo')
    card = Card(
        license="mit",
        data="My own notes.",
        datasets=["owner/notes"],
        languages=["vi"],
        base_model="owner/base",
        base_revision="c0ffee",
        about="Answers.\n---\nlicense: gpl\n",
    )
    header, text = card_of(save_pretrained_dir(small(), tmp_path / "model", run=run, card=card))
    assert header["license"] == "mit" and header["datasets"] == ["owner/notes"] and header["language"] == ["vi"]
    assert header["base_model"] == "owner/base"
    for line in (
        "| loss | 2.34568 |",
        "| tokens | 1200 |",
        "| odd | - |",
        "| a \\| b | value |",
        "| x y | 1 |",
        "| step | 10 |",
        "| loss | 2.5 |",
        "| trained further from | owner/base at c0ffee |",
        "| architecture | Qwen3ForCausalLM |",
        "My own notes.",
    ):
        assert line in text


# The command line.


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a run leaves, as far as it is exported."""
    run = tmp_path / "20261124_101500"
    run.mkdir()
    ranks = train_ranks(["the harbour of Lisbon"] * 3, size=270)
    tokenizer = ByteLevelBPE(ranks=ranks, vocab_size=len(ranks) + 1)
    save_to_dir(small(vocab=tokenizer.vocab_size), run / "model")
    save_to_dir(tokenizer, run / "tokenizer")
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 4.5}\n')
    return run


def test_a_run_is_exported_then_uploaded(
    run: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "export"
    assert main(["export", str(run), str(place), "--data", "Notes.", "--dtype", "bfloat16"]) == 0
    told = capsys.readouterr().out
    assert "README.md still lacks: license." in told
    assert "| loss | 4.5 |" in (place / "README.md").read_text()
    assert not hub.requests, "nothing is sent yet"
    loaded = transformers.AutoModelForCausalLM.from_pretrained(place)
    written = transformers.AutoTokenizer.from_pretrained(place)
    assert loaded.config.eos_token_id == written.eos_token_id

    hub.faults.append(Fault("PUT", status=503))
    assert main(["upload", str(place), "owner/exported", "--message", "First"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"owner/exported is at commit {hub.repos['owner/exported'].commits[-1][0]}\n"
    assert "bytes" in captured.err
    assert download("owner/exported", patience=QUICK).commit in captured.out


def test_the_command_line_says_what_is_wrong(
    run: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path / "none"), str(tmp_path / "x")]) == 2
    assert "See the runs with: python -m gptlab.experiment list" in capsys.readouterr().err
    assert main(["upload", str(tmp_path / "none"), "owner/x"]) == 2
    assert capsys.readouterr().err.startswith("Error: ")
    assert main(["upload", str(run / "model"), "stranger/x"]) == 2
    assert "Give the token write access" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    save_to_dir(NGram.instantiate(NGramConfig(vocab_size=9)), other / "model")
    assert main(["export", str(other), str(tmp_path / "x")]) == 2
    assert "Other models neither write nor have a Hugging Face family" in capsys.readouterr().err


def test_help_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gptlab.models.hugging_face", "--help"], capture_output=True, text=True, check=True
    )
    assert "export" in done.stdout and "upload" in done.stdout
