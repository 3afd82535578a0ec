"""`torchrun --nproc-per-node 2 -m recipes.dagseq_wiki`, nothing changed in the recipe: the curve of one process."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from programs import SMALL, command, ended, environment, runs_of

pytestmark = pytest.mark.slow
SETTINGS = [*SMALL["dagseq_wiki"], "--trainer.evaluate_every", "3"]


def torchrun(*arguments: str) -> list[str]:
    """The recipe on two processes."""
    _, *rest = command("dagseq_wiki", *SETTINGS, *arguments)
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *rest]


def figures(run: Path) -> list[dict[str, float]]:
    names = ("step", "loss", "grad_norm", "held_out_loss")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in names if name in line} for line in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    place = tmp_path_factory.mktemp("alone")
    assert ended(place, "dagseq_wiki", *SETTINGS).code == 0
    (run,) = runs_of(place)
    return figures(run)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one_and_one_run(
    tmp_path: Path, alone: list[dict[str, float]], parallel: str
) -> None:
    done = subprocess.run(
        torchrun("--trainer.parallel", parallel),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = runs_of(tmp_path)
    found = figures(run)
    assert [line.keys() for line in found] == [line.keys() for line in alone]
    for ours, theirs in zip(found, alone, strict=True):
        assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-5)
    assert done.stdout.count("Where things are") == 1, "one process speaks"
    assert f"2 processes, {parallel.upper()}" in done.stdout
    said = (run / "log.txt").read_text()
    assert said.count("pack rows …") == 2 and "rank 1" in said, "one process prepares, the other finds"
    assert (run / "finished.json").exists() and (run / "report.html").exists()
    assert json.loads((run / "checkpoints" / "step-00000006" / "trainer.json").read_text())["ranks"] == 2


def test_ctrl_c_stops_both_and_one_process_goes_on(tmp_path: Path) -> None:
    steps = ["--trainer.steps", "400", "--trainer.schedule", "constant"]
    with (tmp_path / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            torchrun(*steps), cwd=tmp_path, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + 200
    while time.monotonic() < until:
        runs = runs_of(tmp_path)
        if runs and (runs[0] / "metrics.jsonl").exists() and len(figures(runs[0])) >= 4:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=120)
    text = (tmp_path / "said.txt").read_text()
    assert text.count("Stopped. Training stopped after step") == 1, text
    assert "Go on: torchrun --nproc-per-node 2 -m recipes.dagseq_wiki" in text
    (run,) = runs_of(tmp_path)
    stopped = len(figures(run))
    changed = ended(tmp_path, "dagseq_wiki", *SETTINGS, "--resume", "latest", *steps, "--batch_size", "8")
    assert changed.code == 2 and "wanted  batch_size 16, as the run began" in changed.err
    again = subprocess.Popen(
        command("dagseq_wiki", *SETTINGS, *steps, "--resume", "latest"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while time.monotonic() < until + 60 and len(figures(run)) < stopped + 3:
        time.sleep(0.1)
    again.send_signal(signal.SIGTERM)
    out, _ = again.communicate(timeout=120)
    assert again.returncode == 128 + signal.SIGTERM
    assert f"going on from step {stopped}" in out.decode()
    assert [line["step"] for line in figures(run)] == list(range(1, len(figures(run)) + 1))
