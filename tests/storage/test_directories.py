"""Directories that are whole or absent: kills, races, full disks and strangers."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.storage import StorageError, is_complete, new_directory, verify, write_atomically
from gptlab.storage.errors import disk_error
from gptlab.storage.exchange import exchange
from gptlab.storage.temporaries import SUFFIX, locked_directory, sweep


def make(path: Path, *, text: str = "1 4 9", kind: str = "squares", replace: bool = False) -> None:
    with new_directory(path, kind=kind, replace=replace) as directory:
        (directory / "deep").mkdir()
        (directory / "deep" / "numbers.txt").write_text(text)
        (directory / "empty.txt").touch()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_finished_directory_is_complete_and_verifies(tmp_path: Path) -> None:
    path = tmp_path / "new" / "parents" / "numbers"
    make(path)
    assert is_complete(path, "squares") and not is_complete(path, "cubes")
    verify(path, "squares")
    assert names(path) == ["deep", "empty.txt", "manifest.json"] and names(path.parent) == ["numbers"]
    files = json.loads((path / "manifest.json").read_text())["files"]
    assert {name: entry["size"] for name, entry in files.items()} == {"deep/numbers.txt": 5, "empty.txt": 0}


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_any_failure_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), new_directory(tmp_path / "a", kind="k") as directory:
        (directory / "half.txt").write_text("half")
        raise failure
    assert names(tmp_path) == []


def test_a_missing_input_is_not_taken_for_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_directory(tmp_path / "a", kind="k"):
        (tmp_path / "no such input").read_text()


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    with new_directory(tmp_path / "a", kind="k") as directory:
        assert directory.parent == tmp_path and directory.name.endswith(SUFFIX)
        assert not (tmp_path / "a").exists() and not is_complete(tmp_path / "a", "k")


def test_the_first_of_two_wins(tmp_path: Path) -> None:
    with new_directory(tmp_path / "a", kind="squares") as directory:
        (directory / "late.txt").write_text("late")
        make(tmp_path / "a")
    assert (tmp_path / "a" / "deep").exists() and not (tmp_path / "a" / "late.txt").exists()
    assert names(tmp_path) == ["a"]


def test_replace_swaps_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make(path, text="old")
    make(path, text="new", replace=True)
    assert (path / "deep" / "numbers.txt").read_text() == "new"
    (path / "empty.txt").unlink()
    assert not is_complete(path, "squares")
    make(path, text="newest")
    verify(path, "squares")
    assert (path / "deep" / "numbers.txt").read_text() == "newest" and names(tmp_path) == ["a"]


def test_a_failed_replacement_keeps_the_old_one(tmp_path: Path) -> None:
    make(tmp_path / "a", text="old")
    with pytest.raises(RuntimeError), new_directory(tmp_path / "a", kind="squares", replace=True):
        raise RuntimeError
    verify(tmp_path / "a", "squares")


@pytest.mark.parametrize("replace", [False, True])
def test_a_stranger_is_never_touched(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter.txt").write_text("words")
    with pytest.raises(StorageError) as caught:
        make(path, replace=replace)
    assert str(caught.value) == (
        f"{path}\n"
        "  got     a directory that is no squares of gptlab (no manifest.json of that kind)\n"
        "  wanted  a free path, or an earlier squares\n"
        "  Move it away, or choose another path; nothing was touched."
    )
    assert names(path) == ["chapter.txt"] and names(tmp_path) == ["thesis"]


def test_a_stranger_that_comes_while_we_work_is_not_touched_either(tmp_path: Path) -> None:
    path = tmp_path / "thesis"
    with pytest.raises(StorageError, match="nothing was touched"), new_directory(path, kind="k", replace=True):
        path.mkdir()
        (path / "chapter.txt").write_text("words")
    assert names(path) == ["chapter.txt"] and names(tmp_path) == ["thesis"]


def test_a_file_or_a_link_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(StorageError, match="a file that is no k"), new_directory(tmp_path / "file", kind="k"):
        pass
    with pytest.raises(StorageError, match="folders on the way"), new_directory(tmp_path / "file" / "a", kind="k"):
        pass
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="is no k"), new_directory(tmp_path / "link", kind="k"):
        pass
    assert names(tmp_path) == ["elsewhere", "file", "link"]


def test_links_are_not_finished_work(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="a link or a device"),
        new_directory(tmp_path / "a", kind="k") as directory,
    ):
        (directory / "passwd").symlink_to("/etc/passwd")
    assert names(tmp_path) == []


def test_the_longest_names_work(tmp_path: Path) -> None:
    for name in ("n" * 255, "é" * 127, "文" * 85):
        make(tmp_path / name)
        write_atomically(tmp_path / "files" / name, "content")
        assert is_complete(tmp_path / name, "squares")
    with pytest.raises(StorageError, match="a shorter path"):
        make(tmp_path / ("n" * 256))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: (path / "deep/numbers.txt").write_text("1 4 8"), "content that has changed"),
        (lambda path: (path / "deep/numbers.txt").write_text("1 4"), "got     3 bytes\n  wanted  5 bytes"),
        (lambda path: (path / "deep/numbers.txt").unlink(), "no such file"),
        (lambda path: (path / "manifest.json").unlink(), "No such file or directory"),
        (lambda path: (path / "manifest.json").write_text("[]"), "a manifest of gptlab"),
        (lambda path: (path / "manifest.json").write_text("{"), "strict JSON"),
        (lambda path: (path / "manifest.json").write_bytes(b"\xff"), "strict JSON"),
        (lambda path: edit(path, format=2), "format 1, the one that gptlab"),
        (lambda path: edit(path, kind="cubes"), "a cubes"),
        (lambda path: edit(path, files={"../x": {"size": 1, "sha256": ""}}), "names that stay inside"),
        (lambda path: edit(path, files={"/etc/passwd": {"size": 1, "sha256": ""}}), "names that stay inside"),
        (lambda path: edit(path, files={"empty.txt": {"size": "0", "sha256": ""}}), "a manifest of gptlab"),
    ],
)
def test_damage_is_found_and_named(tmp_path: Path, harm: object, message: str) -> None:
    make(tmp_path / "a")
    harm(tmp_path / "a")  # type: ignore[operator]
    with pytest.raises(StorageError) as caught:
        verify(tmp_path / "a", "squares")
    assert message in str(caught.value)
    if message != "content that has changed":  # which only hashing finds
        assert not is_complete(tmp_path / "a", "squares")


def edit(path: Path, **changes: object) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_link_in_place_of_a_file_is_damage(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "other").touch()
    (tmp_path / "a/empty.txt").unlink()
    (tmp_path / "a/empty.txt").symlink_to(tmp_path / "other")
    assert not is_complete(tmp_path / "a", "squares")


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d e", "ü/文.txt"]), st.binary(max_size=200)), st.data())
def test_any_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("verify") / "a"
    with new_directory(path, kind="k") as directory:
        for name, content in files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_bytes(content)
    verify(path, "k")
    filled = [name for name, content in files.items() if content]
    if not filled:
        return
    name = data.draw(st.sampled_from(filled))
    content = bytearray(files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (path / name).write_bytes(content)
    with pytest.raises(StorageError, match="content that has changed"):
        verify(path, "k")


_WORK = """
import sys
from pathlib import Path
from gptlab.storage import new_directory, write_atomically
folder = Path(sys.argv[1])
print("ready", flush=True)
for number in range(10_000):
    with new_directory(folder / f"d-{number}", kind="k") as directory:
        (directory / "data").write_bytes(b"x" * 50_000)
        (directory / "more").write_bytes(b"y" * 50_000)
    with new_directory(folder / "latest", kind="k", replace=True) as directory:
        (directory / "data").write_text(str(number) * 1000)
    write_atomically(folder / "state.txt", str(number) * 10_000)
