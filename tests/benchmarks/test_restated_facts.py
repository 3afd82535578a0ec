"""Where answers are found, and what a model that reads its links scores on them, with edges and without."""

import math

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import CHOICES, Bytes, CopiesWhatItSees, Items, Words, document, fact, row_of, world

from gptlab.benchmarks import RestatedFacts, find_answers
from gptlab.benchmarks.answers import RestatedAnswer
from gptlab.benchmarks.restated import AnswerScore, figures_by_kind
from gptlab.packing import Collate
from gptlab.pipeline import Drops, watching
from gptlab.sources import Fact
from gptlab.types import Document, PackedSequence

TOKENIZERS = [Bytes(), Words(CHOICES), Words(["its", "crest", "is", "by", *CHOICES[:4]])]


def documents_of(groups):
    return Items([each for group in groups for each in group], Document)


def source(rows):
    return Items(rows, PackedSequence)


@settings(max_examples=25)
@given(tokenizer=st.sampled_from(TOKENIZERS), seed=st.integers(0, 1000))
def test_the_tokens_found_are_those_that_hold_the_answer_and_no_other(tokenizer, seed):
    groups, facts = world(3, seed)
    rows = [row_of(group, tokenizer) for group in groups]
    found = find_answers(facts, [d for group in groups for d in group], tokenizer, rows)
    assert [answer.row for answer in found] == [0, 1, 2]
    for answer, fact_ in zip(found, facts, strict=True):
        tokens = rows[answer.row].tokens.tolist()
        held = b"".join(tokenizer.token_bytes(token) for token in tokens[answer.first : answer.end])
        assert held.strip() == fact_.answer.encode()
        before = b"".join(tokenizer.token_bytes(token) for token in tokens[: answer.first])
        assert (before + held).endswith(f"](T{answer.row}), and its crest is {fact_.answer}".encode())
        assert answer.target == fact_.target and answer.choices == 8 and answer.kind == "one_key"


def test_first_tokens_of_choices_are_as_they_would_be_written_there():
    groups, facts = world(1)
    tokenizer = Words(CHOICES)
    (answer,) = find_answers(facts, groups[0], tokenizer, [row_of(groups[0], tokenizer)])
    assert {tokenizer.token_bytes(token) for token in answer.choice_tokens} == {f" {c}".encode() for c in CHOICES}
    assert answer.choice_chance == 1 / 8 and answer.end == answer.first + 1
    (answer,) = find_answers(facts, groups[0], Bytes(), [row_of(groups[0], Bytes())])
    assert bytes(answer.choice_tokens) == b"cfhlmnos"
    assert answer.choice_chance == 1 / 8


def drops(facts, documents, tokenizer, rows):
    with watching(Drops()) as seen:
        found = find_answers(facts, documents, tokenizer, rows)
    return found, dict(seen.counts)


def test_an_answer_before_its_link_or_without_its_edge_does_not_count():
    target = document("T", "Its crest is newt.")
    linker = document("L", "The crest is newt. See [it](T): newt.")
    early = document("L", "The [old](Gone) crest is newt. See [it](T).")
    rows = [row_of([target, linker], Bytes())]
    wanted = fact("L", "T", "newt", context=": ")
    assert len(drops([wanted], [linker, target], Bytes(), rows)[0]) == 1
    alone = row_of([linker], Bytes())
    assert drops([wanted], [linker], Bytes(), [alone]) == ([], {"restated answer without its edge": 1})
    via_gone = fact("L", "T", "newt", via="Gone", kind="two_hop", context=" crest is ")
    rows = [row_of([target, early], Bytes())]
    assert drops([via_gone], [early], Bytes(), rows) == ([], {"restated answer without its edge": 1})


def test_an_edge_that_completes_after_the_answer_does_not_count():
    groups, facts = world(1)
    row = row_of(groups[0], Bytes())
    (answer,) = find_answers(facts, groups[0], Bytes(), [row])
    for position, count in ((answer.first - 1, 1), (answer.first, 0)):
        moved = attrs.evolve(row, edges=np.array([[1, 0, position]], np.int32))
        assert len(drops(facts, groups[0], Bytes(), [moved])[0]) == count


def test_two_hops_need_both_edges():
    target, between = document("T", "Its crest is newt."), document("B", "It faces [T](T).")
    linker = document("L", "It is near [B](B), across from which newt is the crest.")
    wanted = fact("L", "T", "newt", via="B", kind="two_hop", context=", across from which ")
    whole = row_of([target, between, linker], Bytes())
    (answer,), none = drops([wanted], [linker, between, target], Bytes(), [whole])
    assert answer.kind == "two_hop" and answer.target == "T" and none == {}
    unlinked = row_of([target, document("B", "It faces nothing."), linker], Bytes())
    assert drops([wanted], [linker], Bytes(), [unlinked]) == ([], {"restated answer without its edge": 1})


def test_what_is_cut_off_or_not_there_is_counted():
    groups, facts = world(1)
    linker = groups[0][1]
    long = [document("T0", "x"), linker]
    cut = row_of([linker], Bytes(), seq_len=60)
    assert drops(facts, long, Bytes(), [cut]) == ([], {"restated answer beyond the row": 1})
    other = document("L0", "Nothing is restated by [it](T0) here.")
    assert drops(facts, [other], Bytes(), [cut]) == ([], {"restated answer not in its document": 1})
    elsewhere = fact("Elsewhere", "T0", "newt", context=" ")
    assert drops([elsewhere], long, Bytes(), [cut]) == ([], {})


