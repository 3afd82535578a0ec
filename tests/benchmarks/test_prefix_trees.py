"""Trees of shared prefixes hold what was put in, and a model makes of them what it makes of plain rows."""

from collections.abc import Iterator, Sequence
from itertools import islice

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gptlab.benchmarks.continuations import CUT, Continuation, ContinuationRows, fitted
from gptlab.benchmarks.likelihood import longest_row, score
from gptlab.benchmarks.prefix_trees import PrefixTree, prefix_trees
from gptlab.benchmarks.tree_pass import Likelihood
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec, ModelOutput
from gptlab.pipeline.observe import Drops, watching
from gptlab.types import Batch

VOCAB = 7

few_tokens = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=6).map(tuple)
"""Of a small vocabulary, so that many begin alike."""

continuations = st.lists(st.builds(Continuation, before=few_tokens, tokens=few_tokens), min_size=1, max_size=12)


def path(tree: PrefixTree, node: int) -> list[int]:
    """The tokens from the root to a node, by the parents."""
    found = []
    while node >= 0:
        found.append(int(tree.tokens[node]))
        node = int(tree.parents[node])
    return found[::-1]


@given(continuations, st.integers(1, 40))
def test_every_sequence_is_a_path(given_ones: list[Continuation], most_nodes: int) -> None:
    trees = prefix_trees(given_ones, most_nodes)
    seen = []
    for tree in trees:
        for number, nodes in tree.asked:
            seen.append(number)
            wanted = given_ones[number]
            assert path(tree, int(nodes[-1])) == list(wanted.read)
            assert len(nodes) == len(wanted.tokens)
            assert [int(tree.parents[node]) for node in nodes[1:]] == nodes[:-1].tolist()
        assert len(tree) <= max(most_nodes, *(len(given_ones[number].read) for number, _ in tree.asked))
    assert sorted(seen) == list(range(len(given_ones)))


@given(continuations)
def test_the_run_of_a_node_is_what_is_below_it(given_ones: list[Continuation]) -> None:
    for tree in prefix_trees(given_ones):
        for node in range(len(tree)):
            assert tree.depths[node] == len(path(tree, node)) - 1
            below = [other for other in range(len(tree)) if node in ancestors(tree, other)]
            assert below == list(range(node, tree.ends[node]))
        assert tree.is_chain == (len(set(tree.depths.tolist())) == len(tree))


def ancestors(tree: PrefixTree, node: int) -> set[int]:
    found = set()
    while node >= 0:
        found.add(node)
        node = int(tree.parents[node])
    return found


def test_what_is_alike_is_there_once() -> None:
    context = tuple(range(20))
    choices = [Continuation(before=context, tokens=(30 + choice, 40)) for choice in range(4)]
    (tree,) = prefix_trees(choices)
    assert len(tree) == 20 + 4  # the last token of each is not read
    letters = [Continuation(before=context, tokens=(30 + choice,)) for choice in range(4)]
    (tree,) = prefix_trees(letters)
    assert len(tree) == 20
    assert tree.is_chain
    assert len(prefix_trees([*choices, Continuation(before=(99,) * 9, tokens=(1,))])) == 2


@st.composite
def configurations(draw: st.DrawFn) -> DagTransformerConfig:
    """Every way in which a token takes something from another."""
    kind = draw(st.sampled_from(["causal", "document", "from_link", "whole_document"]))
    return DagTransformerConfig(
        layers=draw(st.integers(1, 2)),
        width=16,
        heads=4,
        kv_heads=draw(st.sampled_from([None, 1, 2])),
        vocab_size=VOCAB,
        max_seq_len=draw(st.sampled_from([8, 12, 64])),
        mask=MaskSpec(kind),
        short_conv=draw(st.integers(0, 4)),
        position_kind=draw(st.sampled_from(["rotary", "learned"])),
        positions_within=draw(st.sampled_from(["row", "document"])),
        norm=draw(st.sampled_from(["rms", "layer"])),
        mlp=draw(st.sampled_from(["relu2", "swiglu"])),
        qk_norm=draw(st.booleans()),
        soft_cap=draw(st.sampled_from([None, 5.0])),
        embedding_norm=draw(st.booleans()),
        tied_embeddings=draw(st.booleans()),
    )


def random_model(cfg: DagTransformerConfig, seed: int = 0, scale: float = 0.3) -> DagTransformer:
    """No weight is zero or one, so that nothing cancels."""
    model = DagTransformer.instantiate(cfg)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * scale)
    return model


def one_by_one(model: DagTransformer, asked: Continuation) -> tuple[list[float], list[int]]:
    """The definition, as it would be written on a blackboard: a row, its logits, the softmax of each."""
    row = np.array([asked.before + asked.tokens], np.int32)[:, -model.cfg.max_seq_len - 1 : -1]
    batch = Batch(
        tokens=row,
        targets=np.full_like(row, -1),
        documents=np.zeros_like(row),
        positions=np.arange(row.shape[1], dtype=np.int32)[None],
        edges=np.zeros((1, 0, 3), np.int32),
    )
    with torch.no_grad():
        logits = next(model.forward(iter([batch]))).logits[0, -len(asked.tokens) :].double()
    log_probs = logits.log_softmax(dim=-1)
    own = [float(log_probs[place, token]) for place, token in enumerate(asked.tokens)]
    ranks = [int((logits[place] > logits[place, token]).sum()) for place, token in enumerate(asked.tokens)]
    return own, ranks


