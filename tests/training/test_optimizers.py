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


def names(network: nn.Module, cfg: TrainerConfig) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(group.name, group.rule): group.names for group in parameter_groups(network, cfg)}


def test_groups_are_a_partition_and_muon_takes_hidden_matrices_only():
    network = Tied()
    assert names(network, TrainerConfig(optimizer="muon")) == {
        ("matrices", "muon"): ("blocks.0.weight", "blocks.1.weight"),
        ("matrices", "adamw"): ("embedding.weight", "head.weight"),
        ("vectors", "adamw"): ("blocks.0.bias", "norm.weight"),
    }
    adamw = names(network, TrainerConfig())
    assert {rule for _, rule in adamw} == {"adamw"}
    assert sorted(itertools.chain(*adamw.values())) == sorted(name for name, _ in network.named_parameters())


def test_frozen_parameters_are_left_out():
    network = Tied()
    network.embedding.weight.requires_grad_(False)
    assert "embedding.weight" not in names(network, TrainerConfig())["matrices", "adamw"]
    with pytest.raises(TrainingError, match="got     no parameter that asks for a gradient"):
        Optimizers(network.requires_grad_(False), TrainerConfig())


def test_groups_by_name_have_their_own_learning_rate_and_decay():
    cfg = TrainerConfig(groups=(("*embedding*", 0.0, 0.0), ("head.*", 2.0, 0.5), ("*", 1.0, 0.0)), clip=None)
    network = Tied()
    assert names(network, cfg) == {
        ("*embedding*", "adamw"): ("embedding.weight",),
        ("head.*", "adamw"): ("head.weight",),
        ("*", "adamw"): ("blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "norm.weight"),
    }
    before = copy.deepcopy(network.state_dict())
    optimizers = Optimizers(network, cfg)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    network.embedding.weight.grad = torch.ones_like(network.embedding.weight)
    optimizers.step(0.1)
    after = network.state_dict()
    assert torch.equal(after["embedding.weight"], before["embedding.weight"]), "a factor of 0 stands still"
    torch.testing.assert_close(after["head.weight"], before["head.weight"] * (1 - 2 * 0.1 * 0.5))
    assert torch.equal(after["blocks.0.weight"], before["blocks.0.weight"])


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(TrainingError) as error:
        Optimizers(Tied(), TrainerConfig(groups=(("*", 1.0, 0.0), ("heads.*", 1.0, 0.0))))
    assert str(error.value) == (
        "TrainerConfig.groups\n  got     'heads.*', which is the first to match no parameter\n"
        "  wanted  patterns of the 6 names, such as embedding.weight and head.weight\n"
        "  Mend the pattern, or put it before the one that takes its parameters."
    )


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
        optimizers.forget()
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


def test_the_groups_are_printed_with_their_names():
    assert str(Optimizers(Tied(), TrainerConfig(optimizer="muon"))).splitlines() == [
        "matrices  adamw  learning rate x 1, weight decay 0.1  2 arrays of 56 numbers: embedding.weight, head.weight",
        "matrices  muon   learning rate x 1, weight decay 0.1  "
        "2 arrays of 32 numbers: blocks.0.weight, blocks.1.weight",
        "vectors   adamw  learning rate x 1, weight decay 0    2 arrays of 8 numbers: blocks.0.bias, norm.weight",
    ]
