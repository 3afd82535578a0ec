"""The real model on real rows: the whole chain fits, learns to read its links, and resumes to the bit."""

import json
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
import torch

from gptlab.benchmarks import HeldOutLoss, LinkGain
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import ContractError, pipeline
from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from gptlab.types import DocumentId, PackedSequence

VOCAB, SEQ = 24, 16


class Rows:
    """A target of six random tokens and a linker that repeats them after its link: only the link can tell."""

    def __len__(self) -> int:
        return 4096

    def __getitem__(self, number: int) -> PackedSequence:
        word = np.random.default_rng(number).integers(2, VOCAB, 6)
        return PackedSequence(
            tokens=np.array([*word, 0, 1, *word, 0, 0], np.uint16),
            starts=np.array([0, 7], np.int32),
            ids=(DocumentId(f"T{number}"), DocumentId(f"L{number}")),
            edges=np.array([[1, 0, 7]], np.int32),
            length=15,
            end_of_text=0,
            dropped={},
        )


class HeldOut(Rows):
    """Numbers that training never draws."""

    def get_data_generator(self) -> Iterator[PackedSequence]:
        return (Rows()[number] for number in range(5000, 5064))


def model(mask: str = "from_link") -> DagTransformer:
    return DagTransformer.instantiate(
        DagTransformerConfig(
            layers=2, width=32, heads=2, vocab_size=VOCAB, max_seq_len=SEQ, mask=MaskSpec(mask), attention="dense"
        )
    )


def data(batch_size: int = 8):
    return pipeline(Shuffled(Rows()), Collate(batch_size))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resumed_to_the_bit(tmp_path, optimizer):
    cfg = TrainerConfig(steps=6, warmup_steps=2, optimizer=optimizer, checkpoint_every=2, keep_last=3)
    trained = TorchTrainer.instantiate(cfg, model(), data(), directory=tmp_path).train()
    resumed = TorchTrainer.load_checkpoint(tmp_path / "checkpoints" / "step-00000002", data_source=data()).train()
    for ours, theirs in zip(trained.network.parameters(), resumed.network.parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
    last = latest_checkpoint(tmp_path)
    assert last is not None
    saved = DagTransformer.load_from_dir(last / "model")
    batch = next(data().get_data_generator())
    assert next(saved.forward(iter([batch]))).loss == next(trained.forward(iter([batch]))).loss


def test_links_are_read_where_the_mask_lets_them_and_only_there():
    cfg = TrainerConfig(steps=260, learning_rate=5e-3, warmup_steps=20)
    gains = {}
    for mask in ("from_link", "document"):
        trained = TorchTrainer.instantiate(cfg, model(mask), data(32)).train()
        gains[mask] = LinkGain(tokens=6, batch_size=32).calculate(HeldOut(), trained)
    assert gains["from_link"]["links"] == 64 and gains["from_link"]["tokens"] == 6 * 64
    assert gains["from_link"]["gain"] > 3 * gains["from_link"]["gain_stderr"] > 0
    assert gains["document"]["gain"] == gains["document"]["gain_stderr"] == 0.0
    assert gains["from_link"]["loss"] < gains["document"]["loss"]


def test_a_fresh_model_is_at_the_logarithm_of_its_vocabulary():
    held_out = pipeline(HeldOut(), Collate(16))
    assert HeldOutLoss().calculate(held_out, model())["loss"] == pytest.approx(np.log(VOCAB), rel=0.02)


def test_rows_that_are_longer_than_the_model_reads_are_refused_at_construction():
    class Long(Rows):
        def axes(self):
            return {"seq": SEQ + 1}

    source = pipeline(Shuffled(Long()), Collate(8))
    with pytest.raises(ContractError, match="seq"):
        TorchTrainer.instantiate(TrainerConfig(steps=1), model(), source)


@pytest.mark.parametrize("soft_cap", [None, 5.0])
def test_the_log_sums_of_the_model_are_those_of_its_logits(soft_cap):
    fresh = model()
    ours = DagTransformer.instantiate(attrs.evolve(fresh.cfg, soft_cap=soft_cap, init_scale=2.0)).with_log_sums()
    batch = next(data().get_data_generator())
    output = next(ours.forward(iter([batch])))
    assert output.logits is not None and output.log_sums is not None
    learned = torch.from_numpy(batch.targets >= 0)
    wanted = output.logits.logsumexp(dim=-1)[learned]
    torch.testing.assert_close(output.log_sums[learned], wanted)
    weights = [weight for weight in ours.network.parameters() if weight.requires_grad]
    slow = torch.autograd.grad(wanted.square().mean(), weights, allow_unused=True)
    ours.network.train()
    training = next(ours.forward(iter([batch])))
    assert training.logits is None and training.log_sums is not None
    fast = torch.autograd.grad(training.log_sums[learned].square().mean(), weights, allow_unused=True)
    for a, b in zip(slow, fast, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


def test_a_z_loss_is_learned_by_the_real_model(tmp_path):
    cfg = TrainerConfig(steps=30, learning_rate=5e-3, warmup_steps=2, z_loss=1.0)
    trained = TorchTrainer.instantiate(cfg, model(), data(), directory=tmp_path).train()
    figures = [json.loads(line)["z_loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert figures[0] > 9 and figures[-1] < figures[0] / 3
    assert not trained.gives_log_sums and next(trained.forward(data().get_data_generator())).log_sums is None
