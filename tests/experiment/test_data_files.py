"""Hashes of data: whole files, folders with their names, large files by their ends, prepared rows by manifest."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import gptlab.experiment.data_files as module
from gptlab.experiment import data_hashes
from gptlab.packing import Collate, Concatenate, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import TextFiles
from gptlab.storage import LOCATION
from gptlab.tokenizers import ByteTokenizer, Tokenize


@attrs.frozen
class Reader:
    path: Path
    cache: Path = attrs.field(default=Path(), metadata=LOCATION)

    def run(self, items: Iterator[int]) -> Iterator[int]:
        return items


def test_a_file_is_hashed_whole_and_caches_are_not(tmp_path: Path) -> None:
    (tmp_path / "dump.xml").write_bytes(b"<a/>")
    found = data_hashes((Reader(tmp_path / "dump.xml", tmp_path).run, Reader(tmp_path / "missing")))
    assert found == {
        str(tmp_path / "dump.xml"): {
            "read by": "Reader",
            "bytes": 4,
            "sha256": hashlib.sha256(b"<a/>").hexdigest(),
        }
    }


def test_a_folder_changes_with_names_and_contents_and_not_with_hidden_files(tmp_path: Path) -> None:
    def digest() -> str:
        return str(data_hashes(Reader(tmp_path))[str(tmp_path)]["sha256"])

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("1")
    (tmp_path / "b.txt").write_text("2")
    first = digest()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").write_text("x")
    assert digest() == first and data_hashes(Reader(tmp_path))[str(tmp_path)]["files"] == 2
    (tmp_path / "b.txt").rename(tmp_path / "c.txt")
    renamed = digest()
    (tmp_path / "c.txt").write_text("3")
    assert len({first, renamed, digest()}) == 3


def test_a_large_file_is_known_by_its_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 1 << 20)
    path = tmp_path / "big"
    path.write_bytes(b"a" * (3 << 20))
    first = data_hashes(Reader(path))[str(path)]
    assert first["hashed"] == "the first and the last MiB" and first["bytes"] == 3 << 20
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"b")
    assert data_hashes(Reader(path))[str(path)]["sha256"] != first["sha256"]


def test_prepared_rows_are_known_by_their_manifest_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A river and a town. " * 9)
    rows = PackedRows(
        pipeline(TextFiles(tmp_path / "texts"), Tokenize(ByteTokenizer()), Concatenate(16)), cache=tmp_path / "cache"
    )
    chain = pipeline(Shuffled(rows, seed=1), Collate(2))
    assert str(rows.directory) not in data_hashes(chain)  # nothing is there yet
    rows.pre_cache()
    found = data_hashes(chain)
    assert found[str(rows.directory)]["made by"] == "PackedRows" and found[str(rows.directory)]["bytes"] > 0
    assert found[str(tmp_path / "texts")]["read by"] == "TextFiles"
    before = found[str(rows.directory)]["sha256"]
    (rows.directory / "manifest.json").write_text("{}")
    assert str(rows.directory) not in data_hashes(chain) and before
