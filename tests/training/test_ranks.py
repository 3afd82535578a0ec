"""Several processes give the curve of one: the real program under torchrun, over gloo, compared with one process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ranks_program import CONFIGS, ROWS
from safetensors.numpy import load_file
from torch import nn

from gptlab.training import Ranks, TrainerConfig, TrainingError, current_ranks, joined
from gptlab.training.metrics import BY_THE_CLOCK
from gptlab.training.parallel import parallelise, part_of, whole

PROGRAM = Path(__file__).with_name("ranks_program.py")
SCENARIOS = [*CONFIGS, *ROWS, "nan", "stopped", "ends", "talk"]


def launch(processes: int, place: Path, *scenarios: str) -> None:
    """Run the program to its end on so many processes."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start = [sys.executable, *(torchrun if processes > 1 else []), str(PROGRAM), str(place), *scenarios]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent), "OMP_NUM_THREADS": "1", "GPTLAB_CHECKS": "off"}
    done = subprocess.run(start, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """All scenarios, by number of processes."""
    found = {}
    for processes in (1, 2):
        found[processes] = tmp_path_factory.mktemp(f"on-{processes}")
        launch(processes, found[processes], *SCENARIOS)
        assert json.loads((found[processes] / "world.json").read_text()) == processes
    return found


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in BY_THE_CLOCK} for line in found]


