"""A run over a real dump that is killed goes on to the same documents when it is started again."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptlab.sources import ArticleFolder, WikipediaDump

PROGRAM = """
import hashlib, sys
from pathlib import Path
from gptlab.sources import ArticleFolder, WikipediaDump
cache = Path("cache")
path, processes, way = sys.argv[1:]
dump = WikipediaDump(path=Path(path), processes=int(processes), ray=way == "ray", cache=cache)
digest = hashlib.sha256()
for document in ArticleFolder(dump, cache=cache).get_data_generator():
    digest.update(repr(document).encode())
print(digest.hexdigest())
"""
PROCESSES = (0.6, 1.4)
"""Seconds after which it is killed, wherever it is by then."""
RAY = (5.0,)
"""A cluster needs a few to start."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "processes", "way", "kills"),
    [
        ("enwiki_sample", 1, "", PROCESSES),
        ("enwiki_sample", 2, "", PROCESSES),
        ("viwiki_sample", 1, "", PROCESSES),
        ("viwiki_sample", 2, "", PROCESSES),
        ("enwiki_sample", 2, "ray", RAY),
        ("viwiki_sample", 2, "ray", RAY),
    ],
)
def test_a_killed_run_is_started_again(
    sample: str,
    processes: int,
    way: str,
    kills: tuple[float, ...],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    if way:
        pytest.importorskip("ray")
    path = request.getfixturevalue(sample)
    folder = ArticleFolder(WikipediaDump(path=path, processes=1, cache=tmp_path), cache=tmp_path)
    digest = hashlib.sha256()
    for document in folder.get_data_generator():
        digest.update(repr(document).encode())
    command = [sys.executable, "-c", PROGRAM, str(path), str(processes), way]
    for seconds in kills:
        run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        ends = time.monotonic() + 20
        while not way and _is_alive(run.pid) and time.monotonic() < ends:
            time.sleep(0.05)
        assert way or not _is_alive(run.pid), "no worker outlives its reader"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == digest.hexdigest()
    assert not list((tmp_path / "cache").glob(".*")), "nothing half done is left"
    assert not list((tmp_path / "cache").glob("*.unfinished"))


def _is_alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True
