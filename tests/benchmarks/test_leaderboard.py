"""Rows added by many at once, all there, once each; older files as they were meant; and files that are none."""

import contextlib
import csv
import io
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.benchmarks import LeaderboardRow, add_to_leaderboard, read_leaderboard, rows_of_figures
from gptlab.benchmarks.leaderboard import COLUMNS
from gptlab.benchmarks.leaderboard_row import best_of
from gptlab.benchmarks.leaderboard_view import by_metric, with_error
from gptlab.testing import snapshot

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"), max_size=12)
rows = st.builds(
    LeaderboardRow,
    run=words,
    metric=st.sampled_from(["loss", "accuracy", "note, quoted", "a|b", ""]),
    value=st.floats(),
    stderr=st.none() | st.floats(min_value=0),
    n=st.none() | st.integers(0, 10**9),
    model=words,
    data=words,
    revision=words,
    date=words,
    note=words,
)

# No torch: it would start in sixteen processes.
SCRIPT = """
import sys
from pathlib import Path
from gptlab.benchmarks import LeaderboardRow, add_to_leaderboard
assert "torch" not in sys.modules
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    row = LeaderboardRow(run=sys.argv[2], metric="loss", value=number / 3, n=number)
    add_to_leaderboard(Path(sys.argv[1]), row)
"""


def test_sixteen_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "leaderboards" / "facts.csv"
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SCRIPT, str(path), str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(16)
        ]
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    assert [process.returncode for process in processes] == [0] * 16
    found = [(row.run, row.n, row.value) for row in read_leaderboard(path)]
    assert sorted(found) == sorted((str(p), n, n / 3) for p in range(16) for n in range(5))
    assert path.read_text().count(",".join(COLUMNS)) == 1
    lines = path.with_suffix(".md").read_text().splitlines()
    assert lines[0] == "## loss, lowest first" and len(lines) == 84
    assert [line.split(" | ")[2] for line in lines[4:]] == [str(number) for number in range(5) for _ in range(16)]


@given(st.lists(rows, max_size=6), st.integers(1, 3))
def test_what_was_added_reads_back_exactly_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, added: list[LeaderboardRow], together: int
) -> None:
    path = tmp_path_factory.mktemp("board") / "board.csv"
    for first in range(0, len(added), together):
        add_to_leaderboard(path, *added[first : first + together])
    assert snapshot(read_leaderboard(path)) == snapshot(added)
    if added:
        with path.open(newline="") as file:
            assert tuple(next(csv.reader(file))) == COLUMNS
        tables = path.with_suffix(".md").read_text().split("## ")[1:]
        assert len(tables) == len({row.metric for row in added})
        for table in tables:
            head, blank, *lines = table.rstrip("\n").split("\n")
            assert not blank and ", " in head
            assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


@given(st.lists(st.floats(), min_size=1, max_size=8), st.sampled_from(["lowest", "highest"]))
def test_the_view_is_what_sorting_the_numbers_gives(figures: list[float], best: Any) -> None:
    added = [LeaderboardRow(run="r", metric="m", value=figure, best=best) for figure in figures]
    shown = [row.value for row in by_metric(added)["m"]]
    numbers = sorted((each for each in figures if not math.isnan(each)), reverse=best == "highest")
    assert shown[: len(numbers)] == numbers and all(math.isnan(each) for each in shown[len(numbers) :])


def test_the_view_says_which_end_is_best_and_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    for run, value in (("a", 0.5), ("b", math.nan), ("c", 0.9), ("d", 0.9), ("e", 1e-3)):
        add_to_leaderboard(path, LeaderboardRow(run=run, metric="accuracy", value=value, date=""))
    assert path.with_suffix(".md").read_text() == (
        "## accuracy, highest first; 1 without it last\n\n| run | accuracy |\n| --- | --- |\n"
        "| c | 0.9 |\n| d | 0.9 |\n| a | 0.5 |\n| e | 0.001 |\n| b | - |\n"
    )
    assert [row.run for row in read_leaderboard(path)] == list("abcde")


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_a_figure_is_shown_to_the_second_digit_of_its_error(value: float, stderr: float) -> None:
    shown, error = with_error(value, stderr).split(" ± ")
    assert float(error) == pytest.approx(stderr, rel=0.06, abs=0.5)
    step = Decimal(10) ** -len(error.partition(".")[2])
    assert abs(Decimal(shown) - Decimal(value)) <= step * Decimal("0.5001") and step <= max(1.0, stderr)


@pytest.mark.parametrize(
    ("metric", "best"),
    [("loss", "lowest"), ("near_loss_linked", "lowest"), ("bits_per_byte", "lowest"), ("word_perplexity", "lowest"),
     ("accuracy", "highest"), ("one_key_gain", "highest"), ("closser", "highest")],
)  # fmt: skip
def test_the_names_of_figures_say_which_end_is_best(metric: str, best: str) -> None:
    assert best_of(metric) == best == LeaderboardRow(run="", metric=metric, value=0).best
    assert LeaderboardRow(run="", metric=metric, value=0, best="lowest").best == "lowest"