@pytest.mark.parametrize("tokenizer", [Bytes(), Words(CHOICES)])
def test_a_model_that_reads_its_links_is_told_apart_from_one_that_cannot(tokenizer):
    groups, facts = world(12)
    rows = [row_of(group, tokenizer, seq_len=200) for group in groups]
    benchmark = RestatedFacts(
        facts=Items(facts, Fact),
        documents=documents_of(groups),
        tokenizer=tokenizer,
        batch_size=5,
    )
    figures = benchmark.calculate(source(rows), CopiesWhatItSees(tokenizer.vocab_size))
    assert figures["one_key_n"] == figures["all_n"] == figures["one_key_targets"] == 12
    assert figures["one_key_accuracy"] == figures["one_key_choice_accuracy"] == 1.0
    assert figures["one_key_accuracy_cut"] == 0.0
    assert figures["one_key_choice_accuracy_cut"] < 0.5
    assert figures["one_key_gain"] == pytest.approx(figures["one_key_loss_cut"] - figures["one_key_loss"])
    assert figures["one_key_gain"] > 10 * figures["one_key_gain_stderr"]
    assert figures["one_key_chance_loss"] == pytest.approx(math.log(8)) and figures["one_key_chance"] == 1 / 8
    letters = np.mean([len(f.answer) for f in facts]) if isinstance(tokenizer, Bytes) else 1
    assert figures["one_key_loss_cut"] > 0.8 * letters * math.log(tokenizer.vocab_size)


def test_a_model_that_ignores_edges_gains_exactly_nothing():
    groups, facts = world(4)
    rows = [row_of(group, Bytes(), seq_len=200) for group in groups]
    benchmark = RestatedFacts(facts=Items(facts, Fact), documents=documents_of(groups), tokenizer=Bytes())
    figures = benchmark.calculate(source(rows), CopiesWhatItSees(257, ignores_edges=True))
    assert figures["all_n"] == 4 and figures["all_accuracy"] == 1.0
    assert figures["all_gain"] == figures["all_gain_stderr"] == figures["all_accuracy_gain"] == 0.0


def test_max_rows_and_rows_without_answers():
    groups, facts = world(6)
    rows = [row_of(group, Bytes(), seq_len=200) for group in groups]
    documents = documents_of(groups)
    model = CopiesWhatItSees(257)
    few = RestatedFacts(facts=Items(facts, Fact), documents=documents, tokenizer=Bytes(), max_rows=2).calculate(
        source(rows), model
    )
    assert few["all_n"] == 2
    model.batches = 0
    one = RestatedFacts(facts=Items(facts[3:4], Fact), documents=documents, tokenizer=Bytes()).calculate(
        source(rows), model
    )
    assert one["all_n"] == 1 and model.batches == 2, "only rows that hold an answer are scored"
    none = RestatedFacts(facts=Items([], Fact), documents=documents, tokenizer=Bytes()).calculate(source(rows), model)
    assert none["all_n"] == 0 and math.isnan(none["all_loss"]) and math.isnan(none["all_gain_stderr"])


def _score(kind: str, target: str, loss: tuple[float, float], right: tuple[bool, bool]) -> AnswerScore:
    answer = RestatedAnswer(
        row=0, first=1, end=2, kind=kind, target=target, choices=4, choice_tokens=(1, 2), choice_chance=0.5
    )
    return AnswerScore(answer=answer, loss=loss, is_right=right, is_chosen=right)


def test_errors_are_paired_and_clustered_by_target():
    scores = [
        _score("one_key", "A", (1.0, 2.0), (True, False)),
        _score("one_key", "A", (11.0, 12.0), (True, False)),
        _score("one_key", "B", (5.0, 8.0), (True, True)),
        _score("two_hop", "C", (4.0, 4.0), (False, False)),
    ]
    figures = figures_by_kind(scores)
    assert figures["one_key_gain"] == pytest.approx(5 / 3)
    # Two clusters, sums 2 and 3, counts 2 and 1: residuals 2 - 10/3 and 3 - 5/3.
    assert figures["one_key_gain_stderr"] == pytest.approx(math.sqrt(2 * ((4 / 3) ** 2 + (4 / 3) ** 2)) / 3)
    assert figures["one_key_accuracy"] == 1.0 and figures["one_key_accuracy_cut"] == pytest.approx(1 / 3)
    assert figures["two_hop_n"] == 1 and figures["two_hop_gain"] == 0.0
    assert figures["all_n"] == 4 and figures["all_targets"] == 3 and figures["all_chance"] == 0.25
    assert next(iter(figures)).startswith("one_key") and list(figures)[-1].startswith("all")


def test_the_token_scored_is_the_one_that_the_batch_asks_for():
    """`token_losses[first - 1]` is about the token at `first`: held to Collate itself."""
    groups, facts = world(2)
    rows = [row_of(group, Bytes(), seq_len=200) for group in groups]
    batch = next(iter(Collate(2)(iter(rows))))
    for answer, fact_ in zip(find_answers(facts, [d for g in groups for d in g], Bytes(), rows), facts, strict=True):
        targets = batch.targets[answer.row, answer.first - 1 : answer.end - 1]
        assert bytes(targets.tolist()) == fact_.answer.encode()
