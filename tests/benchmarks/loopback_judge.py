"""An OpenAI-compatible endpoint on loopback that judges by a rule of the test, and can be told to misbehave."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rule = Callable[[dict[str, Any]], str]
Fault = Callable[["Handler"], None]
KEY = "sk-Sesame0pen1234567890"
"""Nobody may see it."""
TOKENS = 50
"""What every answer costs here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "JudgeServer"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        with self.server.guard:
            self.server.bodies.append(body)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.server.times.append(time.monotonic())
            self.server.paths.append(self.path)
            self.server.busy += 1
            self.server.most_busy = max(self.server.busy, self.server.most_busy)
            fault = self.server.faults.pop(0) if self.server.faults else None
        try:
            time.sleep(self.server.slow)
            if fault is not None:
                fault(self)
            else:
                self.complete(self.server.rule(body))
        finally:
            with self.server.guard:
                self.server.busy -= 1

    def complete(self, text: str | None, *, ended: str = "stop", usage: Any = None) -> None:
        """A chat completion."""
        usage = {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": TOKENS} if usage is None else usage
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": ended}
        self.answer(200, json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode())

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The tests look at `bodies`."""


class JudgeServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, rule: Rule) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rule, self.faults = rule, list[Fault]()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.paths: list[str] = []
        self.slow = 0.0
        self.busy = self.most_busy = 0
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients of these tests hang up."""


@contextlib.contextmanager
def serving(rule: Rule) -> Iterator[JudgeServer]:
    server = JudgeServer(rule)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(body: dict[str, Any]) -> dict[str, Any]:
    """The object that a question shows to the judge."""
    return dict(json.loads(body["messages"][1]["content"]))


def verdict(choice: Any, name: str = "score") -> str:
    return json.dumps({"reason": "Because.", name: choice})


# What a server may do instead of judging.


def says(status: int, body: bytes = b"no", **headers: str) -> Fault:
    return lambda handler: handler.answer(status, body, {name.replace("_", "-"): v for name, v in headers.items()})


def writes(text: str | None, **how: Any) -> Fault:
    """A completion of this text."""
    return lambda handler: handler.complete(text, **how)


def stalls(seconds: float) -> Fault:
    def fault(handler: Handler) -> None:
        time.sleep(seconds)
        handler.hang_up()

    return fault


def drops(handler: Handler) -> None:
    """Not a byte."""
    handler.hang_up()


def drops_within(handler: Handler) -> None:
    """Half an answer."""
    handler.answer(200, b'{"choices": [', length=500)
    handler.hang_up()


def drips(handler: Handler) -> None:
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    handler.hang_up()