def test_rows_of_what_a_benchmark_returns() -> None:
    figures = {
        "loss": 2.5, "loss_stderr": 0.25, "tokens": 99.0, "rows": 7.0, "one_key_n": 12.0, "one_key_gain": 1.5,
        "one_key_gain_stderr": 0.5, "empty_gain": None, "empty_gain_stderr": None,
    }  # fmt: skip
    same = {"run": "r", "model": "m", "data": "d", "revision": "v", "date": "2026-11-24", "note": "why"}
    assert rows_of_figures(figures, **same) == [
        LeaderboardRow(metric="loss", value=2.5, stderr=0.25, n=7, **same),
        LeaderboardRow(metric="one_key_gain", value=1.5, stderr=0.5, n=12, **same),
    ]
    [row] = rows_of_figures(figures, run="r", metrics=["tokens"])
    assert (row.value, row.stderr, row.n) == (99.0, None, 7) and row.date[:2] == "20"


# Files of older gptlabs. What they mean may never change.


def test_a_file_from_before_there_was_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(
        "run,loss,loss_stderr,tokens,n,note,layers\n"
        "20261001_100000,2.5,0.125,4096,64,,\n"
        '20261002_100000,nan,,,,"wider, and\nlonger",six\n'
        "20261003_100000,,,,many,,\n"
    )
    empty = {"model": "", "data": "", "revision": "", "date": ""}
    found = read_leaderboard(path)
    assert found[:2] == [
        LeaderboardRow(run="20261001_100000", metric="loss", value=2.5, stderr=0.125, n=64, **empty),
        LeaderboardRow(run="20261001_100000", metric="tokens", value=4096, n=64, **empty),
    ]
    second, third = found[2:]
    assert math.isnan(second.value) and second.metric == "loss" and second.note == "wider, and longer; layers: six"
    assert math.isnan(third.value) and (third.metric, third.note, third.n) == ("", "n: many", None)
    add_to_leaderboard(path, LeaderboardRow(run="new", metric="loss", value=2.25))
    assert snapshot(read_leaderboard(path)[:4]) == snapshot(found)
    assert path.read_text().splitlines()[0].endswith(",schema")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["run", "loss", "acc", "note", "n", "a|b"]), cells, min_size=1), max_size=4
    )
)
def test_every_old_file_is_read_and_no_figure_of_it_lost(tmp_path_factory: Any, old: list[dict[str, str]]) -> None:
    names = list(dict.fromkeys(name for row in old for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(old)
    path = tmp_path_factory.mktemp("old") / "board.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found = read_leaderboard(path) if names else []
    figures = [name for name in names if name not in ("run", "note", "n")]
    numbers = [(name, row[name]) for row in old for name in figures if is_number(row.get(name, ""))]
    kept = [(row.metric, row.value) for row in found if row.metric]
    assert repr(kept) == repr([(name, float(" ".join(text.splitlines()))) for name, text in numbers])


def is_number(text: str) -> bool:
    try:
        float(" ".join(text.splitlines()))
    except ValueError:
        return False
    return True


def four_parts(where: object, got: str, wanted: str, do: str = "Mend it by hand, or move the file away.") -> str:
    return f"{where}\n  got     {got}\n  wanted  {wanted}\n  {do}"


HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "where", "got", "wanted"),
    [
        ("a,b\n1,2,3\n", ", row 2", "more fields than the header has", "one field for each column"),
        (f"{HEAD}\nr,,,,loss,two,,,lowest,,,1\n", ", row 2", "value 'two', stderr '', n ''", "numbers, stderr and n"),
        (f"{HEAD}\nr,,,,loss,2,,-3,lowest,,,1\n", ", row 2", "value '2', stderr '', n '-3'", "numbers, stderr and n"),
        (f"{HEAD}\nr,,,,loss,2,,,low,,,1\n", ", row 2", "best 'low'", "lowest or highest"),
        (f"{HEAD}\nr,,,,loss,2,,,lowest,,,7\n", "", "schema 7", "schema 1 in all rows"),
        (f"{HEAD}\nr,,,,loss,2,,,lowest,,,\n", "", "schema ", "schema 1 in all rows"),
        (
            "run,metric,value,extra,schema\nr,loss,2,x,1\n",
            "",
            "columns missing or unknown: best",
            "the columns",
        ),
        (f"{HEAD}\na,,,,m,2,,,lowest,,,1\nb,,,,m,2,,,highest,,,1\n", ", m of b", "highest is best", "lowest, as in"),
        ("run,loss\n\udcff,1\n", "", "'utf-8' codec", "a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_leaderboard_is_refused_and_left_alone(
    tmp_path: Path, text: str, where: str, got: str, wanted: str
) -> None:
    path = tmp_path / "board.csv"
    data = text.encode(errors="surrogateescape")
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        add_to_leaderboard(path, LeaderboardRow(run="r", metric="loss", value=1.0))
    error: Any = caught.value
    assert error.where == f"{path}{where}" and error.got.startswith(got) and error.wanted.startswith(wanted)
    assert path.read_bytes() == data and not path.with_suffix(".md").exists()


def test_rows_that_disagree_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    with pytest.raises(ValueError) as caught:
        add_to_leaderboard(path)
    assert str(caught.value) == four_parts(path, "no rows", "one at least", "Give the figures of the run.")
    row = LeaderboardRow(run="r", metric="m", value=1.0)
    with pytest.raises(ValueError, match="lowest is best\n  wanted  highest, as in the rows before"):
        add_to_leaderboard(path, row, attrs.evolve(row, best="lowest"))
    assert not path.exists()


@pytest.mark.parametrize("change", [{"run": "a\nb"}, {"stderr": -1.0}, {"best": "most"}, {"note": "\0"}])
def test_a_row_is_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"LeaderboardRow\.{next(iter(change))}\n  got     "):
        LeaderboardRow(**{"run": "r", "metric": "m", "value": 1.0, **change})
