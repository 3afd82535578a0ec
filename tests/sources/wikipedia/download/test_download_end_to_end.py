"""From the name of a wiki to its documents, in both layouts; killed and started again; on the command line."""

import bz2
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from loopback_dumps import (
    CONTACT,
    DumpServer,
    download,
    multistream,
    multistream_name,
    put_content,
    put_multistream,
    says,
    sha1,
)
from rich.console import Console

from gptlab.experiment import ExperimentError
from gptlab.models import DagTransformerConfig
from gptlab.pipeline import pipeline
from gptlab.pipeline.observe import Drops, watching
from gptlab.sources import ArticleFolder, SourceError
from gptlab.sources.wikipedia.download import WikipediaDownload
from gptlab.sources.wikipedia.download.__main__ import INTERRUPTED, main
from gptlab.sources.wikipedia.download.shown import Shown
from gptlab.storage import fingerprint, from_config, to_config
from gptlab.types import Document
from recipes.dagseq_wiki import Settings, recipe

DATE, DASHED = "20261101", "2026-11-01"


def head(version: str) -> str:
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-{version}/" version="{version}" xml:lang="en">\n'
        "<siteinfo><sitename>Teapedia</sitename><dbname>teawiki</dbname><case>first-letter</case><namespaces>"
        '<namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Talk</namespace>'
        '<namespace key="10" case="first-letter">Template</namespace></namespaces></siteinfo>\n'
    )


def page(number: int, title: str, text: str, *, ns: int = 0, redirect: str = "") -> tuple[str, str]:
    target = f'<redirect title="{redirect}" />' if redirect else ""
    return title, (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{target}<revision><id>{number}</id>"
        f"<model>wikitext</model><text>{escape(text)}</text></revision></page>\n"
    )


ARTICLES = [
    page(1, "Tea", "Tea is poured from a [[pot]], see [[Oolong tea]]."),
    page(2, "Kettle", "A kettle boils water for [[chai]]."),
    page(3, "Oolong", "Oolong is a [[tea]] from a [[kettle]]."),
    page(4, "Oolong tea", "", redirect="Oolong"),
    page(5, "Chai", "", redirect="Tea"),
    page(6, "Teapot", "A teapot holds [[Tea]]."),
    page(7, "Pot", "", redirect="Teapot"),
]
OTHERS = [
    page(8, "Talk:Tea", "I like [[Tea]].", ns=1),
    page(9, "Template:Cup", "A cup.", ns=10),
]
EXPECTED = {
    "Tea": ["Teapot", "Oolong"],
    "Kettle": ["Tea"],
    "Oolong": ["Tea", "Kettle"],
    "Teapot": ["Tea"],
}


def put_both(server: DumpServer) -> None:
    """The same wiki: as a multistream file with its index, and as two shards with all namespaces in schema 0.11."""
    dump, index = multistream(head("0.10"), ARTICLES)
    name = multistream_name("teawiki", DATE)
    put_multistream(server, "teawiki", DATE, {name: dump, name.replace(".xml.", "-index.txt."): index})
    shards = {}
    for pages, some in (("p1p4", ARTICLES[:4] + OTHERS[:1]), ("p5p9", ARTICLES[4:] + OTHERS[1:])):
        xml = head("0.11") + "".join(text for _, text in some) + "</mediawiki>\n"
        shards[pages] = bz2.compress(xml.encode())
    put_content(server, "teawiki", DASHED, shards)


def links(documents: list[Document]) -> dict[str, list[str]]:
    return {document.title: [link.target for link in document.links] for document in documents}


@pytest.mark.parametrize(("date", "layout"), [(None, None), (None, "content"), (DASHED, None), (DATE, "multistream")])
def test_from_the_name_to_documents(server: DumpServer, tmp_path: Path, date: str | None, layout: Any) -> None:
    put_both(server)
    wanted = download(server, tmp_path, date=date, layout=layout)
    documents = list(wanted.get_data_generator())
    assert links(documents) == EXPECTED
    assert documents[1].text == "A kettle boils water for [chai](Tea)."
    files = [file.name for file in wanted.release.files]
    assert len(files) == 2 and len(wanted.paths) == (2 if wanted.release.layout == "content" else 1)
    assert all((wanted.folder / wanted.release.date / name).is_file() for name in files)
    server.requests.clear()
    assert list(download(server, tmp_path, date=date, layout=layout, contact=None).get_data_generator()) == documents
    assert not server.requests


