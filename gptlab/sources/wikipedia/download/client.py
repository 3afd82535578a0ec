"""A polite HTTP client: says who asks, waits when told to, gives up on a silent server, and goes where it was sent.

The standard library's `urllib` does the work: proxies from the environment and the system's certificates come with
it, and one request at a time is all that is wanted. Only http and https are spoken, whatever a redirect says.
Wikimedia refuses clients without a descriptive User-Agent (dumps too, since June 2026); its form follows
https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy
"""

import contextlib
import email.message
import email.utils
import http.client
import platform
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

from gptlab import __version__
from gptlab.pipeline.observe import say
from gptlab.sources.errors import SourceError

CHUNK = 1 << 18
"""Bytes per read: what arrives is on disk within a quarter of a MiB."""
LARGEST_TEXT = 64 << 20
"""A listing, a status or a list of hashes that is longer is none."""
LONGEST_WAIT = 600.0
"""Seconds that a server may ask to wait; whoever asks for more is believed, and asked again by a later run."""
MOST_REDIRECTS = 5
SLOWEST = 100
"""Bytes per second below which a server only drips, and is taken to be gone."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
T = TypeVar("T")


class Transient(Exception):  # noqa: N818 - it becomes a message or an error in four parts
    """Something that may be better next time; `wait` is the pause that the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Refused(Exception):  # noqa: N818 - as above
    """An answer that will not change by asking again; `status` is 0 where there was no answer."""

    def __init__(self, reason: str, status: int = 0, headers: email.message.Message | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = email.message.Message() if headers is None else headers


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects to http(s), never from https to http, and only within the host where that is asked."""

    max_redirections = MOST_REDIRECTS
    max_repeats = 2

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows, or an error that says why there is none."""
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        allowed = ("https",) if old.scheme == "https" else ("http", "https")
        if new.scheme not in allowed:
            raise Refused(f"a redirect to {newurl!r}, which is not {' or '.join(allowed)}", code)
        if getattr(req, "stays", False) and old.hostname != new.hostname:
            raise Refused(f"a redirect to another host, {newurl!r}, where hashes must come from the origin", code)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.method = req.get_method()
            following.stays = getattr(req, "stays", False)  # type: ignore[attr-defined]
        return following


def opener_for_http(*redirects: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Only what http and https need: no file:, ftp: or data:.

    Args:
        redirects: what follows redirects; without it none is followed.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()),
        *(urllib.request.HTTPDefaultErrorHandler(), *redirects, urllib.request.HTTPErrorProcessor()),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


@attrs.frozen(kw_only=True)
class Answer:
    """A server's answer, its body unread."""

    status: int
    headers: email.message.Message
    chunks: Generator[bytes, None, None]

    @property
    def length(self) -> int | None:
        """Bytes that the body will have; None where the server does not say."""
        return whole_number(self.headers.get("Content-Length"))


@attrs.frozen(kw_only=True)
class Client:
    """Asks servers one thing at a time.

    Attributes:
        contact: who asks: an address of mail, a web page, a user page.
        attempts: how often in all something is asked for that fails and may pass.
        backoff: seconds of the first pause; each following one is twice as long.
        patience: seconds without a byte after which a server is taken to be gone.
        stopped: set to end all waiting and reading.
        sleep: waits; until `stopped`, where none is given.
    """

    contact: str
    attempts: int
    backoff: float
    patience: float
    stopped: threading.Event = attrs.field(factory=threading.Event)
    sleep: Callable[[float], object] | None = None
    _open: urllib.request.OpenerDirector = attrs.field(factory=lambda: opener_for_http(_Redirects()), init=False)

    @property
    def user_agent(self) -> str:
        """`gptlab/<version> (<contact>) Python-urllib/<version>`."""
        return f"gptlab/{__version__} ({self.contact}) Python-urllib/{platform.python_version()}"

    def text(self, url: str) -> str | None:
        """The text at `url` on that very host, or None where there is nothing; asked for again where that may help.

        Raises:
            SourceError: it cannot be had.
        """
        try:
            return self._insist(url, lambda: self._text(url))
        except Refused as refused:
            if refused.status in (404, 410):
                return None
            raise unobtainable(url, str(refused), refused.status) from None

    def size(self, url: str) -> int | None:
        """Bytes of the file at `url`, or None where the server does not say."""

        def ask() -> int | None:
            with self.ask(url, method="HEAD", stays=True) as answer:
                return answer.length

        try:
            return self._insist(url, ask)
        except Refused:
            return None

    @contextlib.contextmanager
    def ask(self, url: str, *, start: int = 0, method: str = "GET", stays: bool = False) -> Iterator[Answer]:
        """One request and its answer; what fails while the body is read comes out of `chunks`.

        Args:
            start: the first byte wanted.
            stays: refuse redirects to other hosts.

        Raises:
            Transient, Refused: there is no answer of 2xx.
        """
        headers = {"User-Agent": self.user_agent, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        request = urllib.request.Request(url, headers=headers, method=method)
        request.stays = stays  # type: ignore[attr-defined]
        with _translated():
            response = self._open.open(request, timeout=self.patience)
        with response, contextlib.closing(self._chunks(response)) as chunks:
            yield Answer(status=response.status, headers=response.headers, chunks=chunks)

    def pause(self, failures: int, asked: float | None, url: str, reason: str) -> None:
        """Wait before asking again: as long as the server asked for, at least twice as long each time.

        Raises:
            Refused: the server asks for more patience than a run has.
        """
        if asked is not None and asked > LONGEST_WAIT:
            raise Refused(f"{reason}, and the wish to be left alone for {asked:.0f} s")
        seconds = min(max(self.backoff * 2 ** (failures - 1), asked or 0.0), LONGEST_WAIT)
        say(f"{url}: {reason}; asked again in {seconds:.3g} s")
        (self.sleep or self.stopped.wait)(seconds)

    def _insist(self, url: str, ask: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return ask()
            except Transient as transient:
                failures += 1
                if failures >= self.attempts:
                    raise unobtainable(url, f"{transient} ({failures} times)") from None
                self.pause(failures, transient.wait, url, str(transient))

    def _text(self, url: str) -> str:
        with self.ask(url, stays=True) as answer:
            data = bytearray()
            for chunk in answer.chunks:
                data += chunk
                if len(data) > LARGEST_TEXT:
                    raise Refused(f"more than {LARGEST_TEXT >> 20} MiB of text", answer.status)
            if answer.length is not None and len(data) != answer.length:
                raise Transient(f"a connection closed after {len(data)} of {answer.length} bytes")
        return data.decode("utf-8", "replace")

    def _chunks(self, response: http.client.HTTPResponse) -> Generator[bytes, None, None]:
        """The body as it arrives. A server that only drips is gone as well."""
        since, heard = time.monotonic(), 0
        while not self.stopped.is_set():
            with _translated():
                chunk = response.read1(CHUNK)
            if not chunk:
                return
            if self.stopped.is_set():
                break
            yield chunk
            heard += len(chunk)
            if (now := time.monotonic()) - since > self.patience:
                if heard < SLOWEST * self.patience:
                    raise Transient(f"{heard} bytes in {now - since:.0f} s")
                since, heard = now, 0
        raise Transient("the download was stopped")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what `urllib` raises into `Transient` and `Refused`."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            reason = f"HTTP status {error.code} {error.reason or ''}".strip()
            if error.code in _PASSING:
                raise Transient(reason, retry_after(error.headers, time.time())) from None
            raise Refused(reason, error.code, error.headers) from None
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Refused(f"a certificate that is not trusted ({cause.verify_message})") from None
        if isinstance(cause, TimeoutError):
            raise Transient("silence") from None
        raise Transient(f"a broken connection ({cause or type(error).__name__})") from None


def retry_after(headers: email.message.Message, now: float) -> float | None:
    """Seconds, from a number of them or from a date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After")
    if (seconds := whole_number(value)) is not None:
        return float(seconds)
    try:
        when = email.utils.parsedate_to_datetime(value or "")
    except ValueError:
        return None
    moment = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())


def whole_number(value: str | None) -> int | None:
    """A number of bytes or seconds in a header; None for anything else.

    >>> whole_number(" 12 "), whole_number("-1"), whole_number(None)
    (12, None, None)
    """
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def unobtainable(url: str, reason: str, status: int = 0) -> SourceError:
    """The error of a server that does not give what it is asked for."""
    do = "Start the same command again later: it goes on where it is."
    if status in (401, 403):
        do = "Wikimedia refuses unnamed clients and blocked addresses: check that your contact is a real one."
    elif not status and "certificate" in reason:
        do = "Check the clock and the certificates of this machine, or whether a proxy stands between."
    return SourceError(url, got=reason, wanted="an answer", do=do)
