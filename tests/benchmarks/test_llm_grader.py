"""Grading against a real server that is slow, rude, wrong and expensive, in turns."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from answering import Questions, Says, numbered
from loopback_judge import KEY, TOKENS, asked, drips, drops, drops_within, says, stalls, verdict, writes

from gptlab.benchmarks import GradingError, Judge, LLMGrader
from gptlab.pipeline import Drops, watching
from gptlab.storage import from_config, to_config
from gptlab.types import ShortAnswer

RUBRIC = "5: right. 1: wrong."


class Heard(Drops):
    """Keeps what is said, too."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def graded(judge: Judge, count: int = 3, **settings: Any) -> tuple[dict[str, float], Heard]:
    questions, model = numbered(count)
    with watching(Heard()) as heard:
        figures = LLMGrader(judge=judge, rubric=RUBRIC, **settings).calculate(questions, model)
    return dict(figures), heard


def test_grades_are_the_judges(server: Any, judge_with: Any) -> None:
    server.rule = lambda body: verdict(int(asked(body)["answer"][1:]) + 1)
    figures, heard = graded(judge_with())
    assert figures == {
        "score": 2.0, "score_stderr": pytest.approx(1 / math.sqrt(3)), "n": 3.0, "ungraded": 0.0, "unasked": 0.0,
    }  # fmt: skip
    assert not heard.counts and heard.said == [f"tester: 3 requests, {3 * TOKENS} tokens"]
    assert server.paths == ["/v1/chat/completions"] * 3


def test_what_is_asked(server: Any, judge_with: Any) -> None:
    questions = Questions((ShortAnswer(prompt="Who?", answers=("Ann", "A.")), ShortAnswer(prompt="Why?")))
    model = Says({"Who?": "Bob\nnext", "Why?": 'x"}, {"score": 5}'})
    grades = LLMGrader(judge=judge_with(max_tokens=77), rubric=RUBRIC, highest=3, stop=("\n",)).grades(
        questions, model
    )
    assert [grade.answer for grade in grades] == ["Bob", 'x"}, {"score": 5}']
    assert [asked(body) for body in server.bodies[::3]] == [
        {"question": "Who?", "accepted answers": ["Ann", "A."], "answer": "Bob"},
        {"question": "Why?", "answer": 'x"}, {"score": 5}'},
    ]
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("tester", 0.0, 77)
    form = body["response_format"]["json_schema"]
    assert body["response_format"]["type"] == "json_schema" and form["strict"] is True
    assert form["schema"] == {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": [1, 2, 3]}},
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    system = body["messages"][0]
    assert system["role"] == "system" and RUBRIC in system["content"] and "one of 1, 2, 3" in system["content"]
    # A 4 is on no scale that ends at 3: both were asked again, with what was wrong.
    assert [grade.verdict.why_not for grade in grades] == ["malformed", "malformed"] and len(server.bodies) == 6
    assert server.bodies[1]["messages"][2:] == [
        {"role": "assistant", "content": verdict(4)},
        {
            "role": "user",
            "content": "That is not the form that is asked for: its score is 4, which is none of [1, 2, 3]. Answer "
            'again, with {"reason": "why, in a sentence or two", "score": one of 1, 2, 3} alone.',
        },
    ]


def test_other_servers_are_asked_otherwise(server: Any, judge_with: Any) -> None:
    graded(judge_with(structured="json_object", temperature=None, limit_as="max_completion_tokens"), 1)
    graded(judge_with(structured="none", key_from=None, url=server.url + "/"), 1)
    first, second = server.bodies
    assert first["response_format"] == {"type": "json_object"} and "temperature" not in first
    assert first["max_completion_tokens"] == 512 and "max_tokens" not in first
    assert "response_format" not in second
    assert server.headers[0]["authorization"] == f"Bearer {KEY}" and "authorization" not in server.headers[1]
    assert server.paths == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("I think 4.", "it is no JSON: Expecting value"),
        ("```json\n" + verdict(4) + "\n```", "it is no JSON"),
        (verdict(4) + " Thank you.", "it is no JSON: Extra data"),
        ('{"reason": "x", "score": 4', "it is no JSON"),
        ("[4]", "it has list where ['reason', 'score'] are asked for"),
        ('{"score": 4}', "it has ['score'] where ['reason', 'score'] are asked for"),
        ('{"reason": "x", "score": 4, "sure": true}', "it has ['reason', 'score', 'sure'] where"),
        ('{"reason": "x", "score": 4, "score": 5}', "it is no JSON: the key 'score' twice"),
        ('{"reason": 1, "score": 4}', "its reason is 1, which is no text"),
        (verdict("4"), "its score is '4', which is none of [1, 2, 3, 4, 5]"),
        (verdict(4.0), "its score is 4.0, which is none of [1, 2, 3, 4, 5]"),
        (verdict(True), "its score is True, which is none of [1, 2, 3, 4, 5]"),
        (verdict(6), "its score is 6, which is none of [1, 2, 3, 4, 5]"),
        (verdict(None), "its score is None"),
        (None, "it is no JSON"),
    ],
)
def test_an_answer_that_is_no_verdict_is_asked_again_and_then_never_a_zero(
    server: Any, judge_with: Any, text: str | None, wrong: str
) -> None:
    server.faults = [writes(text)] * 3
    figures, heard = graded(judge_with(), 2)
    assert figures == {"score": 4.0, "score_stderr": 0.0, "n": 1.0, "ungraded": 1.0, "unasked": 0.0}
    assert len(server.bodies) == 4, "once, twice more, and the second question"
    assert heard.counts == {"answer not graded: malformed verdict": 1}
    assert heard.examples["answer not graded: malformed verdict"].startswith(f"'q0': {wrong}")


