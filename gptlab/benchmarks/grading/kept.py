"""Answers that were paid for, on disk by the hash of the whole question: nobody pays for one twice."""

import hashlib
from pathlib import Path
from typing import Any

from gptlab.benchmarks.grading.verdicts import Reply
from gptlab.pipeline.observe import say
from gptlab.storage import (
    StorageError,
    canonical_json,
    envelope,
    from_config,
    opened,
    pretty_json,
    read_json,
    to_config,
    write_atomically,
)


def place_of(folder: Path, url: str, body: Any) -> Path:
    """Where the answer to a question is kept: another address, model, setting or word is another place.

    >>> place_of(Path("judge"), "http://a/v1", {"model": "m"}).parent.parent.name
    'judge'
    """
    digest = hashlib.sha256(canonical_json({"url": url, "body": body}).encode()).hexdigest()
    return folder / digest[:2] / f"{digest}.json"  # in small folders, which every write looks through


def keep(path: Path, reply: Reply) -> None:
    """Write an answer, whole or not at all."""
    write_atomically(path, pretty_json(envelope(to_config(reply))))


def kept(path: Path) -> Reply | None:
    """The answer that was kept; None where there is none, or a damaged one, which is asked for again."""
    if not path.exists():
        return None
    try:
        reply: Reply = from_config(opened(read_json(path), str(path), bare=False), kind=Reply)
    except StorageError as error:
        say(f"{path}: {error.got}; asked again")
        return None
    return reply