def test_both_layouts_give_the_same_documents(server: DumpServer, tmp_path: Path) -> None:
    put_both(server)
    one, other = (
        list(download(server, tmp_path, layout=each).get_data_generator()) for each in ("multistream", "content")
    )
    assert one == other


def test_a_page_in_two_shards_is_one_document(server: DumpServer, tmp_path: Path) -> None:
    xml = head("0.11") + ARTICLES[0][1] + "</mediawiki>\n"
    put_content(server, "teawiki", DASHED, {pages: bz2.compress(xml.encode()) for pages in ("p1p1", "p2p2")})
    with watching(Drops()) as drops:
        assert len(list(download(server, tmp_path, date=DASHED).get_data_generator())) == 1
    assert drops.counts["second page of one title"] == 1


def test_other_namespaces(server: DumpServer, tmp_path: Path) -> None:
    put_both(server)
    wanted = download(server, tmp_path, date=DASHED, namespaces=frozenset({1}))
    assert [document.title for document in wanted.get_data_generator()] == ["Talk:Tea"]


def test_it_composes(server: DumpServer, tmp_path: Path) -> None:
    put_both(server)
    articles = ArticleFolder(pipeline(download(server, tmp_path)), cache=tmp_path)
    articles.pre_cache()
    assert articles.by_title("Teapot").text == "A teapot holds [Tea](Tea)."


class TestValue:
    def test_its_fingerprint_is_the_content_wherever_it_comes_from(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        newest = fingerprint(download(server, tmp_path))
        assert newest == fingerprint(download(server, tmp_path, date=DATE, connections=2, mirrors=("http://a.b",)))
        assert newest != fingerprint(download(server, tmp_path, date=DASHED))
        assert newest != fingerprint(download(server, tmp_path, namespaces=frozenset({0, 1})))
        assert not server.asked(f"/teawiki/{DATE}/{multistream_name('teawiki', DATE)}")

    def test_it_is_saved_and_loaded(self, tmp_path: Path) -> None:
        value = WikipediaDownload(wiki="teawiki", date=DATE, mirrors=("https://a.example/x",), cache=tmp_path)
        assert from_config(to_config(value)) == value
        assert WikipediaDownload.initialize({"wiki": "teawiki"}) == WikipediaDownload(wiki="teawiki")

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"wiki": "../etc"}, "WikipediaDownload.wiki\n  got     '../etc'"),
            ({"wiki": "Simple"}, "the name of a wiki's database"),
            ({"date": "20260230"}, "a day as 20261101 or 2026-11-01, latest, or None"),
            ({"date": "20261101/.."}, "a day as 20261101"),
            ({"date": DATE, "layout": "content"}, "a date of content"),
            ({"date": DASHED, "layout": "multistream"}, "a date of multistream"),
            ({"contact": "me"}, "an address of mail, a web page, or User:Name"),
            ({"contact": "ann@example.org\r\nX-Evil: 1"}, "an address of mail"),
            ({"mirrors": ("ftp://a.example",)}, "addresses that begin with http:// or https://"),
            ({"mirrors": ("file:///etc",)}, "addresses that begin with"),
            ({"origin": "file:///etc"}, "an address that begins with http:// or https://"),
            ({"connections": 3}, "a whole number of at least 1 and at most 2"),
            ({"attempts": 0}, "at least 1"),
            ({"patience": 0.0}, "at least 0.01"),
        ],
    )
    def test_what_is_wrong_is_said_at_once(self, settings: dict[str, Any], said: str) -> None:
        with pytest.raises(SourceError) as caught:
            WikipediaDownload(**{"wiki": "teawiki", **settings})
        assert said in str(caught.value)


