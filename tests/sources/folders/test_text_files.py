"""Plain text: every character arrives, large files are cut after lines, bad input is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.errors import SourceError
from gptlab.sources.text_files import PythonDocumentation, TextFiles, free_identity
from gptlab.types import DocumentId

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Z", "Cc")), max_size=80)


@given(text=TEXT, longest=st.integers(1, 30))
def test_the_parts_of_a_file_joined_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, text: str, longest: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    documents = list(TextFiles(path, longest=longest).get_data_generator())
    assert "".join(document.text for document in documents) == text
    assert all(0 < len(document.text) <= 2 * longest for document in documents)
    assert len({document.id for document in documents}) == len(documents)


def test_large_files_are_cut_after_a_line(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("one\ntwo\nthree\n")
    documents = list(TextFiles(path, longest=5).get_data_generator())
    assert [document.text for document in documents] == ["one\ntwo\n", "three\n"]
    assert [document.title for document in documents] == ["long.txt", "long.txt (2)"]


def test_files_come_in_the_order_of_their_paths_and_hidden_ones_do_not(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", ".git/x.txt", ".hidden.txt", "no.md", "_b.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    documents = list(TextFiles(tmp_path).get_data_generator())
    assert [document.text for document in documents] == ["_b.txt", "a/b/c.txt", "a/z.txt", "b.txt"]
    assert [document.id for document in documents] == ["B.txt", "A/b/c.txt", "A/z.txt", "B.txt_(2)"]
    assert [document.title for document in TextFiles(tmp_path, "*.md").get_data_generator()] == ["no.md"]


def test_a_file_that_is_no_utf8_is_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    (tmp_path / "good.txt").write_text("good")
    with watching(Drops()) as drops:
        assert [document.text for document in TextFiles(tmp_path).get_data_generator()] == ["good"]
    assert drops.counts == {"file is not UTF-8": 1}
    assert drops.examples["file is not UTF-8"] == "bad.txt"


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*.txt"])
def test_patterns_stay_in_the_folder(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"TextFiles\.pattern\n  got .*\n  wanted  a pattern for .*\n  Write it"):
        TextFiles(tmp_path, pattern)


def test_missing_folders_and_empty_ones_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"TextFiles\(.*nowhere\)\n  got     nothing there\n  wanted  a folder\n  Check"
    ):
        next(TextFiles(tmp_path / "nowhere").get_data_generator())
    with pytest.raises(SourceError, match=r"got     no file that fits '\*\*/\*\.txt'\n  wanted  one or more\n  Give"):
        next(TextFiles(tmp_path).get_data_generator())


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    before = TextFiles(tmp_path).content_fingerprint()
    assert TextFiles(tmp_path).content_fingerprint() == before
    (tmp_path / "b.txt").write_text("b")
    assert TextFiles(tmp_path).content_fingerprint() != before


def test_python_carries_enough_text_to_train_on() -> None:
    documents = list(PythonDocumentation().get_data_generator())
    assert sum(len(document.text) for document in documents) > 300_000
    assert len({document.id for document in documents}) == len(documents)
    assert [document.title for document in documents] == sorted(document.title for document in documents)
    assert PythonDocumentation().content_fingerprint().count(".") == 2


def test_python_without_its_documentation_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"no module pydoc_data\.topics in (.|\n)*Give a folder of text files"):
        next(PythonDocumentation().get_data_generator())


@given(st.lists(st.sampled_from(["a", "A", "_a", "a_(2)", "", "  ", "b"]), max_size=12))
def test_identities_are_never_shared(titles: list[str]) -> None:
    taken: set[DocumentId] = set()
    identities = [free_identity(title, taken) for title in titles]
    assert len(set(identities)) == len(titles) and taken == set(identities)
