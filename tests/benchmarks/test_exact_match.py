"""Answers word for word: the normal form beside SQuAD's own definition, and what counts as right."""

import collections
import math
import re
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from answering import Questions, Says
from hypothesis import given
from hypothesis import strategies as st
from tiny_world import CHOICES, Bytes, Items, document, fact

from gptlab.benchmarks import ExactMatch, check_data
from gptlab.benchmarks.exact_match import squad
from gptlab.benchmarks.written import as_prompts, until
from gptlab.models import DagTransformer, DagTransformerConfig, Sampling
from gptlab.pipeline import ContractError, Drops, watching
from gptlab.sources import Fact, LinkedFacts, LinkedFactsWiki, RestatedQuestions
from gptlab.types import Document, Generation, Prompt, ShortAnswer


def by_the_book(text: str) -> str:
    """As the evaluation script of SQuAD has it, step by step."""
    lower = text.lower()
    without_marks = "".join(character for character in lower if character not in set(string.punctuation))
    without_articles = re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", without_marks)
    return " ".join(without_articles.split())


@given(st.text(st.sampled_from("aAnthe Théâ.,'-\n\t_ 東İ!")) | st.text())
def test_the_normal_form_is_that_of_squad(text: str) -> None:
    assert squad(text) == by_the_book(text)


def figures(model: Says, *questions: ShortAnswer, **settings: Any) -> dict[str, float]:
    return dict(ExactMatch(**settings).calculate(Questions(questions), model))


def one(text: str, *answers: str, **settings: Any) -> tuple[float, float]:
    found = figures(Says({"q": text}), ShortAnswer(prompt="q", answers=answers), **settings)
    return found["exact_match"], found["prefix_match"]


@pytest.mark.parametrize(
    ("text", "answers", "settings", "right"),
    [
        (" the Heron.", ("heron",), {}, (1, 1)),
        (" heron\nQ: and its river?", ("heron",), {}, (1, 1)),
        (" heron, indeed", ("heron",), {}, (0, 1)),
        (" heron, indeed", ("heron",), {"stop": (".", ",")}, (1, 1)),
        (" herons", ("heron",), {}, (0, 0)),
        (" old heron", ("heron", "the old heron"), {}, (1, 1)),
        ("", ("heron",), {}, (0, 0)),
        (" Heron", ("heron",), {"normal_form": "none"}, (0, 0)),
        (" heron ", ("heron",), {"normal_form": "none"}, (1, 1)),
        (" heron, indeed", ("heron",), {"normal_form": "none"}, (0, 0)),
        ("\nheron", ("heron",), {}, (0, 0)),
    ],
)
def test_what_is_right(text: str, answers: tuple[str, ...], settings: Any, right: tuple[int, int]) -> None:
    assert one(text, *answers, **settings) == right


@given(st.text(max_size=12), st.lists(st.text("abc .", max_size=5).filter(squad), min_size=1, max_size=3))
def test_an_exact_match_begins_with_an_answer_and_is_one(text: str, answers: list[str]) -> None:
    exact, prefix = one(text, *answers, stop=())
    assert exact == float(by_the_book(text) in {by_the_book(answer) for answer in answers})
    assert prefix >= exact


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["", "A", "B", "C"])), min_size=1, max_size=12))
def test_the_standard_error_counts_clusters(drawn: list[tuple[bool, str]]) -> None:
    questions = [ShortAnswer(prompt=str(n), answers=("yes",), cluster=c) for n, (_, c) in enumerate(drawn)]
    model = Says({str(number): "yes" if right else "no" for number, (right, _) in enumerate(drawn)})
    found = figures(model, *questions)
    values = np.array([float(right) for right, _ in drawn])
    assert found["exact_match"] == pytest.approx(values.mean()) and found["n"] == len(drawn)
    clusters: dict[str, list[float]] = collections.defaultdict(list)
    for number, (right, cluster) in enumerate(drawn):
        clusters[cluster or f"#{number}"].append(float(right) - values.mean())
    count = len(clusters)
    spread = sum(sum(each) ** 2 for each in clusters.values())
    expected = math.sqrt(count / (count - 1) * spread) / len(drawn) if count > 1 else 0.0
    assert found["exact_match_stderr"] == pytest.approx(expected, abs=1e-12)


def test_no_questions_are_no_figures() -> None:
    found = figures(Says({}))
    assert found["n"] == 0 and math.isnan(found["exact_match"]) and math.isnan(found["exact_match_stderr"])


def test_what_the_model_is_asked() -> None:
    model = Says({"q": "x", "r": "x"})
    questions = (ShortAnswer(prompt="q", answers=("x",), title="T"), ShortAnswer(prompt="r", answers=("y",)))
    figures(model, *questions, max_new_tokens=7)
    assert model.asked == [
        Prompt(text="q", title="T", max_new_tokens=7, seed=0),
        Prompt(text="r", max_new_tokens=7, seed=1),
    ]


@pytest.mark.parametrize("answers", [(), ("x", "The!")])
def test_a_question_that_nothing_can_answer_is_refused_before_any_is_asked(answers: tuple[str, ...]) -> None:
    model = Says({"q": "x", "r": "x"})
    with pytest.raises(ValueError) as caught:
        figures(model, ShortAnswer(prompt="q", answers=("x",)), ShortAnswer(prompt="r", answers=answers))
    assert str(caught.value) == (
        f"the question 'r'\n  got     the accepted answers {list(answers)}\n"
        "  wanted  one at least, and none that is empty in the normal form 'squad'\n"
        "  Correct the question, or compare as it is written: normal_form='none'."
    )
    assert model.asked == []
    assert not answers or one("The!", "The!", normal_form="none") == (1, 1)


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"ExactMatch.normal_form\n  got     'SQuAD'\n  wanted  one of 'squad'"):
        ExactMatch(normal_form="SQuAD")
    with pytest.raises(ValueError, match=r"ExactMatch.stop\n  got     \('',\)\n  wanted  strings of one character"):
        ExactMatch(stop=("",))


