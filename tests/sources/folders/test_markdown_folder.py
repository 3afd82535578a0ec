"""Markdown folders: every kind of link, what is opaque, and the law that scanning finds the carried spans."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.errors import SourceError
from gptlab.sources.markdown import MarkdownFolder, Vault, read_markdown
from gptlab.types import scan_links

HERE = PurePosixPath("Home.md")
VAULT = Vault.of([HERE, *map(PurePosixPath, ["sub/Deep note.md", "sub/Twin.md", "Twin.md", "Plan (old).md"])])


def read(text: str, path: PurePosixPath = HERE) -> str:
    document = read_markdown(text, path, VAULT)
    assert scan_links(document.text) == document.links
    return document.text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[[Deep note]]", "[Deep note](Deep_note)"),
        ("[[deep NOTE]]", "[deep NOTE](Deep_note)"),
        ("[[sub/Deep note|the *one*]]", "[the *one*](Deep_note)"),
        ("[[Deep note#A heading]]", "[Deep note](Deep_note)"),
        ("[[Deep note#^block|b]]", "[b](Deep_note)"),
        ("[[Deep note.md]]", "[Deep note.md](Deep_note)"),
        (r"| [[Deep note\|cell]] |", "| [cell](Deep_note) |"),
        ("[[Plan (old)]]", "[Plan (old)](Plan_(old))"),
        ("![[Deep note]]", "[Deep note](Deep_note)"),
        ("![[picture.png|200]]", "picture.png"),
        ("[[#Below]]", "Below"),
        ("[[Ghost|nobody]]", "nobody"),
        ("[t](sub/Deep%20note.md)", "[t](Deep_note)"),
        ("[t](<sub/Deep note.md>)", "[t](Deep_note)"),
        ("[t](./sub/../sub/Deep%20note.md#part 'title')", "[t](Deep_note)"),
        ("[t](/sub/Deep%20note)", "[t](Deep_note)"),
        ("[t](Plan%20(old).md)", "[t](Plan_(old))"),
        ("[t](https://site.example/a_(b))", "t"),
        ("[t](mailto:a@b.example)", "t"),
        ("[t](../outside.md)", "t"),
        ("[t](picture.png)", "t"),
        ("![alt](picture.png)", "alt"),
        ("[![alt](picture.png) more](sub/Twin.md)", "[alt more](Sub/Twin)"),
        ("[a [b] c](sub/Twin.md)", r"[a \[b\] c](Sub/Twin)"),
        ("[two\nlines](sub/Twin.md)", "[two lines](Sub/Twin)"),
        ("[t][here] [here][] [here]\n\n[here]: sub/Twin.md", "[t](Sub/Twin) [here](Sub/Twin) [here](Sub/Twin)\n\n"),
        ("[t][gone]", "[t][gone]"),
        ("a [bracket] and (this)", "a [bracket] and (this)"),
        ("`[[Deep note]]` `[t](x.md)`", "`[[Deep note]]` `[t] (x.md)`"),
        ("``a ` [[Deep note]]``", "``a ` [[Deep note]]``"),
        ("an odd ` and [[Twin]]", "an odd ` and [Twin](Twin)"),
        (r"\[[Deep note]]", r"\[[Deep note]]"),
        (r"\[t](sub/Twin.md)", r"\[t]\(sub/Twin.md)"),
        ("```\n[[Twin]]\n```\n[[Twin]]", "```\n[[Twin]]\n```\n[Twin](Twin)"),
        ("~~~ md\n[t](x)\n```\n~~~\nend", "~~~ md\n[t] (x)\n```\n~~~\nend"),
        ("````\n```\n[[Twin]]\n````", "````\n```\n[[Twin]]\n````"),
        ("```\n[[Twin]]", "```\n[[Twin]]"),
        ("---\nlinks: '[[Twin]]'\n---\nbody", "body"),
        ("# Home\n\nbody", "body"),
        ("# Another\n\nbody", "# Another\n\nbody"),
        ("--- \nno front matter", "--- \nno front matter"),
    ],
)  # fmt: skip
def test_each_kind_of_markup(written: str, expected: str) -> None:
    assert read(written) == expected


def test_paths_are_relative_to_the_file() -> None:
    deep = PurePosixPath("sub/Deep note.md")
    assert read("[t](Twin.md) [u](../Twin.md) [[Twin]] [[sub/Twin]]", deep) == (
        "[t](Sub/Twin) [u](Twin) [Twin](Twin) [sub/Twin](Sub/Twin)"
    )


FRAGMENTS = st.sampled_from(
    ["[[", "]]", "[", "]", "(", ")", "](", "|", "#", "Twin", "sub/Twin.md", "<", ">", "\\", "`", "``", "```", "\n",
     "\n\n", "!", "x", "[[Twin]]", "[t](Twin.md)", "https://e.example/", " ", "%20", "[ref]: Twin.md", "[ref]", "é"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=16).map("".join))
def test_scanning_the_text_finds_the_carried_links(text: str) -> None:
    document = read_markdown(text, HERE, VAULT)
    assert scan_links(document.text) == document.links
    assert {link.target for link in document.links} <= set(VAULT.identities.values())


@given(st.text(st.characters(categories=("L", "N", "Zs"), exclude_characters="\x85"), max_size=60))
def test_prose_without_markup_stays_as_it_is(text: str) -> None:
    assert read(text) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 50_000,
        "[[" * 30_000,
        "`" * 50_000,
        "[a](" * 20_000,
        "![" * 30_000,
        "` `` " * 20_000,
        "[" * 30_000 + "]" * 30_000,
    ],
)
def test_hostile_markup_is_read_quickly(hostile: str) -> None:
    read(hostile)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    files = {
        "Home.md": b"---\ntags: [a]\n---\nTo [[Other]] and [up](sub/Deep.md).",
        "Other.md": b"\xef\xbb\xbf# Other\r\n\r\nBack [[Home]], to [[Nobody]].\r\n",
        "sub/Deep.md": b"No links.",
        "bad.md": b"caf\xe9 [[Home]]",
        ".obsidian/secret.md": b"[[Home]]",
        "picture.png": b"\x89PNG",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_folder_becomes_linked_documents(vault: Path) -> None:
    with watching(Drops()) as drops:
        documents = {document.title: document for document in MarkdownFolder(vault).get_data_generator()}
    assert list(documents) == ["Home", "Other", "Deep"]
    assert documents["Home"].text == "To [Other](Other) and [up](Deep)."
    assert documents["Other"].text == "Back [Home](Home), to Nobody."
    assert [link.target for link in documents["Home"].links] == ["Other", "Deep"]
    assert drops.counts == {"file is not UTF-8": 1, "link to no file of the folder": 1}
    assert drops.examples["file is not UTF-8"] == "bad.md, byte 3"


def test_the_fingerprint_follows_the_files(vault: Path) -> None:
    before = MarkdownFolder(vault).content_fingerprint()
    assert MarkdownFolder(vault).content_fingerprint() == before
    (vault / "sub" / "Deep.md").write_text("Now longer than before.")
    assert MarkdownFolder(vault).content_fingerprint() != before


def test_a_folder_without_links_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("[t](https://site.example)")
    with pytest.raises(
        SourceError, match=r"1 files, none with a link to another\n  wanted  links such as \[\[Note\]\]"
    ):
        list(MarkdownFolder(tmp_path).get_data_generator())


def test_no_folder_and_no_files_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"MarkdownFolder\(.*\)\n  got     no \.md file\n  wanted  one or more\n  Check the path"
    ):
        next(MarkdownFolder(tmp_path).get_data_generator())
    with pytest.raises(SourceError, match=r"MarkdownFolder\(.*gone\)\n  got     nothing there\n  wanted  a folder"):
        next(MarkdownFolder(tmp_path / "gone").get_data_generator())
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match=r"got     a file\n  wanted  a folder\n  Check the path"):
        next(MarkdownFolder(tmp_path / "file").get_data_generator())


def test_two_files_that_differ_in_case_alone_are_two_documents() -> None:
    vault = Vault.of([PurePosixPath("note.md"), PurePosixPath("Note.md"), PurePosixPath("_note.md")])
    assert len(set(vault.identities.values())) == 3