def assert_same_curve(one: Path, two: Path) -> None:
    """To 1e-5: sums are added up in another order."""
    ours, theirs = lines(one), lines(two)
    assert [line.keys() for line in ours] == [line.keys() for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert list(a.values()) == pytest.approx(list(b.values()), rel=1e-5, abs=1e-6)
    left, right = load_file(one / "weights.safetensors"), load_file(two / "weights.safetensors")
    assert left.keys() == right.keys()
    assert all(np.allclose(left[name], right[name], atol=1e-5) for name in left)


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_give_the_curve_and_the_weights_of_one(runs, name):
    assert_same_curve(runs[1] / name, runs[2] / name)
    assert len(lines(runs[2] / name)) == 8


@pytest.mark.parametrize("name", ROWS)
def test_the_real_model_on_rows_that_each_rank_reads_for_itself(runs, name):
    ours, theirs = lines(runs[1] / "rows"), lines(runs[2] / name)
    assert [line["step"] for line in theirs] == [1, 2, 3, 4]
    for a, b in zip(ours, theirs, strict=True):
        assert (a["loss"], a["grad_norm"]) == pytest.approx((b["loss"], b["grad_norm"]), rel=1e-5)
    left, right = (load_file(place / "model" / "model.safetensors") for place in (runs[1] / "rows", runs[2] / name))
    assert left.keys() == right.keys()
    assert all(np.allclose(left[key], right[key], atol=1e-4) for key in left)


def test_fsdp_gives_what_ddp_gives(runs):
    for name in ("accumulate", "fsdp_accumulate"):
        assert (runs[2] / name / "best" / "model" / "weights.safetensors").exists()
    assert_same_curve(runs[2] / "accumulate", runs[2] / "fsdp_accumulate")


def test_a_wrong_weighting_would_be_seen(runs):
    """The rows teach different numbers of tokens, so a mean of the ranks' means is another number."""
    from tiny_torch import Counting, DeepModel, Padded

    batch = next(Padded(Counting()).get_data_generator())
    from gptlab.training.shares import rows_of

    outputs = [next(DeepModel().forward(iter([rows_of(batch, rank, 2)]))) for rank in (0, 1)]
    parts = [float(output.loss.detach()) for output in outputs]
    assert abs(sum(parts) / 2 - lines(runs[2] / "plain")[0]["loss"]) > 1e-3


GONE_ON = ("plain", "accumulate", "fsdp_accumulate")


@pytest.fixture(scope="module", params=[(1, 2), (2, 1)], ids=["1 to 2", "2 to 1"])
def resumed(runs, tmp_path_factory, request) -> tuple[int, Path]:
    """Runs of some processes, gone on from their fourth step by others: how many, and where."""
    before, after = request.param
    place = tmp_path_factory.mktemp("resumed")
    for name in GONE_ON:
        shutil.copytree(runs[before] / name, place / name)
    launch(after, place, *(f"resume:{name}" for name in GONE_ON))
    return after, place


@pytest.mark.parametrize("name", GONE_ON)
def test_a_checkpoint_is_gone_on_from_with_another_number_of_ranks(runs, resumed, name):
    after, place = resumed
    assert_same_curve(runs[1] / name, place / name)
    said = json.loads((place / name / "checkpoints" / "step-00000008" / "trainer.json").read_text())
    assert said["ranks"] == after


def test_checkpoints_are_the_same_whoever_wrote_them(runs):
    """Whole arrays under the network's own names: nothing of DDP or FSDP is in them."""
    folders = [runs[1] / "plain", runs[2] / "plain", runs[2] / "fsdp", runs[2] / "background"]
    for file in ("model/weights.safetensors", "optimizer.safetensors"):
        found = [load_file(folder / "checkpoints" / "step-00000008" / file) for folder in folders]
        shapes = [{name: array.shape for name, array in each.items()} for each in found]
        assert shapes.count(shapes[0]) == len(shapes)
        assert all(np.allclose(found[0][name], each[name], atol=1e-5) for each in found for name in found[0])


def test_a_loss_that_is_nan_on_one_rank_stops_all_with_the_whole_batch_saved(runs):
    texts = {(runs[2] / "nan" / f"error-{rank}.txt").read_text() for rank in (0, 1)}
    (text,) = texts
    alone = (runs[1] / "nan" / "error-0.txt").read_text()
    assert text.splitlines()[:3] == alone.splitlines()[:3]
    assert text.splitlines()[1] == "  got     loss nan, gradient norm nan"
    (failed,) = (path.name for path in (runs[1] / "nan" / "failed").iterdir())
    arrays = [load_file(runs[n] / "nan" / "failed" / failed / "batch-0.safetensors") for n in (1, 2)]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert arrays[1]["tokens"].shape == (5, 6)


def test_a_signal_to_one_rank_stops_all_after_the_same_step(runs):
    for rank in (0, 1):
        text = (runs[2] / "stopped" / f"stopped-{rank}.txt").read_text()
        assert text.startswith("Training stopped after step 3.")
    assert (runs[2] / "stopped" / "checkpoints" / "step-00000003" / "manifest.json").exists()


def test_data_that_end_on_one_rank_stop_all(runs):
    texts = [(runs[2] / "ends" / f"error-{rank}.txt").read_text() for rank in (0, 1)]
    assert texts[0] == texts[1] and texts[0].startswith("the data source of TorchTrainer, at step 3\n")


def test_ranks_hear_the_first_prepare_once_and_fail_together(runs):
    first, second = (json.loads((runs[2] / "talk" / f"said-{rank}.json").read_text()) for rank in (0, 1))
    assert first["heard"] == second["heard"] == {"text": "ä" * 70_000, "nothing": None, "rank": 0}
    assert (first["found"], second["found"]) == ([False], [True]), "the second begins when the first is done"
    assert first["ways"] == ["says why"] * 2 and second["ways"] == ["ends with 2"] * 2
    assert first["sums"] == second["sums"] == [2.0, 1.0, 1.0] and first["any"] and second["any"]
    alone = json.loads((runs[1] / "talk" / "said-0.json").read_text())
    assert alone["ways"] == ["says why"] * 2 and alone["sums"] == [1.0, 0.0, 0.5] and not alone["any"]


def test_muon_needs_whole_matrices():
    cfg = TrainerConfig(optimizer="muon", parallel="fsdp")
    with pytest.raises(TrainingError) as error:
        parallelise(nn.Linear(2, 2), cfg, Ranks(rank=0, world=2))
    assert str(error.value) == (
        "TrainerConfig.parallel\n  got     'fsdp' with optimizer 'muon'\n"
        "  wanted  an optimiser that changes each number by itself: Muon needs whole matrices\n"
        "  Set optimizer='adamw', or parallel='ddp'."
    )


def test_what_is_whole_stays_as_it_is():
    tensor = torch.ones(2, 3)
    assert whole(tensor) is tensor and part_of(tensor, torch.zeros(2, 3)) is tensor
    with parallelise(nn.Linear(1, 1), TrainerConfig(), Ranks()).holding():
        assert parallelise(nn.Linear(1, 1), TrainerConfig(), Ranks()).loss(lambda: tensor) is tensor


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError) as error, joined():
        pass
    assert str(error.value) == (
        "the environment of a run with WORLD_SIZE\n  got     no LOCAL_RANK, MASTER_ADDR, MASTER_PORT\n"
        "  wanted  all that torchrun sets\n  Start it with torchrun --nproc-per-node N -m ..., or unset WORLD_SIZE."
    )


def test_alone_nothing_is_asked_of_anybody():
    seen = []
    with joined() as ranks:
        assert ranks == current_ranks() == Ranks() and ranks.is_first
        ranks.one_by_one(lambda: seen.append(1))
        assert ranks.from_first(lambda: {"a": [1]}) == {"a": [1]}
    assert seen == [1]
