"""From JSON to values, by cattrs with strict hooks.

cattrs as it comes turns 3.7 into 3, "5" into 5 and True into 1, takes a string for a tuple, and ignores a key that
it does not know. Here a value has the type its field says or is refused, unknown keys are refused with the nearest
name, and every message names the path of the field (`config.model.width`). Classes are named by the file, so only
those of gptlab and of packages that the caller allows are made.
"""

import enum
import typing
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Literal

import attrs
import numpy as np
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    CattrsError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from gptlab.storage.errors import StorageError
from gptlab.storage.hints import field_hints, is_protocol, is_union, item_hint, members
from gptlab.storage.jsonfiles import check_depth
from gptlab.storage.names import import_from_nested_path, name_of, nearest

Restore = Callable[[dict[str, Any]], Any]
"""Makes the value of an object with the key "saved" or "array", which lies in files beside the configuration."""

_ATOMS = (bool, int, float, str, type(None))


class Refused(ValueError):
    """One value that does not fit; its path is added on the way up."""

    def __init__(self, got: str, wanted: str, do: str = "Correct the value, or remove it for the default.") -> None:
        super().__init__(got, wanted, do)
        self.got, self.wanted, self.do = got, wanted, do


def from_config(data: Any, *, allow: tuple[str, ...] = ()) -> Any:
    """The value that `to_config` wrote, or that a person wrote by hand.

    Args:
        data: JSON as Python values. Fields that are missing have their defaults.
        allow: packages beside gptlab whose classes and functions may be named.

    Raises:
        StorageError: the first thing that does not fit, with the path of its field.

    >>> from_config({"class": "gptlab.types.Prompt", "text": "Once", "seed": 7}).seed
    7
    >>> from_config({"class": "gptlab.types.Prompt", "text": "Once", "sead": 7})
    Traceback (most recent call last):
    gptlab.storage.errors.StorageError: config.sead
      got     an unknown field
      wanted  a field of gptlab.types.Prompt
      Did you mean `seed`?
    """
    return decode(data, _no_files, allow)


def decode(data: Any, restore: Restore, allow: tuple[str, ...], where: str = "config") -> Any:
    """The value of some JSON; `restore` reads what lies in files."""
    try:
        check_depth(data)
        return _converter(restore, allow).structure(data, Any)
    except (ValueError, TypeError, CattrsError) as error:
        path, cause = next(_causes(error, (where,)))
        raise _explained(".".join(path), cause) from error


