"""What a hub's answer means to a person, in four parts; never with the token, never with a signed address."""

import re
from typing import Any

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gptlab.storage.errors import StorageError

_LOGIN = "Make a token on the hub's settings page, then log in with `hf auth login`, or set HF_TOKEN."
_BY_STATUS = {
    400: (
        "a request that the hub accepts",
        "Read what the hub says; a model card's header must be valid YAML.",
    ),
    401: ("a valid token", _LOGIN),
    402: ("a plan that allows it", "Look at the billing page of the account, or choose another owner."),
    403: (
        "a token that may do this",
        "Give the token write access to this owner's repositories, or choose a repository of your own.",
    ),
    404: ("a repository that exists and that the token may see", "Look at the name, and at who is logged in."),
    409: ("no other upload at the same time", "Wait until the other one has ended, then start it again."),
    412: ("no other upload at the same time", "Wait until the other one has ended, then start it again."),
    413: ("files within the hub's limits", "Save the weights in smaller shards."),
    429: ("fewer requests", "Wait, then start it again: what was sent or fetched is not sent or fetched twice."),
}
_BROKEN = (
    "a hub that works",
    "Look at its status page, and start it again later: what was sent or fetched is not sent or fetched twice.",
)
_NETWORK = (
    "a connection to the hub",
    "Look at the network, the proxy and HF_ENDPOINT, and start it again: what was sent or fetched is kept. "
    "Set HF_HUB_OFFLINE=1 to load from the cache only.",
)
# In this order: the later kinds hold the earlier ones. The hub says the same of a repository that does not exist and
# of one that the token may not see.
_BY_KIND: tuple[tuple[type[BaseException], tuple[str, str]], ...] = (
    (OfflineModeIsEnabled, ("a connection to the hub", "Unset HF_HUB_OFFLINE; nothing was sent.")),
    (GatedRepoError, ("a token whose owner was let in", "Ask for access on its page, then log in: hf auth login.")),
    (RevisionNotFoundError, ("a branch, tag or commit of the repository", "See its history; the default is `main`.")),
    (EntryNotFoundError, ("a file of the repository", "Look at the files of that revision.")),
    (RepositoryNotFoundError, _BY_STATUS[404]),
    (PermissionError, _BY_STATUS[403]),  # of the transfer of large files
)
_LONGEST = 400


def explained(error: BaseException, *, doing: str, token: str | None) -> StorageError:
    """The one error that ends the work.

    Args:
        error: what the hub's library raised, unwrapped.
        doing: the step.
        token: is cut out of whatever the server said.

    >>> print(explained(ConnectionResetError("reset by peer"), doing="ask for a/b", token=None))
    hub: ask for a/b
      got     ConnectionResetError: reset by peer
      wanted  a connection to the hub
      Look at the network, ...
    """
    got, (wanted, do) = _parts(error)
    wait = retry_after(error)
    if wait:
        do = f"Start it again in {wait:,.0f} seconds. {do}"
    return StorageError(f"hub: {doing}", got=scrubbed(got, token), wanted=wanted, do=do)


def _parts(error: BaseException) -> tuple[str, tuple[str, str]]:
    status = status_of(error)
    said = str(getattr(error, "server_message", None) or "")
    got = f"the answer {status}" + (f": {said}" if said else "")
    for kind, remedy in _BY_KIND:
        if isinstance(error, kind):
            return got if status is not None else str(error), remedy
    if status is not None:
        return got, _BY_STATUS.get(status, _BROKEN)
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name, _BROKEN if isinstance(error, ValueError) else _NETWORK


def scrubbed(text: str, token: str | None) -> str:
    """A server's text without the token and without the signatures of addresses, and not too long.

    >>> scrubbed("GET http://h/x?X-Signature=abc failed for hf_secret", "hf_secret")
    'GET http://h/x?... failed for <token>'
    """
    if token:
        text = text.replace(token, "<token>")
    text = re.sub(r"hf_[A-Za-z0-9]{8,}", "<token>", text)
    text = re.sub(r"(https?://[^\s?]+)\?[^\s'\")]+", r"\1?...", text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def status_of(error: BaseException) -> int | None:
    """The status code of an answer, where there was one.

    >>> status_of(ConnectionError("Request error: HTTP status client error (401 Unauthorized), domain: http://h/x"))
    401
    """
    response: Any = getattr(error, "response", None)
    if isinstance(error, HfHubHTTPError) and response is not None:
        return int(response.status_code)
    # The transfer of large files (Xet) has no errors of its own for answers, and says the status in words.
    said = (
        re.search(r"HTTP status \w+ error \((\d{3})\b", str(error))
        if isinstance(error, OSError | RuntimeError)
        else None
    )
    return int(said[1]) if said else None


def retry_after(error: BaseException) -> float | None:
    """Seconds that the server asks to wait, where it says so."""
    response: Any = getattr(error, "response", None)
    said = str(response.headers.get("Retry-After", "")) if response is not None else ""
    return float(said) if said.isdigit() and len(said) < 8 else None
