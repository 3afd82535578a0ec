"""Closing tables: what they show, and that nothing in them is taken for markup."""

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from gptlab.experiment import (
    Comparison,
    close_logger,
    comparison_table,
    comparisons,
    drops_table,
    figures_table,
    make_logger,
    next_table,
    places_table,
    samples_table,
    show,
)
from gptlab.experiment.tables import as_text, figure
from gptlab.pipeline.observe import Drops
from gptlab.types import DocumentId, Generation, Prompt

FIGURES = {
    "name_n": 300,
    "name_loss": 2.0,
    "name_loss_cut": 3.4,
    "name_gain": 1.4,
    "name_gain_stderr": 0.1,
    "name_chance_loss": 3.466,
    "name_accuracy": 0.4,
    "name_accuracy_cut": 0.03,
    "name_accuracy_gain": 0.37,
    "name_accuracy_gain_stderr": 0.2,
    "name_chance": 0.031,
    "choice_accuracy": 0.5,
    "choice_accuracy_cut": 0.1,
    "empty_loss": float("nan"),
    "empty_loss_cut": float("nan"),
}


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_comparisons_are_found_by_the_names_that_benchmarks_use() -> None:
    loss, accuracy, choice = comparisons(FIGURES)
    assert loss == Comparison(metric="name loss", linked=2.0, cut=3.4, gain=1.4, stderr=0.1, chance=3.466)
    assert accuracy == Comparison(metric="name accuracy", linked=0.4, cut=0.03, gain=0.37, stderr=0.2, chance=0.031)
    assert (choice.metric, choice.gain, choice.stderr) == ("choice accuracy", pytest.approx(0.4), None)


def test_a_bare_loss_without_a_gain_is_subtracted() -> None:
    [row] = comparisons({"loss": 2, "loss_cut": 3})
    assert (row.metric, row.gain) == ("loss", 1)


def test_the_comparison_table_tells_gain_error_and_their_ratio() -> None:
    text = as_text(comparison_table(comparisons(FIGURES)))
    assert text.startswith("What reading the linked documents is worth")
    assert ["name", "loss", "2.000", "3.400", "+1.400", "±", "0.100", "14.0", "3.466"] in rows(text)
    assert ["choice", "accuracy", "0.500", "0.100", "+0.400"] in rows(text)


def test_only_a_gain_beyond_three_errors_is_green() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="standard", width=110).print(
        comparison_table(comparisons(FIGURES))
    )
    assert "\x1b[1;32m+1.400 ± 0.100" in out.getvalue() and "\x1b[1;32m+0.370" not in out.getvalue()


def test_a_negative_error_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Comparison.stderr of x\n  got     -1.0\n  wanted  0 or more\n  Give"):
        Comparison(metric="x", linked=1.0, cut=1.0, gain=0.0, stderr=-1.0)


def test_drops_are_sorted_and_their_examples_are_text() -> None:
    drops = Drops()
    drops.drop("rare", 2, "[red]x[/red] \x1b[2J")
    drops.drop("frequent", 12345, "")
    text = as_text(drops_table(drops))
    assert text.index("frequent") < text.index("rare")
    assert ["frequent", "12,345"] in rows(text) and r"[red]x[/red] \x1b[2J" in text


def test_figures_stand_with_their_errors() -> None:
    text = as_text(
        figures_table({"loss": 2.34567, "loss_stderr": 0.0123, "tokens": 123456, "kept": True}, "Held out")
    )
    assert rows(text)[4:] == [["loss", "2.346", "±", "0.0123"], ["tokens", "123,456"], ["kept", "True"]]


def test_paths_are_whole_even_when_the_console_is_narrow() -> None:
    path = "/a/" + "long/" * 30 + "report.html"
    out = io.StringIO()
    Console(file=out, width=50).print(places_table({"report": Path(path)}))
    lines = [line.strip().removeprefix("report").strip() for line in out.getvalue().splitlines()]
    assert path in "".join(lines)
    assert ["again", "python", "-m", "x"] in rows(as_text(next_table({"again": "python -m x"})))


def test_show_prints_and_logs_what_has_rows(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100)
    logger = make_logger(tmp_path, 0, console)
    show(console, logger, drops_table(Drops()), next_table({"look": "cat log.txt"}))
    show(None, logger, next_table({"other": "ls"}))
    close_logger(logger)
    assert "What was left out" not in out.getvalue()
    assert out.getvalue().count("cat log.txt") == 1 and "other" not in out.getvalue()
    log = (tmp_path / "log.txt").read_text()
    assert "    look   cat log.txt" in log.replace("      ", "    ") and "other" in log
    assert isinstance(logger, logging.Logger)


@pytest.mark.parametrize(
    ("value", "words"),
    [(float("nan"), "nan"), (1e6 + 0.5, "1,000,000"), (0.1 + 0.2, "0.3"), (True, "True"), (-2.0, "-2"), ("a", "a")],
)
def test_figures_are_short(value: object, words: str) -> None:
    assert figure(value) == words


def test_samples_say_what_was_read_and_from_where_on() -> None:
    prompt = Prompt(text="From [Ada](Ada)")
    samples = [
        Generation(prompt=prompt, text=" it has", read=((0, DocumentId("Ada")), (5, DocumentId("Bee")))),
        Generation(prompt=prompt, text=" [x] ends"),
    ]
    text = as_text(samples_table(samples))
    assert "From [Ada](Ada)" in text and "Ada, Bee (from character 5 on)" in text
    assert "[x] ends" in text and "no document" in text


def test_a_long_example_leaves_room_for_its_reason() -> None:
    drops = Drops()
    drops.drop("end of a long document (it is cut)", 3, "L" * 300)
    out = io.StringIO()
    Console(file=out, width=80).print(drops_table(drops))
    assert "end of a long document (it is cut)" in out.getvalue() and "…" in out.getvalue()
