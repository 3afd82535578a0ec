"""Rows added by many at once, all there, once each; and files that are no leaderboard."""

import contextlib
import csv
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.benchmarks import add_to_leaderboard, leaderboard, read_leaderboard

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=12)
rows = st.lists(
    st.dictionaries(st.sampled_from(["run", "loss", "note, quoted", "a|b"]), cells, min_size=1), max_size=6
)

# The file alone: importing the package would start torch in sixteen processes.
SCRIPT = f"""
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("leaderboard", {str(Path(leaderboard.__file__))!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    module.add_to_leaderboard(Path(sys.argv[1]), {{"process": sys.argv[2], "number": number, "loss": number / 3}})
"""


def test_sixteen_processes_at_once_lose_nothing(tmp_path):
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
    found = [(row["process"], row["number"], float(row["loss"])) for row in read_leaderboard(path)]
    assert sorted(found) == sorted((str(p), str(n), n / 3) for p in range(16) for n in range(5))
    assert path.read_text().count("process,number,loss") == 1
    lines = path.with_suffix(".md").read_text().splitlines()
    assert lines[0] == "Sorted by loss, lowest first." and len(lines) == 84
    assert [line.split(" | ")[1] for line in lines[4:]] == [str(number) for number in range(5) for _ in range(16)]


@given(rows)
def test_what_was_added_reads_back_in_order_with_new_columns_last(tmp_path_factory, added):
    path = tmp_path_factory.mktemp("board") / "board.csv"
    for row in added:
        add_to_leaderboard(path, row)
    columns = list(dict.fromkeys(name for row in added for name in row))
    assert read_leaderboard(path) == [{name: row.get(name, "") for name in columns} for row in added]
    if added:
        with path.open(newline="") as file:
            assert next(csv.reader(file)) == columns
        said, blank, *lines = path.with_suffix(".md").read_text().splitlines()
        assert said.endswith(".") and not blank
        assert len(lines) == len(added) + 2
        assert all(line.replace("\\|", "").count("|") == len(columns) + 1 for line in lines)


def test_figures_read_back_exactly(tmp_path):
    path = tmp_path / "board.csv"
    add_to_leaderboard(path, {"loss": 0.1 + 0.2, "steps": 7})
    assert path.read_text() == "loss,steps\n0.30000000000000004,7\n"
    assert path.with_suffix(".md").read_text() == (
        "Sorted by loss, lowest first.\n\n| loss | steps |\n| --- | --- |\n| 0.30000000000000004 | 7 |\n"
    )


def view(path: Path) -> tuple[str, list[str]]:
    """The line on top, and the first cells of the rows."""
    said, _, _, _, *lines = path.with_suffix(".md").read_text().splitlines()
    return said, [line.split(" | ")[0].removeprefix("| ") for line in lines]


def test_the_view_has_the_best_first_and_says_which_end_that_is(tmp_path):
    path = tmp_path / "board.csv"
    for run, accuracy in (("a", "0.5"), ("b", "nan"), ("c", "0.9"), ("d", "broken"), ("e", "0.9"), ("f", "1e-3")):
        add_to_leaderboard(path, {"run": run, "accuracy": accuracy}, metric="accuracy", best="highest")
    assert view(path) == ("Sorted by accuracy, highest first; 2 without it last.", ["c", "e", "a", "f", "b", "d"])
    assert [row["run"] for row in read_leaderboard(path)] == list("abcdef")
    add_to_leaderboard(path, {"run": "g"}, metric="accuracy")
    assert view(path) == ("Sorted by accuracy, lowest first; 3 without it last.", ["f", "a", "c", "e", "b", "d", "g"])
    add_to_leaderboard(path, {"run": "h"})
    assert view(path) == ("As they were added: none has a number for loss.", list("abcdefgh"))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=8), st.sampled_from(["lowest", "highest"]))
def test_the_view_is_what_sorting_the_numbers_gives(figures, best):
    rows = [{"run": str(number), "loss": str(figure)} for number, figure in enumerate(figures)]
    lines = leaderboard.sorted_view(["run", "loss"], rows, "loss", best).splitlines()[4:]
    shown = [float(line.split(" | ")[1].removesuffix(" |")) for line in lines]
    assert shown == sorted(figures, reverse=best == "highest")


def test_bad_input_has_four_parts(tmp_path):
    path = tmp_path / "board.csv"
    with pytest.raises(ValueError) as error:
        add_to_leaderboard(path, {})
    assert str(error.value) == (
        f"{path}\n  got     an empty row\n  wanted  at least one column\n  Give the figures of the run."
    )
    path.write_text("a,b\n1,2,3\n")
    with pytest.raises(ValueError) as error:
        add_to_leaderboard(path, {"a": "x"})
    assert str(error.value) == (
        f"{path}, row 2\n  got     more fields than the header has\n  wanted  one field for each column\n"
        "  Mend the line by hand, or move the file away."
    )
    assert path.read_text() == "a,b\n1,2,3\n"
    assert not Path(path.with_suffix(".md")).exists()
