"""The client: waits as it is told, believes no answer that is cut, and stays at the origin for hashes."""

import email.message
import email.utils
import time
import urllib.request

import pytest
from loopback_dumps import DumpServer, drops_after, gives, redirects, says, stalls_after, without_length

from gptlab.sources import SourceError
from gptlab.sources.wikipedia.download import client as client_module
from gptlab.sources.wikipedia.download.client import LONGEST_WAIT, Client, Refused, retry_after

PATH = "/teawiki/20261101/teawiki-20261101-sha1sums.txt"
TEXT = b"some hashes\n" * 500


@pytest.fixture(autouse=True)
def text(server: DumpServer) -> None:
    server.files[PATH] = TEXT


def patient(waits: list[float], **settings: float) -> Client:
    chosen = {"attempts": 4, "backoff": 0.5, "patience": 5.0, **settings}
    return Client(contact="ann@example.org", sleep=waits.append, **chosen)  # type: ignore[arg-type]


def test_waits_twice_as_long_each_time_and_as_long_as_asked(server: DumpServer) -> None:
    waits: list[float] = []
    server.fail(PATH, says(503), says(429, Retry_After="7"), says(503, Retry_After="1"))
    assert patient(waits).text(server.address + PATH) == TEXT.decode()
    assert waits == [0.5, 7.0, 2.0]


def testretry_after_as_a_date() -> None:
    def seconds(value: str) -> float | None:
        headers = email.message.Message()
        headers["Retry-After"] = value
        return retry_after(headers, 1_795_500_000.0)

    assert seconds(email.utils.formatdate(1_795_500_090, usegmt=True)) == 90.0
    assert seconds(email.utils.formatdate(1_795_500_090).replace("-0000", "")) == 90.0
    assert seconds(email.utils.formatdate(1_795_000_000, usegmt=True)) == 0.0
    assert seconds("120") == 120.0 and seconds("-5") is None and seconds("soon") is None and seconds("") is None
    assert retry_after(email.message.Message(), 0.0) is None


def test_whoever_asks_for_too_much_patience_is_believed(server: DumpServer) -> None:
    server.fail(PATH, says(429, Retry_After="7200"))
    with pytest.raises(SourceError) as caught:
        patient([]).text(server.address + PATH)
    assert "HTTP status 429 Too Many Requests, and the wish to be left alone for 7200 s" in str(caught.value)
    assert LONGEST_WAIT < 7200 and len(server.requests) == 1


def test_gives_up_after_the_attempts(server: DumpServer) -> None:
    waits: list[float] = []
    server.fail(PATH, *[says(503)] * 4)
    with pytest.raises(SourceError, match=r"HTTP status 503 Service Unavailable \(4 times\)"):
        patient(waits).text(server.address + PATH)
    assert waits == [0.5, 1.0, 2.0] and len(server.requests) == 4


@pytest.mark.parametrize("fault", [drops_after(0), drops_after(77), stalls_after(77, 0.4)])
def test_a_text_that_is_cut_is_asked_for_again(server: DumpServer, fault: object) -> None:
    server.fail(PATH, fault)  # type: ignore[arg-type]
    assert patient([], patience=0.2).text(server.address + PATH) == TEXT.decode()
    assert len(server.requests) == 2


def test_a_text_of_unknown_length(server: DumpServer) -> None:
    server.fail(PATH, without_length)
    assert patient([]).text(server.address + PATH) == TEXT.decode()


def test_nothing_there_is_none_and_a_refusal_is_an_error(server: DumpServer) -> None:
    assert patient([]).text(server.address + "/nothing") is None
    server.fail(PATH, says(403))
    with pytest.raises(SourceError, match=r"HTTP status 403(?s:.*)check that your contact is a real one"):
        patient([]).text(server.address + PATH)


def test_nobody_there() -> None:
    with pytest.raises(SourceError, match=r"a broken connection \(.*refused\) \(2 times\)"):
        patient([], attempts=2).text("http://127.0.0.1:9/x")


def test_endless_text_is_refused(server: DumpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LARGEST_TEXT", 1000)
    with pytest.raises(SourceError, match="MiB of text"):
        patient([]).text(server.address + PATH)


def test_a_server_that_drips_is_given_up(server: DumpServer) -> None:
    server.files[PATH] = b"x" * 30

    def drips(handler: object, data: bytes) -> None:
        handler.answer(200, b"", length=1000)  # type: ignore[attr-defined]
        for _ in range(20):
            handler.wfile.write(b"x")  # type: ignore[attr-defined]
            time.sleep(0.03)

    server.fail(PATH, drips)
    assert patient([], patience=0.1).text(server.address + PATH) == "x" * 30


class TestRedirects:
    def test_on_the_same_host(self, server: DumpServer) -> None:
        server.fail("/old", redirects(PATH), redirects(server.address + PATH, 301))
        for _ in range(2):
            assert patient([]).text(server.address + "/old") == TEXT.decode()

    def test_hashes_stay_at_the_origin(self, server: DumpServer) -> None:
        server.fail("/old", redirects(f"http://localhost:{server.server_port}{PATH}"))
        with pytest.raises(
            SourceError, match=r"a redirect to another host, .* where hashes must come from the origin"
        ):
            patient([]).text(server.address + "/old")
        assert len(server.requests) == 1

    def test_bytes_may_come_from_anywhere(self, server: DumpServer) -> None:
        server.fail("/old", redirects(f"http://localhost:{server.server_port}{PATH}"))
        with patient([]).ask(server.address + "/old", start=6000 - 7) as answer:
            assert b"".join(answer.chunks) == b"hashes\n" and answer.status == 206

    def test_a_measure_stays_a_measure(self, server: DumpServer) -> None:
        server.fail("/old", redirects(PATH), method="HEAD")
        assert patient([]).size(server.address + "/old") == len(TEXT)
        assert [method for method, _, _ in server.requests] == ["HEAD", "HEAD"]

    def test_never_from_https_to_http(self) -> None:
        request = urllib.request.Request("https://example.org/a")
        with pytest.raises(Refused, match="which is not https"):
            client_module._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/b")


def test_size(server: DumpServer) -> None:
    client = patient([])
    assert client.size(server.address + PATH) == len(TEXT)
    assert client.size(server.address + "/nothing") is None
    server.fail(PATH, says(501), gives(b""), method="HEAD")
    assert client.size(server.address + PATH) is None


def test_only_http_is_spoken() -> None:
    with pytest.raises((SourceError, Refused), match=r"unknown url type|broken connection"):
        patient([], attempts=1).text("file:///etc/hostname")


def test_a_stopped_client_neither_waits_nor_reads(server: DumpServer) -> None:
    client = Client(contact="ann@example.org", attempts=3, backoff=60.0, patience=5.0)
    client.stopped.set()
    began = time.monotonic()
    with pytest.raises(SourceError, match="stopped"):
        client.text(server.address + PATH)
    assert time.monotonic() - began < 5
