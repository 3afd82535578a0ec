"""A run that is killed anywhere and started again: nothing finished is done twice, nothing is left over.

SIGKILL strikes just before a change to the file system, which are the moments that count: between them nothing can be
half done. The moments are drawn evenly over all changes of an undisturbed run (a few hundred), and so are spread over
the beginning of the run, the wiki, the articles, the tokenizer, the rows, the training with its checkpoints, the
model, the pictures and the report.
"""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from programs import (
    MODEL,
    ROWS,
    Nursery,
    ended,
    environment,
    rubbish_of,
    runs_of,
    started,
    times_of,
    together,
    weights_of,
    words,
)

from gptlab.storage import is_complete

pytestmark = pytest.mark.slow
MOMENTS = 16
SETTINGS = [
    *words("--pages 60 --trainer.steps 6 --trainer.checkpoint_every 2 --trainer.evaluate_every 3"),
    *MODEL,
    *ROWS,
]


def finished_parts(cache: Path) -> set[str]:
    """The prepared parts that are whole."""
    if not cache.is_dir():
        return set()
    kinds = {path: path.name.rpartition("-")[0] for path in cache.iterdir() if not path.name.startswith(".")}
    return {path.name for path, kind in kinds.items() if is_complete(path, kind)}


def parts_of(cache: Path) -> list[str]:
    """What is there, less the hashes, which for a file are of its time as well."""
    return sorted(path.name.rpartition("-")[0] for path in cache.iterdir())


def steps_of(run: Path) -> list[int]:
    """The steps in the metrics."""
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, warm: Nursery) -> tuple[Path, int]:
    """Where a run was left alone, and how many changes it made."""
    place = tmp_path_factory.mktemp("killed") / "undisturbed"
    done = warm.ended(place, "dagseq_wiki", *SETTINGS, kill_at=0)
    assert (done.code, done.err) == (0, "")
    return place, warm.changes_of(place)