def test_a_judge_that_mends_its_answer_is_heard(server: Any, judge_with: Any) -> None:
    server.faults = [writes("4"), writes(verdict(9))]
    figures, heard = graded(judge_with(), 1)
    assert (figures["score"], figures["n"], len(server.bodies)) == (4.0, 1.0, 3) and not heard.counts
    assert [len(body["messages"]) for body in server.bodies] == [2, 4, 6]


def test_an_answer_that_was_cut_off_says_so(server: Any, judge_with: Any) -> None:
    server.faults = [writes(verdict(4), ended="length")]
    _, heard = graded(judge_with(asked_again=0), 1)
    assert heard.examples == {
        "answer not graded: malformed verdict": "'q0': it was cut off; give the judge more max_tokens"
    }


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"<html>Welcome to the hotel</html>", "the server's answer is no JSON"),
        (b'{"choices": [', "the server's answer is no JSON"),
        (b'{"choices": []}', "the server's answer is no chat completion"),
        (b'{"error": "none"}', "the server's answer is no chat completion"),
        (b'[{"choices": 1}]', "the server's answer is no chat completion"),
        (b'{"choices": [{"message": "hello"}]}', "the server's answer is no chat completion"),
    ],
)
def test_an_answer_that_is_no_completion_is_asked_again_and_counted(
    server: Any, judge_with: Any, body: bytes, wrong: str
) -> None:
    server.faults = [says(200, body)] * 3
    figures, heard = graded(judge_with(), 2)
    assert (figures["n"], figures["ungraded"], len(server.bodies)) == (1.0, 1.0, 4)
    assert wrong in heard.examples["answer not graded: malformed verdict"]
    assert server.bodies[0] == server.bodies[1], "there is nothing to show to the judge"


# What a network and a busy server do.


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (says(500), "HTTP status 500 Internal Server Error"),
        (says(503), "HTTP status 503 Service Unavailable"),
        (says(529), "HTTP status 529"),
        (says(408), "HTTP status 408 Request Timeout"),
        (says(429, b'{"error": {"message": "slow down"}}'), "HTTP status 429 Too Many Requests: slow down"),
        (drops, "a broken connection (RemoteDisconnected)"),
        (drops_within, "a connection closed 487 bytes before the end"),
        (stalls(0.4), "silence for 0.15 s"),
        (drips, "an answer that was not whole after 0.15 s"),
    ],
)
def test_what_passes_is_sent_again(server: Any, judge_with: Any, fault: Any, said: str) -> None:
    server.faults = [fault, fault]
    figures, heard = graded(judge_with(timeout=0.15), 1)
    assert (figures["score"], figures["n"], len(server.bodies)) == (4.0, 1.0, 3)
    assert heard.said[:2] == [
        f"{server.url}/chat/completions: {said}; asked again in {seconds} s" for seconds in (0.001, 0.002)
    ]


