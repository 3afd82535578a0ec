"""From values to JSON, and from values to fingerprints.

Every attrs value is written with its run-time class (`"class": import path`), so a field typed by a Protocol keeps
what it holds. What JSON does not have is tagged, unless the field's type already says it:

    attrs value    {"class": "gptlab.packing.Pack", "seq_len": 2048}
    function       {"function": "recipes.mine.lower"}
    bound method   {"method": "forward", "of": {...}}
    Path, enum     "cache", "RED" in fields so typed; {"path": "cache"}, {"enum": "gptlab.x.Colour", "name": "RED"}
    tuple          a list; frozenset: a sorted list in a field so typed, else {"frozenset": [...]}
"""

import collections.abc
import enum
import hashlib
import math
import types
import typing
from collections.abc import Callable, Mapping, Set
from pathlib import Path, PurePath
from typing import Any

import attrs
import numpy as np

from gptlab.storage.errors import StorageError
from gptlab.storage.hints import field_hints, item_hint, plain
from gptlab.storage.jsonfiles import canonical_json
from gptlab.storage.names import name_of

LOCATION: Mapping[str, bool] = types.MappingProxyType({"gptlab.location": True})
"""`attrs.field(metadata=LOCATION)`: where something is kept, which does not change what it is."""

Special = Callable[[Any, tuple[str, ...]], Any]
"""Gives the JSON of values that need more than JSON (or None to go on as usual), told the path of the value."""

_TAGS = ("class", "function", "method", "path", "enum", "frozenset", "array")


def to_config(value: Any) -> Any:
    """The JSON of a value, from which `from_config` makes an equal one.

    Raises:
        StorageError: something in it is no configuration: an array, an open file, a local class or a lambda.

    >>> from gptlab.types import Prompt
    >>> to_config(Prompt(text="Once"))["class"]
    'gptlab.types.Prompt'
    """
    return encode(value, _refuse_files)


def fingerprint(value: Any) -> str:
    """16 hex digits that say what a value is, equal for equal values, in every process and on every machine.

    Fields marked `LOCATION` are left out. A value with a method `content_fingerprint() -> str` (a source that reads
    a file, a tokenizer with ranks) has its answer taken in.

    >>> from gptlab.types import Prompt
    >>> fingerprint(Prompt(text="a")) == fingerprint(Prompt(text="a")) != fingerprint(Prompt(text="b"))
    True
    """
    return _sha256(canonical_json(encode(value, _identity)).encode())[:16]


def describe(value: Any) -> Any:
    """JSON that tells people and comparisons all about a value; arrays, ranks and weights appear by a hash.

    Unlike `to_config` it takes values that need files, and cannot be read back.

    >>> describe((1, np.zeros(2)))[1]["array"]
    ['<f8', 2]
    """
    return encode(value, _described)


def encode(value: Any, special: Special, hint: Any = Any, path: tuple[str, ...] = ()) -> Any:
    """The JSON of a value in a field of type `hint`, at `path` from the top."""
    if (done := special(value, path)) is not None:
        return done
    hint = plain(hint)
    if isinstance(value, enum.Enum):
        return value.name if hint is type(value) else {"enum": _name(type(value), path), "name": value.name}
    if isinstance(value, float) or (hint is float and type(value) is int):
        return _float(float(value))
    if value is None or isinstance(value, bool | str | int):
        return _atom(value, path)
    if attrs.has(type(value)):
        return _attrs(value, special, path)
    return _compound(value, special, hint, path)


def _compound(value: Any, special: Special, hint: Any, path: tuple[str, ...]) -> Any:
    """Containers, and what JSON needs a tag for."""
    encoded: Any = None
    match value:
        case PurePath():
            encoded = str(value) if hint is Path else {"path": str(value)}
        case tuple() | list():
            if isinstance(value, list) and (typing.get_origin(hint) or hint) is not list:
                raise _refused(path, value, "a tuple where the field's type does not say list", "Use a tuple.")
            encoded = [encode(item, special, item_hint(hint, i), (*path, str(i))) for i, item in enumerate(value)]
        case Set():
            inner = [encode(item, special, item_hint(hint, 0), (*path, str(i))) for i, item in enumerate(value)]
            inner.sort(key=canonical_json)
            encoded = inner if typing.get_origin(hint) in (frozenset, collections.abc.Set) else {"frozenset": inner}
        case Mapping():
            encoded = _mapping(value, special, hint, path)
        case types.FunctionType():
            encoded = {"function": _name(value, path)}
        case types.MethodType():
            owner = encode(value.__self__, special, Any, (*path, "of"))
            encoded = {"method": value.__name__, "of": owner}
        case _:
            wanted = "an attrs value, a module-level function, or plain data"
            raise _refused(path, value, wanted, "Make its class attrs.frozen, or save it by its own save_to_dir.")
    return encoded


