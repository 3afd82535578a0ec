"""Work that can be left at any moment: gone on with, seen as a whole or not at all, by one process at a time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptlab.storage import StorageError, is_complete, unfinished_directory, verify
from gptlab.storage.manifest import read_manifest

KIND = "squares"


def unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def write_until(path: Path, last: int, failure: type[BaseException] | None = None) -> list[str]:
    """Write the files that are missing up to a number; gives what was there."""
    with unfinished_directory(path, kind=KIND, finished="*.done") as directory:
        found = sorted(file.name for file in directory.iterdir())
        for number in range(len(found), last):
            (directory / f"{number}.done").write_text(str(number**2))
        if failure:
            (directory / "half").write_text("")
            raise failure("broken")
    return found


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_what_was_finished_is_gone_on_with(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a" / "squares"
    with pytest.raises(failure, match="broken"):
        write_until(path, 2, failure)
    assert not path.exists() and not is_complete(path, KIND)
    (unfinished(path) / "half").unlink()
    assert write_until(path, 3) == ["0.done", "1.done"]
    assert is_complete(path, KIND) and not unfinished(path).exists()
    assert [(path / f"{number}.done").read_text() for number in range(3)] == ["0", "1", "4"]
    verify(path, KIND)


def test_an_error_that_leaves_nothing_finished_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    with pytest.raises(RuntimeError):
        write_until(path, 0, RuntimeError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_what_there_is(tmp_path: Path, failure: type[BaseException]) -> None:
    """Who interrupts will go on, and may have written what no pattern tells."""
    path = tmp_path / "squares"
    with pytest.raises(failure):
        write_until(path, 0, failure)
    assert (unfinished(path) / "half").exists()


def test_without_a_pattern_every_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    for name in ((), ("a",)):
        with pytest.raises(RuntimeError), unfinished_directory(path, kind=KIND) as directory:
            for each in name:
                (directory / each).write_text("")
            raise RuntimeError
        assert unfinished(path).exists() == bool(name)


def test_a_disk_error_is_told_and_a_missing_input_is_none(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    with pytest.raises(StorageError, match="squares"), unfinished_directory(path, kind=KIND):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), unfinished_directory(path, kind=KIND):
        (tmp_path / "input").read_text()


def test_a_stranger_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    path.mkdir()
    (path / "mine.txt").write_text("mine")
    with pytest.raises(StorageError), unfinished_directory(path, kind=KIND):
        raise AssertionError("must not be asked to work")
    assert (path / "mine.txt").read_text() == "mine" and list(tmp_path.iterdir()) == [path]


def test_a_finished_one_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    write_until(path, 2)
    before = {file: file.stat().st_mtime_ns for file in path.iterdir()}
    assert write_until(path, 1) == []
    assert {file: file.stat().st_mtime_ns for file in path.iterdir()} == before
    assert not unfinished(path).exists()


def test_the_manifest_lists_folders_and_damage_in_one_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    with unfinished_directory(path, kind=KIND) as directory:
        for number in range(20):
            (directory / f"part{number % 2}").mkdir(exist_ok=True)
            (directory / f"part{number % 2}" / f"{number}.txt").write_text(str(number))
    assert len(read_manifest(path).files) < 20
    verify(path, KIND)
    (path / "part1" / "7.txt").write_text("8")
    with pytest.raises(StorageError, match="part1"):
        verify(path, KIND)


WORKER = """
import sys, time
from pathlib import Path
from gptlab.storage import is_complete, unfinished_directory
path = Path(sys.argv[1])
with unfinished_directory(path, kind="squares") as directory:
    if not is_complete(path, "squares"):
        begun = len(list(directory.iterdir()))
        for number in range(begun, 6):
            (directory / str(number)).write_text(sys.argv[2])
            time.sleep(float(sys.argv[3]))
"""


def start(path: Path, name: str, pause: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WORKER, str(path), name, str(pause)])


@pytest.mark.slow
def test_another_process_waits_and_goes_on_where_a_killed_one_was(tmp_path: Path) -> None:
    path = tmp_path / "squares"
    first = start(path, "first", 60)
    ends = time.monotonic() + 30
    while not (unfinished(path) / "0").exists() and time.monotonic() < ends:
        time.sleep(0.05)
    others = [start(path, name, 0) for name in ("second", "third")]
    time.sleep(1)
    assert all(each.poll() is None for each in others), "they wait"
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert [each.wait(timeout=30) for each in others] == [0, 0]
    written = [(path / str(number)).read_text() for number in range(6)]
    assert written[0] == "first" and len(set(written[1:])) == 1, "by one of them, behind what the first had done"
    verify(path, KIND)
