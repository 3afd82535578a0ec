"""The console observer, on a pipe and on a terminal that is a string."""

import io
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gptlab.experiment import ConsoleObserver, close_logger, make_console, make_logger
from gptlab.experiment.console import WINDOW_SECONDS, Pace
from gptlab.pipeline.observe import drop, note, progress, say, track, watching


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An observer on a console that is a string, and its log."""

    def __init__(self, directory: Path, *, terminal: bool, rank: int = 0) -> None:
        self.out, self.clock, self.log = io.StringIO(), Clock(), directory / "log.txt"
        console = Console(
            file=self.out, force_terminal=terminal, width=100, markup=False, highlight=False, color_system=None
        )
        self.logger = make_logger(directory, rank, console)
        self.observer = ConsoleObserver(self.logger, console if rank == 0 else None, clock=self.clock)

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_a_pipe_gets_a_line_at_the_start_every_ten_seconds_and_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        for done in range(0, 101):
            progress("tokenize", 1000 * done, 100_000, "tokens")
            bench.clock.now += 0.25
    close_logger(bench.logger)
    assert bench.lines() == [
        "tokenize: 100,000 tokens …",
        "tokenize: 40,000/100,000 tokens (40 %), 4,000 tokens/s, 15.0 s left",
        "tokenize: 80,000/100,000 tokens (80 %), 4,000 tokens/s, 5.0 s left",
        "tokenize: 100,000 tokens in 25.0 s (4,000 tokens/s)",
    ]
    assert [line[31:].split(maxsplit=1)[1] for line in bench.log.read_text().splitlines()] == bench.lines()


def test_a_note_is_shown_with_the_next_report_of_its_task(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        note("train", "told of a task that has not begun: shown nowhere")
        progress("train", 0, 100, "steps")
        bench.clock.now += 10
        note("train", "loss 2.500")
        progress("train", 50, 100, "steps")
    close_logger(bench.logger)
    assert bench.lines()[:2] == [
        "train: 100 steps …",
        "train: 50/100 steps (50 %), loss 2.500, 5.0 steps/s, 10.0 s left",
    ]


def test_without_a_total_there_is_no_time_left_and_slow_things_are_told_per_minute(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        progress("train", 3, None, "steps")
        bench.clock.now += 20
        progress("train", 4, None, "steps")
    assert bench.lines() == ["train from 3 …", "train: 4 steps, 3.0 steps/min"]
    close_logger(bench.logger)


def test_a_terminal_shows_bars_keeps_one_line_per_task_and_does_not_tear(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=True)
    with bench.observer as observer, watching(observer):
        for done in range(0, 11):
            progress("read [x](Y)", done, 10, "documents")
            progress("train", 10 * done, 1000, "tokens")
            bench.clock.now += 1
            if done == 5:
                say("half [b]way[/b]")
                assert observer._bars is not None
                observer._bars.refresh()
    close_logger(bench.logger)
    text = bench.out.getvalue()
    assert "\x1b[?25l" in text and text.count("\x1b[?25h") == text.count("\x1b[?25l")  # the cursor is given back
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"read \[x\]\(Y\) +.*5/10 +1\.0 documents/s +5\.0 s left", plain)
    assert re.search(r"train +.*50/1,000 +10 tokens/s +1:35 min left", plain)
    whole = [line.rstrip() for line in re.split(r"[\r\n]+", plain)]
    assert "half [b]way[/b]" in whole and "read [x](Y): 10 documents in 10.0 s (1.0 documents/s)" in whole
    log = bench.log.read_text()
    assert "read [x](Y): 10 documents …" in log and "train: stopped at 100/1,000 tokens after 11.0 s" in log
    assert "stopped" not in plain  # the block ended as it should, so that is no news


def test_an_error_tells_where_tasks_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=True)
    with pytest.raises(KeyboardInterrupt), bench.observer as observer, watching(observer):
        progress("train", 1, 100, "steps")
        bench.clock.now += 90
        raise KeyboardInterrupt
    close_logger(bench.logger)
    assert "train: stopped at 1/100 steps after 1:30 min" in bench.out.getvalue()


def test_a_task_that_comes_back_is_shown_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        for _ in range(5):
            assert list(track(iter("abc"), "evaluate", total=3, unit="batches")) == ["a", "b", "c"]
            bench.clock.now += 1
    close_logger(bench.logger)
    assert bench.lines() == ["evaluate: 3 batches …", "evaluate: 3 batches in 0.0 s"]
    assert bench.log.read_text().count("evaluate: 3 batches in 0.0 s") == 5


def test_an_empty_task_ends_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        list(track([], "nothing", total=0, unit="rows"))
    close_logger(bench.logger)
    assert bench.lines() == ["nothing: 0 rows …", "nothing: 0 rows in 0.0 s"]
    assert bench.log.read_text().count("nothing: 0 rows in 0.0 s") == 1


def test_a_task_left_in_the_middle_starts_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        progress("read", 50, 100, "documents")
        bench.clock.now += 5
        progress("read", 0, 100, "documents")
        bench.clock.now += 10
        progress("read", 20, 100, "documents")
    close_logger(bench.logger)
    assert bench.lines()[-1] == "read: 20/100 documents (20 %), 2.0 documents/s, 40.0 s left"


def test_drops_are_counted_for_the_table_and_logged_once_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=False)
    with bench.observer as observer, watching(observer):
        drop("missing", count=1200, example="Foo\x1b[2J")
        drop("missing", example="Bar")
        drop("too long", example="Baz")
    close_logger(bench.logger)
    assert dict(observer.drops.counts) == {"missing": 1201, "too long": 1}
    assert bench.lines() == []
    log = bench.log.read_text()
    assert log.count("first drop: missing") == 1
    assert r"dropped 1,201: missing (Foo\x1b[2J)" in log and "\x1b" not in log


def test_other_ranks_write_their_log_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal=True, rank=2)
    with bench.observer as observer, watching(observer):
        progress("train", 10, 10, "steps")
        say("hello")
    close_logger(bench.logger)
    assert bench.out.getvalue() == ""
    assert "rank 2 INFO    hello" in bench.log.read_text()


def test_the_console_takes_brackets_for_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("[bold](Bold) :smile:")
    assert capsys.readouterr().out == "[bold](Bold) :smile:\n"


@given(st.lists(st.tuples(st.floats(0.01, 20), st.integers(0, 1000)), min_size=1, max_size=60))
def test_pace_is_the_slope_over_the_last_window(steps: list[tuple[float, int]]) -> None:
    """Against the definition: all reports kept, the last one before the window is where it begins."""
    pace, reports = Pace(start=0.0), [(0.0, 0.0)]
    for pause, more in steps:
        reports.append((reports[-1][0] + pause, reports[-1][1] + more))
        pace.report(*reports[-1])
    now, done = reports[-1]
    before = [report for report in reports[:-1] if report[0] <= now - WINDOW_SECONDS] or reports[:1]
    first, at = before[-1]
    assert pace.speed() == pytest.approx((done - at) / (now - first))
    assert pace.mean_speed() == pytest.approx(done / now)
    assert pace.left(None) is None
    if pace.speed() > 0:
        assert pace.left(done + 7) == pytest.approx(7 / pace.speed())


def test_nothing_known_is_nothing_said(caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace(start=5.0, done=3)
    assert (pace.speed(), pace.mean_speed(), pace.left(10), pace.done) == (0.0, 0.0, None, 3)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
