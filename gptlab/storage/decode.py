"""From JSON to values, by cattrs with strict hooks.

cattrs as it comes turns 3.7 into 3, "5" into 5 and True into 1, takes a string for a tuple, and ignores a key that
it does not know. Here a value has the type its field says or is refused, unknown keys are refused with the nearest
name, and every message names the path of the field (`config.model.width`). Classes are named by the file, so only
those of gptlab and of packages that the caller allows are made.
"""

import collections.abc
import enum
import typing
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Literal

import attrs
import numpy as np
from cattrs import Converter
from cattrs.errors import CattrsError, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from gptlab.storage.explain import RefusedError, explained
from gptlab.storage.hints import field_hints, is_protocol, is_union, item_hint, members
from gptlab.storage.jsonfiles import check_depth
from gptlab.storage.names import import_from_nested_path, name_of, nearest

Restore = Callable[[dict[str, Any]], Any]
"""Makes the value of an object with the key "saved" or "array", which lies in files beside the configuration."""

_SEQUENCES = (tuple, list, collections.abc.Sequence, collections.abc.Collection)
_ATOMS = (bool, int, float, str, type(None))


def from_config(data: Any, *, kind: Any = Any, allow: tuple[str, ...] = ()) -> Any:
    """The value that `to_config` wrote, or that a person wrote by hand.

    Args:
        data: JSON as Python values. Fields that are missing have their defaults.
        kind: what the value must be; a class that is given here need not be named by the data.
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
    where = "config" if kind is Any else name_of(kind).rpartition(".")[2]
    return decode(data, _no_files, allow, where, kind)


def decode(data: Any, restore: Restore, allow: tuple[str, ...], where: str = "config", kind: Any = Any) -> Any:
    """The value of some JSON; `restore` reads what lies in files."""
    try:
        check_depth(data)
        return _Reading(restore, allow).converter.structure(data, kind)
    except (ValueError, TypeError, CattrsError) as error:
        raise explained(error, where) from error


class _Reading:
    """One reading of a configuration: a converter that knows what may be named and where files lie."""

    def __init__(self, restore: Restore, allow: tuple[str, ...]) -> None:
        self.restore = restore
        self.allow = allow
        self.made: dict[Any, Callable[[Any, Any], Any]] = {}
        self.converter = Converter(forbid_extra_keys=True, detailed_validation=True)
        for kind in (bool, int, str):
            self.converter.register_structure_hook(kind, _exactly)
        self.converter.register_structure_hook(float, _float)
        self.converter.register_structure_hook(Path, _path)
        hooks: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]], ...] = (
            (lambda hint: hint is None or hint is type(None), lambda data, _: _exactly(data, type(None))),
            (lambda hint: attrs.has(typing.get_origin(hint) or hint), self.attrs_value),
            (lambda hint: typing.get_origin(hint) is Literal, _literal),
            (lambda hint: isinstance(hint, type) and issubclass(hint, enum.Enum), _enum),
            (_is_container, self.container),
            (_is_array, self.array),
            (
                lambda hint: hint in (Any, object) or typing.get_origin(hint) is collections.abc.Callable,
                self.anything,
            ),
            (is_protocol, self.protocol),
            (is_union, self.union),
        )
        for applies, hook in hooks:
            self.converter.register_structure_hook_func(applies, hook)

    def item(self, data: Any, hint: Any, key: int | str) -> Any:
        """Structure one item of a container, noting where it stood."""
        try:
            return self.converter.structure(data, hint)
        except (ValueError, TypeError, CattrsError) as error:
            error.__notes__ = [*getattr(error, "__notes__", []), IterableValidationNote("", key, hint)]
            raise IterableValidationError("", [error], hint) from error

    def attrs_value(self, data: Any, hint: Any) -> Any:
        """A value of the class that the data names, which must be the field's or below it."""
        origin = typing.get_origin(hint) or hint
        _need(data, dict, f"an object with the fields of {name_of(origin)}")
        if data.keys() == {"class", "saved"}:
            return _need(self.restore(data), origin, name_of(origin))
        kind = self.named(data["class"], type, "a class") if "class" in data else origin
        if not attrs.has(kind) or not issubclass(kind, origin):
            raise RefusedError(name_of(kind), f"{name_of(origin)}, made by attrs")
        filled: Any = hint if kind is origin and kind is not hint else _filled(kind)
        if filled not in self.made:
            field_hints(kind)  # resolves names in quotes
            self.made[filled] = make_dict_structure_fn(filled, self.converter, _cattrs_use_alias=True)
        return self.made[filled]({key: item for key, item in data.items() if key != "class"}, filled)

    def anything(self, data: Any, hint: Any) -> Any:
        """What the data say they are, where the field does not."""
        if isinstance(data, dict):
            tagged = self.tagged(data)
            return {key: self.item(item, Any, key) for key, item in data.items()} if tagged is None else tagged
        if isinstance(data, list):
            return tuple(self.item(item, Any, index) for index, item in enumerate(data))
        return _need(data, _ATOMS, "a value of JSON")

    def tagged(self, data: dict[str, Any]) -> Any:
        """What an object stands for by its tag; None where it has none and is a mapping."""
        value: Any = None
        match data:
            case {"array": str(), **rest} if not rest:
                value = self.restore(data)
            case {"class": _, "saved": str(), **rest} if not rest:
                value = self.restore(data)
            case {"class": name}:
                value = self.attrs_value(data, self.named(name, type, "a class"))
            case {"function": name, **rest} if not rest:
                value = self.named(name, FunctionType, "a function")
            case {"method": str(name), "of": owner, **rest} if not rest:
                value = _method(self.item(owner, Any, "of"), name)
            case {"path": str(path), **rest} if not rest:
                value = Path(path)
            case {"enum": name, "name": member, **rest} if not rest:
                value = _enum(member, self.named(name, type, "an enum"))
            case {"frozenset": list(items), **rest} if not rest:
                value = frozenset(self.item(item, Any, index) for index, item in enumerate(items))
        return value

    def container(self, data: Any, hint: Any) -> Any:
        """A tuple, list, set or mapping, item by item."""
        kind = typing.get_origin(hint) or hint
        if issubclass(kind, Mapping):
            keys, values = typing.get_args(hint) or (Any, Any)
            entries = _need(data, dict, "an object").items()
            return {self.item(key, keys, key): self.item(item, values, key) for key, item in entries}
        if issubclass(kind, Set) and isinstance(data, dict) and data.keys() == {"frozenset"}:
            data = data["frozenset"]
        items = _need(data, list, "a list")
        sized = typing.get_args(hint)
        if kind is tuple and sized and sized[-1] is not Ellipsis and len(items) != len(sized):
            raise RefusedError(f"{len(items)} items", f"{len(sized)} items")
        made = [self.item(item, item_hint(hint, index), index) for index, item in enumerate(items)]
        if kind is list:
            return made
        return frozenset(made) if issubclass(kind, Set) else tuple(made)

    def union(self, data: Any, hint: Any) -> Any:
        """The member that fits; where there is one beside None, its own error is the error."""
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        if data is None and len(choices) < len(typing.get_args(hint)):
            return None
        if len(choices) == 1:
            return self.converter.structure(data, choices[0])
        # An int is an int where the union has float too, whichever is written first.
        for choice in sorted(choices, key=lambda choice: choice is not type(data)):
            try:
                return self.converter.structure(data, choice)
            except (ValueError, TypeError, CattrsError):
                continue
        raise RefusedError(_shown(data), " or ".join(getattr(choice, "__name__", str(choice)) for choice in choices))

    def protocol(self, data: Any, hint: Any) -> Any:
        """Anything that has the members of the Protocol."""
        value = self.anything(data, Any)
        if missing := [name for name in members(hint) if not hasattr(value, name)]:
            wanted = (typing.get_origin(hint) or hint).__name__
            raise RefusedError(f"{type(value).__name__}, which has no {', '.join(missing)}", f"a {wanted}")
        return value

    def array(self, data: Any, hint: Any) -> Any:
        """An array from its file, of the dtype and shape that the field asks for."""
        return _need(self.restore(_need(data, dict, "an array")), hint, f"an array of type {hint.__name__}")

    def named(self, name: Any, kind: Any, wanted: str) -> Any:
        """The class or function of a name in the data."""
        found = import_from_nested_path(_need(name, str, "an import path"), allow=self.allow)
        if not isinstance(found, kind):
            raise RefusedError(f"{name}, a {type(found).__name__}", wanted)
        return found


