"""Article folders: what is written is read back exactly, names are safe and distinct, access is random."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.article_names import LONGEST_NAME, Hashes, file_name, title_of_file
from gptlab.sources.articles import ArticleFolder
from gptlab.storage import LOCATION, StorageError, is_complete, verify
from gptlab.storage.manifest import read_manifest
from gptlab.types import Document, DocumentId, Link, document_id

TITLES = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs", "Cc")), min_size=1, max_size=40
) | st.sampled_from(
    ["../../etc/passwd", "CON", "nul.txt", "com1", "a.", "a ", "~", "%~", "100%", "AC/DC", "é" * 200, "x" * 400,
     "WHO", "Who", ".hidden", "C:\\x", "-rf", "LPT¹", "a?b*c", "\x00", "日本" * 90]
)  # fmt: skip


@attrs.frozen
class Written:
    """A source of documents made in a test."""

    documents: tuple[Document, ...]

    def get_data_generator(self) -> Iterator[Document]:
        yield from self.documents


def document(title: str, text: str = "text", links: tuple[Link, ...] = ()) -> Document:
    return Document(id=document_id(title), title=title, text=text, links=links)


@given(TITLES)
def test_file_names_are_safe_everywhere_and_lead_back(title: str) -> None:
    name = file_name(title)
    assert len(name.encode()) <= LONGEST_NAME and name.endswith(".md")
    assert not set(name) & set('<>:"/\\|?*') and not any(ord(letter) < 32 for letter in name)
    stem = name.removesuffix(".md")
    assert not stem.startswith((".", " ", "-", "~")) and not stem.endswith((".", " "))
    assert stem.partition(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1", "LPT¹"}
    read = title_of_file(name)
    assert read == title or (len(title.encode()) > 60 and title.startswith(read.rstrip("\ufffd")))


@given(st.lists(TITLES, max_size=20, unique=True))
def test_titles_never_share_a_name_even_where_case_is_ignored(titles: list[str]) -> None:
    def folded(name: str) -> str:
        return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())

    taken: set[str] = set()
    for title in titles:
        name = file_name(title)
        if folded(name) in taken:
            name = file_name(title, is_taken=True)
        assert folded(name) not in taken
        assert len(name.encode()) <= LONGEST_NAME
        taken.add(folded(name))


def test_a_name_that_is_taken_still_leads_back() -> None:
    assert file_name("Who") == "Who.md"
    assert file_name("WHO", is_taken=True).startswith("WHO%~")
    assert title_of_file(file_name("WHO", is_taken=True)) == "WHO"


CONTENT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["", "\n\n", "# a\n\nb", "a\r\nb\r", "\n", "end\n", "\ufeffx"]
)


@given(st.lists(st.tuples(TITLES, CONTENT), max_size=8))
def test_what_is_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, contents: list[tuple[str, str]]
) -> None:
    documents = {document_id(title) or DocumentId("_"): (title, text) for title, text in contents}
    written = tuple(
        Document(
            id=identity,
            title=title,
            text=text,
            links=(Link(start=0, end=len(text), target=DocumentId("Any_[(%")),) if text else (),
            flags=frozenset({"list"}) if len(text) % 2 else frozenset(),
        )
        for identity, (title, text) in documents.items()
    )
    folder = ArticleFolder(Written(written), cache=tmp_path_factory.mktemp("cache"))
    wanted = sorted(written, key=lambda each: each.id)
    assert list(folder.get_data_generator()) == wanted
    assert len(folder) == len(wanted)
    for number, each in enumerate(wanted):
        assert folder[number] == each == folder[number - len(wanted)]
        assert folder.by_title(each.id) == each
        assert next(folder.get_data_generator(start=number)) == each
    assert list(folder.get_data_generator(start=len(wanted))) == []


def test_the_files_are_for_people(tmp_path: Path) -> None:
    documents = (document("Alan Turing", "He thought."), document("WHO"), document("Who"))
    folder = ArticleFolder(Written(documents), cache=tmp_path)
    folder.pre_cache()
    assert (folder.directory / "al" / "Alan Turing.md").read_text() == "# Alan Turing\n\nHe thought.\n"
    names = sorted(path.name for path in (folder.directory / "wh").iterdir())
    assert len(names) == 2 and "WHO.md" in names and len({name.lower() for name in names}) == 2


def test_titles_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = ArticleFolder(Written((document("../../escaped"), document("/etc/passwd"))), cache=tmp_path / "cache")
    folder.pre_cache()
    outside = [path for path in tmp_path.rglob("*.md") if folder.directory not in path.parents]
    assert not outside and not (tmp_path / "escaped.md").exists()
    assert folder.by_title("../../escaped").title == "../../escaped"


def test_no_folder_grows_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptlab.sources.article_names.LARGEST_FOLDER", 5)
    folder = ArticleFolder(Written(tuple(document(f"Abc {number}") for number in range(12))), cache=tmp_path)
    assert len(list(folder.get_data_generator())) == 12
    assert sorted(path.name for path in folder.directory.iterdir() if path.is_dir()) == ["ab", "ab-2", "ab-3"]


def test_looking_up_titles(tmp_path: Path) -> None:
    folder = ArticleFolder(Written(tuple(document(title) for title in ("Cat", "Dog", "ÉLAN"))), cache=tmp_path)
    assert folder.by_title("cat").title == "Cat" and folder.by_title("éLAN").title == "ÉLAN"
    with pytest.raises(KeyError, match="no document is titled 'Cow' among the 3 of"):
        folder.by_title("Cow")
    with pytest.raises(IndexError, match="holds 3 documents, so there is no document 3"):
        folder[3]


def test_a_wiki_that_tells_first_letters_apart_is_looked_up_exactly(tmp_path: Path) -> None:
    pair = tuple(Document(id=DocumentId(title), title=title, text=title) for title in ("cat", "Cat"))
    folder = ArticleFolder(Written(pair), cache=tmp_path)
    assert folder.by_title("cat").text == "cat" and folder.by_title("Cat").text == "Cat"


def test_doubles_and_broken_unicode_are_dropped_and_counted(tmp_path: Path) -> None:
    documents = (document("A", "first"), document("a", "second"), document("B", "\ud800"))
    with watching(Drops()) as drops:
        kept = list(ArticleFolder(Written(documents), cache=tmp_path).get_data_generator())
    assert [each.text for each in kept] == ["first"]
    assert drops.counts == {"second document of one identity": 1, "text is no unicode": 1}


@attrs.frozen
class Failing:
    """A source that breaks off after some documents, until told not to."""

    healthy: Path

    def get_data_generator(self) -> Iterator[Document]:
        for number in range(5):
            if number == 3 and not self.healthy.exists():
                raise KeyboardInterrupt
            yield document(f"Page {number}")


def test_an_interrupted_writing_shows_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    folder = ArticleFolder(Failing(tmp_path / "healthy"), cache=tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        folder.pre_cache()
    assert not folder.directory.exists()
    (tmp_path / "healthy").touch()
    assert len(folder) == 5
    (tmp_path / "healthy").unlink()
    assert len(list(folder.get_data_generator())) == 5  # found, not made again


def test_a_cache_that_is_gone_is_made_again(tmp_path: Path) -> None:
    import shutil

    folder = ArticleFolder(Written((document("A"),)), cache=tmp_path)
    assert folder[0].title == "A"
    shutil.rmtree(folder.directory)
    assert folder[0].title == "A"


def test_where_it_is_kept_does_not_change_what_it_is(tmp_path: Path) -> None:
    source = Written((document("A"),))
    one, two = ArticleFolder(source, cache=tmp_path / "one"), ArticleFolder(source, cache=tmp_path / "two")
    assert one == two and one.directory.name == two.directory.name


def test_what_was_dropped_is_told_again_when_the_files_are_found(tmp_path: Path) -> None:
    """By a later run, and once by each: a dump that was cut off is still cut off the second time."""
    source = Written((document("One"), document("one", "another"), document("Two")))
    counts = []
    for _ in range(2):
        folder = ArticleFolder(source, cache=tmp_path)
        with watching(Drops()) as drops:
            assert len(list(folder.get_data_generator())) == len(list(folder.get_data_generator())) == 2
        counts.append((drops.counts, drops.examples))
    assert counts[0] == counts[1]
    assert counts[0][0] == {"second document of one identity": 1}


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40), max_size=60))
def test_hashes_are_a_set(numbers: list[int]) -> None:
    """Of numbers from 1 on; 0 and 1 are one, as a free slot must be told."""
    hashes, known = Hashes(), set[int]()
    for number in numbers:
        assert hashes.add(number) == ((number or 1) not in known)
        known.add(number or 1)


def test_hashes_grow() -> None:
    hashes = Hashes()
    assert all(hashes.add(number * 2**32 + 1) for number in range(3_000))
    assert not any(hashes.add(number * 2**32 + 1) for number in range(3_000))


@attrs.frozen
class Breaking:
    """Documents, doubles among them, that break off before one of them while a file says which."""

    documents: tuple[Document, ...]
    breaks: Path = attrs.field(metadata=LOCATION, eq=False)

    def get_data_generator(self) -> Iterator[Document]:
        for number, each in enumerate(self.documents):
            if self.breaks.exists() and int(self.breaks.read_text()) == number:
                raise KeyboardInterrupt
            yield each


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


MIXED = tuple(document(title, f"text {number}") for number, title in enumerate(
    ["Tea", "tea", "TEA", "Rye", "tea", "Oat", "rye", "Ärger", "a/b", "Tea"]
))  # fmt: skip


def test_an_interrupted_writing_goes_on_to_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it was interrupted, and nothing that was finished is written again."""
    monkeypatch.setattr("gptlab.sources.articles.LONGEST_RUN", 2)
    breaks = tmp_path / "breaks"
    whole = ArticleFolder(Breaking(MIXED, breaks), cache=tmp_path / "whole")
    with watching(Drops()) as wanted_drops:
        whole.pre_cache()
    for number in range(len(MIXED)):
        breaks.write_text(str(number))
        folder = ArticleFolder(Breaking(MIXED, breaks), cache=tmp_path / f"cache{number}")
        with pytest.raises(KeyboardInterrupt):
            folder.pre_cache()
        unfinished = folder.directory.with_name(f"{folder.directory.name}.unfinished")
        runs = len(list(unfinished.glob(".run-*")))
        assert runs == number // 2 and not folder.directory.exists()
        breaks.unlink()
        written = {path: path.stat().st_mtime_ns for path in unfinished.rglob("*.md")}
        with watching(Drops()) as drops:
            folder.pre_cache()
        assert drops.counts == wanted_drops.counts == {"second document of one identity": 4}
        assert contents(folder.directory) == contents(whole.directory)
        again = sum(
            (found := folder.directory / path.relative_to(unfinished)).exists() and found.stat().st_mtime_ns != time
            for path, time in written.items()
        )
        assert again <= number % 2 and not unfinished.exists()


