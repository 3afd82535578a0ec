"""Whatever a server does, the file ends whole and verified, or there is a clear error and a part to go on with."""

import contextlib
import errno
import os
import random
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_dumps import (
    DumpServer,
    Fault,
    download,
    drops_after,
    gives,
    ignores_range,
    in_chunks,
    lies,
    multistream_name,
    put_content,
    put_multistream,
    redirects,
    says,
    sha1,
    spoils,
    stalls_after,
    without_length,
)

from gptlab.pipeline.observe import watching
from gptlab.sources import SourceError
from gptlab.sources.wikipedia.download import fetching, transfer
from gptlab.storage import StorageError

DATE = "20261101"
NAME = multistream_name("teawiki", DATE)
PATH = f"/teawiki/{DATE}/{NAME}"
DATA = random.Random(0).randbytes(600_000)


class Heard:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.reports: list[tuple[str, float, float | None, str]] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        raise AssertionError(reason)

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.reports.append((task, done, total, unit))


@pytest.fixture(autouse=True)
def dump(server: DumpServer) -> None:
    put_multistream(server, "teawiki", DATE, {NAME: DATA})


def file_of(cache: Path, name: str = NAME) -> Path:
    return cache / "wikipedia" / "teawiki" / DATE / name


def part_of(cache: Path, data: bytes) -> Path:
    """A part that an earlier run has left."""
    path = file_of(cache, f"{NAME}.part")
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def is_whole(cache: Path) -> bool:
    return file_of(cache).read_bytes() == DATA and not file_of(cache, f"{NAME}.part").exists()


def test_an_honest_server_is_asked_once(server: DumpServer, tmp_path: Path) -> None:
    heard = Heard()
    with watching(heard):
        download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and len(server.asked(PATH)) == 1
    assert len(server.requests) == 4  # the list of dates, the status, the hashes, the file
    agent = server.asked(PATH)[0]["User-Agent"]
    assert agent.startswith("gptlab/") and "(ann@example.org) Python-urllib/3." in agent
    assert all(headers["User-Agent"] == agent for headers in server.asked())
    assert heard.reports[-1] == (f"download teawiki {DATE}", float(len(DATA)), float(len(DATA)), "bytes")
    done = [report[1] for report in heard.reports]
    assert done == sorted(done) and all(report[2] == len(DATA) for report in heard.reports)


def test_what_is_on_disk_is_never_fetched_again(server: DumpServer, tmp_path: Path) -> None:
    download(server, tmp_path).pre_cache()
    server.requests.clear()
    again = download(server, tmp_path, contact=None)
    again.pre_cache()
    assert again.paths == (file_of(tmp_path),) and not server.requests
    download(server, tmp_path, date=DATE, contact=None).pre_cache()
    assert not server.requests