def _attrs(value: Any, special: Special, path: tuple[str, ...], skip: Callable[[Any], bool] | None = None) -> Any:
    hints = field_hints(type(value))
    encoded = {"class": _name(type(value), path)}
    for field in attrs.fields(type(value)):
        if field.init and not (skip and skip(field)):
            at = (*path, field.alias)
            encoded[field.alias] = encode(getattr(value, field.name), special, hints[field.name], at)
    return encoded


def _mapping(value: Mapping[Any, Any], special: Special, hint: Any, path: tuple[str, ...]) -> Any:
    for key in value:
        if type(key) is not str:
            raise _refused(path, key, "keys of type str", "Use a tuple of pairs for other keys.")
    if hint is Any and any(tag in value for tag in _TAGS):
        raise _refused(path, value, f"a mapping without the keys {', '.join(_TAGS)}", "Name the key otherwise.")
    return {key: encode(item, special, item_hint(hint, 1), (*path, key)) for key, item in value.items()}


def saves_itself(value: Any) -> bool:
    """Whether a value has methods of its own for saving and loading, because it is more than its fields."""
    own = getattr(type(value), "save_to_dir", None)
    # A class may take gptlab.storage.save_to_dir itself as its method: that one writes the fields.
    by_fields = getattr(own, "__module__", "") == "gptlab.storage.saving"
    return own is not None and not by_fields and hasattr(type(value), "load_from_dir")


def _refuse_files(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, np.ndarray) or saves_itself(value):
        wanted = "a value that is all configuration; this one needs files"
        raise _refused(path, value, wanted, "Use save_to_dir, or gptlab.storage.describe to write it for people.")


def _identity(value: Any, path: tuple[str, ...]) -> Any:
    """What a value is, where that is more or less than its configuration."""
    content = getattr(type(value), "content_fingerprint", None)
    if content or not saves_itself(value):
        described = _described(value, path)
        if described is not None or not attrs.has(type(value)):
            return described
    elif not attrs.has(type(value)):
        return None  # weights that cannot say what they are: refused further on
    encoded = _attrs(value, _identity, path, skip=lambda field: "gptlab.location" in field.metadata)
    return {**encoded, "content": content(value)} if content else encoded


def _described(value: Any, path: tuple[str, ...]) -> Any:
    """Arrays and values with files of their own, by their content where they can say what it is."""
    if isinstance(value, np.ndarray):
        return {"array": [value.dtype.str, *value.shape], "sha256": _sha256(value.tobytes())}
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": _sha256(value)}
    if saves_itself(value):
        content = getattr(type(value), "content_fingerprint", None)
        return {"class": name_of(type(value)), "content": content(value) if content else None}
    return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _atom(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, int) and abs(value) >= 1 << 64:
        raise _refused(path, value, "an int within 64 bits", "Use a smaller number.")
    return value


def _float(value: float) -> Any:
    """Minus zero equals zero, so both are written alike; what JSON lacks is written as a word."""
    return value + 0.0 if math.isfinite(value) else str(value)


def _name(value: Any, path: tuple[str, ...]) -> str:
    name = name_of(value)
    if "<lambda>" in name or ("<locals>" in name and isinstance(value, types.FunctionType)):
        raise _refused(
            path, value, "a function that can be imported by its name", "Define it at the top of a module."
        )
    return name


def _refused(path: tuple[str, ...], value: Any, wanted: str, do: str) -> StorageError:
    return StorageError(
        ".".join(("config", *path)), got=f"{type(value).__name__} {value!r:.80}", wanted=wanted, do=do
    )
