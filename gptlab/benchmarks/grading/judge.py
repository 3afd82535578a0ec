"""Which model judges, where it is asked, what may be spent on it: a value that holds no secret.

The key is read from an environment variable when the first question is asked; the value knows the variable's name.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from gptlab.benchmarks.grading.errors import GradingError
from gptlab.storage import LOCATION
from gptlab.types.validators import Validator, at_least, one_of, satisfies

Message = Mapping[str, str]
Structured = Literal["json_schema", "json_object", "none"]
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_IS_TEMPERATURE: Validator = attrs.validators.optional(at_least(0.0, "0 is usual for judges.", error=GradingError))
_IS_LIMIT: Validator = attrs.validators.optional(at_least(1, "None is no limit.", error=GradingError))


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return url.isascii() and parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def _check_url(judge: "Judge", attribute: Any, url: str) -> None:
    if not _is_address(url):
        raise GradingError(
            "Judge.url",
            got="something else (not shown: it may hold a password)",
            wanted="an address such as https://api.openai.com/v1, without user, password or query",
            do="Give the address before /chat/completions; the key goes into an environment variable.",
        )


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def _check_key_from(judge: "Judge", attribute: Any, name: str | None) -> None:
    if name is not None and not _VARIABLE.fullmatch(name):
        raise GradingError(
            "Judge.key_from",
            got="something else (not shown: it may be a key)",
            wanted="the name of an environment variable in capitals, or None",
            do="Put the key into a variable, and name it here: key_from='OPENAI_API_KEY'.",
        )


@attrs.frozen(kw_only=True)
class Judge:
    """A model behind an OpenAI-compatible endpoint (`/chat/completions`), and how it is asked.

    Limits on what is spent hold for one call of a benchmark and are never passed: what there is no room for is not
    asked, and counted. What was answered is on disk at once, and is not asked, or paid for, again.

    Attributes:
        url: up to and without `/chat/completions`.
        model: as the endpoint calls it.
        key_from: the environment variable that has the key; None where none is wanted, as by a server of your own.
        temperature: None where a model takes none.
        max_tokens: of each verdict, thinking included.
        limit_as: how the endpoint calls that limit.
        structured: how a verdict's form is asked of the server: by its schema, as any JSON object, or by words alone;
            it is checked all the same.
        most_requests: how often the endpoint is asked at most, failures included; None: as often as needed.
        most_tokens: of questions and answers together.
        connections: questions at a time.
        timeout: seconds of silence after which a question is lost.
        attempts: how often in all a question is sent that is lost, or turned away for the moment.
        backoff: seconds before the second attempt; each following pause is twice as long. A server that says
            `Retry-After` is believed, by all connections.
        asked_again: how often a judge is asked again whose answer does not have the form.
        cache: where answers are kept.

    >>> Judge(url="http://127.0.0.1:8000/v1", model="mine", key_from=None, most_requests=100).connections
    4
    """

    url: str = attrs.field(validator=_check_url, converter=_without_slash)
    model: str = attrs.field(validator=satisfies(bool, "a name", "See the endpoint's /models.", error=GradingError))
    key_from: str | None = attrs.field(default="OPENAI_API_KEY", validator=_check_key_from)
    temperature: float | None = attrs.field(default=0.0, validator=_IS_TEMPERATURE)
    max_tokens: int = attrs.field(default=512, validator=at_least(1, error=GradingError))
    limit_as: Literal["max_tokens", "max_completion_tokens"] = attrs.field(
        default="max_tokens", validator=one_of(("max_tokens", "max_completion_tokens"))
    )
    structured: Structured = attrs.field(
        default="json_schema", validator=one_of(("json_schema", "json_object", "none"))
    )
    most_requests: int | None = attrs.field(default=None, validator=_IS_LIMIT)
    most_tokens: int | None = attrs.field(default=None, validator=_IS_LIMIT)
    connections: int = attrs.field(default=4, validator=at_least(1, at_most=64, error=GradingError))
    timeout: float = attrs.field(default=60.0, validator=at_least(0.01, error=GradingError))
    attempts: int = attrs.field(default=6, validator=at_least(1, error=GradingError))
    backoff: float = attrs.field(default=1.0, validator=at_least(0.0, error=GradingError))
    asked_again: int = attrs.field(default=2, validator=at_least(0, error=GradingError))
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    def key(self) -> str:
        """The key, from the environment; empty where none is wanted.

        Raises:
            GradingError: the variable is not set, or what it holds cannot be sent; it is not shown.
        """
        if self.key_from is None:
            return ""
        key = os.environ.get(self.key_from, "").strip()
        if not key or not re.fullmatch(r"[!-~]+", key):
            raise GradingError(
                f"the environment variable {self.key_from}",
                got="a key with characters that cannot be sent (not shown)" if key else "no key",
                wanted=f"the key of {self.url}",
                do=f"Set it: export {self.key_from}=..., or say key_from=None where none is wanted.",
            )
        return key

    def body(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> dict[str, Any]:
        """The whole question, as it is sent, and as it is known by in the cache."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            self.limit_as: self.max_tokens,
        }
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.structured == "json_schema":
            form = {"name": "verdict", "strict": True, "schema": dict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body