def test_what_does_not_pass_ends_the_grading_and_nothing_is_lost(server: Any, judge_with: Any) -> None:
    server.faults = [writes(verdict(2)), *[says(500)] * 3]
    judge = judge_with()
    with pytest.raises(GradingError) as caught:
        graded(judge, 3)
    assert str(caught.value) == (
        f"{server.url}/chat/completions\n  got     HTTP status 500 Internal Server Error (3 times)\n"
        f"  wanted  an answer\n  Start the same again: what was answered is kept in {judge.cache / 'judge'}, and is "
        "not paid for twice."
    )
    before = len(server.bodies)
    figures, heard = graded(judge, 3)
    assert figures["n"] == 3.0 and figures["score"] == pytest.approx(10 / 3) and len(server.bodies) == before + 2
    assert heard.said == [f"tester: 2 requests, {2 * TOKENS} tokens, 1 answers found on disk"]


def test_a_server_that_asks_for_time_is_given_it_by_all_connections(server: Any, judge_with: Any) -> None:
    server.faults = [says(429, Retry_After="1")]
    server.slow = 0.05
    figures, _ = graded(judge_with(connections=2), 6)
    began, later = server.times[0], sorted(server.times[1:])
    assert figures["n"] == 6.0
    assert next(time - began for time in later if time - began > 0.5) >= 1.0
    assert len([time for time in later if time - began < 0.9]) <= 1, "but the one that was on its way"


def test_a_server_that_asks_for_an_hour_is_believed(server: Any, judge_with: Any) -> None:
    server.faults = [says(429, Retry_After="3600")]
    with pytest.raises(GradingError, match=r"\(1 times\), and the wish to be left alone for 3600 s\n"):
        graded(judge_with(), 1)


@pytest.mark.parametrize(
    ("status", "do"),
    [
        (401, "Look whether the environment variable JUDGE_KEY has the key of this endpoint."),
        (404, "Compare Judge's url, model, structured, limit_as and temperature with what the endpoint takes."),
        (400, "Compare Judge's url, model, structured, limit_as and temperature with what the endpoint takes."),
        (302, "Start the same again"),
    ],
)
def test_what_will_not_change_is_asked_once(server: Any, judge_with: Any, status: int, do: str) -> None:
    body = json.dumps({"error": {"message": f"No: Bearer {KEY}"}}).encode()
    server.faults = [says(status, body, Location="http://127.0.0.1:9/elsewhere")]
    with pytest.raises(GradingError) as caught:
        graded(judge_with(), 3)
    assert f"HTTP status {status} " in caught.value.got and caught.value.got.endswith(": No: Bearer [key]")
    assert caught.value.do.startswith(do) and len(server.bodies) == 1


def test_a_question_that_the_server_turns_away_is_counted_and_the_others_are_graded(
    server: Any, judge_with: Any
) -> None:
    server.faults = [writes(verdict(2)), says(400, b'{"error": {"message": "too long"}}')]
    figures, heard = graded(judge_with(), 3)
    assert figures == {
        "score": 3.0, "score_stderr": pytest.approx(1.0), "n": 2.0, "ungraded": 1.0, "unasked": 0.0,
    }  # fmt: skip
    assert heard.examples == {"answer not graded: refused verdict": "'q1': HTTP status 400 Bad Request: too long"}


def test_nobody_there(judge_with: Any) -> None:
    with pytest.raises(GradingError, match=r"got     a connection that was refused \(3 times\)"):
        graded(judge_with(url="http://127.0.0.1:9/v1"), 1)


# What it costs.


def test_requests_end_before_there_are_too_many(server: Any, judge_with: Any) -> None:
    figures, heard = graded(judge_with(most_requests=4, connections=3), 6)
    assert len(server.bodies) == 4
    assert (figures["n"], figures["unasked"], figures["ungraded"], figures["score"]) == (4.0, 2.0, 0.0, 4.0)
    assert heard.counts == {"answer not graded: the budget is spent": 2}
    assert heard.said == [f"tester: 4 requests, {4 * TOKENS} tokens. The budget ended it: 4 of 4 requests are spent"]


def test_tries_count_as_requests(server: Any, judge_with: Any) -> None:
    server.faults = [says(500), writes("no verdict")]
    figures, _ = graded(judge_with(most_requests=2), 2)
    assert (figures["n"], figures["unasked"], len(server.bodies)) == (0.0, 2.0, 2) and math.isnan(figures["score"])


