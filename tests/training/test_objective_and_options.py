"""The loss of a step, and the options that are reported and never assumed."""

import contextlib
import copy
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
import torch
from tiny_torch import Counting, DeepModel, Padded, Residual, TinyModel, TinyOutput, same

from gptlab.pipeline import Drops, watching
from gptlab.training import TorchTrainer, TrainerConfig, TrainingError, options
from gptlab.training.objective import z_loss
from gptlab.types import Batch

CFG = TrainerConfig(steps=6, learning_rate=0.02, warmup_steps=2, clip=None)


class Lines(Drops):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@attrs.frozen
class Joined:
    """`count` batches of another source as one."""

    count: int

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        batches = Padded(Counting()).get_data_generator(start * self.count)
        while True:
            group = [next(batches) for _ in range(self.count)]
            fields = {f.name: np.concatenate([getattr(b, f.name) for b in group]) for f in attrs.fields(Batch)}
            yield Batch(**fields)


def test_three_batches_are_one_of_their_rows_whatever_each_teaches():
    many = TorchTrainer.instantiate(attrs.evolve(CFG, accumulate=3), DeepModel(), Padded(Counting())).train()
    one = TorchTrainer.instantiate(CFG, DeepModel(), Joined(3)).train()
    assert all(np.allclose(one.weights()[name], many.weights()[name], atol=1e-5) for name in one.weights())


def test_a_batch_schedule_is_the_batches_in_their_order():
    cfg = attrs.evolve(CFG, steps=4, batch_schedule=((0, 1), (2, 3)))
    seen = []

    class Watched(DeepModel):
        def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
            def looked() -> Iterator[Batch]:
                for batch in batches:
                    seen.append(batch.tokens)
                    yield batch

            return super().forward(looked())

    TorchTrainer.instantiate(cfg, Watched(), Counting()).train()
    wanted = [batch.tokens for batch, _ in zip(Counting().get_data_generator(), range(8), strict=False)]
    assert len(seen) == 8 and all(np.array_equal(a, b) for a, b in zip(seen, wanted, strict=True))


def test_z_loss_is_the_mean_square_of_the_log_of_the_softmaxs_sum():
    batch = next(Padded(Counting()).get_data_generator())
    output = next(TinyModel().forward(iter([batch])))
    assert output.logits is not None
    sums = np.log(np.exp(output.logits.detach().double().numpy()).sum(axis=-1))
    wanted = (sums[batch.targets >= 0] ** 2).mean()
    assert float(z_loss(output, batch).detach()) == pytest.approx(wanted, rel=1e-5)


def test_z_loss_makes_the_sums_small_and_is_told(tmp_path):
    cfg = attrs.evolve(CFG, steps=60)
    sizes = {}
    for weight in (0.0, 1.0):
        trained = TorchTrainer.instantiate(
            attrs.evolve(cfg, z_loss=weight), TinyModel(), Counting(), directory=tmp_path / str(weight)
        ).train()
        batch = next(Counting(5).get_data_generator())
        sizes[weight] = float(z_loss(next(trained.forward(iter([batch]))), batch).detach())
    assert sizes[1.0] < sizes[0.0] / 4
    assert '"z_loss"' in (tmp_path / "1.0" / "metrics.jsonl").read_text()
    assert '"z_loss"' not in (tmp_path / "0.0" / "metrics.jsonl").read_text()


class NoLogits(TinyModel):
    def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
        return (attrs.evolve(output, logits=None) for output in super().forward(batches))


def test_a_model_that_cannot_give_it_is_refused():
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(attrs.evolve(CFG, z_loss=1e-4), NoLogits(), Counting()).train()
    assert str(error.value) == (
        "TrainerConfig.z_loss\n  got     a TinyOutput without log_sums or logits while training\n"
        "  wanted  the logarithm of the softmax's sum at each token\n  Set z_loss=0, or let the model yield log_sums."
    )


def test_blocks_computed_again_give_the_same_gradients_and_leave_no_trace():
    plain = TorchTrainer.instantiate(CFG, DeepModel(), Counting()).train()
    again = TorchTrainer.instantiate(
        attrs.evolve(CFG, activation_checkpointing=True), DeepModel(), Counting()
    ).train()
    assert same(plain, again)
    assert not any("forward" in vars(block) for block in again.network.modules())


