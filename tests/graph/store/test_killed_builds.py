"""kill -9 at any point of a build: the old store or the new one is there, whole, and a restart finishes it."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
from killed_build import SIZE, corpora
from store_strategies import assert_same

from gptlab.graph import DocumentTable
from gptlab.graph.store import DocumentStore
from gptlab.graph.store.build import build_store
from gptlab.storage import StorageError

SCRIPT = Path(__file__).with_name("killed_build.py")


def start(store: Path, seed: int, processes: int = 1) -> "subprocess.Popen[str]":
    """A build that has begun."""
    command = [sys.executable, str(SCRIPT), str(store), str(seed), str(processes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    return process


def seed_of(store: Path) -> int | None:
    """Whose documents the store holds, which must be whole; None where there is none."""
    if not store.exists():
        return None
    found = DocumentStore.open(store)
    found.verify()
    assert len(found) == SIZE
    return int(found.ids[0][1:].partition("_")[0])


def kill(process: "subprocess.Popen[str]") -> bool:
    """Kill it and all its children; whether it had ended by itself."""
    os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    return "end" in out


def ended(process: "subprocess.Popen[str]") -> bool:
    """Whether it ended well, once it has."""
    out, _ = process.communicate()
    return process.returncode == 0 and out == "end\n"


def finish(store: Path, seed: int) -> None:
    build_store(corpora(seed), store, replace=True)
    table = DocumentTable.from_documents(chain.from_iterable(each.get_data_generator() for each in corpora(seed)))
    assert_same(DocumentStore.open(store), table)
    assert [path.name for path in store.parent.iterdir()] == [store.name]  # nothing is left over


def test_a_build_that_is_killed_anywhere_leaves_the_old_store_or_the_new_one(tmp_path):
    store = tmp_path / "store"
    begun = time.monotonic()
    assert ended(start(store, seed=0))
    whole = time.monotonic() - begun
    chance, at = random.Random(5), 0
    seen: dict[bool, int] = {True: 0, False: 0}
    for seed in range(1, 5):
        for _ in range(2):
            process = start(store, seed)
            time.sleep(chance.random() * whole * 0.6)
            was_done = kill(process)
            found = seed_of(store)
            assert found in (at, seed)
            assert found == seed or not was_done
            seen[found == seed] += 1
        finish(store, seed)
        at = seed
    assert all(seen.values()), f"the kills came all too early or all too late: {seen}"


POINTS = [
    ("gptlab.graph.store.parts._write_targets", 1),
    ("gptlab.graph.store.parts._write_hashes", 3),
    ("gptlab.graph.store.build.merge_parts", 1),
    ("gptlab.graph.store.merge._write_links", 1),
    ("gptlab.graph.store.merge._place_tokens", 1),
    ("gptlab.storage.directories.write_manifest", 7),  # of six parts, then of the store
    ("gptlab.storage.directories._publish", 4),
    ("gptlab.storage.directories._publish", 7),
    ("gptlab.graph.store.build.remove_parts", 1),
    ("shutil.rmtree", 8),
]


@pytest.mark.parametrize(("point", "calls"), POINTS)
def test_a_build_that_is_killed_at_each_step_goes_on(tmp_path, point, calls):
    """The same at chosen places, each before and amid what it does; here the old store is one of other documents."""
    store = tmp_path / "store"
    build_store(corpora(0), store)
    module, _, name = point.rpartition(".")
    code = f"""
import importlib, os, runpy, signal, sys
module = importlib.import_module({module!r})
real, calls = module.{name}, []
def deadly(*args, **kwargs):
    calls.append(1)
    if len(calls) == {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
module.{name} = deadly
sys.argv = ["killed_build.py", {str(store)!r}, "1", "1"]
sys.path.insert(0, {str(SCRIPT.parent)!r})
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    process = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    is_published = point in ("gptlab.graph.store.build.remove_parts", "shutil.rmtree")
    assert seed_of(store) == int(is_published)
    finish(store, 1)


def test_processes_that_are_killed_leave_parts_that_another_build_finishes(tmp_path):
    store = tmp_path / "store"
    for wait in (0.8, 1.6):
        process = start(store, seed=3, processes=2)
        time.sleep(wait)
        kill(process)
        assert seed_of(store) in (None, 3)
    finish(store, 3)


def test_two_builders_take_turns(tmp_path):
    store = tmp_path / "store"
    both = [start(store, seed=2), start(store, seed=2)]
    assert [ended(process) for process in both] == [True, True]
    finish(store, 2)


def test_a_store_that_was_half_copied_is_no_store(tmp_path):
    store = tmp_path / "store"
    build_store(corpora(0), store)
    (store / "manifest.json").unlink()
    with pytest.raises(StorageError, match=r"a directory without manifest\.json"):
        DocumentStore.open(store)