def _filled(kind: Any) -> Any:
    """A generic class with Any for its parameters: its values say what they are."""
    parameters = getattr(kind, "__parameters__", ())
    return kind[(Any,) * len(parameters)] if parameters else kind


def _is_container(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and (kind in _SEQUENCES or issubclass(kind, Mapping | Set))


def _is_array(hint: Any) -> bool:
    return isinstance(hint, type) and (hint is np.ndarray or hasattr(hint, "array_type"))


def _need(value: Any, kind: Any, wanted: str) -> Any:
    if isinstance(value, kind):
        return value
    raise RefusedError(_shown(value), wanted)


def _exactly(value: Any, kind: Any) -> Any:
    if type(value) is kind and not (kind is int and abs(value) >= 1 << 64):
        return value
    raise RefusedError(
        _shown(value), {bool: "true or false", int: "an int within 64 bits", str: "a string"}.get(kind, "null")
    )


def _float(value: Any, kind: Any) -> float:
    if type(value) in (int, float) or (type(value) is str and value in ("nan", "inf", "-inf")):
        return float(value)
    raise RefusedError(_shown(value), "a float")


def _path(value: Any, kind: Any) -> Path:
    text = value["path"] if isinstance(value, dict) and value.keys() == {"path"} else value
    return Path(_need(text, str, "a path as a string"))


def _literal(value: Any, hint: Any) -> Any:
    for choice in typing.get_args(hint):
        if type(choice) is type(value) and choice == value:
            return choice
    choices = [str(choice) for choice in typing.get_args(hint)]
    raise RefusedError(_shown(value), f"one of {', '.join(choices)}", nearest(str(value), choices))


def _enum(value: Any, kind: Any) -> Any:
    if not isinstance(kind, type) or not issubclass(kind, enum.Enum):
        raise RefusedError(_shown(kind), "an enum")
    if isinstance(value, dict) and value.keys() == {"enum", "name"}:
        value = value["name"]
    names = list(kind.__members__)
    if not isinstance(value, str) or value not in names:
        raise RefusedError(_shown(value), f"one of {', '.join(names)}", nearest(str(value), names))
    return kind[value]


def _method(owner: Any, name: str) -> Any:
    method = None if name.startswith("_") else getattr(owner, name, None)
    if isinstance(method, MethodType):
        return method
    raise RefusedError(f"the method {name!r}", f"a public method of {type(owner).__name__}")


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.80}"


def _no_files(data: dict[str, Any]) -> Any:
    raise RefusedError(
        "a reference to saved files", "a configuration by itself", "Use load_from_dir on its directory."
    )