class Scores:
    """A model that does not write."""

    def forward(self, items: Iterator[Prompt]) -> Iterator[float]:
        return iter(())


def test_data_and_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ContractError, match=r"ExactMatch.calculate\(data\)\n  got     a source of Document"):
        ExactMatch().calculate(Items([], Document), Says({}))
    with pytest.raises(ContractError) as caught:
        check_data(ExactMatch(), Questions(()), Scores(), as_prompts, method="inference")
    assert str(caught.value) == (
        "ExactMatch.calculate(model)\n  got     Scores, which has no inference\n"
        "  wanted  a model with inference\n"
        "  Give a model that has it, or take a benchmark that does not call inference."
    )


class OneTooFew(Says):
    def inference(self, prompts: Iterator[Prompt]) -> Iterator[Generation]:
        next(prompts)
        yield from super().inference(prompts)


def test_a_model_that_loses_a_question_is_found_out() -> None:
    questions = [ShortAnswer(prompt=each, answers=("x",)) for each in "qr"]
    with pytest.raises(ValueError, match="shorter"):
        figures(OneTooFew({"q": "x", "r": "x"}), *questions)


@given(st.text("ab.,", max_size=8), st.lists(st.text("ab.,", min_size=1, max_size=2), max_size=3))
def test_until_is_the_longest_beginning_without_a_stop_string(text: str, stop: list[str]) -> None:
    kept = until(text, stop)
    assert text.startswith(kept)
    assert not any(each in kept for each in stop) or all(each not in text for each in stop)
    if kept != text:
        assert any(text[len(kept) :].startswith(each) for each in stop)


# The questions of the linked wiki.


def test_questions_end_before_the_answer_that_the_link_tells() -> None:
    linker = document("L", "It lies by [it](T), and its crest is heron, indeed. The [it](T), and its crest is otter.")
    facts = [
        fact("L", "T", "heron", context=", and its crest is "),
        fact("L", "T", "lynx", context=", and its crest is "),
        fact("Elsewhere", "T", "newt", context=" "),
    ]
    source = RestatedQuestions(facts=Items(facts, Fact), documents=Items([linker], Document))
    with watching(Drops()) as seen:
        questions = list(source.get_data_generator())
    assert questions == [
        ShortAnswer(
            prompt="It lies by [it](T), and its crest is", answers=("heron",), title=linker.title, cluster="T"
        )
    ]
    assert seen.counts == {"restated answer not in its document": 1}


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> LinkedFactsWiki:
    return LinkedFactsWiki(pages=30, seed=2, cache=tmp_path_factory.mktemp("wiki"))


def test_every_fact_of_a_wiki_is_a_question_that_its_page_answers(wiki: LinkedFactsWiki) -> None:
    questions = list(RestatedQuestions(facts=LinkedFacts(wiki), documents=wiki).get_data_generator())
    texts = {each.title: each.text for each in wiki.get_data_generator()}
    assert len(questions) == len(list(wiki.facts())) > 30
    for question in questions:
        rest = texts[question.title].removeprefix(question.prompt)
        assert rest != texts[question.title] and rest.lstrip().startswith(question.answers[0])
        assert not question.prompt[-1].isspace()


def test_a_model_that_knows_all_and_one_that_guesses(wiki: LinkedFactsWiki) -> None:
    source = RestatedQuestions(facts=LinkedFacts(wiki), documents=wiki)
    questions = list(source.get_data_generator())
    knows = Says({each.prompt: f" {each.answers[0]}, as all know." for each in questions})
    found = ExactMatch(stop=(".",)).calculate(source, knows)
    assert found["prefix_match"] == 1.0 and found["exact_match"] == 0.0
    guesses = Says({each.prompt: f" {CHOICES[0]}." for each in questions})
    assert ExactMatch(stop=(".",)).calculate(source, guesses)["prefix_match"] < 0.5


def test_a_transformer_answers_in_batches_as_it_does_alone() -> None:
    cfg = DagTransformerConfig(layers=1, width=16, heads=2, vocab_size=257, max_seq_len=64)
    model = DagTransformer.instantiate(cfg, seed=3)
    prompts = ["ab" * number for number in range(1, 6)]
    unknown = Questions(tuple(ShortAnswer(prompt=each, answers=("\0",)) for each in prompts))
    benchmark = ExactMatch(max_new_tokens=6, stop=(), normal_form="none")
    alone = model.reading(Bytes(), sampling=Sampling(temperature=0))
    assert benchmark.calculate(unknown, alone)["exact_match"] == 0.0
    said = [each.text for each in alone.inference(Prompt(text=each, max_new_tokens=6) for each in prompts)]
    known = Questions(tuple(ShortAnswer(prompt=q, answers=(a,)) for q, a in zip(prompts, said, strict=True)))
    together = model.reading(Bytes(), sampling=Sampling(temperature=0), batch_size=3)
    assert benchmark.calculate(known, together) == {
        "exact_match": 1.0, "exact_match_stderr": 0.0, "prefix_match": 1.0, "prefix_match_stderr": 0.0, "n": 5.0,
    }  # fmt: skip