def _converter(restore: Restore, allow: tuple[str, ...]) -> Converter:
    """A converter for one reading, which knows what may be named and where files lie."""
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    made: dict[type, Callable[[Any, Any], Any]] = {}

    def inner(data: Any, hint: Any, key: int | str) -> Any:
        """Structure one item of a container, noting where it stood."""
        try:
            return converter.structure(data, hint)
        except (ValueError, TypeError, CattrsError) as error:
            error.__notes__ = [*getattr(error, "__notes__", []), IterableValidationNote("", key, hint)]
            raise IterableValidationError("", [error], hint) from error

    def attrs_value(data: Any, hint: Any) -> Any:
        origin = typing.get_origin(hint) or hint
        if "saved" in _need(data, dict, f"an object with the fields of {name_of(origin)}"):
            return _need(restore(data), origin, name_of(origin))
        kind = import_from_nested_path(_text(data["class"]), allow=allow) if "class" in data else origin
        if not isinstance(kind, type) or not attrs.has(kind) or not issubclass(kind, origin):
            raise Refused(name_of(kind), f"{name_of(origin)}, made by attrs")
        if kind not in made:
            field_hints(kind)
            made[kind] = make_dict_structure_fn(kind, converter, _cattrs_use_alias=True)
        return made[kind]({key: item for key, item in data.items() if key != "class"}, kind)

    def anything(data: Any, hint: Any) -> Any:
        match data:
            case {"saved": _} | {"array": _}:
                return restore(data)
            case {"class": name}:
                return attrs_value(data, import_from_nested_path(_text(name), allow=allow))
            case {"function": str(name), **rest} if not rest:
                return _need(import_from_nested_path(name, allow=allow), FunctionType, "a function")
            case {"method": str(name), "of": owner, **rest} if not rest:
                return _method(inner(owner, Any, "of"), name)
            case {"path": str(path), **rest} if not rest:
                return Path(path)
            case {"enum": str(name), "name": member, **rest} if not rest:
                return _enum(member, import_from_nested_path(name, allow=allow))
            case {"frozenset": list(items), **rest} if not rest:
                return frozenset(inner(item, Any, i) for i, item in enumerate(items))
            case dict():
                return {key: inner(item, Any, key) for key, item in data.items()}
            case list():
                return tuple(inner(item, Any, i) for i, item in enumerate(data))
        return _need(data, _ATOMS, "a value of JSON")

    def container(data: Any, hint: Any) -> Any:
        kind = typing.get_origin(hint) or hint
        if issubclass(kind, Mapping):
            keys, values = typing.get_args(hint) or (Any, Any)
            entries = _need(data, dict, "an object").items()
            return {inner(key, keys, key): inner(item, values, key) for key, item in entries}
        if issubclass(kind, Set) and isinstance(data, dict) and data.keys() == {"frozenset"}:
            data = data["frozenset"]
        items = _need(data, list, "a list")
        sized = typing.get_args(hint)
        if kind is tuple and sized and sized[-1] is not Ellipsis and len(items) != len(sized):
            raise Refused(f"{len(items)} items", f"{len(sized)} items")
        made_of = [inner(item, item_hint(hint, i), i) for i, item in enumerate(items)]
        return made_of if kind is list else frozenset(made_of) if issubclass(kind, Set) else tuple(made_of)

    def union(data: Any, hint: Any) -> Any:
        return _union(data, typing.get_args(hint), converter)

    def protocol(data: Any, hint: Any) -> Any:
        return _conforming(anything(data, Any), hint)

    def array(data: Any, hint: Any) -> Any:
        return _need(restore(_need(data, dict, "an array")), hint, f"an array of type {hint.__name__}")

    for kind, hook in ((bool, _exactly), (int, _exactly), (str, _exactly), (float, _float), (Path, _path)):
        converter.register_structure_hook(kind, hook)
    for applies, hook in (
        (lambda hint: hint is type(None), _exactly),
        (lambda hint: attrs.has(typing.get_origin(hint) or hint), attrs_value),
        (lambda hint: typing.get_origin(hint) is Literal, _literal),
        (lambda hint: isinstance(hint, type) and issubclass(hint, enum.Enum), _enum),
        (_is_container, container),
        (_is_array, array),
        (lambda hint: hint is Any or hint is object, anything),
        (lambda hint: typing.get_origin(hint) is Callable, anything),
        (is_protocol, protocol),
        (is_union, union),
    ):
        converter.register_structure_hook_func(applies, hook)
    return converter