def test_the_inside_of_a_block_is_really_computed_again():
    network = Residual()
    calls = []
    network.blocks[1].register_forward_hook(lambda *_: calls.append(1))
    inner = network.blocks[1][0]
    inner.register_forward_hook(lambda *_: calls.append(2))
    with options.checkpointed_blocks(network, TrainerConfig(activation_checkpointing=True)):
        network(torch.zeros(1, 2, dtype=torch.long)).sum().backward()
    assert calls == [2, 1, 2], "the block once, its inside twice"
    calls.clear()
    network(torch.zeros(1, 2, dtype=torch.long)).sum().backward()
    assert calls == [2, 1]


def test_a_network_without_blocks_is_refused():
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(attrs.evolve(CFG, activation_checkpointing=True), TinyModel(), Counting()).train()
    assert str(error.value) == (
        "TrainerConfig.activation_checkpointing\n"
        "  got     True, for Sequential, which has no nn.ModuleList of blocks\n"
        "  wanted  a network with blocks that can be computed again one by one\n  Set activation_checkpointing=False."
    )


def test_bfloat16_is_told_where_it_is_slow(monkeypatch):
    seen = Lines()
    cfg = attrs.evolve(CFG, dtype="bfloat16")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    with watching(seen):
        options.check_dtype(cfg, torch.device("cpu"))
        options.check_dtype(CFG, torch.device("cpu"))
    assert seen.lines == [
        "bfloat16 on a CPU without bfloat16 units: many times slower than dtype float32, and no more exact"
    ]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    with watching(seen):
        options.check_dtype(cfg, torch.device("cpu"))
    assert len(seen.lines) == 1


@pytest.mark.parametrize(
    ("units", "found"),
    [
        ({}, "float32"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"bf16": True}, "bfloat16"),
    ],
)
def test_auto_is_what_the_machine_multiplies_and_is_told(units, found, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    seen = Lines()
    runs = {}
    for dtype in ("auto", found, {"float32": "bfloat16", "bfloat16": "float32"}[found]):
        with watching(seen), caplog.at_level("INFO", logger="gptlab.training"):
            runs[dtype] = TorchTrainer.instantiate(attrs.evolve(CFG, dtype=dtype), DeepModel(), Counting()).train()
    assert same(runs["auto"], runs[found])
    assert sum(same(runs["auto"], run) for run in runs.values()) == 2, "the other type gives other bits"
    has = "has bfloat16" if found == "bfloat16" else "has no bfloat16"
    assert seen.lines[0] == f"dtype auto: {found}, as {options.name_of(torch.device('cpu'))} {has} units"
    assert f"training on cpu, {found} (auto), one process" in caplog.text


def test_auto_asks_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "some GPU")
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True, has=has: has)
        found = options.compute_type(attrs.evolve(CFG, dtype="auto"), torch.device("cuda:0"))
        assert found == ("bfloat16" if has else "float32")


def test_a_torch_that_cannot_tell_is_not_taken_at_its_best(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not options.has_bfloat16(torch.device("cpu"))


def test_bfloat16_is_refused_on_a_gpu_that_has_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(TrainingError) as error:
        options.check_dtype(attrs.evolve(CFG, dtype="bfloat16"), torch.device("cuda:0"))
    assert str(error.value) == (
        "TrainerConfig.dtype\n  got     'bfloat16' on cuda:0, Tesla T4\n"
        "  wanted  a device that computes in bfloat16 (Ampere or later)\n  Set dtype='float32'."
    )


def test_compiling_is_asked_of_the_network_and_told(monkeypatch, caplog):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    for asked in (False, True):
        with caplog.at_level("INFO", logger="gptlab.training"):
            TorchTrainer.instantiate(attrs.evolve(CFG, compile=asked), DeepModel(), Counting()).train()
    assert compiled == ["Residual"]
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("training on")]
    assert told == [
        f"training on cpu, float32, one process, compile {switch}, activation checkpointing off, MFU unknown"
        for switch in ("off", "on")
    ]


def test_a_bare_copy_of_a_checkpointed_network_is_whole():
    """A copy that is made within calls its own blocks, not those that it was copied from."""
    network = Residual()
    with options.checkpointed_blocks(network, TrainerConfig(activation_checkpointing=True)):
        twin = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        assert twin(torch.zeros(1, 2, dtype=torch.long)).abs().sum() > 0
    with contextlib.suppress(AttributeError):
        assert "forward" not in vars(network.blocks[0])
