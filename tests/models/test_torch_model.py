"""A module of the user's own as a gptlab model: checked when made, composed, trained, saved; refused by name."""

import logging
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Int
from packs import batches
from torch import Tensor, nn
from torch.nn import functional

from gptlab.models import ModelOutput, TorchModel
from gptlab.models.transformer import token_losses
from gptlab.pipeline import AtMost, pipeline
from gptlab.pipeline.errors import ContractError
from gptlab.storage import StorageError
from gptlab.testing import check_model
from gptlab.training import TorchTrainer, TrainableModel, TrainerConfig
from gptlab.types import Batch

HERE = (__name__,)


class Bigram(nn.Module):
    """The next token from the last one."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.head = nn.Linear(width, vocab_size)

    def forward(
        self, tokens: Int[Tensor, "batch seq"], targets: Int[Tensor, "batch seq"], temperature: float = 1.0
    ) -> ModelOutput:
        logits = self.head(functional.relu(self.embedding(tokens))) / temperature
        losses = token_losses(logits, targets)
        return ModelOutput(loss=losses.sum() / (targets >= 0).sum().clamp(min=1), token_losses=losses, logits=logits)


@attrs.frozen
class BigramConfig:
    vocab_size: int = 11
    width: int = 8

    def build(self) -> nn.Module:
        return Bigram(self.vocab_size, self.width)

    def axes(self) -> dict[str, AtMost]:
        return {"vocab": AtMost(self.vocab_size)}


def example(seed: int = 0) -> Batch:
    tokens = np.random.default_rng(seed).integers(0, 11, (2, 6)).astype(np.int32)
    return Batch(
        tokens=tokens,
        targets=(tokens + 1) % 11,
        documents=np.zeros((2, 6), np.int32),
        positions=np.tile(np.arange(6, dtype=np.int32), (2, 1)),
        edges=np.zeros((2, 0, 3), np.int32),
    )


@attrs.frozen
class Rows:
    vocab: int = 11

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        while True:
            yield example(start)
            start += 1

    def axes(self) -> dict[str, int]:
        return {"vocab": self.vocab}


@given(batch=batches())
@settings(max_examples=15)
def test_it_is_the_module_on_each_item(batch: Batch) -> None:
    model = TorchModel.instantiate(BigramConfig())
    found = next(model.forward(iter([batch])))
    plain = model.network(torch.from_numpy(batch.tokens), torch.from_numpy(batch.targets))
    assert torch.equal(found.loss, plain.loss)
    assert torch.equal(found.token_losses, plain.token_losses)


def test_the_laws_of_models_hold() -> None:
    held = check_model(
        TorchModel.instantiate(BigramConfig()), inputs=st.lists(batches(longest=4), max_size=3), max_examples=8
    )
    assert {"save_and_load", "copies", "lazy"} <= set(held.laws)


def test_it_is_what_a_trainer_takes() -> None:
    assert isinstance(TorchModel.instantiate(BigramConfig()), TrainableModel)


def test_types_axes_and_the_construction_check() -> None:
    model = TorchModel.instantiate(BigramConfig())
    assert (model.fwd_input_type(), model.fwd_output_type()) == (Batch, ModelOutput)
    assert model.axes() == {"vocab": AtMost(11)}
    pipeline(Rows(), model.forward)
    with pytest.raises(ContractError):
        pipeline(Rows(), model.forward, model.forward)


def test_it_trains(tmp_path: Path) -> None:
    cfg = TrainerConfig(steps=150, learning_rate=0.05, warmup_steps=5)
    trained = TorchTrainer.instantiate(cfg, TorchModel.instantiate(BigramConfig()), Rows()).train()
    assert next(trained.forward(iter([example(999)]))).loss < 0.2


def test_saved_loaded_and_copied_it_is_the_same(tmp_path: Path) -> None:
    model = TorchModel.instantiate(BigramConfig(width=4), seed=3)
    model.save_to_dir(tmp_path / "model")
    for twin in (TorchModel.load_from_dir(tmp_path / "model", allow=HERE), model.copy()):
        assert twin.cfg == model.cfg
        for one, other in zip(twin.network.parameters(), model.network.parameters(), strict=True):
            assert torch.equal(one, other)
            assert one is not other
    with pytest.raises(StorageError, match="test_torch_model"):
        TorchModel.load_from_dir(tmp_path / "model")


def test_weights_come_from_the_seed_and_the_logger_is_told(caplog: pytest.LogCaptureFixture) -> None:
    before = torch.random.get_rng_state()
    with caplog.at_level(logging.INFO):
        one = TorchModel.instantiate(BigramConfig(), logging.getLogger("test"), seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert caplog.messages == ["Bigram with 187 parameters, seed 1"]
    other = TorchModel.instantiate(BigramConfig(), seed=2)
    assert not torch.equal(one.network.head.weight, other.network.head.weight)


class WrongAxes(nn.Module):
    def forward(self, tokens: Int[Tensor, "batch tokens"]) -> ModelOutput:
        raise AssertionError


class WrongType(nn.Module):
    def forward(self, tokens: Float[Tensor, "batch seq"]) -> ModelOutput:
        raise AssertionError


class Bare(nn.Module):
    def forward(self, tokens) -> ModelOutput:  # type: ignore[no-untyped-def]
        raise AssertionError


class Strange(nn.Module):
    def forward(self, words: Int[Tensor, "batch seq"]) -> ModelOutput:
        raise AssertionError


class Lossless(nn.Module):
    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Tensor:
        raise AssertionError


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (WrongAxes(), "WrongAxes.forward, parameter tokens\n  got     int2, int4, int8"),
        (WrongAxes(), "[batch tokens]\n  wanted  a tensor like the Batch's field of that name: int32 [batch seq]"),
        (WrongType(), "WrongType.forward, parameter tokens\n  got     float"),
        (Bare(), "Bare.forward, parameter tokens\n  got     nothing\n  wanted  a tensor like"),
        (Strange(), "of that name: nothing\n  Annotate it so, as Int[Tensor, ...] or Float[Tensor, ...]; fields are"),
        (Lossless(), "Lossless.forward, what it returns\n  got     Tensor\n  wanted  a record with a loss"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_module_that_does_not_fit_is_refused_when_the_model_is_made(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match="forward") as caught:
        TorchModel(BigramConfig(), network)
    assert message in str(caught.value)
