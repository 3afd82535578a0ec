"""Files of one's own, worked examples, and questions that the fictional encyclopedia answers."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline import ContractError, pipeline
from gptlab.pipeline.observe import Drops, watching
from gptlab.sources import FewShot, LinkedFactsQuestions, LinkedFactsWiki, QuestionFile, SourceError
from gptlab.testing import Items
from gptlab.types import Question

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
any_questions = st.builds(
    lambda choices, answer, **rest: Question(choices=tuple(choices), answer=answer % len(choices), **rest),
    st.lists(texts, min_size=1, max_size=4),
    st.integers(0, 3),
    context=texts,
    delimiter=st.sampled_from([" ", "\n"]),
    preamble=texts,
    group=texts,
    id=texts,
)


def as_row(question: Question) -> dict[str, Any]:
    names = ("context", "choices", "answer", "delimiter", "preamble", "group", "id")
    return {name: getattr(question, name) for name in names}


@given(st.lists(any_questions, max_size=5))
def test_json_lines_come_back(tmp_path_factory: pytest.TempPathFactory, asked: list[Question]) -> None:
    path = tmp_path_factory.mktemp("own") / "own.jsonl"
    path.write_text("".join(json.dumps(as_row(question), ensure_ascii=False) + "\n" for question in asked), "utf-8")
    assert list(QuestionFile(path).get_data_generator()) == asked


def test_a_table_has_a_column_for_each_choice(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["id", "context", "choice_a", "choice_b", "choice_c", "answer"],
                ["1", "Two and two,\nsay:", "3", "4", "5", "4"],
                ["2", "Which flies?", "heron", "otter", "", "0"],
            ]
        )
    one, other = QuestionFile(path).get_data_generator()
    assert (one.context, one.choices, one.answer, one.id) == ("Two and two,\nsay:", ("3", "4", "5"), 1, "1")
    assert (other.choices, other.answer) == (("heron", "otter"), 0)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (
            {"context": "a", "choices": ["b"], "answer": "c"},
            'line 1\n  got     answer: "c"\n  wanted  the index of a',
        ),
        ({"context": "a", "choices": ["b"], "answer": 1}, "line 1\n  got     answer 1 of 1 choices"),
        ({"context": "a", "choices": ["b"], "answer": -1}, "line 1\n  got     answer: -1"),
        ({"context": "a", "choices": ["b"]}, "line 1\n  got     answer: null"),
        ({"choices": ["b"], "answer": 0}, "line 1\n  got     fields choices, answer\n  wanted  context: str"),
        (
            {"context": "a", "choices": [1], "answer": 0},
            r"got     choices: \[1\]\n  wanted  choices: a list of texts",
        ),
        ({"context": "a", "choices": [""], "answer": 0, "delimiter": ""}, "got     an empty choice and no delimiter"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, row: dict[str, Any], error: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(SourceError, match=error):
        list(QuestionFile(path).get_data_generator())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"got     No such file or directory"):
        list(QuestionFile(tmp_path / "no.jsonl").get_data_generator())
    with pytest.raises(SourceError, match=r"wanted  a file of questions"):
        QuestionFile(tmp_path / "no.jsonl").content_fingerprint()


def question(context: str, group: str = "") -> Question:
    return Question(context=context, choices=("no", "yes"), answer=1, group=group, preamble="Exam.\n\n")


def test_examples_are_of_the_same_group_and_stand_after_the_preamble() -> None:
    examples = Items([question("A:", "x"), question("B:", "y"), question("C:", "x"), question("D:", "x")], Question)
    asked = Items([question("Now:", "x")], Question)
    (found,) = pipeline(asked, FewShot(examples=examples, shots=2)).get_data_generator()
    assert found.prompt == "Exam.\n\nA: yes\n\nC: yes\n\nNow:"
    with pytest.raises(SourceError, match=r"got     1 examples of the group 'y'\n  wanted  2"):
        list(FewShot(examples=examples, shots=2)(iter([question("Now:", "y")])))
    with pytest.raises(ContractError, match=r"FewShot.examples\n  got     a source of str"):
        FewShot(examples=Items(["a"], str))


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> LinkedFactsWiki:
    return LinkedFactsWiki(pages=30, seed=2, cache=tmp_path_factory.mktemp("cache"))


def test_the_encyclopedia_answers_with_its_book_open(wiki: LinkedFactsWiki) -> None:
    with watching(Drops()) as drops:
        opened = list(LinkedFactsQuestions(wiki=wiki).get_data_generator())
        closed = list(LinkedFactsQuestions(wiki=wiki, is_open_book=False).get_data_generator())
    assert "fact without its documents" not in drops.counts
    assert len(opened) == len(closed) == len(list(wiki.facts())) > 30
    documents = {document.id: document for document in wiki.get_data_generator()}
    for one, other, fact in zip(opened, closed, wiki.facts(), strict=True):
        linker = documents[fact.linker]
        whole = f"# {linker.title}\n\n{linker.text}"
        assert whole.startswith(one.context + one.right), "the context ends where the answer begins"
        assert (one.context, one.choices, one.right) == (other.context, other.choices, fact.answer)
        assert documents[fact.target].text in one.preamble
        assert other.preamble == ""
        assert one.group == fact.kind


def test_kinds_and_numbers_are_chosen(wiki: LinkedFactsWiki) -> None:
    found = list(LinkedFactsQuestions(wiki=wiki, kinds=("two_hop",), most=3).get_data_generator())
    assert [each.group for each in found] == ["two_hop"] * 3
    assert all(each.preamble.count("\n# ") >= 1 for each in found), "both documents of the path"
    with pytest.raises(SourceError, match=r"LinkedFactsQuestions.kinds\n  got     .'three_key',."):
        LinkedFactsQuestions(wiki=wiki, kinds=("three_key",))


def test_a_question_without_a_right_answer_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"Question 'a'\n  got     answer 2 of 1 choices\n  wanted  the index of one"
    ):
        Question(context="a", choices=("b",), answer=2)
    with pytest.raises(ValueError, match=r"got     answer 0 of 0 choices"):
        Question(context="a", choices=(), answer=0)
