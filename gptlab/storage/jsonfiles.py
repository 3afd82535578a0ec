"""JSON as this project reads it: strict, and bounded before it is believed.

The standard parser takes `NaN`, keeps the last of two equal keys, and recurses as deep as a hostile file asks.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from gptlab.storage.errors import StorageError

DEEPEST = 64
LARGEST = 16 << 20
_WIDEST = 1 << 64


def read_json(path: Path, *, largest: int = LARGEST) -> Any:
    """The content of a JSON file, or an error that names the file.

    Args:
        path: the file.
        largest: bytes; a longer file is not read.

    Raises:
        StorageError: the file is missing, too long or not strict JSON.
    """
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise StorageError(
            path,
            got=error.strerror or str(error),
            wanted="a JSON file",
            do="Look whether the folder is the right one.",
        ) from error
    if len(data) > largest:
        raise StorageError(
            path,
            got=f"more than {largest:,} bytes",
            wanted="a configuration of a sane size",
            do="Do not trust this file.",
        )
    return parse_json(data, str(path))


def parse_json(data: str | bytes, where: str = "JSON") -> Any:
    """Parse strictly: UTF-8, no `NaN`, no double keys, numbers within 64 bits, nested 64 deep at most.

    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_int=_int,
            parse_float=_float,
            object_pairs_hook=_no_double_keys,
        )
        check_depth(value)
    except RecursionError as error:
        raise _bad(where, f"values nested deeper than {DEEPEST}") from error
    except ValueError as error:
        raise _bad(where, str(error)) from error
    return value


def check_depth(value: Any, depth: int = 0) -> None:
    """Refuse values that nest deeper than any configuration does, before anything recurses into them."""
    if depth > DEEPEST:
        raise ValueError(f"values nested deeper than {DEEPEST}")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            check_depth(inner, depth + 1)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, ASCII.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def pretty_json(value: Any) -> str:
    """The text that people read and compare line by line."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _bad(where: str, got: str) -> StorageError:
    return StorageError(
        where, got=got, wanted="strict JSON", do="Restore the file as it was saved, or save it again."
    )


def _no_constant(name: str) -> None:
    raise ValueError(f"the number {name}, which JSON does not have")


def _int(digits: str) -> int:
    if len(digits) > 21 or abs(number := int(digits)) >= _WIDEST:
        raise ValueError(f"a number of {len(digits)} digits")
    return number


def _float(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"the number {digits[:20]}, which is beyond 64 bits")
    return number


def _no_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r:.80} twice")
    return found
