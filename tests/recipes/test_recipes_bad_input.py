"""Bad input to the real programs: an error in words with exit code 2, or a counted drop; never a traceback."""

import bz2
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest
from exports import TOWN_PAGES, bomb, export, without_links
from programs import MODEL, Ended, Nursery, ended, rubbish_of, runs_of, together, words

from gptlab.sources.article_names import LONGEST_NAME

pytestmark = pytest.mark.slow
TINY = [*MODEL, "--trainer.steps", "2", "--model.max_seq_len", "128"]
WHOLE = export().encode()


@attrs.frozen
class Case:
    """Something wrong.

    Attributes:
        arguments: of the flagship recipe; a file that `files` has is named as it is there.
        says: words that the error, or what is said on the way, must hold.
        files: what lies in the folder that it is run in; None for a folder.
        code: the exit code.
        program: another recipe.
        environment: what more it is told.
        limit: bytes that a file may have (a quota, or a full disk).
    """

    arguments: str
    says: tuple[str, ...]
    files: dict[str, bytes | None] = attrs.field(factory=dict)
    code: int = 2
    program: str = "dagseq_wiki"
    limit: int | None = None


def dump(content: bytes | str, *says: str, name: str = "dump.xml", code: int = 2, more: str = "") -> Case:
    content = content if isinstance(content, bytes) else content.encode()
    return Case(f"--dump {name} {more}", says, {name: content}, code)


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(8) + content[middle + 8 :]


EXPORT = "MediaWiki XML export"
REFUSED: dict[str, Case] = {
    "missing dump": Case("--dump not-there.xml.bz2", ("not-there.xml.bz2", "no such file", EXPORT, "check the path")),
    "empty dump": dump(b"", "dump.xml", "empty", EXPORT, "download"),
    "empty bz2": dump(bz2.compress(b""), "dump.xml.bz2", "empty", EXPORT, name="dump.xml.bz2"),
    "folder for a dump": Case("--dump folder", ("folder", "a folder", EXPORT, "the file inside"), {"folder": None}),
    "dump cut in its head": dump(WHOLE[:200], "cut off", "download"),
    "bz2 cut in its only block": dump(bz2.compress(WHOLE)[:-200], "download", name="dump.xml.bz2"),
    "corrupt bz2": dump(damaged(bz2.compress(WHOLE)), "damaged compression", "checksum", name="dump.xml.bz2"),
    "corrupt xz": dump(damaged(lzma.compress(WHOLE)), "damaged compression", "checksum", name="dump.xml.xz"),
    "bz2 that is none": dump(b"BZh9 no, this is text", "dump.xml.bz2", "download", name="dump.xml.bz2"),
    "corrupt xml": dump(WHOLE.replace(b"<text", b"<te<xt", 2), "damaged XML", "line ", "checksum"),
    "html": dump("<!DOCTYPE html><html><body>404</body></html>", "an HTML page", EXPORT, "download the dump itself"),
    "html without a doctype": dump("<html><body>404</body></html>", "an HTML page", EXPORT, "download"),
    "another xml": dump("<?xml version='1.0'?><rss><channel/></rss>", "rss", EXPORT, "download"),
    "no xml": dump("What is this?", "no XML", EXPORT, "check the path"),
    "xml bomb": dump(bomb(), "declaration", EXPORT, "export made by MediaWiki"),
    "dump without pages": dump(export([]), "no rows", "dropped"),
    "dump of one page": dump(export(TOWN_PAGES[:1]), "no rows", "held_out"),
    "nothing held out": dump(export(), "no rows", "held_out", more="--held_out 0"),
    "all held out": dump(export(), "no rows", "held_out", more="--held_out 1"),
    "more than all held out": Case("--held_out 1.5", ("Split.fraction", "1.5", "at most 1", "0.1")),
    "markdown without links": Case(
        "--markdown notes",
        ("notes", "2 files, none with a link", "[[Note]]", "TextFiles"),
        {"notes": None, "notes/a.md": b"# a\n\nWords.\n", "notes/b.md": b"# b\n\nMore words.\n"},
    ),
    "markdown without files": Case("--markdown notes", ("notes", "no .md file", "one or more"), {"notes": None}),
    "markdown that is a file": Case("--markdown notes", ("notes", "a file", "a folder"), {"notes": b"[[b]]"}),
    "markdown that is not there": Case("--markdown notes", ("notes", "nothing there", "a folder")),
    "dump and markdown": Case(
        "--dump dump.xml --markdown notes",
        ("--dump", "--markdown", "one of"),
        {"dump.xml": WHOLE, "notes": None, "notes/a.md": b"[[b]]", "notes/b.md": b"[[a]]"},
    ),
    "a file for the experiments": Case(
        "--experiments taken", ("taken", "File exists", "Remove or rename"), {"taken": b""}
    ),
    "a file on the way": Case("--experiments taken/runs", ("taken/runs", "Not a directory"), {"taken": b""}),
    "experiments that cannot be": Case("--experiments /proc/runs", ("/proc/runs", "a run directory in")),
    "a file for the cache": Case("--cache taken", ("taken", "File exists", "folders on the way"), {"taken": b""}),
    "a cache that cannot be": Case("--cache /proc/data", ("/proc/data",)),
    "unknown setting": Case(
        "--modle.width 64", ("no setting --modle.width", "Did you mean --model.width?", "--help")
    ),
    "misspelt setting": Case("--trainer.setps=3", ("no setting --trainer.setps", "--trainer.steps", "--help")),
    "stray word": Case("dump.xml", ("'dump.xml'", "settings as --name value", "--help")),
    "no number": Case("--trainer.steps many", ("--trainer.steps", "'many'", "--help")),
    "unknown choice": Case("--traversal up", ("--traversal", "'up'", "breadth_first", "--help")),
    "no steps": Case("--trainer.steps 0", ("TrainerConfig.steps", "at least 1", "0")),
    "no pages": Case("--pages 0", ("LinkedFactsWiki.pages", "0", "1")),
    "no rows in a batch": Case("--batch_size 0", ("Collate.batch_size", "at least 1", "0")),
    "no tokens of a document": Case("--max_document 0", ("Truncate.max_tokens", "0", "at least 2")),
    "width that no heads divide": Case("--model.width 33", ("heads", "33", "even")),
    "vocabulary below the bytes": Case("--model.vocab_size 100", ("vocab_size", "100", "257")),
    "nothing to resume": Case("--resume latest", ("--resume latest", "no unfinished run", "leaving out --resume")),
    "resume what is no run": Case(
        "--resume folder", ("folder", "recipe.txt", "gptlab.experiment list"), {"folder": None}
    ),
    "quota": Case("--pages 2000", ("File too large", "cache/linked-facts"), limit=200_000),
    "text that is not there": Case("--text notes", ("notes",), program="plain_text"),
    "text without files": Case("--text notes", ("notes", "*.txt"), {"notes": None}, program="plain_text"),
    "package that is not there": Case("--packages no-such-package", ("no-such-package",), program="dagseq_python"),
    "package of pairs": Case("--packages no-such-package", ("no-such-package",), program="link_prediction"),
}

