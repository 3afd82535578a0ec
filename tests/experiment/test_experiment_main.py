"""`python -m gptlab.experiment`: lists, one run, comparisons."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import gptlab.experiment.run_directory as module
from gptlab.experiment import RunDirectory, summarize
from gptlab.experiment.__main__ import main
from gptlab.experiment.compare import differing_settings, last_figures


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "environment", lambda folder: {"gptlab": "test"})
    monkeypatch.setattr(module, "patch", lambda folder: "")
    monkeypatch.setenv("COLUMNS", "160")
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("x = 1\n")
    for number in range(3):
        time = datetime(2026, 11, 24, 12, 0, 0) + timedelta(days=number)
        config = {"trainer": {"steps": 10 * (number + 1), "seed": 7}, "dump": None if number else "a.xml"}
        run = RunDirectory.create(tmp_path / "runs", recipe, config, clock=lambda time=time: time)
        run.metrics.write_text(
            f'{{"step": 1, "loss": {5.0 - number}, "held_out_loss": 6.5}}\n{{"step": 2, "loss": 4.25}}\n'
        )
        if number == 0:
            run.finish(summarize({"restated": {"gain": 1.5, "gain_stderr": 0.25}}))
    (tmp_path / "runs" / "leaderboards").mkdir()
    return tmp_path / "runs"


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_list_has_a_line_per_run_with_what_differs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(root)]) == 0
    lines = rows(capsys.readouterr().out)
    assert lines[0] == ["3", "runs"]
    assert lines[3] == [
        "20261124_120000", "my_recipe.py", "finished", "2", "4.25", "6.5", "trainer.steps=10", "dump=a.xml",
    ]  # fmt: skip
    assert lines[4][2:] == ["not", "finished", "2", "4.25", "6.5", "trainer.steps=20"]


def test_a_damaged_run_does_not_end_the_list(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "20261125_120000" / "metrics.jsonl").write_text("x\n{}\n")
    assert main(["list", "--root", str(root)]) == 0
    assert "unreadable" in capsys.readouterr().out


def test_show_tells_figures_settings_and_places(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "20261124", "--root", str(root)]) == 0
    lines = rows(capsys.readouterr().out)
    for line in (["gain", "1.5", "±", "0.25"], ["loss", "4.25"], ["trainer.steps", "10"], ["dump", "a.xml"]):
        assert line in lines
    assert ["recipe.txt", str(root / "20261124_120000" / "recipe.txt")] in lines


def test_compare_shows_differences_and_draws(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "20261124", "last", "--root", str(root), "--plot", str(tmp_path / "x" / "curves.png")]
    assert main(arguments) == 0
    lines = rows(capsys.readouterr().out)
    assert ["20261124_120000", "20261126_120000"] in lines
    assert ["trainer.steps", "10", "30"] in lines and ["dump", "a.xml", "-"] in lines
    assert ["restated:", "gain", "1.5"] in lines and not any(line[:1] == ["trainer.seed"] for line in lines)
    assert (tmp_path / "x" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_is_made_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(root / "20261124_120000")]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == root / "20261124_120000" / "report.html" and "gain" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "2027"], "the run '2027'\n  got     0 runs of that name in {root}\n  wanted  one\n"),
        (
            ["show", "2026112"],
            "the run '2026112'\n  got     3 runs of that name in {root}\n          20261124_120000\n"
            "          20261125_120000\n          20261126_120000\n  wanted  one\n",
        ),
    ],
)
def test_a_run_that_is_not_one_is_refused(
    root: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", str(root)]) == 2
    expected = "Error: " + message.format(root=root) + "  See them with: python -m gptlab.experiment list\n"
    assert capsys.readouterr().err == expected


def test_no_runs_are_an_error_with_the_way_to_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--root", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == (
        f"Error: {tmp_path}/none\n  got     no such folder\n  wanted  the folder of your runs\n"
        "  Make one with: python -m recipes.dagseq_wiki, or name another folder with --root.\n"
    )


def test_last_figures_and_differences(root: Path) -> None:
    first, second = (RunDirectory(root / f"2026112{day}_120000") for day in (4, 5))
    assert last_figures(first) == {"step": 2, "loss": 4.25, "held_out_loss": 6.5}
    assert differing_settings([first, second]) == {"trainer.steps": [10, 20], "dump": ["a.xml", None]}
    assert differing_settings([first]) == {} == last_figures(RunDirectory(root / "leaderboards"))


def test_tables_need_no_torch() -> None:
    code = "import sys, gptlab.experiment.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