def _is_container(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    return (
        isinstance(kind, type)
        and (kind in (tuple, list) or issubclass(kind, Mapping | Set))
        or (
            isinstance(kind, type)
            and kind.__module__ == "collections.abc"
            and kind.__name__ in ("Sequence", "Collection")
        )
    )


def _is_array(hint: Any) -> bool:
    return isinstance(hint, type) and (hint is np.ndarray or hasattr(hint, "array_type"))


def _need(value: Any, kind: Any, wanted: str) -> Any:
    if isinstance(value, kind):
        return value
    raise Refused(_shown(value), wanted)


def _text(name: Any) -> str:
    return str(_need(name, str, "the import path of a class"))


def _exactly(value: Any, kind: Any) -> Any:
    if type(value) is kind and not (kind is int and abs(value) >= 1 << 64):
        return value
    raise Refused(
        _shown(value), {bool: "true or false", int: "an int within 64 bits", str: "a string"}.get(kind, "null")
    )


def _float(value: Any, kind: Any) -> float:
    if type(value) in (int, float) or (type(value) is str and value in ("nan", "inf", "-inf")):
        return float(value)
    raise Refused(_shown(value), "a float")


def _path(value: Any, kind: Any) -> Path:
    text = value["path"] if isinstance(value, dict) and value.keys() == {"path"} else value
    return Path(_need(text, str, "a path as a string"))


def _literal(value: Any, hint: Any) -> Any:
    for choice in typing.get_args(hint):
        if type(choice) is type(value) and choice == value:
            return choice
    choices = [str(choice) for choice in typing.get_args(hint)]
    raise Refused(_shown(value), f"one of {', '.join(choices)}", nearest(str(value), choices))


def _enum(value: Any, kind: Any) -> Any:
    if not isinstance(kind, type) or not issubclass(kind, enum.Enum):
        raise Refused(_shown(kind), "an enum")
    if isinstance(value, dict) and value.keys() == {"enum", "name"}:
        value = value["name"]
    names = list(kind.__members__)
    if not isinstance(value, str) or value not in names:
        raise Refused(_shown(value), f"one of {', '.join(names)}", nearest(str(value), names))
    return kind[value]


def _union(data: Any, members_: tuple[Any, ...], converter: Converter) -> Any:
    """The member that fits; where there is one beside None, its own error is the error."""
    if data is None and type(None) in members_:
        return None
    real = [member for member in members_ if member is not type(None)]
    if len(real) == 1:
        return converter.structure(data, real[0])
    # An int is an int where the union has both, whichever is written first.
    for member in sorted(real, key=lambda member: member is not type(data)):
        try:
            return converter.structure(data, member)
        except (ValueError, TypeError, CattrsError):
            continue
    raise Refused(_shown(data), " or ".join(getattr(member, "__name__", str(member)) for member in real))


def _method(owner: Any, name: str) -> Any:
    method = None if name.startswith("_") else getattr(owner, name, None)
    if isinstance(method, MethodType):
        return method
    raise Refused(f"the method {name!r}", f"a public method of {type(owner).__name__}")


def _conforming(value: Any, protocol: Any) -> Any:
    missing = [name for name in members(protocol) if not hasattr(value, name)]
    if missing:
        wanted = getattr(typing.get_origin(protocol) or protocol, "__name__", str(protocol))
        raise Refused(f"{type(value).__name__}, which has no {', '.join(missing)}", f"a {wanted}")
    return value


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.80}"


def _no_files(data: dict[str, Any]) -> Any:
    raise Refused("a reference to saved files", "a configuration by itself", "Use load_from_dir on its directory.")


def _causes(error: BaseException, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], BaseException]]:
    """The faults inside cattrs' groups, each with the path to it."""
    if not isinstance(error, BaseValidationError):
        if isinstance(error, ForbiddenExtraKeysError):
            path = (*path, sorted(error.extra_fields)[0])
        yield path, error
        return
    for inner in error.exceptions:
        steps = [
            note.name if isinstance(note, AttributeValidationNote) else str(note.index)
            for note in getattr(inner, "__notes__", [])
            if isinstance(note, AttributeValidationNote | IterableValidationNote)
        ]
        yield from _causes(inner, (*path, *steps[:1]))


def _explained(where: str, error: BaseException) -> StorageError:
    if isinstance(error, ForbiddenExtraKeysError):
        name = sorted(error.extra_fields)[0]
        known = [field.alias for field in attrs.fields(error.cl) if field.init]
        return StorageError(
            where, got="an unknown field", wanted=f"a field of {name_of(error.cl)}", do=nearest(name, known)
        )
    if isinstance(error, KeyError):
        return StorageError(where, got="nothing", wanted="a value: the field has no default", do="Add it.")
    if isinstance(error, Refused):
        return StorageError(where, got=error.got, wanted=error.wanted, do=error.do)
    got = f"{error.where}: {error.got}" if isinstance(error, StorageError) else str(error)
    wanted = error.wanted if isinstance(error, StorageError) else "a value that its class accepts"
    do = error.do if isinstance(error, StorageError) else "Correct the value, or remove it for the default."
    return StorageError(where, got=got, wanted=wanted, do=do)
