"""Who is trained by which rule, and that its state survives a round trip."""

import copy
import itertools

import pytest
import torch
from torch import nn

from gptlab.training import TrainerConfig, TrainingError
from gptlab.training.optimizers import Optimizers, parameter_groups


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4, bias=False)])
        self.norm = nn.RMSNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.tied = nn.Linear(4, 7, bias=False)
        self.tied.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x)) + self.tied(x)


def test_groups_are_a_partition_and_muon_takes_hidden_matrices_only():
    network = Tied()
    groups = parameter_groups(network, TrainerConfig(optimizer="muon"))
    assert groups == {
        "muon": ["blocks.0.weight", "blocks.1.weight"],
        "matrices": ["embedding.weight", "head.weight"],
        "vectors": ["blocks.0.bias", "norm.weight"],
    }
    adamw = parameter_groups(network, TrainerConfig())
    assert adamw["muon"] == []
    assert sorted(itertools.chain(*adamw.values())) == sorted(name for name, _ in network.named_parameters())


def test_frozen_parameters_are_left_out():
    network = Tied()
    network.embedding.weight.requires_grad_(False)
    assert "embedding.weight" not in parameter_groups(network, TrainerConfig())["matrices"]
    with pytest.raises(TrainingError, match="got     no parameter that asks for a gradient"):
        Optimizers(network.requires_grad_(False), TrainerConfig())


def test_vectors_are_not_decayed_and_matrices_are():
    network = Tied()
    before = copy.deepcopy(network.state_dict())
    optimizers = Optimizers(network, TrainerConfig(weight_decay=0.5))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step(0.1)
    after = network.state_dict()
    assert torch.equal(after["norm.weight"], before["norm.weight"])
    assert torch.equal(after["blocks.0.bias"], before["blocks.0.bias"])
    torch.testing.assert_close(after["head.weight"], before["head.weight"] * (1 - 0.1 * 0.5))


def _steps(network: Tied, optimizers: Optimizers, count: int) -> None:
    tokens = torch.arange(7)
    for _ in range(count):
        nn.functional.cross_entropy(network(tokens), (tokens + 1) % 7).backward()
        optimizers.step(0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_restored_state_goes_on_to_the_bit(optimizer):
    cfg = TrainerConfig(optimizer=optimizer)
    network = Tied()
    optimizers = Optimizers(network, cfg)
    _steps(network, optimizers, 3)
    twin = Tied()
    twin.load_state_dict(copy.deepcopy(network.state_dict()))
    restored = Optimizers(twin, cfg)
    restored.restore({name: tensor.clone() for name, tensor in optimizers.tensors().items()})
    _steps(network, optimizers, 3)
    _steps(twin, restored, 3)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))
    fresh = Tied()
    fresh.load_state_dict(twin.state_dict())
    _steps(fresh, Optimizers(fresh, cfg), 1)
    _steps(twin, restored, 1)
    assert not torch.equal(fresh.head.weight, twin.head.weight)  # so the state did matter


def test_the_state_of_another_model_is_refused():
    optimizers = Optimizers(Tied(), TrainerConfig())
    with pytest.raises(TrainingError) as error:
        optimizers.restore({"elsewhere.weight.exp_avg": torch.zeros(1)})
    assert str(error.value) == (
        "the optimiser state of the checkpoint\n"
        "  got     1 parameters that the model does not train; the first is elsewhere.weight\n"
        "  wanted  only the 6 that it trains\n"
        "  Load the checkpoint with the model it was saved with."
    )


def test_a_parameter_without_gradient_has_no_state_and_is_restored_without():
    network = Tied()
    optimizers = Optimizers(network, TrainerConfig())
    network.head(torch.ones(4)).sum().backward()
    optimizers.step(0.1)
    tensors = optimizers.tensors()
    assert {name.rsplit(".", 1)[0] for name in tensors} == {"head.weight"}
    again = Optimizers(Tied(), TrainerConfig())
    again.restore(tensors)
    assert again.tensors().keys() == tensors.keys()


def test_the_log_line_counts_the_groups():
    assert str(Optimizers(Tied(), TrainerConfig(optimizer="muon"))) == "muon: 2, matrices: 2, vectors: 2"