"""


def test_kill_at_any_moment_leaves_only_whole_things(tmp_path: Path) -> None:
    """Real `kill -9`: what is visible is whole, and the next process removes what was not finished."""
    seen_temporaries = 0
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with run(_WORK, folder) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0.0, 0.25))
            child.send_signal(signal.SIGKILL)
        left = [path for path in folder.iterdir() if path.name.endswith(SUFFIX)]
        seen_temporaries += len(left)
        for path in folder.iterdir():
            if path.name.startswith("d-") or path.name == "latest":
                verify(path, "k")
        state = folder / "state.txt"
        if state.exists():
            text = state.read_text()
            assert text == text[: len(text) // 10_000] * 10_000
        make(folder / "next")
        assert not any(path.name.endswith(SUFFIX) for path in folder.iterdir())
    assert seen_temporaries > 0, "no kill came while something was being made: the test shows nothing"


def test_the_temporaries_of_living_processes_are_left_alone(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from gptlab.storage import new_directory
with new_directory(Path(sys.argv[1]) / "slow", kind="squares") as directory:
    (directory / "data").write_text("slow")
    print("ready", flush=True)
    input()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdin is not None and child.stdout.readline() == "ready\n"
        make(tmp_path / "other")
        assert sum(name.endswith(SUFFIX) for name in names(tmp_path)) == 1
        child.communicate("\n")
    assert child.returncode == 0
    verify(tmp_path / "slow", "squares")


def test_processes_that_make_the_same_directory_agree(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from gptlab.storage import is_complete, new_directory, verify
folder, who = Path(sys.argv[1]), sys.argv[2]
for number in range(40):
    path = folder / str(number)
    if not is_complete(path, "k"):
        with new_directory(path, kind="k") as directory:
            (directory / "first").write_text(who * 100)
            (directory / "second").write_text(who * 100)
    verify(path, "k")
    assert (path / "first").read_text() == (path / "second").read_text()
"""
    children = [run(code, tmp_path, who) for who in "abc"]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
    assert len(names(tmp_path)) == 40


