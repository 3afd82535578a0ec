"""The model as a stage: types, axes, laws, losses, independence of what is masked, saving."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import SPECS, batches

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, ModelOutput, dense_mask, transformer
from gptlab.models.config import RopeScaling
from gptlab.models.transformer import rotary_angles, rotate, token_losses
from gptlab.pipeline import AtMost, pipeline
from gptlab.pipeline.errors import ContractError
from gptlab.types import Batch

VARIANTS = {
    "default": {},
    "dense": {"attention": "dense"},
    "grouped": {"kv_heads": 1},
    "swiglu": {"mlp": "swiglu", "mlp_ratio": 1.5},
    "no conv": {"short_conv": 0},
    "untied, capped": {"tied_embeddings": False, "soft_cap": 5.0},
    "as Llama": {"short_conv": 0, "mlp": "swiglu", "qk_norm": False, "embedding_norm": False, "kv_heads": 1},
    "as GPT-2": {
        "short_conv": 0,
        "norm": "layer",
        "norm_eps": 1e-5,
        "mlp": "gelu_tanh",
        "position_kind": "learned",
        "qk_norm": False,
        "embedding_norm": False,
        "qkv_bias": True,
        "attention_out_bias": True,
        "mlp_bias": True,
    },
    "wide heads": {"head_dim": 12, "kv_heads": 1, "positions_within": "document"},
    "scaled rope": {"rope_scaling": RopeScaling(kind="llama3", factor=8.0)},
    "plain": {"qk_norm": False, "embedding_norm": False, "short_conv": 0},
}


def make(seed: int = 0, *, awake: bool = True, **changes: object) -> DagTransformer:
    """A tiny model; `awake`: with random weights where a fresh one has zeros, so that everything has a say."""
    settings_ = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 11, "max_seq_len": 64, "mask": MaskSpec()}
    model = DagTransformer.instantiate(DagTransformerConfig(**(settings_ | changes)), seed=seed)
    if awake:
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for weight in model.network.parameters():
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model


def run(model: DagTransformer, batch: Batch) -> ModelOutput:
    return next(model.forward(iter([batch])))


def weights(model: DagTransformer) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in model.network.named_parameters()}


def is_equal(one: DagTransformer, other: DagTransformer) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("variant", VARIANTS)
@given(batch=batches(longest=6))
@settings(max_examples=15)
def test_losses_are_cross_entropy_of_the_logits_where_there_is_a_target(variant: str, batch: Batch) -> None:
    output = run(make(**VARIANTS[variant]), batch)
    assert output.logits is not None
    assert torch.isfinite(output.logits).all()
    losses = -torch.log_softmax(output.logits, dim=-1)
    has_target = torch.from_numpy(batch.targets) >= 0
    picked = losses.gather(2, torch.from_numpy(batch.targets).clamp(min=0).long()[..., None])[..., 0]
    torch.testing.assert_close(output.token_losses, picked * has_target, atol=1e-5, rtol=1e-5)
    wanted = output.token_losses.sum() / max(1, int(has_target.sum()))
    torch.testing.assert_close(output.loss, wanted)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches(longest=6), data=st.data())
@settings(max_examples=20)
def test_a_token_changes_only_the_logits_of_those_that_come_to_see_it(
    spec: MaskSpec, batch: Batch, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(batch.tokens) - 1))
    changed = data.draw(st.integers(0, batch.tokens.shape[1] - 1))
    tokens = batch.tokens.copy()
    tokens[row, changed] = (tokens[row, changed] + 1) % 11
    model = make(mask=spec)
    before, after = run(model, batch).logits, run(model, attrs.evolve(batch, tokens=tokens)).logits
    assert before is not None
    assert after is not None
    moved = (before != after).any(dim=-1)
    documents = torch.from_numpy(batch.documents)
    sees = dense_mask(documents, torch.from_numpy(batch.edges), spec)[row].double()
    back = torch.arange(len(sees))[:, None] - torch.arange(len(sees))
    convolved = (documents[row][:, None] == documents[row]) & (back >= 0) & (back < 4)
    layer = sees @ convolved.double()
    reaches = ((layer @ layer) > 0)[:, changed]
    other_rows = torch.arange(len(batch.tokens)) != row
    assert not moved[other_rows].any()
    assert not moved[row][~reaches].any()
    assert moved[row, changed]


@pytest.mark.parametrize("variant", ["default", "grouped", "no conv"])
@given(batch=batches(longest=6))
@settings(max_examples=15)
def test_both_kernels_give_the_same_losses_and_weight_gradients(variant: str, batch: Batch) -> None:
    gradients = []
    for attention in ("dense", "gathered"):
        model = make(**VARIANTS[variant], attention=attention)
        output = run(model, batch)
        output.loss.backward()
        gradients.append([output.loss.detach(), *(weight.grad for weight in model.network.parameters())])
    for dense, gathered in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, gathered, atol=2e-5, rtol=1e-3)


@given(batch=batches(longest=6), shift=st.integers(0, 40))
@settings(max_examples=15)
def test_only_the_distance_of_positions_matters(batch: Batch, shift: int) -> None:
    model = make()
    moved = attrs.evolve(batch, positions=batch.positions + np.int32(shift))
    torch.testing.assert_close(run(model, batch).logits, run(model, moved).logits, atol=1e-4, rtol=1e-3)


def test_rotation_keeps_lengths_and_turns_by_the_position() -> None:
    x = torch.randn(1, 2, 5, 8)
    turned = rotate(x, rotary_angles(torch.arange(5)[None], 8, 10_000.0))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])
    one = torch.tensor([[[[1.0, 0.0]]]])
    angle = rotate(one, rotary_angles(torch.tensor([[2]]), 2, 10_000.0)).flatten()
    torch.testing.assert_close(angle, torch.tensor([math.cos(2), math.sin(2)]))


def test_a_fresh_model_knows_nothing_and_says_so() -> None:
    batch = example()
    output = run(make(awake=False, vocab_size=50, width=64), batch)
    learned = batch.targets >= 0
    assert output.token_losses[torch.from_numpy(learned)].mean().item() == pytest.approx(math.log(50), abs=0.15)


def test_it_learns_a_batch_by_heart() -> None:
    model = make(awake=False)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=0.01)
    first = run(model, example()).loss.item()
    for _ in range(60):
        loss = run(model, example()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 < first


def test_forward_is_lazy_and_leaves_its_input_alone() -> None:
    pulled = []

    def source() -> Iterator[Batch]:
        for number in range(3):
            pulled.append(number)
            yield example()

    outputs = make().forward(source())
    assert pulled == []
    next(outputs)
    assert pulled == [0]
    batch = example()
    run(make(), batch).loss.backward()
    assert batch == example()


def test_logits_are_given_in_evaluation_mode_only() -> None:
    model = make()
    assert run(model, example()).logits is not None
    model.network.train()
    assert run(model, example()).logits is None


def test_dropout_acts_in_training_mode_only() -> None:
    model = make(dropout=0.5)
    assert torch.equal(run(model, example()).loss, run(model, example()).loss)
    model.network.train()
    assert not torch.equal(run(model, example()).loss, run(model, example()).loss)


def test_soft_cap_bounds_the_logits() -> None:
    logits = run(make(soft_cap=0.5), example()).logits
    assert logits is not None
    assert logits.abs().max() <= 0.5
    assert logits.abs().max() > 0.1


def test_weights_come_from_the_seed_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one = make(seed=3, awake=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    assert is_equal(one, make(seed=3, awake=False))
    assert not is_equal(one, make(seed=4, awake=False))


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_loaded_it_is_the_same_to_the_bit(variant: str, tmp_path: Path) -> None:
    model = make(**VARIANTS[variant])
    model.save_to_dir(tmp_path / "model")
    again = DagTransformer.load_from_dir(tmp_path / "model")
    assert again.cfg == model.cfg
    assert is_equal(again, model)
    assert torch.equal(run(again, example()).token_losses, run(model, example()).token_losses)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]


def test_storage_saves_and_loads_it_as_a_part(tmp_path: Path) -> None:
    from gptlab.storage import load_from_dir, save_to_dir

    model = make()
    save_to_dir(model, tmp_path / "model")
    assert is_equal(load_from_dir(tmp_path / "model"), model)


def test_a_copy_is_equal_and_its_own() -> None:
    model = make()
    twin = model.copy()
    assert is_equal(twin, model)
    with torch.no_grad():
        next(twin.network.parameters()).add_(1)
    assert not is_equal(twin, model)


def test_loading_refuses_other_weights(tmp_path: Path) -> None:
    make().save_to_dir(tmp_path / "small")
    make(width=32).save_to_dir(tmp_path / "wide")
    (tmp_path / "small" / "model.safetensors").write_bytes((tmp_path / "wide" / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="arrays differ: load it with the config") as caught:
        DagTransformer.load_from_dir(tmp_path / "small")
    assert "blocks.0.attention.project.weight (32, 32)" in str(caught.value)


def test_loading_refuses_a_directory_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got     no such file\n  wanted  the DagTransformerConfig of a saved model"):
        DagTransformer.load_from_dir(tmp_path)


def test_axes_types_and_the_construction_check() -> None:
    model = make()
    assert model.axes() == {"vocab": AtMost(11), "seq": AtMost(64)}
    assert (model.fwd_input_type(), model.fwd_output_type()) == (Batch, ModelOutput)

    @attrs.frozen
    class Rows:
        seq: int

        def get_data_generator(self) -> Iterator[Batch]:
            yield example()

        def axes(self) -> dict[str, int]:
            return {"seq": self.seq}

    assert len(list(pipeline(Rows(8), model.forward).get_data_generator())) == 1
    with pytest.raises(ContractError, match="seq"):
        pipeline(Rows(65), model.forward)


def test_the_logger_is_told_the_size(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        model = DagTransformer.instantiate(make().cfg, logging.getLogger("test"), seed=5)
    assert caplog.messages == [f"DagTransformer with {model.parameter_count():,} parameters, seed 5"]
    assert make(tied_embeddings=False).parameter_count() == model.parameter_count() + 11 * 16


@pytest.mark.parametrize("change", ["tokens", "targets"])
def test_refuses_tokens_outside_the_vocabulary(change: str) -> None:
    batch = attrs.evolve(example(), **{change: np.full((1, 8), 11, np.int32)})
    with pytest.raises(ValueError, match=f"got     {change} up to 11\n  wanted  below vocab_size 11"):
        run(make(), batch)


def test_refuses_rows_beyond_max_seq_len() -> None:
    with pytest.raises(ValueError, match="got     rows of 8 tokens\n  wanted  at most max_seq_len 7"):
        run(make(max_seq_len=7), example())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "DagTransformerConfig.layers\n  got     0\n  wanted  a whole number of at least 1"),
        ({"width": 30, "heads": 4}, "wanted  width 30 over heads a whole even number\n  These fit: 1, 3, 5, 15."),
        ({"kv_heads": 3}, "got     3\n  wanted  a divisor of heads 4, or None"),
        ({"mlp": "tanh"}, "got     'tanh'\n  wanted  one of 'swiglu', 'relu2', 'gelu', 'gelu_tanh'"),
        ({"attention": "flash"}, "wanted  one of 'auto', 'dense', 'gathered', 'flex', 'varlen'"),
        ({"norm": "batch"}, "wanted  one of 'rms', 'layer'"),
        ({"norm_eps": 0.0}, "wanted  a number above 0"),
        ({"head_dim": 7}, "got     7\n  wanted  an even number: rotary positions turn pairs\n  Take 8"),
        ({"position_kind": "learned", "width": 30}, "width 30 over heads a whole number\n  These fit: 1, 2, 3, 5,"),
        ({"dropout": 1.0}, "wanted  at least 0 and below 1"),
        ({"short_conv": -1}, "wanted  a whole number of at least 0"),
        ({"soft_cap": 0.0}, "wanted  above 0, or None"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="DagTransformerConfig") as caught:
        DagTransformerConfig(**({"vocab_size": 10} | change))
    assert message in str(caught.value)


@pytest.mark.parametrize("largest", [1, 30, 11 * 8 - 1])
def test_logits_in_parts_give_the_same_losses_and_gradients(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for limit in (2**27, largest):
        monkeypatch.setattr(transformer, "LARGEST_LOGITS", limit)
        model = make(soft_cap=3.0)
        model.network.train()
        output = run(model, example())
        output.loss.backward()
        results.append([output.token_losses.detach(), *(weight.grad for weight in model.network.parameters())])
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(whole, parts, atol=1e-6, rtol=1e-5)
    assert run(model, example()).logits is None
    model.network.eval()
    assert run(model, example()).logits is not None


def test_token_losses_ignore_what_has_no_target() -> None:
    logits = torch.randn(1, 3, 4, requires_grad=True)
    losses = token_losses(logits, torch.tensor([[1, -1, 2]]))
    losses.sum().backward()
    assert logits.grad is not None
    assert losses[0, 1] == 0
    assert not logits.grad[0, 1].any()
    assert logits.grad[0, 0].any()


def example() -> Batch:
    """One row: two documents of three tokens, the second linking to the first, and padding."""
    return Batch(
        tokens=np.array([[3, 4, 0, 5, 6, 0, 0, 0]], np.int32),
        targets=np.array([[4, 0, -1, 6, 0, -1, -1, -1]], np.int32),
        documents=np.array([[0, 0, 0, 1, 1, 1, -1, -1]], np.int32),
        positions=np.array([[0, 1, 2, 3, 4, 5, -1, -1]], np.int32),
        edges=np.array([[[1, 0, 4]]], np.int32),
    )