def test_a_file_touched_or_put_there_by_hand_is_hashed_and_not_fetched(
    server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download(server, tmp_path).pre_cache()
    os.utime(file_of(tmp_path), ns=(1, 1))
    (file_of(tmp_path).parent / "verified.json").unlink()
    server.requests.clear()
    monkeypatch.setattr(transfer, "_BLOCK", 100_000)
    monkeypatch.setattr(transfer, "TELL_BYTES", 200_000)
    heard = Heard()
    with watching(heard):
        download(server, tmp_path).pre_cache()
        download(server, tmp_path).pre_cache()  # now it is known again
    assert not server.requests
    told = [(f"verify {NAME}", done, len(DATA), "bytes") for done in (200_000, 400_000, 600_000, 600_000)]
    assert heard.reports == told


@pytest.mark.parametrize("damaged", [DATA[:-1] + b"?", DATA[:1000], DATA + b"?", b""])
def test_a_file_damaged_on_disk_is_seen_and_mended(server: DumpServer, tmp_path: Path, damaged: bytes) -> None:
    download(server, tmp_path).pre_cache()
    file_of(tmp_path).write_bytes(damaged)
    heard = Heard()
    with watching(heard):
        download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and any("is not what the origin has" in line for line in heard.said)


@pytest.mark.parametrize(
    "faults",
    [
        [drops_after(100_000)],
        [drops_after(0), drops_after(1)],
        [drops_after(100_000), drops_after(200_000)],
        [says(503), says(429, Retry_After="0")],
        [says(500), says(502)],
        [stalls_after(50_000)],
        [gives(b"<html>captive portal</html>")],
        [spoils],
        [without_length],
        [in_chunks],
        [drops_after(100_000), ignores_range],
        [drops_after(100_000), lies("bytes 0-49/600000")],
        [drops_after(100_000), lies("bytes 100000-100049/99")],
        [drops_after(100_000), lies("")],
        [drops_after(100_000), lies("bytes 100000-100049/100010")],
        [drops_after(100_000), lies("bytes 100000-100049/600000", DATA[100_000:100_050])],
        [drops_after(100_000), lies("bytes 100000-100049/600000", b"y" * 50)],
        [drops_after(100_000), says(416)],
        [lies("bytes 0-49/600000")],
    ],
    ids=lambda faults: "-".join(getattr(fault, "__qualname__", "").partition(".")[0] for fault in faults),
)
def test_whole_in_the_end(server: DumpServer, tmp_path: Path, faults: list[Fault]) -> None:
    server.fail(PATH, *faults)
    download(server, tmp_path, patience=0.3).pre_cache()
    assert is_whole(tmp_path)


def test_a_dropped_connection_is_resumed_behind_the_last_byte(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, drops_after(100_000), drops_after(50_000))
    heard = Heard()
    with watching(heard):
        download(server, tmp_path).pre_cache()
    ranges = [headers.get("Range") for headers in server.asked(PATH)]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert "a connection closed after 100,000 of 600,000 bytes; asked again in 0.001 s" in heard.said[1]


def test_a_part_of_an_earlier_run_is_gone_on_with(server: DumpServer, tmp_path: Path) -> None:
    part_of(tmp_path, DATA[:400_000])
    download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and [h.get("Range") for h in server.asked(PATH)] == ["bytes=400000-"]


@pytest.mark.parametrize("left", [DATA, DATA + b"more", DATA[:-1] + b"?", b"?" + DATA[1:400_000]])
def test_a_part_that_is_whole_or_wrong(server: DumpServer, tmp_path: Path, left: bytes) -> None:
    part_of(tmp_path, left)
    download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and len(server.asked(PATH)) == {DATA: 0}.get(left, 1 + (len(left) < len(DATA)))


def test_a_plain_200_starts_over(server: DumpServer, tmp_path: Path) -> None:
    part_of(tmp_path, b"?" * 400_000)
    server.fail(PATH, ignores_range)
    download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and len(server.asked(PATH)) == 1


def test_another_file_in_answer_does_not_cost_what_has_arrived(server: DumpServer, tmp_path: Path) -> None:
    part = part_of(tmp_path, DATA[:400_000])
    server.fail(PATH, *[gives(b"<html>Sorry</html>")] * 3)
    with pytest.raises(SourceError, match=r"another file, of 18 bytes and not 600,000 \(3 times\)"):
        download(server, tmp_path).pre_cache()
    assert part.read_bytes() == DATA[:400_000]


def test_a_server_that_always_breaks_off_ends_in_an_error_and_a_part(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, *[drops_after(100_000)] * 3)
    with pytest.raises(SourceError) as caught:
        download(server, tmp_path).pre_cache()
    message = str(caught.value)
    assert message.startswith(f"{NAME}\n  got     {server.address}{PATH}: a connection closed after 100,000 of ")
    assert "(3 times)" in message and f"a file of 600,000 bytes whose sha1 is {sha1(DATA)}" in message
    assert f"it goes on where it is (300,000 bytes are kept in {NAME}.part)" in message
    assert file_of(tmp_path, f"{NAME}.part").read_bytes() == DATA[:300_000] and not file_of(tmp_path).exists()
    server.requests.clear()
    download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and [h.get("Range") for h in server.asked(PATH)] == ["bytes=300000-"]


def test_breaking_off_after_much_is_no_failure(
    server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WORTHWHILE", 50_000)
    server.fail(PATH, *[drops_after(50_000)] * 11)
    download(server, tmp_path, attempts=1).pre_cache()
    assert is_whole(tmp_path) and len(server.asked(PATH)) == 12


def test_wrong_bytes_from_the_origin_end_in_an_error_and_no_file(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, spoils, spoils)
    with pytest.raises(SourceError, match="bytes whose sha1 is another") as caught:
        download(server, tmp_path).pre_cache()
    assert "nothing was kept" in str(caught.value)
    assert not file_of(tmp_path).exists() and not file_of(tmp_path, f"{NAME}.part").exists()


def test_silence_ends_in_an_error_and_a_part(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, *[stalls_after(50_000, seconds=0.5)] * 2)
    with pytest.raises(SourceError, match=r"silence \(2 times\)"):
        download(server, tmp_path, patience=0.05, attempts=2).pre_cache()
    assert file_of(tmp_path, f"{NAME}.part").read_bytes() == DATA[:50_000]


def test_a_file_that_is_gone_is_said_at_once(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, says(404))
    with pytest.raises(SourceError, match="HTTP status 404 Not Found") as caught:
        download(server, tmp_path).pre_cache()
    assert len(server.asked(PATH)) == 1 and "--date latest" in str(caught.value)


def test_a_redirect_is_followed_and_keeps_the_range(server: DumpServer, mirror: DumpServer, tmp_path: Path) -> None:
    part_of(tmp_path, DATA[:400_000])
    mirror.files["/elsewhere"] = DATA
    server.fail(PATH, redirects(f"{mirror.address}/elsewhere", 307))
    download(server, tmp_path).pre_cache()
    assert is_whole(tmp_path) and [h.get("Range") for h in mirror.asked("/elsewhere")] == ["bytes=400000-"]


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_to_another_scheme_is_refused(server: DumpServer, tmp_path: Path, address: str) -> None:
    server.fail(PATH, redirects(address))
    with pytest.raises(SourceError, match=f"(?i)redirect.* '{address}'.* not "):
        download(server, tmp_path).pre_cache()


def test_redirects_in_a_circle_end(server: DumpServer, tmp_path: Path) -> None:
    server.fail(PATH, *[redirects(PATH)] * 9)
    with pytest.raises(SourceError, match="HTTP status 302"):
        download(server, tmp_path).pre_cache()
    assert len(server.asked(PATH)) < 8


class TestMirrors:
    def test_bytes_come_from_the_mirror_and_hashes_from_the_origin(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path
    ) -> None:
        mirror.files[f"/pub{PATH}"] = DATA
        download(server, tmp_path, mirrors=(f"{mirror.address}/pub/",)).pre_cache()
        assert is_whole(tmp_path) and not server.asked(PATH)
        assert [path for _, path, _ in mirror.requests] == [f"/pub{PATH}"]

    @pytest.mark.parametrize(
        "faults",
        [[spoils], [says(404)], [says(403)], [drops_after(200_000), lies("bytes 0-49/600000")], [drops_after(9)] * 3],
    )
    def test_a_mirror_that_fails_is_followed_by_the_origin(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path, faults: list[Fault]
    ) -> None:
        mirror.files[PATH] = DATA
        mirror.fail(PATH, *faults)
        heard = Heard()
        with watching(heard):
            download(server, tmp_path, mirrors=(mirror.address,)).pre_cache()
        assert is_whole(tmp_path) and len(server.asked(PATH)) == 1
        assert any("the next server is asked" in line for line in heard.said)

    def test_what_a_lying_mirror_gave_before_is_kept(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path
    ) -> None:
        mirror.files[PATH] = DATA
        mirror.fail(PATH, drops_after(200_000), lies("bytes 0-49/600000"))
        download(server, tmp_path, mirrors=(mirror.address,)).pre_cache()
        assert [h.get("Range") for h in server.asked(PATH)] == ["bytes=200000-"]

    def test_a_mirror_with_older_bytes_behind_a_good_beginning(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path
    ) -> None:
        """The part is the mirror's, the rest the origin's: the hash tells, and the origin gives all of it."""
        mirror.files[PATH] = b"?" * len(DATA)
        mirror.fail(PATH, *[drops_after(100_000)] * 3)
        download(server, tmp_path, mirrors=(mirror.address,)).pre_cache()
        assert is_whole(tmp_path) and [h.get("Range") for h in server.asked(PATH)] == ["bytes=300000-", None]

    def test_a_mirror_that_wants_to_be_left_alone_is(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path
    ) -> None:
        mirror.fail(PATH, says(503, Retry_After="86400"))
        download(server, tmp_path, mirrors=(mirror.address,)).pre_cache()
        assert is_whole(tmp_path) and len(mirror.requests) == 1

    def test_a_mirror_is_not_asked_as_often_as_the_origin(
        self, server: DumpServer, mirror: DumpServer, tmp_path: Path
    ) -> None:
        mirror.fail(PATH, *[says(503)] * 9)
        server.fail(PATH, *[says(503)] * 5)
        download(server, tmp_path, mirrors=(mirror.address,), attempts=6).pre_cache()
        assert len(mirror.requests) == transfer.MIRROR_ATTEMPTS and len(server.asked(PATH)) == 6

    def test_when_all_fail_each_is_named(self, server: DumpServer, mirror: DumpServer, tmp_path: Path) -> None:
        server.fail(PATH, says(403))
        with pytest.raises(SourceError) as caught:
            download(server, tmp_path, mirrors=(mirror.address,)).pre_cache()
        assert f"{mirror.address}{PATH}: HTTP status 404 Not Found\n" in str(caught.value)
        assert f"{server.address}{PATH}: HTTP status 403 Forbidden\n" in str(caught.value)


class TestDisk:
    def test_room_is_looked_for_first(
        self, server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        part_of(tmp_path, DATA[:100_000])
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 499_999))
        with pytest.raises(SourceError) as caught:
            download(server, tmp_path).pre_cache()
        assert "0.00 GB free on that disk" in str(caught.value) and not server.asked(PATH)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 500_000))
        download(server, tmp_path).pre_cache()
        assert is_whole(tmp_path)

    def test_a_disk_that_fills_up_keeps_the_part(
        self, server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Full:
            """A file on a disk that takes 300,000 bytes, the last write in part."""

            def __init__(self, file: Any) -> None:
                self.file = file

            def write(self, data: memoryview) -> int:
                room = 300_000 - self.file.tell()
                if room <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written: int = self.file.write(data[:room])
                return written

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

        opened = transfer._opened

        @contextlib.contextmanager
        def on_full_disk(part: Path, first: int) -> Iterator[Any]:
            with opened(part, first) as out:
                yield Full(out)

        monkeypatch.setattr(transfer, "_opened", on_full_disk)
        with pytest.raises(StorageError, match="No space left on device"):
            download(server, tmp_path).pre_cache()
        assert file_of(tmp_path, f"{NAME}.part").read_bytes() == DATA[:300_000]
        monkeypatch.undo()
        monkeypatch.setenv("no_proxy", "*")
        download(server, tmp_path).pre_cache()
        assert is_whole(tmp_path) and server.asked(PATH)[-1]["Range"] == "bytes=300000-"

    def test_a_cache_that_cannot_be_written_is_an_error(self, server: DumpServer, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match=r"Not a directory|File exists"):
            download(server, tmp_path / "file").pre_cache()
        assert not server.requests


SHARDS = {f"p{k}01p{k + 1}00": random.Random(k).randbytes(150_000) for k in range(6)}


class TestConnections:
    @pytest.mark.parametrize("connections", [1, 2])
    def test_never_more_than_asked_for(self, server: DumpServer, tmp_path: Path, connections: int) -> None:
        put_content(server, "teawiki", "2026-11-01", SHARDS)
        server.slow = 0.0005
        wanted = download(server, tmp_path, date="2026-11-01", connections=connections)
        wanted.pre_cache()
        assert server.most_busy == connections
        assert [path.read_bytes() for path in wanted.paths] == list(SHARDS.values())

    def test_two_downloads_into_one_cache_take_turns(self, server: DumpServer, tmp_path: Path) -> None:
        server.slow = 0.0005
        put_multistream(server, "milkwiki", DATE, {multistream_name("milkwiki", DATE): DATA})
        heard = Heard()

        def fetch(wiki: str) -> None:
            with watching(heard):
                download(server, tmp_path, wiki=wiki).pre_cache()

        threads = [threading.Thread(target=fetch, args=(wiki,)) for wiki in ("teawiki", "milkwiki", "teawiki")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_busy == 1 and is_whole(tmp_path) and len(server.asked(PATH)) == 1
        assert any("another process is downloading" in line for line in heard.said)

    def test_the_first_error_stops_the_others(self, server: DumpServer, tmp_path: Path) -> None:
        put_content(server, "teawiki", "2026-11-01", SHARDS)
        folder = "/other/mediawiki_content_current/teawiki/2026-11-01/xml/bzip2"
        server.fail(f"{folder}/teawiki-2026-11-01-p001p100.xml.bz2", says(403))
        server.slow = 0.002
        with pytest.raises(SourceError, match="403"):
            download(server, tmp_path, date="2026-11-01", connections=2).pre_cache()
        assert len(server.asked()) < 4 + len(SHARDS)

    def test_progress_is_told_a_few_times_a_second(
        self, server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert fetching.TELL_EVERY >= 0.1
        monkeypatch.setattr(fetching, "TELL_EVERY", 1e9)
        heard = Heard()
        with watching(heard):
            download(server, tmp_path).pre_cache()
        assert len(heard.reports) == 2


def test_another_range_than_asked_for_is_not_written(server: DumpServer, tmp_path: Path) -> None:
    part_of(tmp_path, DATA[:400_000])
    server.fail(PATH, lies("bytes 0-49/600000"))
    heard = Heard()
    with watching(heard):
        download(server, tmp_path).pre_cache()
    assert "bytes from 400000 asked for, Content-Range 'bytes 0-49/600000' answered" in heard.said[1]
    assert [h.get("Range") for h in server.asked(PATH)] == ["bytes=400000-", None] and is_whole(tmp_path)


def test_a_plain_200_that_breaks_off_leaves_only_its_own_bytes(server: DumpServer, tmp_path: Path) -> None:
    part = part_of(tmp_path, b"?" * 400_000)
    server.fail(PATH, stalls_after(100_000, seconds=0.0))
    with pytest.raises(SourceError, match="a connection closed after 100,000 of 600,000 bytes"):
        download(server, tmp_path, attempts=1).pre_cache()
    assert part.read_bytes() == DATA[:100_000]
