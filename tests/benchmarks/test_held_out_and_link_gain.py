"""Held-out loss against sums by hand; link gain for a model that copies and one that does not look."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_world import CHOICES, Bytes, CopiesWhatItSees, Items, Words, document, row_of, world

from gptlab.benchmarks import HeldOutLoss, LinkGain
from gptlab.benchmarks.link_gain import link_windows
from gptlab.benchmarks.paired import clustered_mean, score_with_and_without_edges
from gptlab.packing import Collate, cut_edges
from gptlab.training import ratio_of_means
from gptlab.types import Batch, PackedSequence


def rows_of(count: int, tokenizer=None, seq_len: int = 200):
    groups, _ = world(count)
    return [row_of(group, tokenizer or Bytes(), seq_len) for group in groups]


def test_bits_per_byte_do_not_depend_on_how_text_is_cut_to_tokens():
    """A uniform model over V tokens needs log2(V) bits for each token, whatever a token is."""
    for tokenizer in (Bytes(), Words(CHOICES)):
        batches = list(Collate(2)(iter(rows_of(5, tokenizer))))
        model = CopiesWhatItSees(tokenizer.vocab_size, context=150)
        figures = HeldOutLoss(tokenizer=tokenizer).calculate(Items(batches, Batch), model)
        learned = [batch.targets[batch.targets >= 0].tolist() for batch in batches]
        tokens = sum(map(len, learned))
        size = sum(len(tokenizer.token_bytes(token)) for part in learned for token in part)
        assert figures["tokens"] == tokens and figures["rows"] == 5
        assert figures["loss"] == pytest.approx(math.log(tokenizer.vocab_size), rel=1e-5)
        assert figures["bits_per_byte"] == pytest.approx(math.log2(tokenizer.vocab_size) * tokens / size, rel=1e-5)


def test_the_standard_error_is_over_rows():
    batches = list(Collate(2)(iter(rows_of(5))))
    model = CopiesWhatItSees(257)
    figures = HeldOutLoss().calculate(Items(batches, Batch), model)
    sums, counts = [], []
    for batch, output in zip(batches, model.forward(iter(batches)), strict=True):
        sums += output.token_losses.double().sum(1).tolist()
        counts += (batch.targets >= 0).sum(1).tolist()
    loss, stderr = ratio_of_means(np.array(sums), np.array(counts, np.float64))
    assert (figures["loss"], figures["loss_stderr"]) == pytest.approx((loss, stderr))
    assert "bits_per_byte" not in figures
    assert HeldOutLoss(batches=1).calculate(Items(batches, Batch), model)["rows"] == 2


def test_no_data_give_no_number():
    assert math.isnan(HeldOutLoss().calculate(Items([], Batch), CopiesWhatItSees(257))["loss"])
    assert math.isnan(LinkGain().calculate(Items([], PackedSequence), CopiesWhatItSees(257))["gain"])


def test_windows_begin_where_the_target_is_first_seen_and_stay_in_the_linker():
    target = document("T", "abc")
    linker = document("L", "[x](T) 12345")
    row = row_of([target, linker], Bytes(), 64)
    text = bytes(token for token in row.tokens.tolist() if token < 256)
    ((begin, end, name),) = link_windows(row, 4)
    assert name == "T" and row.tokens[begin] == ord(")") and end == begin + 4
    assert bytes(row.tokens[begin + 1 : end + 1].tolist()) == b" 123"
    ((begin, end, _),) = link_windows(row, 100)
    assert row.tokens[end] == row.end_of_text and row.tokens[end - 1] == ord("5")
    assert text.endswith(b"[x](T) 12345")


def test_gain_is_that_of_the_scored_tokens():
    rows = rows_of(7)
    model = CopiesWhatItSees(257)
    figures = LinkGain(tokens=20, batch_size=3).calculate(Items(rows, PackedSequence), model)
    assert figures["links"] == 7 and figures["tokens"] == 140
    linked = cut = 0.0
    for row in rows:
        batch = next(iter(Collate(1)(iter([row]))))
        ((begin, end, _),) = link_windows(row, 20)
        for sign, each in ((0, batch), (1, cut_edges(batch))):
            loss = float(next(model.forward(iter([each]))).token_losses[0, begin:end].sum())
            linked, cut = (linked, cut + loss) if sign else (linked + loss, cut)
    assert figures["loss"] == pytest.approx(linked / 140, rel=1e-5)
    assert figures["loss_cut"] == pytest.approx(cut / 140, rel=1e-5)
    assert figures["gain"] == pytest.approx((cut - linked) / 140, rel=1e-4)
    assert figures["gain"] > 3 * figures["gain_stderr"] > 0
    blind = LinkGain(tokens=20).calculate(Items(rows, PackedSequence), CopiesWhatItSees(257, ignores_edges=True))
    assert blind["gain"] == blind["gain_stderr"] == 0.0
    assert LinkGain(max_rows=2).calculate(Items(rows, PackedSequence), model)["links"] == 2


@given(st.integers(1, 9), st.integers(1, 4))
def test_every_row_is_scored_once_in_order_with_the_same_tokens(count, batch_size):
    rows = [row_of([document("T", "ab"), document(f"L{n}", "[x](T) ab")], Bytes(), 32) for n in range(count)]
    firsts, seen = [], []
    for pair in score_with_and_without_edges(rows, CopiesWhatItSees(257), batch_size):
        firsts.append(pair.first_row)
        seen += pair.rows
        assert len(pair.rows) <= batch_size
        assert np.array_equal(pair.batch.tokens, np.stack([row.tokens for row in pair.rows]))
        assert pair.linked.token_losses.shape == pair.cut.token_losses.shape
        assert (pair.linked.token_losses <= pair.cut.token_losses + 1e-6).all()
    assert seen == rows and firsts == list(range(0, count, batch_size))


def test_clusters_are_what_is_independent():
    values = np.array([1.0, 1.0, 1.0, 3.0, 3.0, 3.0])
    apart = clustered_mean(values, np.arange(6))
    together = clustered_mean(values, np.array(list("aaabbb")))
    assert apart[0] == together[0] == 2.0
    assert apart[1] == pytest.approx(np.std(values, ddof=1) / math.sqrt(6))
    assert together[1] == pytest.approx(1.0)