class TestContact:
    def test_there_is_no_default(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        with pytest.raises(SourceError) as caught:
            download(server, tmp_path, contact=None).pre_cache()
        assert str(caught.value).startswith(
            "WikipediaDownload.contact\n  got     none\n  wanted  an address at which "
        )
        assert "Give it once, as contact=... or --contact ..." in str(caught.value) and not server.requests

    def test_it_is_asked_for_once(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        download(server, tmp_path, contact="User:Ann").pre_cache()
        download(server, tmp_path, contact=None, date=DASHED).pre_cache()
        assert all("(User:Ann)" in headers["User-Agent"] for headers in server.asked())

    def test_one_that_was_spoilt_is_not_sent(self, server: DumpServer, tmp_path: Path) -> None:
        (tmp_path / "wikipedia").mkdir()
        (tmp_path / "wikipedia" / "contact.txt").write_text("nobody\n")
        with pytest.raises(SourceError, match=r"got     'nobody' in .*contact\.txt"):
            download(server, tmp_path, contact=None).pre_cache()


class TestNewest:
    def test_what_is_on_disk_is_kept_until_latest_is_asked_for(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        download(server, tmp_path).pre_cache()
        dump, _ = multistream(head("0.11"), ARTICLES[:1])
        put_multistream(server, "teawiki", "20261201", {multistream_name("teawiki", "20261201"): dump})
        server.requests.clear()
        assert download(server, tmp_path).release.date == DATE and not server.requests
        newer = download(server, tmp_path, date="latest")
        assert newer.release.date == "20261201"
        newer.pre_cache()
        assert download(server, tmp_path).release.date == "20261201"
        assert download(server, tmp_path, date=DATE).release.date == DATE

    def test_a_whole_one_comes_before_a_newer_begun_one(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        download(server, tmp_path).pre_cache()
        name = multistream_name("teawiki", "20261201")
        put_multistream(server, "teawiki", "20261201", {name: b"x" * 99})
        server.fail(f"/teawiki/20261201/{name}", says(404))
        with pytest.raises(SourceError, match="404"):
            download(server, tmp_path, date="latest").pre_cache()
        assert download(server, tmp_path).release.date == DATE

    def test_dates(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        assert download(server, tmp_path).dates() == [("multistream", DATE), ("content", DASHED)]

    def test_notes_that_are_damaged_are_made_again(self, server: DumpServer, tmp_path: Path) -> None:
        put_both(server)
        wanted = download(server, tmp_path)
        wanted.pre_cache()
        (wanted.folder / DATE / "release.json").write_text("{")
        (wanted.folder / DATE / "verified.json").write_text("[")
        server.requests.clear()
        download(server, tmp_path).pre_cache()
        assert len(server.requests) == 3  # the dates, the status, the hashes: the files are right as they are


def command(server: DumpServer, cache: Path, *more: str) -> list[str]:
    return ["teawiki", "--origin", server.address, "--cache", str(cache), "--backoff", "0.001", *more]


class TestCommand:
    def test_downloads_and_prints_the_paths(
        self, server: DumpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        put_both(server)
        assert main(command(server, tmp_path, "--contact", CONTACT)) == 0
        out, err = capsys.readouterr()
        path = tmp_path / "wikipedia" / "teawiki" / DATE / multistream_name("teawiki", DATE)
        assert out == f"{path}\n" and path.is_file()
        assert f"teawiki {DATE} is whole and verified" in err and f"download teawiki {DATE}: 2 of 2 files" in err
        server.requests.clear()
        assert main(command(server, tmp_path)) == 0 and not server.requests

    def test_lists(self, server: DumpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        put_both(server)
        assert main(command(server, tmp_path, "--contact", CONTACT, "--list")) == 0
        assert capsys.readouterr().out == f"{DATE}  multistream\n{DASHED}  content\n"

    def test_an_error_is_four_parts_and_no_trace(
        self, server: DumpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(command(server, tmp_path)) == 1
        err = capsys.readouterr().err
        assert err.startswith("WikipediaDownload.contact\n  got     none\n") and "Traceback" not in err
        assert main(["teawiki", "--connections", "9"]) == 1
        assert "Wikimedia blocks whoever opens more." in capsys.readouterr().err

    def test_ctrl_c(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupt(self: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(WikipediaDownload, "pre_cache", interrupt)
        assert main(["teawiki", "--contact", CONTACT, "--cache", str(tmp_path)]) == INTERRUPTED
        assert "The same command goes on from here." in capsys.readouterr().err

    def test_help_names_every_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--help"])
        out = capsys.readouterr().out
        for option in ("--contact", "--date", "--list", "--layout", "--mirror", "--connections", "--cache"):
            assert option in out

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_killed_in_the_midst_and_started_again(
        self, server: DumpServer, tmp_path: Path, how: signal.Signals
    ) -> None:
        name = multistream_name("teawiki", DATE)
        data = os.urandom(4_000_000)
        put_multistream(server, "teawiki", DATE, {name: data})
        server.slow = 0.005
        module = "gptlab.sources.wikipedia.download"
        line = [sys.executable, "-m", module, *command(server, tmp_path, "--contact", CONTACT)]
        part = tmp_path / "wikipedia" / "teawiki" / DATE / f"{name}.part"
        with subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            limit = time.monotonic() + 60
            while not (part.exists() and part.stat().st_size > 300_000):
                assert process.poll() is None and time.monotonic() < limit
                time.sleep(0.01)
            process.send_signal(how)
            _, err = process.communicate(timeout=60)
        assert process.returncode == (-how if how == signal.SIGKILL else INTERRUPTED), err
        there = part.stat().st_size
        assert 300_000 < there < len(data) and part.read_bytes() == data[:there]
        server.slow = 0.0
        server.requests.clear()
        assert main(command(server, tmp_path)) == 0
        assert sha1(part.with_suffix("").read_bytes()) == sha1(data) and not part.exists()
        assert [headers.get("Range") for headers in server.asked()] == [f"bytes={there}-"]


class TestShown:
    def test_lines_in_a_pipe(self) -> None:
        text = io.StringIO()
        times = iter([0.0, 1.0, 10.0, 12.0])
        with Shown(Console(file=text, width=200), clock=lambda: next(times)) as shown:
            for done in (0, 20_000_000, 50_000_000, 90_000_000):
                shown.progress("download teawiki", done, 90_000_000, "bytes")
            shown.drop("page", 3, "[b]Tea[/b]")
        assert text.getvalue().splitlines() == [
            "download teawiki: 0.0 of 90.0 MB",
            "download teawiki: 50.0 of 90.0 MB, 5.0 MB/s, 0:00:08 left",
            "download teawiki: 90.0 of 90.0 MB, 7.5 MB/s",
            "left out 3: page ([b]Tea[/b])",
        ]

    def test_a_bar_on_a_terminal(self) -> None:
        text = io.StringIO()
        with Shown(Console(file=text, width=120, force_terminal=True, color_system=None)) as shown:
            shown.progress("download [teawiki]", 30_000_000, 90_000_000, "bytes")
            shown.progress("download [teawiki]", 60_000_000, 90_000_000, "bytes")
            shown.say("a word in between")
        last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()).strip().splitlines()[-1]
        assert "download [teawiki]" in last and "60.0/90.0 MB" in last and "a word in between" in text.getvalue()


def test_content_hash_is_of_all_shards(server: DumpServer, tmp_path: Path) -> None:
    put_both(server)
    wanted = download(server, tmp_path, date=DASHED)
    wanted.pre_cache()
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in wanted.paths]
    assert digests == [file.digest for file in wanted.release.files]


def test_the_recipe_takes_a_wiki_by_its_name(server: DumpServer, tmp_path: Path) -> None:
    """Downloaded from loopback, then found on disk: the recipe knows no other origin than Wikimedia's."""
    pages = [page(n, f"Tea {n}", f"Tea {n} is better than [[Tea {n * 7 % 60}]]. " * 5) for n in range(60)]
    dump, _ = multistream(head("0.11"), pages)
    put_multistream(server, "teawiki", DATE, {multistream_name("teawiki", DATE): dump})
    download(server, tmp_path).pre_cache()
    server.requests.clear()
    small = DagTransformerConfig(layers=1, width=16, heads=2, vocab_size=300, max_seq_len=64)
    made = recipe(Settings(wiki="teawiki", cache=tmp_path, batch_size=2, model=small))
    assert next(made.data.get_data_generator()).tokens.shape == (2, 64) and not server.requests
    with pytest.raises(ExperimentError, match="--wiki and --dump"):
        recipe(Settings(wiki="teawiki", dump=tmp_path))
