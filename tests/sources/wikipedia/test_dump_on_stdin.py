"""A dump that is piped in: the same documents, kept once, found again."""

import bz2
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wikipedia_exports import export, page

from gptlab.sources import SourceError, WikipediaDump

PROGRAM = """
from pathlib import Path
from gptlab.sources import ArticleFolder, WikipediaDump
for document in ArticleFolder(WikipediaDump(path="-", cache=Path("cache")), cache=Path("cache")).get_data_generator():
    print(document.title, [link.target for link in document.links])
"""
TEXT = export(page("Start", "[[cha]]"), page("Cha", redirect="Tea"), page("Tea")).encode()


def piped(content: bytes, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=content, cwd=folder, capture_output=True, check=True, env=os.environ
    )
    return done.stdout.decode()


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_standard_input_is_read_like_a_file(pack: type[bytes], tmp_path: Path) -> None:
    assert piped(pack(TEXT), tmp_path) == "Start ['Tea']\nTea []\n"
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(before) == 3, "the input, its redirects, its documents"
    assert piped(pack(TEXT), tmp_path) == "Start ['Tea']\nTea []\n"
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == before, "found again"
    assert "Milk" in piped(TEXT.replace(b"Start", b"Milk"), tmp_path)


def test_a_terminal_is_no_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(SourceError, match="standard input\n  got     a terminal"):
        next(iter(WikipediaDump(path="-", cache=tmp_path).get_data_generator()))