def test_killed_at_any_moment(undisturbed: tuple[Path, int], warm: Nursery) -> None:
    place, changes = undisturbed
    assert changes > 100
    (whole,) = runs_of(place)
    edges = np.linspace(1, changes, MOMENTS + 1)
    drawn = np.random.default_rng(7).uniform(edges[:-1], edges[1:])
    # Preparing writes a file per page: half of the moments are for the last third, where the run itself is written.
    drawn[::2] = np.linspace(changes * 0.67, changes, len(drawn[::2]))
    moments = sorted({2, 11, *(int(moment) for moment in drawn)})  # the first two: before anything is finished

    def check(moment: int) -> str:
        """In which state the kill left the run."""
        here = place.with_name(f"killed-at-{moment}")
        killed = warm.ended(here, "dagseq_wiki", *SETTINGS, kill_at=moment)
        assert killed.code == -signal.SIGKILL, (moment, killed.all)
        assert "Traceback" not in killed.all
        parts = finished_parts(here / "cache")
        before = times_of(here / "cache") if parts else {}
        begun = runs_of(here)
        ran_out = bool(begun) and (begun[0] / "finished.json").exists()
        resumed = ["--resume", "latest"] if begun and not ran_out else []
        done = warm.ended(here, "dagseq_wiki", *SETTINGS, *resumed)
        assert (done.code, done.err) == (0, ""), (moment, done.all)
        after = times_of(here / "cache")
        reused = {name: when for name, when in before.items() if name.partition("/")[0] in parts}
        assert reused == {name: after[name] for name in reused}, (moment, "a finished part was made again")
        assert parts_of(here / "cache") == parts_of(place / "cache"), moment
        assert not rubbish_of(here), moment
        (run, *more) = runs_of(here)
        assert bool(more) == ran_out
        for each in (run, *more):
            assert (each / "finished.json").exists()
            assert weights_of(each) == weights_of(whole), moment
            assert steps_of(each) == list(range(1, 7)), moment
            assert {path.name for path in each.iterdir()} == {path.name for path in whole.iterdir()}, moment
        if "Found the trained model" in done.out:
            return "trained"
        return "training" if "going on from step" in done.out else "prepared" if parts else "nothing"

    states = together(check, moments)
    assert len(states) >= 12
    assert set(states.values()) >= {"nothing", "prepared", "training"}, states


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("during", ["preparation", "training"])
def test_asked_to_stop(tmp_path: Path, number: int, code: int, during: str) -> None:
    """It ends soon, says what was kept, and the command that it gives goes on."""
    pages, line = ("2000", "read dump") if during == "preparation" else ("60", "step 3 of")
    steps = "3" if during == "preparation" else "20000"
    given = [*SETTINGS, "--pages", pages, "--trainer.steps", steps]
    program = started(tmp_path, "dagseq_wiki", *given)
    wait_for(tmp_path / "said.txt", line, program)
    time.sleep(0.3)
    program.send_signal(number)
    assert program.wait(timeout=60) == code
    said = (tmp_path / "said.txt").read_text()
    assert "Traceback" not in said
    (run,) = runs_of(tmp_path)
    assert re.search(rf"^Stopped\..*\n(?:.*\n)?Kept: {re.escape(str(run.relative_to(tmp_path)))}", said, re.MULTILINE)
    (on,) = re.findall(r"^Go on: (.*)$", said, re.MULTILINE)
    assert not rubbish_of(tmp_path)
    said_to = shlex.split(on)
    assert said_to[:3] == ["python", "-m", "recipes.dagseq_wiki"] and said_to[-2] == "--resume"
    if during == "training":
        assert "checkpoints step-" in said and "metrics of" in said
        done = int(re.findall(r"stopped after step (\d+)", said)[0])
        refused = subprocess.run(
            [sys.executable, *said_to[1:], "--trainer.steps", "3"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            check=False,
        )
        assert refused.returncode == 2 and b"trainer.steps" in refused.stderr  # another run's settings
        again = started(tmp_path, "dagseq_wiki", *said_to[3:])
        wait_for(tmp_path / "said.txt", f"going on from step {done}", again)
        wait_for(tmp_path / "said.txt", "held_out loss", again)
        again.send_signal(number)
        assert again.wait(timeout=60) == code
        steps_done = steps_of(run)
        assert steps_done == list(range(1, len(steps_done) + 1)) and len(steps_done) > done
    else:
        finished = subprocess.run(
            [sys.executable, *said_to[1:]], cwd=tmp_path, env=environment(), capture_output=True, check=False
        )
        assert finished.returncode == 0, finished.stderr.decode()
        assert b"write wiki" not in finished.stdout and b"write articles" in finished.stdout
        assert runs_of(tmp_path) == [run] and (run / "finished.json").exists()


def wait_for(file: Path, line: str, program: "subprocess.Popen[bytes]") -> None:
    """Until the program has said so."""
    for _ in range(1200):
        if line in file.read_text():
            return
        assert program.poll() is None, file.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{line!r} was not said within a minute: {file.read_text()}")


def test_an_interrupted_run_is_told_of_when_a_new_one_begins(tmp_path: Path, warm: Nursery) -> None:
    given = [*SETTINGS, "--trainer.steps", "4"]
    assert warm.ended(tmp_path / "a", "dagseq_wiki", *given, kill_at=0).code == 0
    last = warm.changes_of(tmp_path / "a")
    killed = warm.ended(tmp_path / "b", "dagseq_wiki", *given, kill_at=last - 10)
    assert killed.code == -signal.SIGKILL
    (interrupted,) = runs_of(tmp_path / "b")
    new = warm.ended(tmp_path / "b", "dagseq_wiki", *given)
    assert new.code == 0 and f"{interrupted.name} has the same settings and was interrupted" in new.out
    assert f"--resume experiments/{interrupted.name}" in new.out


def test_the_program_that_is_forked_is_the_program(tmp_path: Path, warm: Nursery) -> None:
    """What the nursery runs says and leaves what `python -m` does."""
    real = ended(tmp_path / "real", "dagseq_wiki", *SETTINGS)
    forked = warm.ended(tmp_path / "forked", "dagseq_wiki", *SETTINGS)
    assert real.code == forked.code == 0
    (first,), (second,) = runs_of(tmp_path / "real"), runs_of(tmp_path / "forked")
    assert weights_of(first) == weights_of(second)
    assert (first / "recipe.txt").read_text() == (second / "recipe.txt").read_text()
    plain = [re.sub(r"[\d.,]+ (?:s|min|ms)\b.*|\d{8}_\d{6}", "", each.out) for each in (real, forked)]
    assert plain[0] == plain[1]
