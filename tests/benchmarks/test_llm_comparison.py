"""Pairs judged in both orders: only what a judge says in both counts, and how far it leans is told."""

import math
from typing import Any

import pytest
from answering import numbered
from hypothesis import given
from hypothesis import strategies as st
from loopback_judge import asked, verdict

from gptlab.benchmarks import LLMComparison, Preference
from gptlab.benchmarks.grading import Verdict
from gptlab.pipeline import Drops, watching
from gptlab.types import ShortAnswer

RUBRIC = "The longer one is better."


def compared(judge: Any, mine: list[str], theirs: list[str]) -> tuple[dict[str, float], list[Preference], Drops]:
    questions, model = numbered(len(mine), mine)
    _, baseline = numbered(len(theirs), theirs)
    comparison = LLMComparison(judge=judge, rubric=RUBRIC, baseline=baseline)
    with watching(Drops()) as heard:
        pairs = comparison.preferences(questions, model)
        figures = comparison.calculate(questions, model)
    return dict(figures), pairs, heard


def by_length(body: dict[str, Any]) -> str:
    pair = asked(body)
    first, second = len(pair["first"]), len(pair["second"])
    return verdict("first" if first > second else "second" if second > first else "tie", "better")


def test_a_fair_judge(server: Any, judge_with: Any) -> None:
    server.rule = by_length
    figures, pairs, _ = compared(
        judge_with(connections=3), ["long answer", "short", "same a", "x"], ["no", "longer", "same b", "x "]
    )
    assert [pair.outcome for pair in pairs] == ["win", "loss", "tie", "tie"]
    assert figures == {
        "win_rate": 0.5, "win_rate_stderr": pytest.approx(math.sqrt(0.5 * 4 / 3) / 4),
        "wins": 0.25, "losses": 0.25, "ties": 0.5, "agreement": 1.0,
        "position_bias": 0.0, "position_bias_stderr": 0.0, "n": 4.0, "ungraded": 0.0, "unasked": 0.0,
    }  # fmt: skip
    assert len(server.bodies) == 6, "both orders of three pairs; equal answers ask for no judge"
    shown = [(asked(body)["first"], asked(body)["second"]) for body in server.bodies]
    assert {("long answer", "no"), ("no", "long answer")} <= set(shown)
    assert server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["better"] == {
        "type": "string", "enum": ["first", "second", "tie"],
    }  # fmt: skip


@pytest.mark.parametrize(("choice", "bias"), [("first", 1.0), ("second", -1.0)])
def test_a_judge_that_looks_at_the_place_alone_says_nothing(
    server: Any, judge_with: Any, choice: str, bias: float
) -> None:
    server.rule = lambda body: verdict(choice, "better")
    figures, pairs, _ = compared(judge_with(), ["a", "b", "c"], ["d", "e", "f"])
    assert {pair.outcome for pair in pairs} == {"tie"}
    assert (figures["win_rate"], figures["ties"], figures["agreement"]) == (0.5, 1.0, 0.0)
    assert figures["position_bias"] == bias


def test_a_judge_that_leans_once(server: Any, judge_with: Any) -> None:
    server.rule = lambda body: verdict("first", "better") if "mine1" in asked(body).values() else by_length(body)
    figures, pairs, _ = compared(judge_with(), ["mine0 and more", "mine1"], ["other", "other1"])
    assert [pair.outcome for pair in pairs] == ["win", "tie"]
    assert (figures["win_rate"], figures["agreement"], figures["position_bias"]) == (0.75, 0.5, 0.5)


def test_a_pair_with_one_verdict_is_none(server: Any, judge_with: Any) -> None:
    server.rule = lambda body: "hm" if asked(body)["second"] == "mine0" else by_length(body)
    figures, pairs, heard = compared(judge_with(), ["mine0", "mine1!"], ["other", "other"])
    assert [pair.outcome for pair in pairs] == [None, "win"]
    assert (figures["win_rate"], figures["n"], figures["ungraded"]) == (1.0, 1.0, 1.0)
    assert heard.counts["answer not graded: malformed verdict"] == 2, "once for each of the two calls"


def test_a_budget_leaves_pairs_unasked(server: Any, judge_with: Any) -> None:
    server.rule = by_length
    questions, model = numbered(3, ["aa", "bb", "cc"])
    _, baseline = numbered(3, ["d", "e", "f"])
    comparison = LLMComparison(judge=judge_with(most_requests=3), rubric=RUBRIC, baseline=baseline)
    figures = comparison.calculate(questions, model)
    assert (figures["n"], figures["unasked"], figures["win_rate"], len(server.bodies)) == (1.0, 2.0, 1.0, 3)
    assert comparison.calculate(questions, model)["n"] == 3.0, "the fourth to the sixth request"


def test_equal_answers_alone_ask_nobody(server: Any, judge_with: Any) -> None:
    figures, _, _ = compared(judge_with(), ["a", "b"], [" a", "b\n"])
    assert not server.bodies and (figures["ties"], figures["n"]) == (1.0, 2.0)
    assert math.isnan(figures["agreement"]) and math.isnan(figures["position_bias"])


choices = st.sampled_from(["first", "second", "tie", None])


@given(choices, choices)
def test_outcomes_by_definition_and_mirrored(one: str | None, other: str | None) -> None:
    def pair(*said: str | None) -> Preference:
        verdicts = tuple(Verdict(choice=each, reason="", why_not="" if each else "malformed") for each in said)
        return Preference(question=ShortAnswer(prompt=""), answer="a", baseline="b", verdicts=verdicts)

    found = pair(one, other).outcome
    if one is None or other is None:
        assert found is None
        return
    wins = (one == "first") + (other == "second")
    losses = (one == "second") + (other == "first")
    assert found == ("win" if wins == 2 else "loss" if losses == 2 else "tie")
    mirrored = {"win": "loss", "loss": "win", "tie": "tie"}
    assert pair(other, one).outcome == mirrored[found]
    assert pair(one, other).is_agreed == ((one, other) in [("first", "second"), ("second", "first"), ("tie", "tie")])
