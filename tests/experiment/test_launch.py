"""One run directory for all ranks of a launch, whoever comes first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gptlab.experiment.launch as launch
from gptlab.experiment import ExperimentError, RunDirectory, runs
from gptlab.experiment.launch import found_note, launch_key, leave_note

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, sys
from datetime import datetime
from pathlib import Path
from gptlab.experiment import RunDirectory, close_logger, make_logger, rank_from_environment
config = {"port": os.environ["MASTER_PORT"]}
run = RunDirectory.create(Path("runs"), None, config, clock=lambda: datetime(2026, 11, 24))
logger = make_logger(run.path, rank_from_environment())
logger.info("here")
close_logger(logger)
Path(f"told-{os.environ['MASTER_PORT']}-{rank_from_environment()}").write_text(run.name)
"""


def rank_of(number: int, world: int, port: str) -> dict[str, str]:
    return {"RANK": str(number), "WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": port}


def test_two_launches_of_one_second_with_two_ranks_each_make_two_runs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = [
        subprocess.Popen(
            [sys.executable, str(script)],
            cwd=tmp_path,
            env=os.environ | rank_of(rank, 2, port) | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        for rank in (1, 0)  # the one that waits is started first
        for port in ("1001", "1002")
    ]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0, 0]
    made = runs(tmp_path / "runs")
    assert len(made) == 2
    for run in made:
        port = run.config["port"]
        assert {(tmp_path / f"told-{port}-{rank}").read_text() for rank in (0, 1)} == {run.name}
        assert sorted(line.split("rank ")[1][0] for line in run.log.read_text().splitlines()) == ["0", "1"]
        assert run.recipe == SCRIPT


@pytest.mark.slow
def test_under_torchrun_the_script_is_the_recipe_and_all_ranks_share_a_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=120)
    (run,) = runs(tmp_path / "runs")
    assert run.recipe == SCRIPT and run.environment["ranks"] == 2
    assert sorted(line.split("rank ")[1][0] for line in run.log.read_text().splitlines()) == ["0", "1"]


def test_a_test_is_the_recipe_under_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from pathlib import Path\nfrom gptlab.experiment import RunDirectory\n"
        "def test_it():\n    RunDirectory.create(Path('runs'), None, {})\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
    (run,) = runs(tmp_path / "runs")
    assert run.recipe == (tmp_path / "test_mine.py").read_text()


KERNEL = """
import sys
In, code = [""], sys.argv[1:]
def get_ipython(): ...
for number, cell in enumerate(code):
    In.append(cell)
    exec(compile(cell, f"/tmp/ipykernel_77/{number}.py", "exec"), globals())
"""


def test_cells_that_no_file_holds_are_the_recipe_as_they_were_run(tmp_path: Path) -> None:
    """As under nbconvert: `__main__` has no file, IPython's `In` has the cells."""
    cells = [
        "from pathlib import Path\nfrom gptlab.experiment import RunDirectory",
        "run = RunDirectory.create(Path('runs'), None, {})",
        "later = 1",
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", KERNEL, *cells], cwd=tmp_path, env=env, check=True, capture_output=True)
    (run,) = runs(tmp_path / "runs")
    assert run.recipe == "".join(f"# %%\n{cell}\n\n" for cell in cells[:2])
    assert run.environment["recipe"] == "cells of a notebook"
    again = [cells[0], "from gptlab.experiment import ExperimentError", f"RunDirectory.load(Path({str(run.path)!r}))"]
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, *again], cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1 and "+++ cells of a notebook" in done.stderr and "allow_changed_recipe" in done.stderr


def test_a_cell_that_a_debugger_wrote_to_a_file_is_still_a_cell(tmp_path: Path) -> None:
    folder = tmp_path / "ipykernel_77"
    folder.mkdir()
    cell = (
        "from pathlib import Path\nfrom gptlab.experiment import RunDirectory\n"
        "RunDirectory.create(Path('r'), None, {})"
    )
    (folder / "0.py").write_text(cell)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    kernel = KERNEL.replace("/tmp/ipykernel_77", str(folder))
    subprocess.run([sys.executable, "-c", kernel, cell], cwd=tmp_path, env=env, check=True, capture_output=True)
    assert runs(tmp_path / "r")[0].environment["recipe"] == "cells of a notebook"


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in rank_of(1, 2, "1").items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_rank_that_waits_in_vain_says_so(tmp_path: Path, two_ranks: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExperimentError) as caught:
        found_note(tmp_path, patience=0.05)
    assert str(caught.value) == (
        f"rank 1 in {tmp_path}\n  got     no run directory from the first rank within 0 s\n"
        "  wanted  one run directory for all ranks, in a folder that all of them see\n"
        "  Look at what rank 0 says; on several machines, put the folder of runs on a shared disk."
    )


def test_notes_of_other_launches_are_not_read_and_old_ones_go(tmp_path: Path, two_ranks: pytest.MonkeyPatch) -> None:
    leave_note(tmp_path, tmp_path / "a")
    assert found_note(tmp_path) == tmp_path / "a"
    (note,) = tmp_path.iterdir()
    two_ranks.setenv("TORCHELASTIC_RESTART_COUNT", "1")  # a restart has a run of its own
    with pytest.raises(ExperimentError):
        found_note(tmp_path, patience=0.01)
    os.utime(note, (1, 1))
    leave_note(tmp_path, tmp_path / "b")
    assert not note.exists() and found_note(tmp_path) == tmp_path / "b"
    two_ranks.setenv("RANK", "0")
    assert found_note(tmp_path) is None  # the first one makes it


def test_a_process_alone_leaves_and_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    leave_note(tmp_path, tmp_path / "a")
    assert launch_key() is None and found_note(tmp_path) is None and list(tmp_path.iterdir()) == []


def test_launches_of_one_machine_are_told_apart_by_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**rank_of(0, 2, "1"), "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    first = launch_key()
    monkeypatch.setattr(launch.os, "getppid", lambda: 1)
    assert launch_key() != first


def test_the_settings_on_disk_have_a_schema_and_old_ones_are_read(tmp_path: Path) -> None:
    recipe = tmp_path / "r.py"
    recipe.write_text("x = 1\n")
    run = RunDirectory.create(tmp_path / "runs", recipe, {"steps": 5})
    content = json.loads((run.path / "config.json").read_text())
    assert content == {"schema": 2, "gptlab": "0.1.0", "value": {"steps": 5}} and run.config == {"steps": 5}
    (run.path / "config.json").write_text('{"steps": 6}')  # as before there was a schema
    assert run.config == {"steps": 6}
