"""Trying again: what is worth it, how long, and then one error.

`huggingface_hub` tries some of its calls again and not others (making a repository, asking for its files and the
commit are tried once). So every step here is one that may be repeated without harm, and is repeated here: on a busy
or broken server (408, 425, 429, 5xx), on a cut connection, and on a commit that came between (409, 412). Anything
else (no permission, no such repository) will not be better for waiting.
"""

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from gptlab.pipeline.observe import say
from gptlab.storage.errors import StorageError, disk_error, is_disk_error
from gptlab.storage.hub.explain import explained, retry_after, status_of
from gptlab.types.validators import at_least

T = TypeVar("T")

_WORTH_A_TRY = {408, 409, 412, 425, 429, 500, 502, 503, 504}
# The HTTP library differs between releases of huggingface_hub; what its errors derive from does not.
_ANY_HTTP_ERROR: type[BaseException] = HfHubHTTPError.__mro__[1]


@attrs.frozen(kw_only=True)
class Patience:
    """How often and how long to try.

    Attributes:
        attempts: of each step, the first included.
        first_wait: seconds before the second; each later wait is twice as long.
        longest_wait: seconds; a server that asks for more (`Retry-After`) is believed, and the work ends with an
            error that says when to come back.

    >>> list(Patience(attempts=4, first_wait=1.0, longest_wait=3.0).waits())
    [1.0, 2.0, 3.0]
    """

    attempts: int = attrs.field(default=5, validator=at_least(1))
    first_wait: float = attrs.field(default=1.0, validator=at_least(0.0))
    longest_wait: float = attrs.field(default=120.0, validator=at_least(0.0))

    def waits(self) -> Iterator[float]:
        """Seconds between the attempts."""
        for attempt in range(self.attempts - 1):
            yield min(self.first_wait * 2**attempt, self.longest_wait)


def patiently(
    call: Callable[[], T],
    *,
    doing: str,
    token: str | None,
    patience: Patience,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """What the call gives, after as many attempts as are worth it.

    Args:
        call: a step that may be repeated.
        doing: what it is, for messages: `upload model.safetensors to owner/name`.
        token: kept out of every message.
        patience: how often.
        sleep: waits for some seconds.

    Raises:
        StorageError: it did not work; says why and what to do.
    """
    waits = patience.waits()
    while True:
        try:
            with _quietly():
                return call()
        except StorageError:
            raise
        except (_ANY_HTTP_ERROR, OSError, RuntimeError, json.JSONDecodeError, ValueError) as raised:
            error = _innermost(raised)
            if isinstance(error, OSError) and is_disk_error(error) and status_of(error) is None:
                raise disk_error(Path(str(error.filename or ".")), error) from error
            asked = retry_after(error)
            pause = next(waits, None)
            if pause is None or not _is_worth_a_try(error) or (asked or 0) > patience.longest_wait:
                problem = explained(error, doing=doing, token=token)
                # A server may send the token back in what it says: then even the cause must not be shown.
                raise problem from (None if token and token in repr(raised) + repr(error) else raised)
            say(f"hub: {doing}: {status_of(error) or type(error).__name__}; trying again")
            sleep(max(pause, asked or 0))


def _innermost(error: BaseException) -> BaseException:
    """What really happened, below the library's own wrapping of it."""
    while error.__cause__ is not None and isinstance(error, RuntimeError | LocalEntryNotFoundError):
        error = error.__cause__
    return error


def _is_worth_a_try(error: BaseException) -> bool:
    status = status_of(error)
    if status is not None:
        return status in _WORTH_A_TRY
    if isinstance(error, json.JSONDecodeError):
        return True  # a proxy's page in place of the hub's answer
    if isinstance(error, PermissionError | FileNotFoundError | ValueError):
        return False
    return isinstance(error, _ANY_HTTP_ERROR | ConnectionError | TimeoutError | RuntimeError | OSError)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """No bars of the library's own on a console that has ours, and its warnings as messages."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mute = not are_progress_bars_disabled()
        if mute:
            disable_progress_bars()
        try:
            yield
        finally:
            if mute:
                enable_progress_bars()
    for warning in caught:
        say(f"hub: {str(warning.message)[:300]}")
