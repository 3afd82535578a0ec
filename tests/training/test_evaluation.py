"""Means, standard errors, and that evaluating changes nothing."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tiny_torch import Counting, TinyModel
from torch import nn

from gptlab.training import mean_loss, ratio_of_means, scored
from gptlab.types import Batch

numbers = st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 50)), min_size=2, max_size=30)


@given(numbers)
def test_the_standard_error_is_the_jackknife_s_to_first_order(pairs):
    """The jackknife is the other, slower definition; with equal counts the two agree exactly."""
    sums = np.array([total for total, _ in pairs])
    counts = np.full(len(pairs), 7.0)
    mean, stderr = ratio_of_means(sums, counts)
    left_out = np.array([np.delete(sums, i).sum() / np.delete(counts, i).sum() for i in range(len(sums))])
    n = len(sums)
    jackknife = math.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    assert mean == pytest.approx(sums.sum() / counts.sum())
    assert stderr == pytest.approx(jackknife, rel=1e-6, abs=1e-9)
    assert stderr == pytest.approx(np.std(sums / 7, ddof=1) / math.sqrt(n), rel=1e-6, abs=1e-9)


def test_with_unequal_counts_it_is_what_repetition_shows():
    dice = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        counts = dice.integers(5, 40, 400).astype(float)
        return counts * (2 + dice.normal(0, 1, 400)), counts

    means, stderrs = zip(*(ratio_of_means(*draw()) for _ in range(500)), strict=True)
    assert np.mean(stderrs) == pytest.approx(np.std(means), rel=0.1)


@given(numbers)
def test_copies_of_every_unit_do_not_move_the_mean_and_shrink_the_error(pairs):
    sums, counts = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    mean, stderr = ratio_of_means(sums, counts)
    assume(stderr > 1e-9)
    again, smaller = ratio_of_means(np.tile(sums, 4), np.tile(counts, 4))
    assert again == pytest.approx(mean, abs=1e-12)
    n = len(sums)
    assert smaller == pytest.approx(stderr / 2 * math.sqrt((n - 1) / n * 4 * n / (4 * n - 1)))


def test_none_and_one():
    assert all(math.isnan(value) for value in ratio_of_means(np.zeros(0), np.zeros(0)))
    assert ratio_of_means(np.array([6.0]), np.array([4.0])) == (1.5, 0.0)


def test_the_mean_is_over_learned_tokens_by_rows():
    model, source = TinyModel(), Counting(seed=4, batches=5)
    found = mean_loss(model, source.get_data_generator())
    losses, learned, rows = 0.0, 0, []
    for batch in source.get_data_generator():
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            with torch.no_grad():
                logits = model.network(torch.from_numpy(tokens).long())
            each = [-float(logits[i].log_softmax(-1)[t]) for i, t in enumerate(targets) if t >= 0]
            rows.append((sum(each), len(each)))
            losses, learned = losses + sum(each), learned + len(each)
    assert found.mean == pytest.approx(losses / learned, rel=1e-6)
    assert (found.units, found.tokens) == (15, learned) == (15, 5 * 17)
    _, stderr = ratio_of_means(np.array([s for s, _ in rows]), np.array([float(c) for _, c in rows]))
    assert found.stderr == pytest.approx(stderr, rel=1e-5)


@attrs.frozen
class OnlyLoss:
    loss: torch.Tensor


@attrs.frozen(eq=False)
class Scalars:
    """A model that is no language model: it has a loss for a number and nothing else."""

    network: nn.Module = attrs.field(factory=lambda: nn.Linear(1, 1))

    def forward(self, items: Iterator[float]) -> Iterator[OnlyLoss]:
        for item in items:
            yield OnlyLoss(torch.tensor(item))

    def copy(self) -> Self:
        return self

    def save_to_dir(self, directory: Path) -> None: ...

    @classmethod
    def load_from_dir(cls, directory: Path) -> Self:
        return cls()


def test_models_without_token_losses_are_averaged_by_batch():
    found = mean_loss(Scalars(), [1.0, 2.0, 6.0])
    assert (found.mean, found.units, found.tokens) == (3.0, 3, 0)
    assert found.stderr == pytest.approx(np.std([1, 2, 6], ddof=1) / math.sqrt(3))


@pytest.mark.parametrize("mode", [True, False])
def test_scoring_puts_the_mode_back_and_makes_no_gradients(mode):
    model = TinyModel()
    model.network.train(mode)
    for batch, output in scored(model, Counting(batches=2).get_data_generator()):
        assert isinstance(batch, Batch)
        assert not model.network.training
        assert not output.loss.requires_grad
        assert torch.is_grad_enabled(), "the caller's gradients are not switched off between two batches"
    assert model.network.training is mode


def test_scoring_reads_no_further_than_it_is_asked_and_cleans_up_when_it_is_dropped():
    read = []

    def batches():
        for number, batch in enumerate(Counting().get_data_generator()):
            read.append(number)
            yield batch

    model = TinyModel()
    model.network.train()
    stream = scored(model, batches())
    first, _ = next(stream)
    assert read == [0]
    assert np.array_equal(first.tokens, next(Counting().get_data_generator()).tokens)
    stream.close()
    assert model.network.training
