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
folder = ArticleFolder(WikipediaDump(path=Path(sys.argv[1]), processes=int(sys.argv[2]), cache=cache), cache=cache)
digest = hashlib.sha256()
for document in folder.get_data_generator():
    digest.update(repr(document).encode())
print(digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_is_started_again(processes: int, enwiki_sample: Path, tmp_path: Path) -> None:
    folder = ArticleFolder(WikipediaDump(path=enwiki_sample, processes=1, cache=tmp_path), cache=tmp_path)
    digest = hashlib.sha256()
    for document in folder.get_data_generator():
        digest.update(repr(document).encode())
    command = [sys.executable, "-c", PROGRAM, str(enwiki_sample), str(processes)]
    for seconds in (0.6, 1.4):
        run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        ends = time.monotonic() + 10
        while _is_alive(run.pid) and time.monotonic() < ends:
            time.sleep(0.05)
        assert not _is_alive(run.pid), "no worker outlives its reader"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == digest.hexdigest()
    assert not list((tmp_path / "cache").glob(".*")), "nothing half done is left"


def _is_alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True
