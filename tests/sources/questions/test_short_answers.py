"""Files of questions with short answers: both formats alike, and rows that do not fit."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.sources import ShortAnswerFile, SourceError
from gptlab.storage import fingerprint
from gptlab.types import ShortAnswer

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=9)
questions = st.builds(
    ShortAnswer,
    prompt=texts.filter(str.strip),
    answers=st.lists(texts.filter(bool), max_size=3).map(tuple),
    title=texts,
    cluster=texts,
)


def as_jsonl(path: Path, items: list[ShortAnswer]) -> ShortAnswerFile:
    rows = [{"prompt": q.prompt, "answers": q.answers, "title": q.title, "cluster": q.cluster} for q in items]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return ShortAnswerFile(path)


def as_csv(path: Path, items: list[ShortAnswer]) -> ShortAnswerFile:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "answer", "answer 2", "answer 3", "title", "cluster"])
        for each in items:
            writer.writerow([each.prompt, *each.answers, *[""] * (3 - len(each.answers)), each.title, each.cluster])
    return ShortAnswerFile(path)


@given(st.lists(questions, max_size=4))
def test_what_was_written_is_read_from_both(
    tmp_path_factory: pytest.TempPathFactory, items: list[ShortAnswer]
) -> None:
    folder = tmp_path_factory.mktemp("questions")
    assert list(as_jsonl(folder / "q.jsonl", items).get_data_generator()) == items
    assert list(as_csv(folder / "q.csv", items).get_data_generator()) == items


def test_one_answer_needs_no_list(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"prompt": "Who?", "answer": "Ann"}\n{"prompt": "Why?"}\n')
    assert list(ShortAnswerFile(path).get_data_generator()) == [
        ShortAnswer(prompt="Who?", answers=("Ann",)),
        ShortAnswer(prompt="Why?"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "got", "wanted"),
    [
        ("q.jsonl", '{"prompt": "  "}', "an empty prompt", "a question, or the beginning of a text"),
        ("q.jsonl", '{"question": "Who?"}', "fields question", "prompt: str"),
        ("q.jsonl", '{"prompt": "Who?", "answers": [1]}', "answers: [1]", "answers: a list of texts"),
        ("q.jsonl", '{"prompt": "Who?", "answer": 1}', "answer: 1", "answer: str"),
        ("q.jsonl", '{"prompt": "Who?", "title": null}', "title: None", "title: str"),
        ("q.csv", "prompt,answer\nWho?,Ann,Bob\n", "3 columns", "2 columns: prompt, answer"),
    ],
)
def test_a_row_that_does_not_fit_ends_the_reading(
    tmp_path: Path, name: str, text: str, got: str, wanted: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        list(ShortAnswerFile(path).get_data_generator())
    line = 2 if name == "q.csv" else 1
    assert (caught.value.where, caught.value.got, caught.value.wanted) == (f"{path}, line {line}", got, wanted)


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    one, other = as_csv(tmp_path / "a.csv", []), as_csv(tmp_path / "b.csv", [])
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(as_csv(tmp_path / "b.csv", [ShortAnswer(prompt="Who?")])) != fingerprint(one)
    with pytest.raises(SourceError, match=r"none.csv\n  got     no file"):
        fingerprint(ShortAnswerFile(tmp_path / "none.csv"))
