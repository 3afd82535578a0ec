"""Rows of our own in the formats of the published data sets, and what the harness's task files make of them."""

import csv
import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from gptlab.sources import Arc, HellaSwag, Lambada, Mmlu, Piqa, SourceError
from gptlab.storage import fingerprint, from_config, to_config
from gptlab.types import Question

HELLASWAG = [
    {
        "ind": 7,
        "activity_label": "Mending a net",
        "ctx_a": "A fisher sits on the pier. [header] The net [step] is torn.",
        "ctx_b": "she",
        "endings": ["ties a  knot [title] It holds.", " throws the pier [substeps] away.", "sings", "sleeps. [x]"],
        "label": 0,
    },
    {
        "ind": 9,
        "activity_label": "Tea",
        "ctx_a": "Water boils.",
        "ctx_b": "",
        "endings": ["It freezes.", "It is poured.", "It reads.", "It flies."],
        "label": "1",
    },
]
ARC_OF_HUB = [
    {
        "id": "Own_1",
        "question": "Which of these is hot?",
        "choices": {"text": ["snow", "fire", "fog"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
    {
        "id": "Own_2",
        "question": "Which of these is wet?",
        "choices": {"text": ["sand", "salt", "soot", "rain"], "label": ["1", "2", "3", "4"]},
        "answerKey": "4",
    },
]
ARC_OF_AUTHORS = [
    {
        "id": row["id"],
        "question": {
            "stem": row["question"],
            "choices": [
                {"text": text, "label": label}
                for text, label in zip(row["choices"]["text"], row["choices"]["label"], strict=True)
            ],
        },
        "answerKey": row["answerKey"],
    }
    for row in ARC_OF_HUB
]
PIQA = [
    {"goal": "Keep the soup warm", "sol1": "Put a lid on it.", "sol2": "Put ice in it.", "label": 0},
    {"goal": "Open a jar", "sol1": "Sing to it.", "sol2": "Turn the lid.", "label": 1},
]
LAMBADA = [{"text": "The heron stood in the reeds and nobody saw the heron"}, {"text": "one two"}]
MMLU = [
    {"question": " Which has eight legs? ", "choices": ["ant", "bee", "spider", "fly"], "answer": 2},
    {"question": 'Which flies, "high"?', "choices": ["eel", "gull, say", "crab", "ray"], "answer": 1},
]


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_mmlu(folder: Path, subject: str = "own_zoology", split: str = "test") -> Path:
    path = folder / split / f"{subject}_{split}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([row["question"], *row["choices"], "ABCD"[row["answer"]]] for row in MMLU)
    return path


def questions(source: Any) -> list[Question]:
    return list(source.get_data_generator())


# What the harness itself makes of a row: its task files, filled in by jinja as it does.
TASKS = Path(importlib.import_module("lm_eval").__file__ or "").parent / "tasks"


def task(name: str) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    return dict(yaml.load((TASKS / name).read_text(), Loader))


def filled(template: Any, row: dict[str, Any]) -> Any:
    """As `ConfigurableTask` does it: the name of a field, a template, or a list of them."""
    import ast

    from lm_eval.utils import apply_template

    if isinstance(template, list):
        return template
    if template in row:
        return row[template]
    text = apply_template(template, row)
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def of_harness(settings: dict[str, Any], row: dict[str, Any]) -> tuple[str, list[str], int]:
    context = filled(settings["doc_to_text"], row)
    return str(context), list(filled(settings["doc_to_choice"], row)), int(filled(settings["doc_to_target"], row))


def test_hellaswag_reads_as_the_harness_has_it(tmp_path: Path) -> None:
    module = importlib.import_module("lm_eval.tasks.hellaswag.utils")
    import datasets

    docs = module.process_docs(datasets.Dataset.from_list([{**row, "label": str(row["label"])} for row in HELLASWAG]))
    found = questions(HellaSwag(path=write(tmp_path / "hellaswag_val.jsonl", HELLASWAG)))
    assert [(q.context, list(q.choices), q.answer) for q in found] == [
        of_harness(task("hellaswag/hellaswag.yaml"), doc) for doc in docs
    ]
    assert found[0].context == "Mending a net: A fisher sits on the pier. The net is torn. She"
    assert found[0].choices == ("ties a knot. It holds.", "throws the pier away.", "sings", "sleeps. ")
    assert [q.id for q in found] == ["7", "9"]


@pytest.mark.parametrize("rows", [ARC_OF_HUB, ARC_OF_AUTHORS], ids=["hub", "authors"])
@pytest.mark.parametrize("level", ["easy", "challenge"])
def test_arc_reads_as_the_harness_has_it(tmp_path: Path, rows: list[dict[str, Any]], level: Any) -> None:
    found = questions(Arc(level=level, path=write(tmp_path / "own.jsonl", rows)))
    settings = task("arc/arc_easy.yaml")
    assert [(q.context, list(q.choices), q.answer) for q in found] == [
        of_harness(settings, row) for row in ARC_OF_HUB
    ]
    assert [(q.id, q.right) for q in found] == [("Own_1", "fire"), ("Own_2", "rain")]


def test_piqa_reads_as_the_harness_has_it(tmp_path: Path) -> None:
    settings = task("piqa/piqa.yaml")
    wanted = [of_harness(settings, row) for row in PIQA]
    with_labels = questions(Piqa(path=write(tmp_path / "hub.jsonl", PIQA)))
    assert [(q.context, list(q.choices), q.answer) for q in with_labels] == wanted
    path = write(tmp_path / "valid.jsonl", ({k: v for k, v in row.items() if k != "label"} for row in PIQA))
    (tmp_path / "valid-labels.lst").write_text("0\n1\n")
    assert questions(Piqa(path=path)) == with_labels
    (tmp_path / "valid-labels.lst").write_text("0\n1\n1\n")
    with pytest.raises(SourceError, match=r"valid-labels.lst\n  got     3 labels\n  wanted  2, one a row"):
        questions(Piqa(path=path))
    (tmp_path / "valid-labels.lst").write_text("0\nyes\n")
    with pytest.raises(SourceError, match=r"valid-labels.lst, line 2\n  got     'yes'\n  wanted  0 or 1"):
        questions(Piqa(path=path))


def test_lambada_reads_as_the_harness_has_it(tmp_path: Path) -> None:
    settings = task("lambada/lambada_openai.yaml")
    found = questions(Lambada(path=write(tmp_path / "lambada_test.jsonl", LAMBADA)))
    for question, row in zip(found, LAMBADA, strict=True):
        assert question.context == filled(settings["doc_to_text"], row)
        assert question.delimiter + question.right == filled(settings["doc_to_target"], row)


def test_mmlu_reads_as_the_harness_has_it(tmp_path: Path) -> None:
    template = task("mmlu/default/_default_template_yaml")
    of_subject = task("mmlu/default/mmlu_high_school_physics.yaml")
    path = write_mmlu(tmp_path, "high_school_physics")
    found = questions(Mmlu(path=path))
    assert [(q.context, list(q.choices), q.answer) for q in found] == [of_harness(template, row) for row in MMLU]
    assert {q.preamble for q in found} == {of_subject["description"]}
    assert {q.group for q in found} == {"high_school_physics"}
    rows = [{**row, "subject": "high_school_physics"} for row in MMLU]
    assert questions(Mmlu(path=write(tmp_path / "hub.parquet", rows))) == found
    write_mmlu(tmp_path, "own_zoology")
    write_mmlu(tmp_path, "own_zoology", "val")
    assert [q.group for q in questions(Mmlu(path=tmp_path))] == ["high_school_physics"] * 2 + ["own_zoology"] * 2
    assert len(questions(Mmlu(path=tmp_path, subject="own_zoology", split="validation"))) == 2
    with pytest.raises(SourceError, match=r"got     no file own_botany_test.csv"):
        questions(Mmlu(path=tmp_path, subject="own_botany"))


def test_parquet_of_the_hub_reads_alike(tmp_path: Path) -> None:
    rows = [{**row, "label": str(row["label"])} for row in HELLASWAG]
    for kind, of_jsonl, of_parquet in (
        (HellaSwag, HELLASWAG, rows),
        (Arc, ARC_OF_HUB, ARC_OF_HUB),
        (Piqa, PIQA, PIQA),
    ):
        name = kind.__name__
        plain = kind(path=write(tmp_path / f"{name}.jsonl", of_jsonl))
        assert questions(kind(path=write(tmp_path / f"{name}.parquet", of_parquet))) == questions(plain)


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize(
    ("kind", "rows", "error"),
    [
        (
            HellaSwag,
            [HELLASWAG[0], {**HELLASWAG[1], "label": ""}],
            "line 2\n  got     label: ''\n  wanted  label: the",
        ),
        (HellaSwag, [without(HELLASWAG[0], "ctx_b")], "line 1\n  got     fields ind, .*\n  wanted  ctx_b: str"),
        (
            HellaSwag,
            [{**HELLASWAG[0], "endings": "one"}],
            "got     endings: 'one'\n  wanted  endings: a list of texts",
        ),
        (HellaSwag, [{**HELLASWAG[0], "label": 4}], "line 1\n  got     answer 4 of 4 choices"),
        (Arc, [{**ARC_OF_HUB[0], "answerKey": "D"}], "line 1\n  got     answerKey 'D', labels .'A', 'B', 'C'.\n"),
        (Arc, [{**ARC_OF_HUB[0], "choices": ["a"]}], r"line 1\n  got     choices: \['a'\]\n  wanted  choices: dict"),
        (
            Piqa,
            [PIQA[0], without(PIQA[1], "label")],
            "line 2\n  got     fields goal, sol1, sol2\n  wanted  label: int",
        ),
        (Piqa, [{**PIQA[0], "label": True}], "got     label: True\n  wanted  label: int"),
        (Lambada, [{"text": "alone"}], "line 1\n  got     text: 'alone'\n  wanted  words, and a last one"),
        (Lambada, [{"text": "ends in "}], "line 1\n  got     text: 'ends in '"),
        (Mmlu, [{**MMLU[0], "choices": ["a", "b"]}], "line 1\n  got     2 choices and the answer 2\n  wanted  four"),
        (Mmlu, [{**MMLU[0], "answer": "E"}], "line 1\n  got     4 choices and the answer 'E'"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, kind: Any, rows: Any, error: str) -> None:
    path = write(tmp_path / "own.jsonl", rows)
    with pytest.raises(SourceError, match=error) as raised:
        questions(kind(path=path))
    assert str(raised.value).startswith(str(path))
    assert "Look whether it is the right file" in str(raised.value)


def test_lines_that_are_no_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "a b"}\n\n{"text": "half')
    with pytest.raises(SourceError, match=r"own.jsonl, line 3\n  got     .\"text\": \"half \(Unterminated"):
        questions(Lambada(path=path))
    path.write_text("[1]\n")
    with pytest.raises(SourceError, match=r"line 1\n  got     .1.\n  wanted  one JSON object"):
        questions(Lambada(path=path))
    path.write_bytes(b'{"text": "a \xff"}\n')
    with pytest.raises(SourceError, match=r"wanted  UTF-8"):
        questions(Lambada(path=path))
    table = write_mmlu(tmp_path)
    table.write_text("one,two\n")
    with pytest.raises(
        SourceError, match=r"test.csv, line 1\n  got     2 columns\n  wanted  6 columns: question, A, B"
    ):
        questions(Mmlu(path=table))
    (tmp_path / "own.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"own.parquet\n  got     .*\n  wanted  a Parquet file"):
        questions(Piqa(path=tmp_path / "own.parquet"))
    (tmp_path / "own.txt").write_text("a")
    with pytest.raises(SourceError, match=r"got     a file that ends in .txt\n  wanted  .jsonl or .csv or .parquet"):
        questions(Lambada(path=tmp_path / "own.txt"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pyarrow" else found(name, *rest)
    )
    path = write(tmp_path / "own.parquet", PIQA)
    with pytest.raises(
        SourceError, match=r"no pyarrow to read it\n.*\n  pip install 'gptlab\[eval\]', or give the .jsonl"
    ):
        questions(Piqa(path=path))


def test_the_fingerprint_is_of_the_content_wherever_it_lies(tmp_path: Path) -> None:
    one = Piqa(path=write(tmp_path / "a" / "valid.jsonl", PIQA))
    other = Piqa(path=write(tmp_path / "b" / "renamed.jsonl", PIQA))
    assert one == other
    assert fingerprint(one) == fingerprint(other)
    write(tmp_path / "b" / "renamed.jsonl", PIQA[:1])
    assert fingerprint(one) != fingerprint(other)
    (tmp_path / "a" / "valid-labels.lst").write_text("1\n1\n")
    assert fingerprint(one) != fingerprint(Piqa(path=write(tmp_path / "c.jsonl", PIQA)))
    for source in (one, Arc(level="challenge"), Mmlu(subject="anatomy")):
        assert from_config(to_config(source)) == source
        assert attrs.evolve(source, revision="0" * 40) != source