def same(found: Likelihood, wanted: tuple[list[float], list[int]]) -> None:
    np.testing.assert_allclose(found.log_probs, wanted[0], rtol=1e-5, atol=1e-5)
    assert found.ranks is not None
    assert found.ranks.tolist() == wanted[1]


@settings(max_examples=40)
@given(configurations(), continuations, st.integers(1, 40), st.booleans())
def test_a_model_makes_of_trees_what_it_makes_of_rows(
    cfg: DagTransformerConfig, given_ones: list[Continuation], batch_tokens: int, share: bool
) -> None:
    model = random_model(cfg)
    found = list(score(given_ones, model, batch_tokens=batch_tokens, share_prefixes=share))
    assert len(found) == len(given_ones)
    for likelihood, asked in zip(found, given_ones, strict=True):
        same(likelihood, one_by_one(model, asked))


def test_more_than_are_sorted_at_once_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptlab.benchmarks.likelihood.AT_ONCE", 3)
    monkeypatch.setattr("gptlab.benchmarks.tree_pass.MOST_LOGITS", 2 * VOCAB)
    model = random_model(DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=VOCAB, max_seq_len=32))
    asked = [Continuation(before=(number % 5, 1, 2), tokens=(3, number % VOCAB)) for number in range(10)]
    read = 0

    def counted() -> Iterator[Continuation]:
        nonlocal read
        for each in asked:
            read += 1
            yield each

    found = score(counted(), model)
    first = list(islice(found, 1))
    assert read == 3, "no more is read than is scored at once"
    for likelihood, each in zip([*first, *found], asked, strict=True):
        same(likelihood, one_by_one(model, each))


def test_the_mode_of_the_network_is_put_back() -> None:
    model = random_model(
        DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=VOCAB, max_seq_len=8, dropout=0.9)
    )
    asked = [Continuation(before=(1, 2), tokens=(3, 4))]
    quiet = next(score(asked, model)).total
    model.network.train()
    assert next(score(asked, model)).total == quiet
    assert model.network.training


@attrs.frozen
class Unigram:
    """A model of the user's own, without logits: the score of a token is its number."""

    network: nn.Module = attrs.field(factory=lambda: nn.Linear(1, 1))

    def forward(self, batches: Iterator[Batch]) -> Iterator[ModelOutput]:
        for batch in batches:
            losses = torch.as_tensor(np.where(batch.targets >= 0, batch.targets, 0)).float()
            yield ModelOutput(loss=losses.mean(), token_losses=losses)

    def copy(self) -> "Unigram":
        return self

    def save_to_dir(self, directory: object) -> None: ...

    @classmethod
    def load_from_dir(cls, directory: object) -> "Unigram":
        return cls()


@given(continuations, st.integers(1, 30))
def test_any_model_is_read_by_rows(given_ones: Sequence[Continuation], batch_tokens: int) -> None:
    for likelihood, asked in zip(score(given_ones, Unigram(), batch_tokens=batch_tokens), given_ones, strict=True):
        assert likelihood.log_probs.tolist() == [-token for token in asked.tokens]
        assert likelihood.ranks is None


@given(continuations, st.integers(1, 30))
def test_rows_hold_each_continuation_once_and_are_small(given_ones: list[Continuation], batch_tokens: int) -> None:
    found = []
    for batch in ContinuationRows(batch_tokens=batch_tokens)(iter(given_ones)):
        assert batch.tokens.size <= batch_tokens or len(batch.tokens) == 1
        for tokens, targets, documents in zip(batch.tokens, batch.targets, batch.documents, strict=True):
            length, asked = int((documents == 0).sum()), targets[targets >= 0]
            read = tokens[:length].tolist()
            before = read[: length - len(asked) + 1]
            found.append(Continuation(before=tuple(before), tokens=tuple(asked.tolist())))
    assert found == given_ones


def test_a_context_that_is_too_long_is_cut_on_the_left_and_that_is_counted() -> None:
    asked = Continuation(before=(1, 2, 3, 4), tokens=(5, 6))
    assert fitted(asked, 5) is asked
    with watching(Drops()) as drops:
        assert fitted(asked, 3) == Continuation(before=(3, 4), tokens=(5, 6))
    assert drops.counts == {CUT: 1}
    with pytest.raises(ValueError, match=r"got     2 tokens\n  wanted  at most the 1 that the model can read"):
        fitted(asked, 1)
    assert fitted(asked, 2) == Continuation(before=(4,), tokens=(5, 6))


def test_the_longest_row_is_what_the_model_says() -> None:
    assert longest_row(random_model(DagTransformerConfig(vocab_size=VOCAB, max_seq_len=32))) == 32
    assert longest_row(Unigram()) is None
