"""Pairs are links and non-links as they say, and the model that reads them passes through the same contracts."""

import logging
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptlab.models import LinkPairs, LinkPredictor, LinkPredictorConfig, LinkScores, SampleLinks
from gptlab.pipeline import AtMost, pipeline
from gptlab.pipeline.errors import ContractError
from gptlab.types import DocumentId, TokenizedDocument

NAMES = [DocumentId(f"D{number}") for number in range(9)]


def document(number: int, links: list[int]) -> TokenizedDocument:
    """Its first token is its number, so that a pair tells which documents it is made of."""
    return TokenizedDocument(
        id=NAMES[number],
        title=NAMES[number],
        tokens=np.array([number, *(10 + link for link in links), 30], np.uint16),
        link_positions=np.arange(1, 1 + len(links), dtype=np.int32),
        link_targets=tuple(NAMES[link] for link in links),
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[TokenizedDocument]:
    """Two documents or more, at least one link, and for no document a link to all others."""
    count = draw(st.integers(3, 8))
    links = [[(number + 1) % count] for number in range(count)]
    for number in range(count):
        links[number] += draw(st.lists(st.integers(0, count - 1), max_size=count - 3, unique=True))
    return [document(number, sorted(set(links[number]) - {number})) for number in range(count)]


def pairs_of(batch: LinkPairs) -> list[tuple[int, int, bool]]:
    return [
        (int(a[0]), int(b[0]), bool(c)) for a, b, c in zip(batch.linkers, batch.targets, batch.is_link, strict=True)
    ]


@given(documents=worlds(), batch_size=st.sampled_from([2, 4, 64]), seed=st.integers(0, 9))
def test_each_link_comes_once_and_each_negative_is_none(
    documents: list[TokenizedDocument], batch_size: int, seed: int
) -> None:
    links = {(NAMES.index(each.id), NAMES.index(target)) for each in documents for target in each.link_targets}
    batches = list(SampleLinks(batch_size=batch_size, seed=seed)(iter(documents)))
    found = [pair for batch in batches for pair in pairs_of(batch)]
    assert sorted(pair[:2] for pair in found if pair[2]) == sorted(links)
    for linker, target, is_link in found:
        assert linker != target
        assert is_link == ((linker, target) in links)
    for batch in batches:
        assert batch.is_link.sum() * 2 == len(batch.is_link) <= batch_size
        half = len(batch.is_link) // 2
        assert np.array_equal(batch.linkers[:half], batch.linkers[half:])


@given(documents=worlds(), length=st.integers(1, 12))
def test_tokens_are_the_beginning_of_each_document(documents: list[TokenizedDocument], length: int) -> None:
    for batch in SampleLinks(length=length)(iter(documents)):
        for row, (linker, _, _) in zip(batch.linkers, pairs_of(batch), strict=True):
            tokens = documents[linker].tokens[:length]
            assert row.tolist() == tokens.tolist() + [-1] * (length - len(tokens))


def test_the_seed_decides_and_epochs_differ() -> None:
    world = [document(number, [(number + 1) % 8, (number + 3) % 8]) for number in range(8)]
    once, again = (list(SampleLinks(batch_size=4, seed=1, epochs=2)(iter(world))) for _ in range(2))
    assert once == again
    assert once != list(SampleLinks(batch_size=4, seed=2, epochs=2)(iter(world)))
    assert len(once) == 16
    assert once[:8] != once[8:]


def test_refuses_documents_without_links() -> None:
    with pytest.raises(ValueError, match="got     3 documents with 0 links\n  wanted  a link, and for its document"):
        next(SampleLinks()(iter([document(number, []) for number in range(3)])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 3}, "SampleLinks.batch_size\n  got     3\n  wanted  an even number from 2 on"),
        ({"length": 0}, "SampleLinks.length\n  got     0\n  wanted  a whole number of at least 1"),
        ({"epochs": 0}, "SampleLinks.epochs"),
    ],
)
def test_refuses_sizes_that_cannot_be(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match="SampleLinks") as caught:
        SampleLinks(**change)
    assert message in str(caught.value)