def test_tokens_end_before_there_are_too_many(server: Any, judge_with: Any) -> None:
    """A question may cost its bytes and all of `max_tokens`; what it did cost is what counts afterwards."""
    judge = judge_with(max_tokens=100, connections=4)
    graded(judge, 1)
    size = len(json.dumps(server.bodies[0], ensure_ascii=False).encode()) + 100
    limited = attrs.evolve(judge, most_tokens=size + 2 * TOKENS, cache=judge.cache / "other")
    figures, heard = graded(limited, 8)
    assert (figures["n"], figures["unasked"], len(server.bodies)) == (3.0, 5.0, 1 + 3)
    assert heard.said == [
        f"tester: 3 requests, {3 * TOKENS} tokens. The budget ended it: {3 * TOKENS} of {size + 2 * TOKENS} tokens "
        f"are spent, and the next question may cost up to {size}"
    ]


@pytest.mark.parametrize("usage", [{}, {"total_tokens": None}, {"total_tokens": -5}, {"total_tokens": "50"}, []])
def test_an_answer_that_does_not_say_what_it_cost_costs_the_most(server: Any, judge_with: Any, usage: Any) -> None:
    server.faults = [writes(verdict(4), usage=usage)]
    _, heard = graded(judge_with(), 1)
    most = len(json.dumps(server.bodies[0], ensure_ascii=False).encode()) + 512
    assert heard.said == [f"tester: 1 requests, {most:,} tokens"]


def test_what_is_lost_may_have_been_paid_for_and_what_is_turned_away_was_not(server: Any, judge_with: Any) -> None:
    server.faults = [drops, says(500)]
    _, heard = graded(judge_with(), 1)
    most = len(json.dumps(server.bodies[0], ensure_ascii=False).encode()) + 512
    assert heard.said[-1] == f"tester: 3 requests, {most + TOKENS:,} tokens"


# What is kept.


def test_the_second_time_nobody_is_asked(server: Any, judge_with: Any) -> None:
    server.faults = [writes("no verdict")]
    first, _ = graded(judge_with(), 3)
    again, heard = graded(judge_with(most_requests=1), 3)
    assert again == first and len(server.bodies) == 4
    assert heard.said == ["tester: 0 requests, 0 tokens, 4 answers found on disk"]
    graded(judge_with(temperature=0.5), 1)
    graded(judge_with(model="other"), 1)
    graded(judge_with(), 1, highest=6)
    assert len(server.bodies) == 7, "another question each"


def test_a_spent_budget_goes_on_where_it_ended(server: Any, judge_with: Any) -> None:
    for count in range(1, 4):
        figures, _ = graded(judge_with(most_requests=2), 6)
        assert (figures["n"], len(server.bodies)) == (2 * count, 2 * count)


def test_equal_questions_are_paid_for_once(server: Any, judge_with: Any) -> None:
    server.slow = 0.05
    questions = Questions((ShortAnswer(prompt="q"),) * 8)
    figures = LLMGrader(judge=judge_with(connections=4), rubric=RUBRIC).calculate(questions, Says({"q": "a"}))
    assert figures["n"] == 8.0 and len(server.bodies) == 1