def test_a_merge_that_was_interrupted_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptlab.sources.articles.LONGEST_RUN", 2)
    whole = ArticleFolder(Written(MIXED), cache=tmp_path / "whole")
    whole.pre_cache()
    folder = ArticleFolder(Written(MIXED), cache=tmp_path / "cache")
    for broken in ("gptlab.sources.articles.np.save", "gptlab.storage.directories.write_manifest"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(broken, _interrupt)
            folder.pre_cache()
        assert not folder.directory.exists()
    folder.pre_cache()
    assert contents(folder.directory) == contents(whole.directory)


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_manifest_lists_folders_and_sees_what_changed(tmp_path: Path) -> None:
    folder = ArticleFolder(Written(MIXED), cache=tmp_path)
    folder.pre_cache()
    kind, path = "articles-2", folder.directory
    folders = {"ar/", "ab/", "oa/", "ry/", "te/"}
    assert set(read_manifest(path).files) == folders | {"index.jsonl", "offsets.npy", "drops.json"}
    verify(path, kind)
    (path / "oa" / "Oat.md").write_text("# Oat\n\nother\n")
    assert is_complete(path, kind)
    with pytest.raises(StorageError, match=r"oa\n  got     content that has changed"):
        verify(path, kind)
    (path / "oa").rename(path / "ao")
    assert not is_complete(path, kind)
    assert folder.by_title("Rye").text == "text 3"
