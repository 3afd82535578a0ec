"""The parts that hold other models' weights: positions, rotary scaling, norms, biases."""

import math

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import batches
from torch import nn

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, dag_transformer
from gptlab.models.config import RopeScaling
from gptlab.models.transformer import Mlp, positions_in_documents, rotary_angles, scaled_frequencies
from gptlab.types import Batch


def make(**changes: object) -> DagTransformer:
    shape = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 11, "max_seq_len": 96}
    model = DagTransformer.instantiate(DagTransformerConfig(**(shape | changes)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model


def logits(model: DagTransformer, batch: Batch) -> torch.Tensor:
    found = next(model.forward(iter([batch]))).logits
    assert found is not None
    return found


@given(batch=batches())
def test_positions_in_documents_count_from_each_first_token(batch: Batch) -> None:
    found = positions_in_documents(torch.from_numpy(batch.documents))
    for row, documents in zip(found.tolist(), batch.documents.tolist(), strict=True):
        wanted = [-1 if own < 0 else documents[:at].count(own) for at, own in enumerate(documents)]
        assert row == wanted


@pytest.mark.parametrize("position_kind", ["rotary", "learned"])
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=4), data=st.data())
@settings(max_examples=10)
def test_with_positions_in_documents_it_does_not_matter_where_a_document_lies(
    position_kind: str, lengths: list[int], data: st.DataObject
) -> None:
    """Two unlinked documents swapped give swapped logits; with positions in the row learned ones would not."""
    model = make(positions_within="document", position_kind=position_kind, mask=MaskSpec("document"))
    order = data.draw(st.permutations(range(len(lengths))))
    texts = [np.arange(length, dtype=np.int32) % 11 for length in lengths]
    apart = [logits(model, one_row([text])) for text in texts]
    together = logits(model, one_row([texts[number] for number in order]))
    torch.testing.assert_close(together, torch.cat([apart[number] for number in order], 1), atol=1e-4, rtol=1e-4)


def test_learned_positions_are_added_and_padding_has_some() -> None:
    model = make(position_kind="learned", mask=MaskSpec("causal"))
    row = one_row([np.zeros(4, np.int32)])
    padded = attrs.evolve(row, documents=np.array([[0, 0, -1, -1]], np.int32), positions=np.array([[0, 1, -1, -1]]))
    assert torch.isfinite(logits(model, attrs.evolve(padded, positions=padded.positions.astype(np.int32)))).all()
    before = logits(model, row)
    assert model.network.position_embedding is not None
    with torch.no_grad():
        model.network.position_embedding.weight[2].add_(1.0)
    moved = (logits(model, row) != before).any(dim=-1)[0]
    assert moved.tolist() == [False, False, True, True]


@given(factor=st.floats(1.0, 64.0), length=st.integers(16, 8192))
def test_llama3_scaling_keeps_the_fast_angles_divides_the_slow_ones_and_is_between_in_between(
    factor: float, length: int
) -> None:
    plain = 10_000.0 ** (-torch.arange(0, 64, 2) / 64)
    scaled = scaled_frequencies(plain, RopeScaling(kind="llama3", factor=factor, original_seq_len=length))
    turns = length * plain / (2 * math.pi)
    torch.testing.assert_close(scaled[turns > 4], plain[turns > 4])
    torch.testing.assert_close(scaled[turns < 1], plain[turns < 1] / factor)
    assert (scaled <= plain * 1.0001).all()
    assert (scaled >= plain / factor * 0.9999).all()


def test_linear_scaling_makes_position_eight_what_position_two_was() -> None:
    slow = rotary_angles(torch.tensor([[8]]), 8, 100.0, RopeScaling(kind="linear", factor=4.0))
    plain = rotary_angles(torch.tensor([[2]]), 8, 100.0)
    torch.testing.assert_close(slow[0], plain[0])
    torch.testing.assert_close(slow[1], plain[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "yarn"}, "wanted  one of 'none', 'linear', 'llama3'"),
        ({"factor": 0.0}, "RopeScaling.factor\n  got     0.0\n  wanted  a number above 0"),
        ({"original_seq_len": 0}, "RopeScaling.original_seq_len"),
    ],
)
def test_a_scaling_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match="RopeScaling") as caught:
        RopeScaling(**change)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "relu2", "swiglu"])
def test_mlp_is_what_it_says(kind: str) -> None:
    mlp = Mlp(DagTransformerConfig(vocab_size=1, width=8, heads=1, mlp=kind, mlp_bias=True))
    x = torch.randn(1, 3, 8)
    hidden = x @ mlp.expand.weight.T + mlp.expand.bias
    gate = hidden[..., :32]
    between = {
        "gelu": lambda: gate * 0.5 * (1 + torch.erf(gate / 2**0.5)),
        "gelu_tanh": lambda: gate * 0.5 * (1 + torch.tanh((2 / math.pi) ** 0.5 * (gate + 0.044715 * gate**3))),
        "relu2": lambda: gate.clamp(min=0) ** 2,
        "swiglu": lambda: gate * torch.sigmoid(gate) * hidden[..., 32:],
    }[kind]()
    torch.testing.assert_close(mlp(x), between @ mlp.project.weight.T + mlp.project.bias, atol=1e-5, rtol=1e-4)


def test_a_fresh_model_with_biases_and_layer_norms_begins_as_the_plain_one_does() -> None:
    cfg = DagTransformerConfig(
        vocab_size=11, width=16, heads=2, norm="layer", qkv_bias=True, mlp_bias=True, attention_out_bias=True
    )
    network = DagTransformer.instantiate(cfg).network
    named = dict(network.named_parameters())
    assert not any(weight.any() for name, weight in named.items() if name.endswith("bias"))
    assert (named["blocks.0.mlp_norm.weight"] == 1).all()
    assert isinstance(network.final_norm, nn.LayerNorm)
    assert named["blocks.0.attention.qkv.bias"].shape == (3 * 16,)


def test_checkpointed_blocks_give_the_same_losses_and_gradients_with_dropout() -> None:
    results = []
    for kept in (True, False):
        model = make(checkpoint_blocks=kept, dropout=0.2)
        model.network.train()
        torch.manual_seed(3)
        output = next(model.forward(iter([one_row([np.arange(9, dtype=np.int32)])])))
        output.loss.backward()
        results.append([output.loss.detach(), *(weight.grad for weight in model.network.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_compiling_is_asked_for_and_reported_and_the_copy_does_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, said = [], []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    monkeypatch.setattr(dag_transformer, "say", said.append)
    make()
    assert (compiled, said) == ([], [])
    make(compile=True).copy()
    assert compiled == ["Mlp"] * 4
    assert len(said) == 2
    assert "torch.compile" in said[0]


def one_row(texts: list[np.ndarray]) -> Batch:
    """A row of unlinked documents; the next token is the target throughout."""
    tokens = np.concatenate(texts)[None]
    return Batch(
        tokens=tokens,
        targets=np.roll(tokens, -1, axis=1),
        documents=np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts])[None],
        positions=np.arange(tokens.shape[1], dtype=np.int32)[None],
        edges=np.zeros((1, 0, 3), np.int32),
    )
