"""What the origin publishes, as text: which dates there are, which of them are whole, which files belong to one."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.sources import SourceError
from gptlab.sources.wikipedia.download.choice import available, choose
from gptlab.sources.wikipedia.download.layouts import (
    LAYOUTS,
    content_dates,
    content_release,
    multistream_dates,
    multistream_release,
)
from gptlab.sources.wikipedia.download.release import Incomplete, Release, dates_in, hashes

DATE, DASHED = "20261101", "2026-11-01"
FOLDER = f"teawiki/{DATE}"
SHARDS = f"other/mediawiki_content_current/teawiki/{DASHED}/xml/bzip2"
PREFIX = f"teawiki-{DATE}-pages-articles-multistream"
SHA1, SHA256 = "a1" * 20, "b2" * 32


def nothing(path: str) -> None:
    """No file says how large it is."""


def dated(*names: str, status: str = "done", job: str = "articlesmultistreamdump", **more: Any) -> dict[str, str]:
    files = {name: {"size": 9, "url": f"/{FOLDER}/{name}", "sha1": SHA1, **more} for name in names}
    return {
        f"{FOLDER}/dumpstatus.json": json.dumps(
            {"version": "0.8", "jobs": {job: {"status": status, "files": files}}}
        ),
        f"{FOLDER}/teawiki-{DATE}-sha1sums.txt": "".join(f"{SHA1}  {name}\n" for name in names),
    }


def exported(*pages: str, date: str = DASHED) -> dict[str, str]:
    folder = SHARDS.replace(DASHED, date)
    sums = "".join(f"{SHA256}  teawiki-{date}-{shard}.xml.bz2\n" for shard in pages)
    return {f"{folder}/SHA256SUMS": sums, f"{folder}/_SUCCESS": ""}


def names(release: Release) -> list[str]:
    return [file.name for file in release.files]


class TestDates:
    def test_from_a_listing_newest_first(self) -> None:
        listing = """<a href="../">../</a> <a href="20261020/">20261020/</a> <A HREF = '20261101/'>x</A>
            <a href="/teawiki/20261001/">abs</a> <a href="latest/">latest/</a> <a href="20269999/">no day</a>
            <a href="20261102">a file</a> 20261103/ <a href="?date=20261104/">sorted</a>"""
        assert multistream_dates({"teawiki/": listing}.get, "teawiki") == ["20261101", "20261020", "20261001"]

    def test_from_latest_where_nothing_is_listed(self) -> None:
        sums = (
            f"{SHA1}  teawiki-20261101-pages-articles-multistream.xml.bz2\n{SHA1}  teawiki-20261020-abstract.xml.gz\n"
        )
        assert multistream_dates({"teawiki/latest/teawiki-latest-sha1sums.txt": sums}.get, "teawiki") == [DATE]
        assert multistream_dates(nothing, "teawiki") == []

    def test_of_content_file_exports(self) -> None:
        listing = (
            '<a href="2026-10-01/">x</a><a href="2026-11-01/">y</a><a href="2026-13-01/">z</a><a href="20261101/">'
        )
        assert content_dates({"other/mediawiki_content_current/teawiki/": listing}.get, "teawiki") == [
            "2026-11-01",
            "2026-10-01",
        ]

    @given(st.text())
    def test_of_anything(self, listing: str) -> None:
        assert dates_in(listing, r"\d{8}", "%Y%m%d") == [] or "href" in listing.lower()


class TestMultistream:
    def test_one_file_and_its_index(self) -> None:
        release = multistream_release(
            dated(f"{PREFIX}-index.txt.bz2", f"{PREFIX}.xml.bz2").get, nothing, "teawiki", DATE
        )
        assert names(release) == [f"{PREFIX}.xml.bz2", f"{PREFIX}-index.txt.bz2"]
        first, index = release.files
        assert (first.path, first.digest, first.size, first.algorithm) == (f"{FOLDER}/{first.name}", SHA1, 9, "sha1")
        assert index.is_index and not first.is_index

    def test_parts_in_the_order_of_their_numbers(self) -> None:
        parts = [f"{PREFIX}{kind}-p{n}p{n}.bz2" for n in (10, 9, 1) for kind in (f"{n}.xml", f"-index{n}.txt")]
        release = multistream_release(dated(*parts).get, nothing, "teawiki", DATE)
        assert names(release)[:3] == [f"{PREFIX}{n}.xml-p{n}p{n}.bz2" for n in (1, 9, 10)]
        assert [file.is_index for file in release.files] == [False] * 3 + [True] * 3

    def test_joined_parts_are_preferred_when_they_are_done(self) -> None:
        files: dict[str, Any] = {name: {"sha1": SHA1} for name in (f"{PREFIX}1.xml-p1p2.bz2", f"{PREFIX}.xml.bz2")}
        sums = "".join(f"{SHA1}  {name}\n" for name in files)
        for status, expected in (("done", f"{PREFIX}.xml.bz2"), ("waiting", f"{PREFIX}1.xml-p1p2.bz2")):
            jobs = {
                "articlesmultistreamdumprecombine": {"status": status, "files": {f"{PREFIX}.xml.bz2": {}}},
                "articlesmultistreamdump": {"status": "done", "files": {f"{PREFIX}1.xml-p1p2.bz2": {}}},
            }
            texts = {
                f"{FOLDER}/dumpstatus.json": json.dumps({"jobs": jobs}),
                f"{FOLDER}/teawiki-{DATE}-sha1sums.txt": sums,
            }
            assert names(multistream_release(texts.get, nothing, "teawiki", DATE)) == [expected]

    def test_names_from_elsewhere_are_left_out(self) -> None:
        strange = [
            "../../etc/passwd",
            f"{PREFIX}.xml.bz2/../x",
            "milkwiki-20261101-pages-articles-multistream.xml.bz2",
        ]
        release = multistream_release(dated(f"{PREFIX}.xml.bz2", *strange).get, nothing, "teawiki", DATE)
        assert names(release) == [f"{PREFIX}.xml.bz2"]
        with pytest.raises(Incomplete, match="no file with articles"):
            multistream_release(dated(*strange).get, nothing, "teawiki", DATE)

    def test_a_size_that_is_not_told_is_asked_for(self) -> None:
        texts = dated(f"{PREFIX}.xml.bz2", size=None)
        assert (
            multistream_release(texts.get, {f"{FOLDER}/{PREFIX}.xml.bz2": 77}.get, "teawiki", DATE).files[0].size
            == 77
        )

    @pytest.mark.parametrize("status", ["in-progress", "waiting", "failed", "skipped"])
    def test_unfinished(self, status: str) -> None:
        with pytest.raises(Incomplete, match=f"articlesmultistreamdump is {status}"):
            multistream_release(dated(f"{PREFIX}.xml.bz2", status=status).get, nothing, "teawiki", DATE)

    def test_without_status_hashes_or_hash(self) -> None:
        texts = dated(f"{PREFIX}.xml.bz2")
        sums = f"{FOLDER}/teawiki-{DATE}-sha1sums.txt"
        for changed, match in (
            ({}, "there is no dumpstatus.json"),
            ({f"{FOLDER}/dumpstatus.json": '{"jobs": {}}'}, "no job of multistream articles"),
            ({**texts, sums: None}, f"no teawiki-{DATE}-sha1sums.txt"),
            ({**texts, sums: ""}, f"has no hash of {PREFIX}.xml.bz2"),
            ({**texts, sums: f"{SHA1}  {PREFIX}.xml\n"}, f"has no hash of {PREFIX}.xml.bz2"),
        ):
            with pytest.raises(Incomplete, match=match):
                multistream_release(changed.get, nothing, "teawiki", DATE)

    def test_an_origin_that_contradicts_itself(self) -> None:
        with pytest.raises(SourceError, match=r"sha1 ffff in dumpstatus.json"):
            multistream_release(dated(f"{PREFIX}.xml.bz2", sha1="ffff").get, nothing, "teawiki", DATE)

    @pytest.mark.parametrize("text", ["", "<html>", "[]", '{"jobs": []}', '{"jobs": {"articlesmultistreamdump": 1}}'])
    def test_a_status_that_is_none(self, text: str) -> None:
        with pytest.raises((SourceError, Incomplete)):
            multistream_release({f"{FOLDER}/dumpstatus.json": text}.get, nothing, "teawiki", DATE)


class TestContent:
    def test_shards_in_the_order_of_their_pages(self) -> None:
        texts = exported("p900p1000", "p1p87", "p88p899")
        release = content_release(texts.get, {f"{SHARDS}/teawiki-{DASHED}-p1p87.xml.bz2": 5}.get, "teawiki", DASHED)
        assert names(release) == [f"teawiki-{DASHED}-{pages}.xml.bz2" for pages in ("p1p87", "p88p899", "p900p1000")]
        assert [(file.size, file.digest, file.algorithm) for file in release.files][:2] == [
            (5, SHA256, "sha256"),
            (None, SHA256, "sha256"),
        ]

    def test_unfinished(self) -> None:
        texts = exported("p1p87")
        for missing, match in (("SHA256SUMS", "no SHA256SUMS"), ("_SUCCESS", "no _SUCCESS")):
            with pytest.raises(Incomplete, match=match):
                content_release({**texts, f"{SHARDS}/{missing}": None}.get, nothing, "teawiki", DASHED)
        with pytest.raises(Incomplete, match="names no shard"):
            content_release({**texts, f"{SHARDS}/SHA256SUMS": "\n"}.get, nothing, "teawiki", DASHED)

    def test_a_list_of_hashes_cut_anywhere_is_seen(self) -> None:
        """Where it says which shards there are, a shorter list would be a smaller dump."""
        texts = exported("p1p87", "p88p899")
        whole = texts[f"{SHARDS}/SHA256SUMS"]
        listing = "".join(f'<a href="teawiki-{DASHED}-{pages}.xml.bz2">' for pages in ("p1p87", "p88p899"))
        for length in range(len(whole) - 1):
            cut = {**texts, f"{SHARDS}/SHA256SUMS": whole[:length], f"{SHARDS}/": listing}
            with pytest.raises((SourceError, Incomplete)):
                content_release(cut.get, nothing, "teawiki", DASHED)
            del cut[f"{SHARDS}/"]
            if length and whole[length - 1] != "\n" and whole[:length].count("\n") == 1:
                with pytest.raises(SourceError, match="cut off"):
                    content_release(cut.get, nothing, "teawiki", DASHED)


class TestHashes:
    def test_as_sha1sum_writes_them(self) -> None:
        text = f"{SHA1}  teawiki-a.bz2\n{SHA1.upper()} *teawiki-b.bz2\n\n"
        text += f"{SHA1}  ./teawiki-c.bz2\r\n{SHA1}  milkwiki-a.gz\n"
        assert hashes(text, "sha1", "teawiki-", "sums") == dict.fromkeys(
            ("teawiki-a.bz2", "teawiki-b.bz2", "teawiki-c.bz2"), SHA1
        )

    @pytest.mark.parametrize(
        "line",
        ["<html>", SHA1, f"{SHA1[:-1]}  teawiki-a.bz2", f"{SHA256}  teawiki-a.bz2", f"{SHA1}  teaw", "Not found"],
    )
    def test_anything_else_is_refused(self, line: str) -> None:
        with pytest.raises(SourceError) as caught:
            hashes(f"{SHA1}  teawiki-b.bz2\n{line}\n", "sha1", "teawiki-", "sums")
        assert str(caught.value).startswith("sums, line 2\n  got     '") and "a sha1 and the name" in str(
            caught.value
        )

    @given(st.text(alphabet="0123456789abcdefx -*./\n", max_size=200))
    def test_never_a_wrong_hash(self, text: str) -> None:
        try:
            found = hashes(text, "sha1", "x", "sums")
        except SourceError:
            return
        assert all(len(digest) == 40 and name.startswith("x") for name, digest in found.items())


class TestChoice:
    LISTED: Mapping[str, str] = {
        "teawiki/": '<a href="20261020/"><a href="20261101/"><a href="latest/">',
        "other/mediawiki_content_current/teawiki/": '<a href="2026-10-01/"><a href="2026-11-01/">',
    }

    def pick(self, texts: Mapping[str, str], date: str | None = None, *layouts: Any) -> Release:
        return choose(texts.get, nothing, "teawiki", date, layouts or tuple(LAYOUTS), origin="http://o")

    def test_the_newest_complete_one(self) -> None:
        unfinished = dated(f"{PREFIX}.xml.bz2", status="in-progress")
        older = {
            path.replace(DATE, "20261020"): text.replace(DATE, "20261020")
            for path, text in dated(f"{PREFIX}.xml.bz2").items()
        }
        assert self.pick({**self.LISTED, **unfinished, **older}).date == "20261020"
        assert self.pick({**self.LISTED, **dated(f"{PREFIX}.xml.bz2"), **older}).date == DATE

    def test_the_other_layout_where_the_first_has_none(self) -> None:
        texts = {**self.LISTED, **exported("p1p9", date="2026-10-01")}
        assert (self.pick(texts).layout, self.pick(texts).date) == ("content", "2026-10-01")
        texts |= exported("p1p9")
        assert self.pick(texts).date == "2026-11-01"
        del texts[f"{SHARDS}/_SUCCESS"]
        assert self.pick(texts).date == "2026-10-01"

    def test_none_complete_says_what_each_lacks(self) -> None:
        with pytest.raises(SourceError) as caught:
            self.pick({**self.LISTED, **dated(f"{PREFIX}.xml.bz2", status="waiting")})
        message = str(caught.value)
        assert message.startswith("http://o/teawiki/\n  got     20261101: articlesmultistreamdump is waiting\n")
        assert "20261020: there is no dumpstatus.json" in message and "2026-10-01: there is no SHA256SUMS" in message

    def test_no_such_wiki(self) -> None:
        with pytest.raises(SourceError, match=r"no dump of any date(?s:.*)simplewiki for simple\.wikipedia\.org"):
            self.pick({})

    def test_a_date_that_is_not_whole_names_the_others(self) -> None:
        with pytest.raises(SourceError) as caught:
            self.pick(self.LISTED, "20261020", "multistream")
        assert str(caught.value).startswith(
            "teawiki 20261020\n  got     no complete dump: there is no dumpstatus.json"
        )
        assert "Choose another date: 20261101, 20261020." in str(caught.value)

    def test_a_named_export_may_lack_its_mark(self) -> None:
        texts = exported("p1p9")
        del texts[f"{SHARDS}/_SUCCESS"]
        assert self.pick(texts, DASHED, "content").date == DASHED

    def test_all_dates(self) -> None:
        assert list(available(self.LISTED.get, "teawiki", LAYOUTS)) == [
            ("multistream", "20261101"),
            ("multistream", "20261020"),
            ("content", "2026-11-01"),
            ("content", "2026-10-01"),
        ]
