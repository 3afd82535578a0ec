"""Sampling against its definition, and its edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"temperature": -1.0},
            "Sampling.temperature\n  got     -1.0\n  wanted  a number of at least 0.0\n  0 takes",
        ),
        ({"top_k": 0}, "Sampling.top_k\n  got     0\n  wanted  a whole number of at least 1\n  None is no limit."),
        ({"top_p": 0.0}, "Sampling.top_p\n  got     0.0\n  wanted  above 0 and at most 1\n  1 is no limit."),
    ],
)
def test_refuses_what_is_no_sampling(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match="Sampling") as caught:
        Sampling(**change)
    assert message in str(caught.value)
