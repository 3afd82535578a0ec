"""plot, clean, restore and comparisons on the command line."""

import io
import os
import pty
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest
from matplotlib.image import imread

import gptlab.experiment.run_directory as module
from gptlab.benchmarks import LeaderboardRow, add_to_leaderboard
from gptlab.experiment import ExperimentError, RunDirectory, plot_losses, runs, summarize, write_comparison
from gptlab.experiment.__main__ import main
from gptlab.experiment.clean import kind_of_run, removable, remove
from gptlab.experiment.leaderboard_rows import MOST_OTHERS, leaderboard_rows
from gptlab.experiment.using import in_use
from gptlab.types import Generation, Prompt, document_id

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs: one of each kind but running."""
    facts = {"gptlab": "0.1.0", "packages": {"torch": "2.13"}, "python": "3.11"}
    monkeypatch.setattr(module, "environment", lambda folder: dict(facts))
    monkeypatch.setattr(module, "patch", lambda folder: "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("x = 1\n")
    for hour, kind in enumerate(("finished", "model", "resumable", "empty")):
        facts["python"] = f"3.1{hour}"
        time = datetime(2026, 11, 24, hour)
        config = {"width": 8 * (hour + 1), "seed": 7, "note": EVIL if hour else ""}
        run = RunDirectory.create(tmp_path / "runs", recipe, config, clock=lambda time=time: time)
        if kind != "empty":
            lines = [f'{{"step": {step}, "loss": {5.0 / step + hour}}}\n' for step in range(1, 9)]
            run.metrics.write_text("".join(lines))
        if kind == "finished":
            prompt = Prompt(text="The river ", title="River")
            sample = Generation(prompt=prompt, text="flows.", read=((3, document_id("Sea")),), missing=())
            plot_losses(run.metrics, run.plots / "mask.png")
            run.finish(summarize({"held out": {"loss": 2.5}}, samples=[sample]))
        elif kind == "model":
            (run.path / "model").mkdir()
        elif kind == "resumable":
            (run.checkpoints / "step-00000001").mkdir(parents=True)
    return tmp_path / "runs"


def names(root: Path) -> list[str]:
    return [run.name[9:11] for run in runs(root)]


def test_plot_draws_several_runs_in_one_picture(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "20261124_00", "20261124_01", "--root", str(root)]) == 0
    assert capsys.readouterr().out.strip() == str(root / "losses.png")
    both = imread(root / "losses.png")
    assert main(["plot", "20261124_00", "--root", str(root), "--out", str(root / "one.png")]) == 0
    one = imread(root / "one.png")
    orange = lambda image: ((abs(image[:, :, :3] - [0.902, 0.624, 0.0])) < 0.03).all(axis=2).sum()  # noqa: E731
    assert orange(both) > 500 > orange(one)  # the second run has the second colour
    assert main(["plot", "20261124_03", "--root", str(root)]) == 2
    assert "the metrics of a run" in capsys.readouterr().err


def test_runs_are_of_four_kinds(root: Path) -> None:
    assert [kind_of_run(run) for run in runs(root)] == ["finished", "finished", "resumable", "empty"]
    with in_use(runs(root)[3].path):
        assert kind_of_run(runs(root)[3]) == "running"
        assert removable(runs(root), finished=True, resumable=True)[-1].kind == "resumable"
    assert [str(each).split("  ")[-1] for each in removable(runs(root))] == ["began, and left nothing to go on from"]


def test_clean_says_what_it_would_remove_and_touches_nothing_without_a_yes(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["clean", "--root", str(root)]) == 2
    said = capsys.readouterr()
    assert f"{root / '20261124_030000'}  " in said.out and "nobody to ask about 1 runs" in said.err
    assert names(root) == ["00", "01", "02", "03"]
    assert main(["clean", "--root", str(root), "--yes"]) == 0
    assert "Removed 1 runs." in capsys.readouterr().out and names(root) == ["00", "01", "02"]
    assert main(["clean", "--root", str(root), "--yes"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_a_trained_model_goes_only_when_it_is_told(root: Path) -> None:
    assert main(["clean", "20261124_00", "--root", str(root), "--yes"]) == 0
    assert names(root) == ["00", "01", "02", "03"]  # even when it is named
    assert main(["clean", "20261124_00", "--finished", "--root", str(root), "--yes"]) == 0
    assert names(root) == ["01", "02", "03"]
    assert main(["clean", "--resumable", "--root", str(root), "--yes"]) == 0
    assert names(root) == ["01"]


def test_a_run_that_began_to_work_meanwhile_is_left(root: Path) -> None:
    going = removable(runs(root), resumable=True)
    with in_use(going[0].run.path):
        assert [each.run.name for each in remove(going)] == [going[1].run.name]
    assert len(runs(root)) == 3


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("y", 3)])
def test_a_person_is_asked(root: Path, answer: str, left: int) -> None:
    """On a real terminal."""
    main_end, its_end = pty.openpty()
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "dumb"}
    command = [sys.executable, "-m", "gptlab.experiment", "clean", "--root", str(root)]
    process = subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, env=env, close_fds=True)
    os.close(its_end)
    said = bytearray()

    def read() -> None:
        while True:
            try:
                said.extend(os.read(main_end, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    os.write(main_end, f"{answer}\n".encode())
    assert process.wait(timeout=60) == 0
    reader.join(timeout=10)
    assert b"Remove 1 runs, " in said and (b"Nothing was touched" in said) == (answer == "n")
    assert len(runs(root)) == left


def row(run: str, loss: float) -> LeaderboardRow:
    return LeaderboardRow(run=run, metric="loss", value=loss)


def test_a_comparison_tells_what_differs_and_what_does_not(root: Path) -> None:
    found = runs(root)[:3]
    boards = root / "leaderboards"
    for number in range(MOST_OTHERS + 4):
        add_to_leaderboard(boards / "held_out.csv", row(f"other{number}", 3.0 + number))
    add_to_leaderboard(boards / "held_out.csv", row(found[0].name, 2.5))
    add_to_leaderboard(boards / "nobody.csv", row("other", 1.0))
    found[1].record_data({"dump.xml": {"read by": "Dump", "bytes": 5, "sha256": "ab" * 32}})
    (found[2].path / "recipe.txt").write_text("x = 2\n")
    text = write_comparison(found, root / "c.html", title="Widths", leaderboards=boards).read_text()
    assert "<h1>Widths</h1>" in text and "1 of 3 finished" in text and EVIL not in text
    assert ">width<" in text and ">seed<" not in text  # what is the same is not told
    assert "loss curves" in text and "20261124_000000: mask" in text and "[read: Sea]" in text
    assert "-x = 1\n+x = 2" in text and "abababababababab" in text and ">python<" in text and ">torch<" not in text
    assert "held out: loss" in text and text.count("<tr class=clear>") == 1 and "nobody" not in text
    assert "other13" in text and "other3<" not in text
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")


def test_equal_runs_are_said_to_be_equal(root: Path) -> None:
    run = runs(root)[3]
    text = write_comparison([run, run], root / "c.html", names=["a", "b"]).read_text()
    assert "None: the runs have the same settings." in text and "All runs have the same recipe." in text
    assert "loss curves" not in text
    with pytest.raises(ExperimentError, match=r"a comparison\n  got     no run"):
        write_comparison([], root / "c.html")


def test_report_of_several_is_a_comparison(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "20261124_00", "20261124_01", "--root", str(root)]) == 0
    assert capsys.readouterr().out.strip() == str(root / "comparison.html") and (root / "comparison.html").is_file()
    add_to_leaderboard(root / "boards" / "facts.csv", row(runs(root)[0].name, 2.5))
    assert main(["report", "20261124_00", "--root", str(root), "--leaderboards", str(root / "boards")]) == 0
    assert "Leaderboards" in runs(root)[0].report.read_text()


def test_a_broken_leaderboard_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("run,loss\nmine,1,2\n")
    (tmp_path / "c.csv").write_bytes(b"name,loss\n\xff,1\n")
    assert leaderboard_rows(tmp_path, ["mine"]) == []


def test_restore_on_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "20261124_00", "--root", str(root), "--into", str(root / "again")]) == 0
    out = capsys.readouterr().out
    assert "note: The recipe was under no version control" in out
    assert "Start it with:\ncd " in out and "my_recipe.py" in out
    assert (root / "again" / "code" / "my_recipe.py").read_text() == "x = 1\n"