def test_sweeping_takes_stale_files_too_and_only_ours(tmp_path: Path) -> None:
    for name in (f".a.1-2{SUFFIX}", ".hidden", "b", f"visible{SUFFIX}"):
        (tmp_path / name).touch()
    (tmp_path / f".d.1-2{SUFFIX}").mkdir()
    (tmp_path / f".d.1-2{SUFFIX}" / "inner").touch()
    (tmp_path / f".link{SUFFIX}").symlink_to(tmp_path / "b")
    with locked_directory(tmp_path / "c") as held:
        assert sweep(tmp_path) == 2
        assert names(tmp_path) == sorted([held.name, ".hidden", "b", f".link{SUFFIX}", f"visible{SUFFIX}"])


@pytest.mark.parametrize("before_opening", [True, False])
def test_a_directory_swept_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before_opening: bool
) -> None:
    """Between mkdir and open, and between open and flock, a sweeper may strike; we see it and begin again."""
    real, struck = os.open, []

    def open_and_sweep(path: Path, flags: int) -> int:
        if struck:
            return real(path, flags)
        struck.append(path)
        if before_opening:
            path.rmdir()
        descriptor = real(path, flags)
        path.rmdir()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_sweep)
    with locked_directory(tmp_path / "a") as held:
        monkeypatch.undo()
        assert struck and held not in struck and held.is_dir()


def test_a_file_size_limit_is_explained(tmp_path: Path) -> None:
    """A real limit of the kernel, as a quota or a full disk would strike in the middle of a write."""
    code = """
import resource, sys
from pathlib import Path
from gptlab.storage import new_directory, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
if sys.argv[2] == "file":
    write_atomically(Path(sys.argv[1]) / "big", b"x" * 5000)
with new_directory(Path(sys.argv[1]) / "big", kind="k") as directory:
    (directory / "data").write_bytes(b"x" * 5000)
"""
    for what in ("file", "directory"):
        _, errors = run(code, tmp_path, what).communicate(timeout=30)
        assert "StorageError: " + str(tmp_path / "big") + "\n  got     File too large" in errors
        assert "Raise the limit (`ulimit -f unlimited`)" in errors
        assert names(tmp_path) == []


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    """/dev/full says ENOSPC on every write, as a full disk does."""
    with pytest.raises(StorageError) as caught, new_directory(tmp_path / "a", kind="k") as directory:
        (directory / "half").write_text("half")
        with Path("/dev/full").open("w") as disk:
            disk.write("more")
    assert "got     No space left on device (" in str(caught.value) and "GB free there)" in str(caught.value)
    assert "wanted  a disk with room\n  Free some space, or choose a folder on another disk" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError) and names(tmp_path) == []


def test_a_folder_without_permission_is_explained() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        user = os.geteuid()
        if user == 0:  # root may write anywhere, so for a moment we are nobody
            os.seteuid(65534)
        try:
            with pytest.raises(StorageError) as caught:
                make(Path(folder) / "a")
        finally:
            os.seteuid(user)
        Path(folder).chmod(0o755)
    assert "got     Permission denied\n  wanted  permission\n  Change its permissions" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "Change its permissions"),
        (errno.EROFS, "Choose a folder elsewhere"),
        (errno.EIO, "Look"),
    ],
)
def test_disk_errors_say_what_to_do(number: int, remedy: str) -> None:
    error = disk_error(Path("cache"), OSError(number, os.strerror(number)))
    assert str(error).startswith(f"cache\n  got     {os.strerror(number)}") and remedy in str(error)


def test_an_unwritable_place_is_explained() -> None:
    with pytest.raises(StorageError, match="/proc/a"):
        make(Path("/proc/a/b"))


def test_writing_a_file_replaces_it_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    write_atomically(path, "é")
    assert path.read_bytes() == "é".encode()
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second" and names(path.parent) == ["state.json"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def test_exchange_swaps_in_one_step_or_says_that_it_cannot(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path / "a") == ["b"] and names(tmp_path / "b") == ["a"]
    with pytest.raises(StorageError, match="cannot swap two directories in one step"):
        exchange(tmp_path / "a", tmp_path / "missing")


def test_no_file_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(names(Path("/proc/self/fd")))
    for number in range(20):
        make(tmp_path / str(number))
        write_atomically(tmp_path / "file", "x")
    assert len(names(Path("/proc/self/fd"))) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000  # the limit above was the child's


def test_many_files_are_flushed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fsync each takes minutes for a corpus; on Linux the file system is flushed as a whole instead."""
    flushed = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (flushed.append(descriptor), real(descriptor))[1])
    with new_directory(tmp_path / "a", kind="k") as directory:
        for number in range(500):
            (directory / f"{number}.txt").write_text(str(number))
    verify(tmp_path / "a", "k")
    assert len(flushed) == 4 if sys.platform == "linux" else len(flushed) > 500