def test_a_damaged_answer_is_asked_for_again(server: Any, judge_with: Any) -> None:
    judge = judge_with()
    graded(judge, 1)
    [path] = (judge.cache / "judge").rglob("*.json")
    whole = path.read_text()
    for damage in ("", whole[:-9], whole.replace('"text"', '"texts"'), "[]"):
        path.write_text(damage)
        figures, heard = graded(judge, 1)
        assert figures["n"] == 1.0 and heard.said[0].startswith(f"{path}: ") and path.read_text() == whole
    assert len(server.bodies) == 5


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from answering import numbered
from gptlab.benchmarks import Judge, LLMGrader
judge = Judge(url=sys.argv[1], model="tester", key_from="JUDGE_KEY", connections=2, cache=Path(sys.argv[2]))
questions, model = numbered(20)
print(LLMGrader(judge=judge, rubric="5: right. 1: wrong.").calculate(questions, model))
"""


def test_a_killed_grading_pays_for_nothing_twice(server: Any, judge_with: Any) -> None:
    server.slow = 0.05
    judge = judge_with()
    arguments = [server.url, str(judge.cache), str(Path(__file__).parent)]
    with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE) as process:
        while len(server.bodies) < 8 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    server.slow = 0.0
    before = len(server.bodies)
    kept = len(list((judge.cache / "judge").rglob("[0-9a-f]*.json")))
    assert before >= 8 and before - kept <= 2, "but for those that were on their way"
    figures, _ = graded(judge, 20)
    assert figures["n"] == 20.0 and len(server.bodies) == before + 20 - kept


def test_no_more_at_a_time_than_there_are_connections(server: Any, judge_with: Any) -> None:
    server.slow = 0.03
    graded(judge_with(connections=3), 12)
    assert server.most_busy == 3


def test_questions_are_read_only_as_they_are_judged(server: Any, judge_with: Any) -> None:
    server.faults = [says(401)]
    questions, model = numbered(50)
    with pytest.raises(GradingError):
        LLMGrader(judge=judge_with(connections=2), rubric=RUBRIC).calculate(questions, model)
    assert len(model.asked) <= 6


# The key.


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_key_is_in_no_file_and_no_output(
    server: Any, judge_with: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    caplog.set_level(0)
    echo = json.dumps({"reason": f"Your key is {KEY}.", "score": 3})
    quoted = json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()
    server.faults = [
        writes(f"no verdict, {KEY}"), writes(echo), says(500, quoted), drops, writes(echo), says(400, quoted),
    ]  # fmt: skip
    judge, (questions, model) = judge_with(), numbered(4)
    grader = LLMGrader(judge=judge, rubric=RUBRIC)
    with watching(Heard()) as heard:
        grades = grader.grades(questions, model)
        server.faults = [says(401, quoted)]
        with pytest.raises(GradingError) as caught:
            LLMGrader(judge=attrs.evolve(judge, model="other"), rubric=RUBRIC).grades(questions, model)
    assert [grade.verdict.choice for grade in grades] == [3, 3, None, 4]
    assert grades[0].verdict.reason == "Your key is [key]."
    output = capfd.readouterr()
    shown = (
        f"{heard.said} {heard.examples} {output} {caplog.text} {grades} {grader} {caught.value} {to_config(grader)}"
    )
    assert KEY not in shown and KEY.encode() not in everything_below(tmp_path)
    assert "[key]" in shown and b"[key]" in everything_below(tmp_path)
    assert all(header["authorization"] == f"Bearer {KEY}" for header in server.headers)
    assert KEY not in json.dumps(server.bodies)
    assert from_config(to_config(grader)) == grader


@pytest.mark.parametrize(
    ("value", "got"),
    [(None, "no key"), ("  ", "no key"), ("sk-a\nb", "a key with characters that cannot be sent (not shown)")],
)
def test_a_key_that_cannot_be_sent_is_not_shown(
    server: Any, judge_with: Any, monkeypatch: pytest.MonkeyPatch, value: str | None, got: str
) -> None:
    monkeypatch.delenv("JUDGE_KEY") if value is None else monkeypatch.setenv("JUDGE_KEY", value)
    with pytest.raises(GradingError) as caught:
        graded(judge_with(), 1)
    assert str(caught.value) == (
        f"the environment variable JUDGE_KEY\n  got     {got}\n  wanted  the key of {server.url}\n"
        "  Set it: export JUDGE_KEY=..., or say key_from=None where none is wanted."
    )
    assert not server.bodies


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"key_from": KEY}, "Judge.key_from"),
        ({"key_from": "hf_abcdef"}, "Judge.key_from"),
        ({"url": f"https://me:{KEY}@host/v1"}, "Judge.url"),
        ({"url": f"https://host/v1?key={KEY}"}, "Judge.url"),
        ({"url": "file:///etc/passwd"}, "Judge.url"),
        ({"url": "host/v1"}, "Judge.url"),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(settings: dict[str, str], where: str) -> None:
    with pytest.raises(GradingError) as caught:
        Judge(**{"url": "https://host/v1", "model": "m", **settings})
    assert caught.value.where == where and "not shown" in caught.value.got
    assert not any(secret in str(caught.value) for secret in (KEY, "hf_", "passwd"))


@pytest.mark.parametrize("settings", [{"model": ""}, {"most_tokens": 0}, {"connections": 65}, {"temperature": -1.0}])
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(GradingError, match=rf"Judge\.{next(iter(settings))}\n  got     "):
        Judge(**{"url": "https://host/v1", "model": "m", **settings})


def test_a_rubric_says_something(judge_with: Any) -> None:
    with pytest.raises(GradingError, match=r"LLMGrader\.rubric\n  got     ' '\n  wanted  what makes an answer good"):
        LLMGrader(judge=judge_with(), rubric=" ")
