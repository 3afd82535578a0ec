"""The n-gram model against its recursive definition in plain Python."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import batches

from gptlab.models import ModelOutput, NGram, NGramConfig, ngram
from gptlab.pipeline import AtMost
from gptlab.types import Batch

V = 11


def learned(batches: list[Batch], order: int = 3) -> NGram:
    model = NGram.instantiate(NGramConfig(vocab_size=V, order=order))
    for batch in batches:
        model.learn(batch)
    return model


def grams(batch: Batch, size: int) -> list[tuple[int, ...]]:
    """All n-grams of the batch, one per target, in which no document begins after the first token."""
    found = []
    for tokens, targets, documents in zip(
        batch.tokens.tolist(), batch.targets.tolist(), batch.documents.tolist(), strict=True
    ):
        for place, target in enumerate(targets):
            first = place - (size - 1) + 1
            if target >= 0 and first >= 0 and documents[first : place + 1].count(documents[place]) == size - 1:
                found.append((*tokens[first : place + 1], target))
    return found


def probability(counts: list[Counter[tuple[int, ...]]], context: tuple[int, ...], target: int) -> float:
    """Witten and Bell: the longest context mixed with the next shorter."""
    shorter = probability(counts, context[1:], target) if context else 1 / V
    seen = {gram: count for gram, count in counts[len(context)].items() if gram[:-1] == context}
    if not seen:
        return shorter
    return (seen.get((*context, target), 0) + len(seen) * shorter) / (sum(seen.values()) + len(seen))


@given(train=st.lists(batches(), min_size=0, max_size=2), test=batches(), order=st.integers(1, 4))
@settings(max_examples=30)
def test_losses_are_those_of_the_definition(train: list[Batch], test: Batch, order: int) -> None:
    model = learned(train, order)
    output = next(model.forward(iter([test])))
    counts = [Counter(gram for batch in train for gram in grams(batch, size)) for size in range(1, order + 1)]
    for row in range(len(test.tokens)):
        for place, target in enumerate(test.targets[row].tolist()):
            documents = test.documents[row].tolist()
            length = 0
            while length < order - 1 and length <= place and documents[place - length] == documents[place]:
                length += 1
            context = tuple(test.tokens[row, place + 1 - length : place + 1].tolist())
            wanted = -math.log(probability(counts, context, target)) if target >= 0 else 0.0
            assert output.token_losses[row, place].item() == pytest.approx(wanted, abs=1e-5)


@given(train=batches(), context=st.integers(0, V - 1))
@settings(max_examples=20)
def test_probabilities_sum_to_one(train: Batch, context: int) -> None:
    counts = [Counter(grams(train, size)) for size in (1, 2)]
    assert sum(probability(counts, (context,), target) for target in range(V)) == pytest.approx(1.0)


@given(batch=batches())
@settings(max_examples=20)
def test_what_was_learned_costs_less_than_not_knowing(batch: Batch) -> None:
    if not (batch.targets >= 0).any():
        return
    loss = next(learned([batch] * 5).forward(iter([batch]))).loss.item()
    assert loss < math.log(V)


def test_merging_early_or_late_is_the_same_and_a_copy_learns_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_dag_transformer import example

    late = learned([example()] * 5)
    monkeypatch.setattr(ngram, "MOST_PARTS", 2)
    early = learned([example()] * 5)
    twin = early.copy()
    twin.learn(example())
    losses = [next(model.forward(iter([example()]))).loss.item() for model in (late, early, twin)]
    assert losses[0] == losses[1] > losses[2]


def test_a_model_that_has_seen_nothing_is_at_chance() -> None:
    from test_dag_transformer import example

    assert next(learned([]).forward(iter([example()]))).loss.item() == pytest.approx(math.log(V))


def test_it_is_a_model_like_the_others(tmp_path: Path) -> None:
    from test_dag_transformer import example

    model = learned([example()])
    assert (model.fwd_input_type(), model.fwd_output_type()) == (Batch, ModelOutput)
    assert model.axes() == {"vocab": AtMost(V)}
    model.save_to_dir(tmp_path)
    again = NGram.load_from_dir(tmp_path)
    want, got = (next(each.forward(iter([example()]))) for each in (model, again))
    assert torch.equal(want.token_losses, got.token_losses)
    assert want.loss.item() == pytest.approx(want.token_losses.sum().item() / 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 0}, r"NGramConfig\.order\n  got     0\n  wanted  a whole number of at least 1"),
        (
            {"vocab_size": 100_000, "order": 4},
            r"NGramConfig\n  got     vocab_size=100000, order=4\n  wanted  vocab_size \*\* order below 2 \*\* 63",
        ),
        ({"order": 2**62}, r"NGramConfig\n  got     vocab_size=\d+, order=4611686018427387904\n"),  # and at once
    ],
)
def test_refuses_what_cannot_be_counted(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NGramConfig(**({"vocab_size": V} | change))