LONG = "L" * 300
HOSTILE = [
    *TOWN_PAGES,
    ("../../etc/passwd", "A page with a bad name, near [[Town A]]. " * 3),
    (LONG, "A page with a long name, near [[Town B]]. " * 3),
    ("Mill street", "A street, see [[Town A]]. " * 3),
    ("Mill Street", "Another street, see [[Town B]]. " * 3),
    ("Huge", "Some words near [[Town A]] and more. " * (10 * 2**20 // 37)),
]
ACCEPTED: dict[str, Case] = {
    "truncated xml": dump(WHOLE[: len(WHOLE) // 2], "is cut off after page 11", "page cut off with the dump", code=0),
    "truncated xz": dump(lzma.compress(WHOLE)[:-300], "is cut off after page", name="dump.xml.xz", code=0),
    "invalid UTF-8": dump(
        WHOLE.replace(b"by the river", b"by the \xff\xfe river", 1), "bytes that are no text", "Town A", code=0
    ),
    "dump without links": dump(
        export((title, without_links(text)) for title, text in TOWN_PAGES), "no document links to another", code=0
    ),
    "corpus too small for the vocabulary": dump(export(), "stay unused", more="--model.vocab_size 3000", code=0),
    "hostile titles": dump(export(HOSTILE), "end of a long document", "../../etc/passwd", "…", code=0),
}
CASES = {**REFUSED, **ACCEPTED}


def lay(place: Path, case: Case) -> None:
    place.mkdir()
    for name, content in case.files.items():
        if content is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(content)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad-input")


@pytest.fixture(scope="module")
def went(place: Path, warm: Nursery) -> dict[str, Ended]:
    """What each case came to."""

    def go(name: str) -> Ended:
        case = CASES[name]
        lay(place / name, case)
        tiny = TINY if case.program != "link_prediction" else []
        return warm.ended(place / name, case.program, *tiny, *case.arguments.split(), limit=case.limit)

    return together(go, CASES)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_words(went: dict[str, Ended], place: Path, name: str) -> None:
    case, done = CASES[name], went[name]
    assert done.code == 2, done.all
    assert "Traceback" not in done.all
    for part in case.says:
        assert part.casefold() in done.err.casefold(), done.err
    titles = re.findall(r"^Error: |^╭─ (?:Value error|Invalid choice) ", done.err, flags=re.MULTILINE)
    assert len(titles) == 1 and len(done.err.splitlines()) < 12, done.err
    assert not rubbish_of(place / name)
    kept = [path.name for path in (place / name).rglob("*") if path.name.startswith(("articles-", "packed-rows"))]
    assert not kept or "held out" in name or "pages" in name or "one page" in name, kept


FOUR_PARTS = [name for name in REFUSED if name not in ("no number", "unknown choice")]


@pytest.mark.parametrize("name", FOUR_PARTS)
def test_the_error_has_four_parts(went: dict[str, Ended], name: str) -> None:
    lines = [line.strip("│ ") for line in went[name].err.splitlines()]
    (got,) = (at for at, line in enumerate(lines) if line.startswith("got"))
    (wanted,) = (at for at, line in enumerate(lines) if line.startswith("wanted"))
    assert lines[got - 1].startswith("Error") and got < wanted
    remedy = lines[wanted + 1]
    assert remedy and not remedy.startswith(("Kept", "Go on", "─"))


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_taken_and_said(went: dict[str, Ended], place: Path, name: str) -> None:
    case, done = CASES[name], went[name]
    assert (done.code, done.err) == (0, ""), done.all
    for part in case.says:
        assert part in done.out, done.out
    assert not rubbish_of(place / name)


def test_a_cut_dump_is_told_again_when_its_documents_are_found(
    went: dict[str, Ended], place: Path, warm: Nursery
) -> None:
    case = CASES["truncated xml"]
    assert went["truncated xml"].code == 0
    again = warm.ended(place / "truncated xml", "dagseq_wiki", *TINY, *case.arguments.split())
    assert again.code == 0 and "read dump" not in again.out
    assert "page cut off with the dump" in again.out


def test_hostile_titles_stay_in_their_folder(went: dict[str, Ended], place: Path) -> None:
    """Each is a file below the cache, with a name of its own even where case is ignored, and reads as it was."""
    assert went["hostile titles"].code == 0
    (articles,) = (place / "hostile titles" / "cache").glob("articles-*")
    files = list(articles.rglob("*.md"))
    assert len(files) == len(HOSTILE) == len({path.relative_to(articles).as_posix().casefold() for path in files})
    assert all(len(os.fsencode(path.name)) <= LONGEST_NAME for path in files)
    assert {path.read_text().split("\n")[0] for path in files} == {f"# {title}" for title, _ in HOSTILE}
    assert max(path.stat().st_size for path in files) > 10 * 2**20
    outside = {path.name for path in (place / "hostile titles").iterdir()}
    assert outside == {"dump.xml", "cache", "experiments"} and not (place.parent / "etc").exists()


def test_a_mistake_in_the_settings_leaves_no_run(went: dict[str, Ended], place: Path) -> None:
    for name in ("unknown setting", "no pages", "missing dump", "no number", "dump and markdown", "no steps"):
        assert went[name].code == 2
        assert runs_of(place / name) == []


def test_what_was_finished_before_the_disk_was_full_is_reused(tmp_path: Path, warm: Nursery) -> None:
    lay(tmp_path / "full", dump(export()))
    arguments = [*TINY, *words("--dump dump.xml --model.width 256 --model.layers 4")]
    full = warm.ended(tmp_path / "full", "dagseq_wiki", *arguments, limit=4 << 20)
    assert full.code == 2 and "File too large" in full.err and "Traceback" not in full.all
    assert not rubbish_of(tmp_path / "full")
    (articles,) = (tmp_path / "full" / "cache").glob("articles-*")
    before = (articles / "index.jsonl").stat().st_mtime_ns
    freed = warm.ended(tmp_path / "full", "dagseq_wiki", *arguments, "--resume", "latest")
    assert (freed.code, freed.err) == (0, "")
    assert (articles / "index.jsonl").stat().st_mtime_ns == before and "write articles" not in freed.out


@pytest.mark.parametrize("what", ["cache", "experiments"])
def test_a_full_disk(tmp_path: Path, what: str, warm: Nursery) -> None:
    """A real one, of 300 kB, where the tests may mount it."""
    (tmp_path / "disk").mkdir()
    tool = shutil.which("mount")
    mounting = ["-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path / "disk")]
    if (
        tool is None
        or os.geteuid() != 0
        or subprocess.run([tool, *mounting], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    try:
        (tmp_path / "disk" / "filled").write_bytes(bytes(200 << 10 if what == "experiments" else 100 << 10))
        full = warm.ended(
            tmp_path / "run", "dagseq_wiki", *TINY, "--pages", "200", f"--{what}", tmp_path / "disk" / what
        )
        assert full.code == 2, full.all
        assert "Traceback" not in full.all
        assert "No space left on device" in full.err and "Free some space" in full.err
        assert not rubbish_of(tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path / "disk")], check=True)


def test_a_crash_shows_its_traceback_only_when_asked(tmp_path: Path) -> None:
    quiet, loud = (ended(tmp_path, "dagseq_wiki", "--dump", "not-there.xml", *more) for more in ([], ["--debug"]))
    assert quiet.code == loud.code == 2
    assert "Traceback" not in quiet.all and "Traceback" in loud.err
    assert loud.err.endswith(quiet.err)
