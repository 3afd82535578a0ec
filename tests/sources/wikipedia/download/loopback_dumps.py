"""A server of dumps on loopback, in both layouts, that can be told to misbehave; its dumps are made here."""

import bz2
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gptlab.sources.wikipedia.download import WikipediaDownload

Fault = Callable[["Handler", bytes], None]
CONTACT = "ann@example.org"


class Handler(BaseHTTPRequestHandler):
    """Gives the files of its server, by ranges too, or does what a fault says instead."""

    protocol_version = "HTTP/1.1"
    server: "DumpServer"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path, dict(self.headers.items())))
        data = self.server.files.get(path, self.server.listing(path))
        if faults := self.server.faults.get((self.command, path)):
            faults.pop(0)(self, data or b"")
        elif data is None:
            self.answer(404, b"there is nothing here")
        else:
            self.whole_or_range(data)

    do_HEAD = do_GET

    def whole_or_range(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not asked:
            self.answer(200, data)
        elif int(asked[1]) >= len(data):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            start = int(asked[1])
            self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        if self.command == "HEAD":
            return
        with self.server.counted():  # until the last byte: when the client has that, it may ask again at once
            for begin in range(0, len(body) - 1, 4096):
                time.sleep(self.server.slow)
                self.wfile.write(body[begin : min(begin + 4096, len(body) - 1)])
        self.wfile.write(body[-1:])

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The tests look at `requests`."""


class DumpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[tuple[str, str], list[Fault]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.slow = 0.0
        self.busy = self.most_busy = 0
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._guard:
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        try:
            yield
        finally:
            with self._guard:
                self.busy -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients of these tests hang up."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self, path: str) -> bytes | None:
        """A page with a link to everything directly below a folder."""
        if not path.endswith("/"):
            return None
        below = {file.removeprefix(path) for file in self.files if file.startswith(path)}
        names = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})
        links = "".join(f'<a href="{name}">{name}</a>\n' for name in names)
        return f'<html><a href="../">../</a>\n{links}</html>'.encode() if names else None

    def fail(self, path: str, *faults: Fault, method: str = "GET") -> None:
        self.faults.setdefault((method, path), []).extend(faults)

    def asked(self, path: str = "", method: str = "GET") -> list[dict[str, str]]:
        """The headers of the requests for a path, or for all."""
        return [headers for how, where, headers in self.requests if how == method and path in ("", where)]


@contextlib.contextmanager
def serving() -> Iterator[DumpServer]:
    server = DumpServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# What a server may do instead of answering.


def drops_after(number: int) -> Fault:
    """Promises everything, gives some bytes and hangs up."""

    def fault(handler: Handler, data: bytes) -> None:
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        status, headers = 200, {}
        if start:
            status, headers = 206, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        handler.answer(status, data[start : start + number], headers, length=len(data) - start)
        handler.hang_up()

    return fault


def stalls_after(number: int, seconds: float = 1.0) -> Fault:
    def fault(handler: Handler, data: bytes) -> None:
        handler.answer(200, data[:number], length=len(data))
        handler.wfile.flush()
        time.sleep(seconds)
        handler.hang_up()

    return fault


def says(status: int, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, data: handler.answer(status, b"no", named)


def lies(content_range: str, body: bytes = b"x" * 50) -> Fault:
    """A 206 whose Content-Range is not what was asked for."""
    return lambda handler, data: handler.answer(206, body, {"Content-Range": content_range} if content_range else {})


def ignores_range(handler: Handler, data: bytes) -> None:
    handler.answer(200, data)


def spoils(handler: Handler, data: bytes) -> None:
    """The right length, and one wrong byte."""
    handler.whole_or_range(data[:-1] + bytes([data[-1] ^ 1]))


def gives(body: bytes) -> Fault:
    return lambda handler, data: handler.answer(200, body)


def redirects(address: str, status: int = 302) -> Fault:
    return lambda handler, data: handler.answer(status, b"", {"Location": address})


def without_length(handler: Handler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data)
    handler.hang_up()


def in_chunks(handler: Handler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))


# Dumps in both layouts.


def multistream_name(wiki: str, date: str, part: str = "", pages: str = "") -> str:
    return f"{wiki}-{date}-pages-articles-multistream{part}.xml{pages}.bz2"


def put_multistream(
    server: DumpServer,
    wiki: str,
    date: str,
    files: dict[str, bytes],
    *,
    status: str = "done",
    job: str = "articlesmultistreamdump",
) -> None:
    """A dated dump with its status and hashes."""
    folder = f"/{wiki}/{date}/"
    server.files |= {f"{folder}{name}": data for name, data in files.items()}
    listed = {name: {"size": len(data), "url": f"{folder}{name}", "sha1": sha1(data)} for name, data in files.items()}
    jobs = {"articlesdump": {"status": "done"}, job: {"status": status, "updated": "2026-11-02", "files": listed}}
    server.files[f"{folder}dumpstatus.json"] = json.dumps({"version": "0.8", "jobs": jobs}).encode()
    sums = f"{'0' * 40}  {wiki}-{date}-site_stats.sql.gz\n"
    sums += "".join(f"{sha1(data)}  {name}\n" for name, data in files.items())
    server.files[f"{folder}{wiki}-{date}-sha1sums.txt"] = sums.encode()


def put_content(server: DumpServer, wiki: str, date: str, shards: dict[str, bytes], *, is_done: bool = True) -> None:
    """A content file export."""
    folder = f"/other/mediawiki_content_current/{wiki}/{date}/xml/bzip2/"
    server.files |= {f"{folder}{wiki}-{date}-{pages}.xml.bz2": data for pages, data in shards.items()}
    sums = [f"{hashlib.sha256(data).hexdigest()}  {wiki}-{date}-{pages}.xml.bz2\n" for pages, data in shards.items()]
    server.files[f"{folder}SHA256SUMS"] = "".join(sums).encode()
    if is_done:
        server.files[f"{folder}_SUCCESS"] = b""


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def multistream(head: str, pages: list[tuple[str, str]], per_stream: int = 2) -> tuple[bytes, bytes]:
    """A multistream .bz2 and its index, as Wikimedia makes them: (title, page) in streams of a few pages."""
    out, index = bz2.compress(head.encode()), ""
    for begin in range(0, len(pages), per_stream):
        some = pages[begin : begin + per_stream]
        index += "".join(f"{len(out)}:{begin + number + 1}:{title}\n" for number, (title, _) in enumerate(some))
        out += bz2.compress("".join(page for _, page in some).encode())
    return out + bz2.compress(b"</mediawiki>\n"), bz2.compress(index.encode())


def download(server: DumpServer, cache: Path, **settings: Any) -> WikipediaDownload:
    """A download from this server that does not wait long."""
    settings = {"wiki": "teawiki", "contact": CONTACT, "backoff": 0.001, "patience": 5.0, "attempts": 3, **settings}
    return WikipediaDownload(origin=server.address, cache=cache, **settings)
