"""A disk that is full, read-only or broken ends the training with one error in four parts; what was saved stays.

Where file systems can be mounted the disk is a real one of a few pages; else the limit of a file's size stands in.
"""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from tiny_torch import Counting, TinyModel, same

from gptlab.storage import StorageError
from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from gptlab.training.checkpoint import checkpoints

CFG = TrainerConfig(steps=12, learning_rate=0.02, warmup_steps=2, checkpoint_every=2, keep_last=99)
ALLOW = ("tiny_torch",)


def train(directory: Path, **changes: object) -> TinyModel:
    cfg = attrs.evolve(CFG, **changes)
    if latest_checkpoint(directory) is not None:
        return TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=ALLOW, **changes).train()
    return TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory).train()


def last_good(directory: Path) -> int:
    newest = latest_checkpoint(directory)
    return 0 if newest is None else int(newest.name.removeprefix("step-"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 96 KiB: room for a few checkpoints."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96k", "none", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("background", [False, True])
def test_a_real_disk_that_fills_up(small_disk: Path, tmp_path: Path, background: bool) -> None:
    directory = small_disk / "run"
    with pytest.raises(StorageError) as caught:
        train(directory, save_in_background=background)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(str(directory))
    assert lines[1].startswith("  got     No space left on device (") and lines[2] == "  wanted  a disk with room"
    assert lines[3] == "  Free some space, or choose a folder on another disk; what was finished is kept."
    saved = last_good(directory)
    assert saved >= 2 and {path.name for path in checkpoints(directory)} == {
        f"step-{step:08d}" for step in range(2, saved + 1, 2)
    }
    # Room again, and it goes on to the same end.
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert same(train(directory, save_in_background=background), train(tmp_path / "other"))


def test_a_real_disk_that_becomes_read_only(small_disk: Path, tmp_path: Path) -> None:
    directory = small_disk / "run"

    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    train(directory, steps=4)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError) as caught:
        TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=ALLOW, steps=6).train()
    assert "got     Read-only file system" in str(caught.value)
    assert "Choose a folder elsewhere." in str(caught.value)
    assert last_good(directory) == 4
    with pytest.raises(StorageError, match="Read-only file system"):
        train(small_disk / "another")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    trained = TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=ALLOW, steps=6).train()
    assert trained is not None and last_good(directory) == 6


@pytest.mark.parametrize("background", [False, True])
def test_a_limit_of_the_size_of_files(tmp_path: Path, background: bool) -> None:
    """safetensors writes from compiled code: its error is one of the disk like any other."""
    directory = tmp_path / "run"
    train(directory, steps=2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, before[1]))
    try:
        with pytest.raises(StorageError) as caught:
            train(directory, steps=12, save_in_background=background)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "got     File too large\n  wanted  a file within the size limit\n" in str(caught.value)
    assert last_good(directory) == 2


@pytest.mark.parametrize(
    ("number", "nth"), [(errno.ENOSPC, 1), (errno.EIO, 4), (errno.EDQUOT, 9), (errno.EROFS, 13), (errno.EIO, 14)]
)
@pytest.mark.parametrize("background", [False, True])
def test_a_sync_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, nth: int, background: bool
) -> None:
    """A disk may say only when it is forced that it could not; a save whose sync failed is none."""
    directory, real, count = tmp_path / "run", os.fsync, [0]
    train(directory, steps=2)

    def failing(descriptor: int) -> None:
        count[0] += 1
        if count[0] == nth:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError) as caught:
        train(directory, steps=12, save_in_background=background)
    assert f"got     {os.strerror(number)}" in str(caught.value) and len(str(caught.value).splitlines()) == 4
    monkeypatch.undo()
    assert last_good(directory) >= 2
    whole = tmp_path / "whole"
    train(whole, steps=2)
    assert same(train(directory, steps=12), train(whole, steps=12))
