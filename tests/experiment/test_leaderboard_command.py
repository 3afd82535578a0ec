"""`python -m gptlab.experiment leaderboard`: tables, a run's figures, a picture."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import gptlab.experiment.run_directory as module
from gptlab.benchmarks import LeaderboardRow, add_to_leaderboard, read_leaderboard
from gptlab.experiment import ExperimentError, RunDirectory, plot_leaderboard, summarize
from gptlab.experiment.__main__ import main
from gptlab.experiment.leaderboard_rows import rows_of_run
from gptlab.experiment.plot_leaderboard import MOST_DRAWN
from gptlab.pictures import BLUE, FAINT

FIGURES = {
    "held out": {"loss": 2.25, "loss_stderr": 0.125, "rows": 64.0},
    "Restated facts": {"all_gain": 1.5, "all_gain_stderr": 0.25, "all_n": 300.0, "chance": 0.125},
    "speed": {"tokens": 12.0},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "environment", lambda folder: {"git": {"commit": "7c810af1133f78ca"}})
    monkeypatch.setattr(module, "patch", lambda folder: "changed")
    monkeypatch.setenv("COLUMNS", "160")
    recipe = tmp_path / "dagseq.py"
    recipe.write_text("x = 1\n")
    for day in (24, 25):
        run = RunDirectory.create(tmp_path / "runs", recipe, {}, clock=lambda day=day: datetime(2026, 11, day))
        run.record_data({"dump.xml": {"sha256": "ab" * 32}})
        if day == 24:
            run.finish(summarize(FIGURES))
    return tmp_path / "runs"


def call(root: Path, *arguments: str) -> int:
    return main(["leaderboard", *arguments, "--root", str(root), "--leaderboards", str(root / "boards")])


def test_a_run_is_added_once_and_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "--add", "20261124") == 0 == call(root, "--add", "20261124")
    boards = root / "boards"
    assert sorted(path.name for path in boards.glob("*.csv")) == ["held_out.csv", "restated_facts.csv"]
    [row] = read_leaderboard(boards / "held_out.csv")
    assert (row.run, row.metric, row.value, row.stderr, row.n) == ("20261124_000000", "loss", 2.25, 0.125, 64)
    assert (row.model, row.revision, row.date, row.best) == ("dagseq", "7c810af1133f+", "2026-11-24", "lowest")
    assert len(row.data) == 16
    text = capsys.readouterr().out
    assert f"20261124_000000: {boards}/held_out.csv" in text
    assert "held out: loss, lowest first" in text and "restated facts: all_gain, highest first" in text
    shown = ["20261124_000000", "dagseq", "2.25", "±", "0.12", "64", row.data, "7c810af1133f+", "2026-11-24"]
    assert shown in [line.split() for line in text.splitlines()]


def test_other_data_are_another_hash(root: Path) -> None:
    run = RunDirectory(root / "20261124_000000")
    before = rows_of_run(run)["held_out"][0].data
    run.record_data({"dump.xml": {"sha256": "cd" * 32}})
    assert rows_of_run(run)["held_out"][0].data != before


def test_a_run_that_has_no_figures_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "--add", "20261125") == 2
    assert capsys.readouterr().err == (
        f"Error: the run {root}/20261125_000000\n  got     a run that has not ended\n"
        "  wanted  a finished run whose recipe has evaluations\n"
        "  See its figures with: python -m gptlab.experiment show 20261125_000000\n"
    )
    run = RunDirectory(root / "20261125_000000")
    run.finish(summarize({"speed": {"tokens": 12.0}}))
    with pytest.raises(ExperimentError, match="no figure of a benchmark with a standard error"):
        rows_of_run(run)


def test_one_is_drawn_and_the_new_run_stands_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boards, out = root / "boards", root / "plots" / "board.png"
    for number in range(MOST_DRAWN + 3):
        row = LeaderboardRow(run=f"other{number}", metric="loss", value=3 + number, stderr=0.5)
        add_to_leaderboard(boards / "held_out.csv", row)
    assert call(root, "held_out", "--add", "20261124", "--plot", str(out)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert {BLUE, FAINT} <= colours(out)
    assert call(root, "held_out", "--plot", str(out)) == 0 and BLUE in colours(out)


def colours(path: Path) -> set[str]:
    """Every colour that the picture has, as #RRGGBB."""
    pixels = (imread(path)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    return {f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.unique(pixels, axis=0)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            "the leaderboards in {boards}\n  got     no leaderboard\n  wanted  some of those that there are: none\n",
        ),
        (("a", "c"), "got     a, c\n  wanted  some of those that there are: a, b\n"),
        (("--plot", "x.png"), "--plot\n  got     2 leaderboards\n  wanted  the name of one\n"),
    ],
)
def test_what_is_not_there_is_said(
    root: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab" if arguments else "":
        add_to_leaderboard(root / "boards" / f"{name}.csv", LeaderboardRow(run="r", metric="m", value=1.0))
    assert call(root, *arguments) == 2
    assert message.format(boards=root / "boards") in capsys.readouterr().err


def dots(path: Path) -> list[tuple[float, float]]:
    """The middles of the blue dots, in pixels (across, down), the upper first."""
    picture = (imread(path)[..., :3] * 255).round().astype(int)
    blue = (picture == [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=-1)
    found: list[list[int]] = []
    for down in np.flatnonzero(blue.sum(axis=1) >= 8):
        if found and down - found[-1][-1] <= 2:
            found[-1].append(int(down))
        else:
            found.append([int(down)])
    return [(float(np.flatnonzero(blue[lines].any(axis=0)).mean()), float(np.mean(lines))) for lines in found]


def test_dots_are_where_the_values_are_and_the_best_on_top(tmp_path: Path) -> None:
    values = (3.0, 1.0, 2.0, float("nan"), float("inf"))
    rows = [LeaderboardRow(run=f"r{value}", metric="loss", value=value) for value in values]
    (a, _), (b, _), (c, _) = dots(plot_leaderboard(rows, tmp_path / "low.png"))
    assert a < b < c and b - a == pytest.approx(c - b, abs=2)
    high = [LeaderboardRow(run=f"r{value}", metric="gain", value=value) for value in (3.0, 1.0, 2.0)]
    places = dots(plot_leaderboard(high, tmp_path / "high.png"))
    assert [x for x, _ in places] == sorted((x for x, _ in places), reverse=True)


def test_bars_have_the_length_of_the_error(tmp_path: Path) -> None:
    pairs = ((3.0, 0.5), (1.0, 0.25))
    rows = [LeaderboardRow(run="r", metric="gain", value=value, stderr=stderr) for value, stderr in pairs]
    picture = (imread(plot_leaderboard(rows, tmp_path / "a.png"))[..., :3] * 255).round().astype(int)
    blue = (picture == [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=-1)
    lines = np.flatnonzero(blue.any(axis=1))
    upper, lower = lines[lines < picture.shape[0] / 2], lines[lines >= picture.shape[0] / 2]
    lengths = [np.ptp(np.flatnonzero(blue[each].any(axis=0))) for each in (upper, lower)]
    assert lengths[0] / lengths[1] == pytest.approx(2.0, rel=0.05)


def test_any_name_is_drawn_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    names = ("東京都", "$x^2$ _a_ {b} \\frac", "مكة المكرمة", "A" * 300, "", "<b>&amp;")
    rows = [
        LeaderboardRow(run=name, model=name, metric=metric, value=number, stderr=float("inf") if number else None)
        for metric in ("gain", "$m$ 東", "")
        for number, name in enumerate(names)
    ]
    one = plot_leaderboard(rows, tmp_path / "a.png", mine=[names[0]])
    assert one.read_bytes() == plot_leaderboard(rows, tmp_path / "b.png", mine=[names[0]]).read_bytes()


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="got     no row with a finite value\n  wanted  figures to compare"):
        plot_leaderboard([LeaderboardRow(run="r", metric="m", value=float("nan"))], tmp_path / "a.png")
