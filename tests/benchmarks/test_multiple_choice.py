"""Accuracies by likelihood, held to the figures that one works out by hand, and perplexity with every token once."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_prefix_trees import Unigram, one_by_one, random_model
from torch import nn

from gptlab.benchmarks import CorrectAnswerInTopK, MultipleChoiceLogits, Perplexity, QuestionScore
from gptlab.benchmarks.continuations import Continuation, EncodeQuestions, RollingWindows, encode_pair
from gptlab.benchmarks.multiple_choice import chosen
from gptlab.benchmarks.tree_pass import Likelihood
from gptlab.models import DagTransformer, DagTransformerConfig, ModelOutput
from gptlab.pipeline import ContractError
from gptlab.sources import TextFiles
from gptlab.testing import Items
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer
from gptlab.types import Batch, Document, DocumentId, Question

TOKENIZER = ByteTokenizer()
PIECES = ByteLevelBPE(ranks=(*(bytes([value]) for value in range(256)), b" a", b"ab", b"abc"), vocab_size=300)
QUESTIONS = [
    Question(context="The heron", choices=("flies", "dives deep", "sings"), answer=0),
    Question(context="The otter ", choices=("swims", "reads"), answer=0, delimiter=""),
    Question(context="", choices=("é", "ab"), answer=1),
    Question(context="Same", choices=("one", "two", "three", "four"), answer=3, preamble="Exam.\n\n"),
]


def tiny(vocab_size: int = 257, **changes: Any) -> DagTransformer:
    settings = {"layers": 1, "width": 16, "heads": 2, "vocab_size": vocab_size, "max_seq_len": 64}
    return random_model(DagTransformerConfig(**(settings | changes)))


def document(text: str, title: str = "") -> Document:
    return Document(id=DocumentId(title), title=title, text=text)


@attrs.frozen
class Told:
    """A model that finds each byte as likely as a table says, whatever came before."""

    log_probs: dict[str, float]
    network: nn.Module = attrs.field(factory=lambda: nn.Linear(1, 1))

    def forward(self, batches: Iterator[Batch]) -> Iterator[ModelOutput]:
        for batch in batches:
            table = torch.full((257,), -9.0)
            for character, value in self.log_probs.items():
                table[ord(character)] = value
            targets = torch.as_tensor(batch.targets).long()
            losses = torch.where(targets >= 0, -table[targets.clamp(min=0)], 0.0)
            yield ModelOutput(loss=losses.sum(), token_losses=losses, logits=table.expand(*targets.shape, -1))

    def copy(self) -> "Told":
        return self

    def save_to_dir(self, directory: object) -> None: ...

    @classmethod
    def load_from_dir(cls, directory: object) -> "Told":
        return cls({})


def test_figures_are_those_worked_out_by_hand() -> None:
    model = Told({" ": 0.0, "a": -1.0, "b": -3.0})
    asked = [
        Question(context="1", choices=("b", "aaaa"), answer=0),  # -3 against -4: sums -3; per byte -3, -1
        Question(context="2", choices=("a", "b"), answer=1),  # -1 against -3
        Question(context="3", choices=("aa", "bb", "a"), answer=2),  # with its space "a" has -1/2 a token, "aa" -2/3
        Question(context="4", choices=("b", "a"), answer=1),
    ]
    figures = MultipleChoiceLogits(tokenizer=TOKENIZER).calculate(Items(asked, Question), model)
    assert figures["accuracy"] == 0.75
    assert figures["accuracy_per_byte"] == figures["accuracy_per_character"] == 0.25  # "a" and "aa" tie: the first
    assert figures["accuracy_per_token"] == 0.5
    assert figures["accuracy_stderr"] == pytest.approx(math.sqrt(0.75 * 0.25 / 3))  # over n - 1, as in the harness
    assert figures["chance"] == pytest.approx((0.5 + 0.5 + 1 / 3 + 0.5) / 4)
    shares = [
        1 / (1 + math.exp(-1)),
        1 / (1 + math.exp(2)),
        1 / (1 + math.exp(-5) + math.exp(-1)),
        1 / (1 + math.exp(-2)),
    ]
    assert figures["probability"] == pytest.approx(np.mean(shares))
    assert figures["probability_stderr"] == pytest.approx(np.std(shares, ddof=1) / 2)
    assert figures["n"] == 4


def scored(*choices: tuple[str, list[float]]) -> QuestionScore:
    return QuestionScore(
        question=Question(context="", choices=tuple(text for text, _ in choices), answer=0),
        choices=tuple(Likelihood(log_probs=np.array(values), ranks=None) for _, values in choices),
    )


def test_each_accuracy_divides_by_its_own_length() -> None:
    score = scored(("éé", [-4.0]), ("abcd", [-3.0, -3.0]), ("x", [-1.8, -0.1]))
    assert [chosen(score, by) for by in ("sum", "per_token", "per_byte", "per_character")] == [2, 2, 0, 1]
    assert chosen(scored(("a", [-2.0]), ("", [-1.0])), "per_byte") == 0, "no length is never likeliest"
    assert chosen(scored(("a", [-1.0]), ("b", [-1.0]))) == 0, "the first of equals"


def test_a_question_of_several_choices_is_scored_as_one_by_one() -> None:
    for tokenizer, model in ((TOKENIZER, tiny()), (PIECES, tiny(300))):
        found = MultipleChoiceLogits(tokenizer=tokenizer).scores(Items(QUESTIONS, Question), model)
        assert [each.question for each in found] == QUESTIONS
        for each in found:
            for text, likelihood in zip(each.question.choices, each.choices, strict=True):
                asked = encode_pair(each.question.prompt, each.question.delimiter + text, tokenizer)
                np.testing.assert_allclose(likelihood.log_probs, one_by_one(model, asked)[0], rtol=1e-5, atol=1e-5)


def test_the_first_questions_alone_are_read() -> None:
    asked: list[str] = []

    @attrs.frozen
    class Counted:
        def get_data_generator(self) -> Iterator[Question]:
            for question in QUESTIONS:
                asked.append(question.context)
                yield question

    assert MultipleChoiceLogits(tokenizer=TOKENIZER, max_questions=2).calculate(Counted(), tiny())["n"] == 2
    assert len(asked) == 2


def test_no_question_has_no_figures() -> None:
    for benchmark in (MultipleChoiceLogits(tokenizer=TOKENIZER), CorrectAnswerInTopK(tokenizer=TOKENIZER)):
        figures = dict(benchmark.calculate(Items([], Question), tiny()))
        assert figures.pop("n") == 0
        assert all(math.isnan(value) for value in figures.values())


def test_data_and_model_are_held_against_each_other_before_anything_is_read() -> None:
    benchmark = MultipleChoiceLogits(tokenizer=TOKENIZER)
    with pytest.raises(ContractError, match=r"MultipleChoiceLogits.calculate\(data\)\n  got     a source of str"):
        benchmark.calculate(Items(["a"], str), tiny())  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"vocab"):
        benchmark.calculate(Items(QUESTIONS, Question), tiny(vocab_size=100))
    with pytest.raises(ContractError, match=r"Perplexity.calculate\(data\)\n  got     a source of Question"):
        Perplexity(tokenizer=TOKENIZER).calculate(Items(QUESTIONS, Question), tiny())  # type: ignore[arg-type]


def test_one_choice_is_no_choice() -> None:
    asked = Items([Question(context="To be", choices=("continued",), answer=0)], Question)
    with pytest.raises(
        ValueError, match=r"question 'To be'\n  got     one choice\n  wanted  two or more\n  Use Correct"
    ):
        MultipleChoiceLogits(tokenizer=TOKENIZER).calculate(asked, tiny())


def test_an_answer_is_found_when_each_token_is_among_the_likeliest() -> None:
    model = Told({" ": -1.0, "a": -2.0, "b": -3.0})
    asked = [Question(context="c", choices=(answer,), answer=0) for answer in ("a", "ab", "x")]
    figures = [
        CorrectAnswerInTopK(tokenizer=TOKENIZER, k=k).calculate(Items(asked, Question), model) for k in (1, 2, 3)
    ]
    assert [each["accuracy"] for each in figures] == pytest.approx([0, 1 / 3, 2 / 3])
    assert figures[0]["loss"] == pytest.approx((3 + 6 + 10) / 3)
    assert figures[0]["perplexity"] == pytest.approx(math.exp(19 / 3), rel=1e-5)
    with pytest.raises(ValueError, match=r"got     Unigram, which gives no logits"):
        CorrectAnswerInTopK(tokenizer=TOKENIZER).calculate(Items(asked, Question), Unigram())


def test_only_the_right_choice_is_scored() -> None:
    found = list(EncodeQuestions(TOKENIZER, only_right=True)(iter(QUESTIONS)))
    assert [bytes(each.tokens).decode() for each in found] == [" flies", " swims", " ab", " four"]
    figures = CorrectAnswerInTopK(tokenizer=TOKENIZER).calculate(Items(QUESTIONS, Question), tiny())
    of_all = MultipleChoiceLogits(tokenizer=TOKENIZER).scores(Items(QUESTIONS, Question), tiny())
    own = [-score.choices[score.question.answer].total for score in of_all]
    assert figures["loss"] == pytest.approx(np.mean(own), rel=1e-6)


some_text = st.text("ab c", min_size=1, max_size=6)


@given(st.just("") | some_text, some_text)
def test_context_and_continuation_are_all_of_the_text(context: str, continuation: str) -> None:
    found = encode_pair(context, continuation, TOKENIZER)
    assert found.before and found.tokens
    data = b"".join(map(TOKENIZER.token_bytes, found.before + found.tokens))
    assert data == (context + continuation).encode(), "end-of-text stands for nothing"


@given(some_text.filter(str.strip), some_text)
def test_context_and_continuation_are_cut_where_the_harness_cuts(context: str, continuation: str) -> None:
    from lm_eval.api.model import TemplateLM

    of_harness = SimpleNamespace(backend="causal", tok_encode=PIECES.encode)
    before, tokens = TemplateLM._encode_pair(of_harness, context, continuation)
    found = encode_pair(context, continuation, PIECES)
    assert list(found.before) == before
    assert list(found.tokens) == tokens or not tokens, "it cannot score what it gives no tokens to"


def test_what_one_token_swallows_is_encoded_apart() -> None:
    assert [PIECES.token_bytes(token) for token in encode_pair("a", "b", PIECES).tokens] == [b"b"]
    with pytest.raises(ValueError, match=r"got     an empty continuation"):
        encode_pair("a", "", PIECES)


# Perplexity.


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 9), st.data())
def test_each_token_of_a_text_is_scored_once(tokens: list[int], seq_len: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, seq_len))
    windows = list(windows_of(tokens, seq_len, stride))
    assert [token for window in windows for token in window.tokens] == tokens
    whole, start = [99, *tokens], 0
    for window in windows:
        end = start + len(window.tokens)
        assert len(window.read) <= seq_len
        assert list(window.before + window.tokens) == whole[end + 1 - len(window.before + window.tokens) : end + 1]
        assert start == 0 or len(window.read) == seq_len, "a later window has all the context that fits"
        start = end


def windows_of(tokens: list[int], seq_len: int, stride: int) -> Iterator[Continuation]:
    from gptlab.benchmarks.continuations import rolling_windows

    return rolling_windows(tokens, 99, seq_len, stride)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 9), st.data())
def test_windows_are_those_of_the_harness(tokens: list[int], seq_len: int, data: st.DataObject) -> None:
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    stride = data.draw(st.integers(1, seq_len))
    theirs = get_rolling_token_windows(tokens, 99, seq_len, seq_len - stride + 1)
    wanted = [(tuple(before), tuple(own)) for before, own in map(make_disjoint_window, theirs)]
    assert [(each.before, each.tokens) for each in windows_of(tokens, seq_len, stride)] == wanted


@pytest.mark.parametrize("stride", [None, 5])
@pytest.mark.parametrize("with_titles", [True, False])
def test_perplexity_is_that_of_every_token_of_every_document(stride: int | None, with_titles: bool) -> None:
    model, documents = tiny(), [document("the heron é stands " * 6, "Heron"), document(""), document("an otter")]
    benchmark = Perplexity(tokenizer=TOKENIZER, seq_len=20, stride=stride, with_titles=with_titles)
    figures = benchmark.calculate(Items(documents, Document), model)
    nats, texts = [], []
    for each in documents:
        text = f"# {each.title}\n\n{each.text}" if with_titles and each.title else each.text
        windows = windows_of(TOKENIZER.encode(text), 20, stride or 20)
        fixed = [
            attrs.evolve(w, before=tuple(256 if t == 99 and w.before == (99,) else t for t in w.before))
            for w in windows
        ]
        nats.append(-sum(sum(one_by_one(model, window)[0]) for window in fixed))
        texts.append(text)
    tokens = sum(len(text.encode()) for text in texts)  # a token is a byte
    assert figures["tokens"] == figures["bytes"] == tokens
    assert figures["loss"] == pytest.approx(sum(nats) / tokens, rel=1e-6)
    assert figures["perplexity"] == pytest.approx(math.exp(sum(nats) / tokens), rel=1e-5)
    assert figures["bits_per_byte"] == pytest.approx(figures["loss"] / math.log(2))
    words = sum(len(text.split()) + (text != text.strip()) + (not text) for text in texts)
    assert figures["words"] == words
    assert figures["word_perplexity"] == pytest.approx(math.exp(sum(nats) / words), rel=1e-5)
    assert (figures["documents"], figures["seq_len"], figures["stride"]) == (3, 20, stride or 20)
    assert 0 < figures["loss_stderr"] < figures["loss"]


def test_more_context_is_asked_for_by_the_stride() -> None:
    (first, second) = RollingWindows(tokenizer=TOKENIZER, seq_len=4, stride=2)(iter([document("abcdef")]))
    assert (first.before, bytes(first.tokens)) == ((256,), b"abcd")
    assert (bytes(second.before), bytes(second.tokens)) == (b"bcd", b"ef")
    with pytest.raises(ValueError, match=r"RollingWindows.stride\n  got     5\n  wanted  at most seq_len 4"):
        RollingWindows(tokenizer=TOKENIZER, seq_len=4, stride=5)


def test_a_window_fits_into_the_model() -> None:
    data = Items([document("abc")], Document)
    assert Perplexity(tokenizer=TOKENIZER).calculate(data, tiny())["seq_len"] == 64
    with pytest.raises(ValueError, match=r"Perplexity.seq_len\n  got     65\n  wanted  at most the model's 64"):
        Perplexity(tokenizer=TOKENIZER, seq_len=65).calculate(data, tiny())
    with pytest.raises(ValueError, match=r"got     None\n  wanted  the tokens of a window"):
        Perplexity(tokenizer=TOKENIZER).calculate(data, Unigram())


def test_files_are_documents(tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("abab")
    (tmp_path / "b.txt").write_text("ab")
    model = Told({"a": -1.0, "b": -2.0})
    benchmark = Perplexity(tokenizer=TOKENIZER, seq_len=8, with_titles=False)
    figures = benchmark.calculate(TextFiles(tmp_path), model)
    assert (figures["loss"], figures["loss_stderr"], figures["documents"]) == (1.5, 0.0, 2)
    assert attrs.evolve(benchmark, max_documents=1).calculate(TextFiles(tmp_path), model)["tokens"] == 4
