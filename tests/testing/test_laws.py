"""Each law catches its planted offender, says itself in one sentence, and shows the smallest input."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import offenders
import pytest
from hypothesis import strategies as st

from gptlab.pipeline.protocols import Source
from gptlab.testing import (
    Example,
    LawBroken,
    check_benchmark,
    check_model,
    check_source,
    check_stage,
    check_tokenizer,
    check_trainer,
    difference,
    snapshot,
)
from gptlab.testing.laws import LAWS, NotApplicable


def name_of(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__)


ALL = [
    *(("stage", *pair) for pair in offenders.STAGES),
    *(("source", *pair) for pair in offenders.SOURCES),
    *(("tokenizer", *pair) for pair in offenders.TOKENIZERS),
    *(("model", *pair) for pair in offenders.MODELS),
    *(("trainer", *pair) for pair in offenders.TRAINERS),
]


@pytest.mark.parametrize(
    ("kind", "name", "part"), [pytest.param(*case, id=f"{case[0]}-{case[1]}-{name_of(case[2])}") for case in ALL]
)
def test_each_law_catches_its_offender(kind: str, name: str, part: Any) -> None:
    law = next(law for law in LAWS[kind] if law.name == name)
    with pytest.raises(LawBroken) as caught:
        law.put(Example(part), max_examples=40)
    lines = str(caught.value).splitlines()
    assert " breaks a law: " in lines[0] and lines[0].endswith(".")
    assert [line.split()[0] for line in lines[1:3]] == ["where", "got"]
    assert any(line.startswith("  wanted  ") for line in lines)


def test_every_law_has_an_offender() -> None:
    missing = {
        kind: {law.name for law in LAWS[kind]} - {name for other, name, _ in ALL if other == kind} for kind in LAWS
    }
    borrowed = {law.name for law in LAWS["stage"]}
    assert {name for name in missing["model"] if name.removeprefix("inference_") not in borrowed} == set()
    assert missing["stage"] == missing["source"] == missing["tokenizer"] == set()
    assert missing["trainer"] == set()
    assert missing["benchmark"] == {law.name for law in LAWS["benchmark"]}  # below


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        (offenders.yields_text, "[4]"),
        (offenders.fails_on_empty, "['']"),
        (offenders.reads_one_ahead, "[0, 0]"),
        (offenders.changes_its_input, "[array([0.], dtype=float32)]"),
        (offenders.swallows_exceptions, "[]"),
    ],
    ids=name_of,
)
def test_the_smallest_input_is_shown(stage: Any, shown: str) -> None:
    with pytest.raises(LawBroken) as caught:
        check_stage(stage, max_examples=60)
    assert f"\n  input   {shown}" in str(caught.value)


def test_the_whole_message() -> None:
    with pytest.raises(LawBroken) as caught:
        check_stage(offenders.reads_one_ahead)
    message = str(caught.value)
    where = message.splitlines()[1]
    assert where.startswith("  where   offenders.py:")
    assert message.replace(where + "\n", "") == (
        "reads_one_ahead breaks a law: No more of the input is read than the next output needs.\n"
        "  got     2 items read for output 0\n"
        "  wanted  1: whatever follows them, output 0 is the same\n"
        "  input   [0, 0]\n"
        "  Yield each item as soon as it is settled, or say `barrier = True` where all must be read."
    )


def test_a_stage_that_says_what_it_reads_ahead_may() -> None:
    assert "lazy" in check_stage(offenders.reads_one_ahead, reads_ahead=1).laws


def test_a_stage_that_must_see_what_follows_is_lazy() -> None:
    def groups(numbers: Iterator[int]) -> Iterator[list[int]]:
        group: list[int] = []
        for number in numbers:
            if group and group[-1] != number:
                yield group
                group = []
            group.append(number)
        if group:
            yield group

    assert "lazy" in check_stage(groups).laws


def test_what_does_not_apply_is_said_and_not_hidden() -> None:
    @attrs.frozen
    class Local:
        barrier = True

        def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
            yield sum(numbers)

    held = check_stage(Local(), leave_out={"chunking": "for a reason"})
    assert set(held.left_out) == {"lazy", "chunking", "save_and_load", "resume"}
    assert held.left_out["chunking"] == "for a reason"


def test_inputs_may_be_given() -> None:
    def root(numbers: Iterator[int]) -> Iterator[float]:
        for number in numbers:
            yield number**0.5 if number >= 0 else [][number]

    with pytest.raises(LawBroken, match="IndexError"):
        check_stage(root)
    assert "types" in check_stage(root, st.lists(st.integers(0, 9))).laws


def test_those_who_obey_pass() -> None:
    assert check_tokenizer(offenders.Bytes(), leave_out={"save_and_load": "plain class"}).laws
    assert check_model(offenders.Sums()).laws
    assert set(check_trainer(offenders.Adds()).left_out) == {"resume"}
    assert "resume" in check_trainer(offenders.Gathers(offenders.Odd())).laws
    assert "resume" in check_source(offenders.Base(), leave_out={"save_and_load": "plain class"}).laws


@attrs.frozen
class Mean:
    bias: float = 0.0

    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        scores = list(model.forward(data.get_data_generator()))
        return {"mean": float(np.mean(scores)), "mean_stderr": float(np.std(scores))}


class CountsInInts(Mean):
    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        return {"items": len(list(data.get_data_generator()))}


class ErrorAlone(Mean):
    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        return {"mean_stderr": 0.0}


class Dice(Mean):
    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        return {"mean": np.random.random()}


class Trains(Mean):
    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        model.weight[0] += 1
        return {"mean": 0.0}


class Unsaved:
    def calculate(self, data: Source[list[int]], model: Any) -> Mapping[str, float]:
        return {"mean": 0.0}


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [
        ("figures", CountsInInts()),
        ("figures", ErrorAlone()),
        ("deterministic", Dice()),
        ("leaves_the_model", Trains()),
        ("save_and_load", Unsaved()),
    ],
)
def test_each_law_of_benchmarks_catches_its_offender(name: str, benchmark: Any) -> None:
    law = next(law for law in LAWS["benchmark"] if law.name == name)
    with pytest.raises(LawBroken):
        law.put(Example(benchmark, model=offenders.Sums()), max_examples=5)


def test_a_benchmark_that_obeys_passes() -> None:
    assert len(check_benchmark(Mean(), offenders.Sums(), max_examples=5).laws) == 4
    with pytest.raises(NotApplicable, match="no model to score"):
        LAWS["benchmark"][0].put(Example(Mean()))


@attrs.frozen
class Branch:
    """Holds others of its kind."""

    leaves: int
    branches: "tuple[Branch, ...]" = ()


def prune(items: Iterator[Branch]) -> Iterator[Branch]:
    for item in items:
        yield attrs.evolve(item, branches=item.branches[:1])


def break_off(items: Iterator[Branch]) -> Iterator[Branch]:
    for item in items:
        yield attrs.evolve(item, branches=tuple(branch.leaves for branch in item.branches))  # type: ignore[misc]


def test_laws_hold_for_stages_of_records_that_hold_themselves() -> None:
    check_stage(prune, max_examples=10)
    with pytest.raises(LawBroken, match=r"Branch\.branches\[0\]"):
        check_stage(break_off, max_examples=40)


def test_snapshots_compare_bytes_and_say_where() -> None:
    nan = np.array([np.nan, 0.0])
    assert snapshot(nan) == snapshot(nan.copy()) and snapshot(nan) != snapshot(-nan)
    left, right = {"a": [np.zeros(1), 2]}, {"a": [np.ones(1), 2]}
    assert difference(snapshot(left), snapshot(right)) == (
        "it['a'][0], ndarray of float64, shape (1,), has other numbers: [0.0] and [1.0]"
    )
    assert difference(snapshot((1,)), snapshot([1])) == "it is a tuple of 1 and a list of 1"
