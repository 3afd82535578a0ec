"""One POST of JSON to an endpoint: with a deadline, without redirects, and with a key that nobody else ever sees.

The standard library's `urllib` does the work, as in downloads: proxies from the environment and the system's
certificates come with it. A key must not go where it was not sent, so redirects are refused; and what a server says
is cleaned of it before anybody reads it, because servers like to quote the key that they reject.
"""

import contextlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import attrs

from gptlab import __version__
from gptlab.sources.wikipedia.download.client import Refused, Transient, opener_for_http, retry_after

LARGEST = 16 << 20
"""Bytes of an answer; a longer one is none."""
_PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may be better next time; 409 and 425 are what some gateways say when they are busy."""
_HIDDEN = "[key]"
_LONGEST_REASON = 300


class Lost(Transient):
    """No whole answer, though the question may have been worked on, and so may be paid for."""


@attrs.frozen(kw_only=True)
class Connection:
    """Where questions go; any number of threads may use it at once.

    Attributes:
        url: the whole address.
        key: sent as a bearer token; empty: none is. It is in no representation of this value.
        timeout: seconds without a byte after which a server is taken to be gone; and as many for a body in all.
    """

    url: str
    key: str = attrs.field(default="", repr=False)
    timeout: float = 60.0
    _open: urllib.request.OpenerDirector = attrs.field(factory=opener_for_http, init=False, repr=False)

    def post(self, body: bytes) -> bytes:
        """The body of the answer.

        Raises:
            Transient: the server wants to be asked again later; nothing was worked on.
            Lost: silence, or a connection that broke.
            Refused: an answer that will not change by asking again.
        """
        headers = {"Content-Type": "application/json", "User-Agent": f"gptlab/{__version__}"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        with self._translated(), self._open.open(request, timeout=self.timeout) as response:
            return self._read(response)

    def clean(self, text: str) -> str:
        """A text without the key."""
        return text.replace(self.key, _HIDDEN) if self.key else text

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        deadline, data = time.monotonic() + self.timeout, bytearray()
        while chunk := response.read1(1 << 16):
            data += chunk
            if len(data) > LARGEST:
                raise Refused(f"an answer of more than {LARGEST >> 20} MiB", response.status)
            if time.monotonic() > deadline:
                raise Lost(f"an answer that was not whole after {self.timeout:g} s")
        if response.length:
            raise Lost(f"a connection closed {response.length} bytes before the end")
        return bytes(data)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what `urllib` raises into `Transient`, `Lost` and `Refused`."""
        try:
            yield
        except urllib.error.HTTPError as error:
            with error:
                reason = self._reason(error)
            if error.code in _PASSING or error.code >= 500:
                raise Transient(reason, retry_after(error.headers, time.time())) from None
            raise Refused(reason, error.code) from None
        except (OSError, http.client.HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise Refused(f"a certificate that is not trusted ({cause.verify_message})") from None
            if isinstance(cause, ConnectionRefusedError):
                raise Transient("a connection that was refused") from None
            if isinstance(cause, TimeoutError):
                raise Lost(f"silence for {self.timeout:g} s") from None
            raise Lost(f"a broken connection ({type(cause).__name__})") from None

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """Status and, where it is said as OpenAI says it, why; without the key."""
        said = ""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            said = str(json.loads(error.read(1 << 16))["error"]["message"])
        reason = self.clean(" ".join(f"HTTP status {error.code} {error.reason or ''}: {said}".split())).rstrip(": ")
        return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