def model(seed: int = 0) -> LinkPredictor:
    return LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=31, width=16), seed=seed)


def batch_of_world() -> LinkPairs:
    world = [document(number, [(number + 1) % 8]) for number in range(8)]
    return next(SampleLinks()(iter(world)))


def test_it_learns_which_documents_are_linked() -> None:
    learner, batch = model(), batch_of_world()
    optimizer = torch.optim.AdamW(learner.network.parameters(), lr=0.03)
    for _ in range(100):
        output = next(learner.forward(iter([batch])))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.loss.item() < 0.1
    assert ((output.scores > 0).numpy() == batch.is_link).all()


@given(padding=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_document_is_a_bag_order_and_padding_do_not_matter(padding: int, seed: int) -> None:
    batch, rng = batch_of_world(), np.random.default_rng(seed)
    linkers, targets = (
        rng.permuted(np.pad(tokens, ((0, 0), (0, padding)), constant_values=-1), axis=1)
        for tokens in (batch.linkers, batch.targets)
    )
    predictor = model()
    one = next(predictor.forward(iter([batch]))).scores
    other = next(predictor.forward(iter([attrs.evolve(batch, linkers=linkers, targets=targets)]))).scores
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_an_empty_document_is_no_error() -> None:
    batch = attrs.evolve(batch_of_world(), linkers=np.full_like(batch_of_world().linkers, -1))
    assert torch.isfinite(next(model().forward(iter([batch]))).loss)


def test_it_passes_through_the_same_contracts(tmp_path: Path) -> None:
    @attrs.frozen
    class World:
        def get_data_generator(self) -> Iterator[TokenizedDocument]:
            yield from (document(number, [(number + 1) % 8]) for number in range(8))

        def axes(self) -> dict[str, int]:
            return {"vocab": 31}

    predictor = model()
    assert (predictor.fwd_input_type(), predictor.fwd_output_type()) == (LinkPairs, LinkScores)
    assert predictor.axes() == {"vocab": AtMost(31)}
    chain = pipeline(World(), SampleLinks(batch_size=4), predictor.forward)
    assert len([output.loss for output in chain.get_data_generator()]) == 4
    with pytest.raises(ContractError, match="vocab"):
        pipeline(World(), SampleLinks(), LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=30)).forward)


def test_saved_copied_and_made_again_it_is_the_same(tmp_path: Path) -> None:
    predictor, batch = model(), batch_of_world()
    predictor.save_to_dir(tmp_path / "model")
    want = next(predictor.forward(iter([batch]))).scores
    for twin in (LinkPredictor.load_from_dir(tmp_path / "model"), predictor.copy(), model()):
        assert torch.equal(next(twin.forward(iter([batch]))).scores, want)
        with torch.no_grad():
            twin.network.bias += 1
    assert torch.equal(next(predictor.forward(iter([batch]))).scores, want)
    assert not torch.equal(next(model(seed=1).forward(iter([batch]))).scores, want)


def test_refuses_the_files_of_another_model(tmp_path: Path) -> None:
    from gptlab.models import DagTransformer

    model().save_to_dir(tmp_path)
    with pytest.raises(ValueError, match="got     LinkPredictorConfig\n  wanted  DagTransformerConfig"):
        DagTransformer.load_from_dir(tmp_path)
    with pytest.raises(ValueError, match=r"LinkPredictorConfig.width\n  got     0"):
        LinkPredictorConfig(vocab_size=3, width=0)


def test_the_logger_is_told_the_size(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=31, width=16), logging.getLogger("test"))
    assert caplog.messages == [f"LinkPredictor with {31 * 16 + 2 * (16 * 16 + 16) + 1:,} parameters, seed 0"]
