"""Sampling against its definition, and its edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from transformers.generation import logits_process

from gptlab.models import Sampling

some_logits = hnp.arrays(np.float32, st.integers(1, 12), elements=st.floats(-20, 20, width=32))


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    shifted = (logits.astype(float) - logits.max()) / temperature
    return np.exp(shifted) / np.exp(shifted).sum()


@given(logits=some_logits, temperature=st.floats(0.1, 5))
def test_without_limits_it_is_the_softmax(logits: np.ndarray, temperature: float) -> None:
    found = Sampling(temperature=temperature, top_p=1.0).probabilities(logits)
    np.testing.assert_allclose(found, softmax(logits, temperature), atol=1e-6)


@given(logits=some_logits, top_k=st.integers(1, 15), top_p=st.floats(0.05, 1.0))
def test_limits_keep_the_likeliest_and_their_proportions(logits: np.ndarray, top_k: int, top_p: float) -> None:
    found = Sampling(temperature=1.0, top_k=top_k, top_p=top_p).probabilities(logits)
    kept = found > 0
    assert found.sum() == pytest.approx(1.0)
    assert 1 <= kept.sum() <= top_k
    assert logits[kept].min() >= logits[~kept].max(initial=-np.inf)
    full = softmax(logits, 1.0)
    np.testing.assert_allclose(found[kept], full[kept] / full[kept].sum(), rtol=1e-6)
    among = np.sort(full)[::-1][:top_k] / np.sort(full)[::-1][:top_k].sum()
    count = int(kept.sum())
    assert among[:count].sum() >= top_p - 1e-6  # enough, and without the least likely not enough
    assert among[: count - 1].sum() < top_p + 1e-6


def test_top_p_keeps_the_fewest_that_have_it() -> None:
    halves = np.zeros(2)
    assert Sampling(temperature=1.0, top_p=0.5).probabilities(halves).tolist() == [1.0, 0.0]
    assert Sampling(temperature=1.0, top_p=0.51).probabilities(halves).tolist() == [0.5, 0.5]


@given(logits=some_logits, seed=st.integers(0, 99))
def test_a_draw_is_possible_and_repeats_with_its_seed(logits: np.ndarray, seed: int) -> None:
    sampling = Sampling(top_k=3)
    token = sampling.draw(logits, np.random.default_rng(seed))
    assert sampling.probabilities(logits)[token] > 0
    assert token == sampling.draw(logits, np.random.default_rng(seed))


@given(logits=some_logits)
def test_temperature_zero_takes_the_likeliest(logits: np.ndarray) -> None:
    token = Sampling(temperature=0).draw(logits, np.random.default_rng(0))
    assert logits[token] == logits.max()


def test_draws_come_as_often_as_their_probability() -> None:
    logits, rng = np.log(np.array([0.5, 0.3, 0.2])), np.random.default_rng(0)
    draws = [Sampling(temperature=1.0, top_p=1.0).draw(logits, rng) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(draws) / 4000, [0.5, 0.3, 0.2], atol=0.03)


@given(logits=some_logits, min_p=st.floats(0, 1))
def test_min_p_keeps_what_has_this_share_of_the_likeliest(logits: np.ndarray, min_p: float) -> None:
    found = Sampling(temperature=1.0, top_p=1.0, min_p=min_p).probabilities(logits)
    full = softmax(logits, 1.0)
    clear = np.abs(full - min_p * full.max()) > 1e-9  # on the border rounding decides
    assert np.array_equal((found > 0)[clear], ((full > min_p * full.max()) & (full > 0))[clear])


@given(logits=some_logits, written=st.lists(st.integers(0, 11), max_size=4), factor=st.floats(0.5, 3))
def test_the_penalty_makes_what_was_written_less_likely_and_changes_nothing_else(
    logits: np.ndarray, written: list[int], factor: float
) -> None:
    written = [token % len(logits) for token in written]
    wanted = logits.copy()
    for token in set(written):
        wanted[token] = (
            wanted[token] / np.float32(factor) if wanted[token] > 0 else wanted[token] * np.float32(factor)
        )
    plain = Sampling(temperature=1.0, top_p=1.0)
    found = Sampling(temperature=1.0, top_p=1.0, repetition_penalty=factor).probabilities(logits, written)
    np.testing.assert_allclose(found, plain.probabilities(wanted), atol=1e-6)


@given(
    logits=hnp.arrays(
        np.float32, 12, elements=st.integers(-60, 60).map(lambda tenths: np.float32(tenths / 10)), unique=True
    ),
    top_k=st.integers(1, 12),
    top_p=st.sampled_from([0.3, 0.77, 1.0]),
    min_p=st.sampled_from([0.0, 0.013, 0.21]),
    penalty=st.sampled_from([1.0, 1.3]),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    written=st.lists(st.integers(0, 11), min_size=1, max_size=4),
)
@settings(max_examples=40)
def test_all_of_it_is_what_transformers_does(
    logits: np.ndarray, top_k: int, top_p: float, min_p: float, penalty: float, temperature: float, written: list[int]
) -> None:
    ours = Sampling(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty
    ).probabilities(logits, written)
    scores, ids = torch.from_numpy(logits)[None].double(), torch.tensor([written])
    for processor in (
        logits_process.RepetitionPenaltyLogitsProcessor(penalty),
        logits_process.TemperatureLogitsWarper(temperature),
        logits_process.TopKLogitsWarper(top_k),
        *([logits_process.TopPLogitsWarper(top_p)] if top_p < 1 else []),
        logits_process.MinPLogitsWarper(min_p),
    ):
        scores = processor(ids, scores)
    np.testing.assert_allclose(ours, scores.softmax(dim=-1)[0].numpy(), atol=1e-5)


def test_a_seed_draws_the_same_whatever_was_drawn_before() -> None:
    """Greedy steps take their number from the generator too: a text does not depend on how others were drawn."""
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    logits = np.zeros(5, np.float32)
    Sampling(temperature=0).draw(logits, first)
    Sampling(temperature=1).draw(logits, second)
    assert first.random() == second.random()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"temperature": -1.0},
            "Sampling.temperature\n  got     -1.0\n  wanted  a number of at least 0.0\n  0 takes",
        ),
        ({"top_k": 0}, "Sampling.top_k\n  got     0\n  wanted  a whole number of at least 1\n  None is no limit."),
        ({"top_p": 0.0}, "Sampling.top_p\n  got     0.0\n  wanted  above 0 and at most 1\n  1 is no limit."),
        ({"min_p": 1.5}, "Sampling.min_p\n  got     1.5\n  wanted  at least 0 and at most 1\n  0 is no limit."),
        (
            {"repetition_penalty": 0.0},
            "Sampling.repetition_penalty\n  got     0.0\n  wanted  a number above 0\n  1 is none; 1.2 is usual.",
        ),
    ],
)
def test_refuses_what_is_no_sampling(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match="Sampling") as caught:
        Sampling(**change)
    assert message in str(caught.value)
