"""The trainer without gradients keeps the same promises."""

import math
from collections.abc import Iterator

import attrs
import numpy as np
import pytest
from tiny_torch import VOCAB, Counting, TinyModel

from gptlab.pipeline import ContractError
from gptlab.pipeline.protocols import Model, Trainer
from gptlab.training import Bigram, FoldTrainer, TorchTrainer, TrainerConfig, TrainingError, mean_loss
from gptlab.types import Batch, Document


def test_it_returns_a_new_model_that_has_learned_and_leaves_the_given_one_alone():
    given = Bigram(VOCAB)
    trainer = FoldTrainer.instantiate(20, given, Counting())
    trained = trainer.train()
    assert given.counts.sum() == 0 and trained.counts.sum() == 20 * 17
    assert (trained.counts > 0).sum(axis=1).max() == 1, "counting up has one successor for each token"
    before = mean_loss(given, Counting(1, 4).get_data_generator()).mean
    after = mean_loss(trained, Counting(1, 4).get_data_generator()).mean
    assert before == pytest.approx(math.log(VOCAB)) and after < 0.5
    assert trainer.train_input_type() is Batch and trainer.train_output_type() is Bigram


def test_losses_are_those_of_the_smoothed_counts():
    model = FoldTrainer.instantiate(3, Bigram(VOCAB, smoothing=0.5), Counting()).train()
    batch = next(Counting(7).get_data_generator())
    output = next(model.forward(iter([batch])))
    for row, column in np.ndindex(batch.tokens.shape):
        token, target = batch.tokens[row, column], batch.targets[row, column]
        share = (model.counts[token, target] + 0.5) / (model.counts[token].sum() + 0.5 * VOCAB)
        wanted = 0.0 if target < 0 else -math.log(share)
        assert float(output.token_losses[row, column]) == pytest.approx(wanted, rel=1e-5)
    assert output.logits is not None and np.allclose(output.logits.exp().sum(-1), 1, atol=1e-5)


def test_it_is_saved_and_loaded_exactly(tmp_path):
    model = FoldTrainer.instantiate(3, Bigram(VOCAB, smoothing=0.3), Counting()).train()
    model.save_to_dir(tmp_path / "bigram")
    again = Bigram.load_from_dir(tmp_path / "bigram")
    assert np.array_equal(again.counts, model.counts) and again.smoothing == 0.3


@attrs.frozen
class Documents:
    def get_data_generator(self) -> Iterator[Document]:
        yield from ()


def test_bad_input_is_refused():
    with pytest.raises(ContractError, match="Documents"):
        FoldTrainer.instantiate(None, Bigram(VOCAB), Documents())
    with pytest.raises(
        TrainingError, match=r"got     vocab_size 50257, smoothing 1[.]0\n  wanted  a vocabulary of 1 to 16,384"
    ):
        Bigram(50257)


def test_both_trainers_are_trainers_by_structure_alone():
    for trainer in (
        FoldTrainer.instantiate(1, Bigram(VOCAB), Counting()),
        TorchTrainer.instantiate(TrainerConfig(steps=1), TinyModel(), Counting()),
    ):
        assert isinstance(trainer, Trainer) and isinstance(trainer.train(), Model)
        assert Trainer not in type(trainer).__mro__
