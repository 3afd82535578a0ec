"""Reading the types that fields are declared with."""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, NewType, TypeVar, Union

import attrs


def field_hints(cls: type) -> dict[str, Any]:
    """Field name to declared type, with names in quotes resolved."""
    fields = attrs.fields(cls)
    if any(isinstance(field.type, str) for field in fields):
        attrs.resolve_types(cls)
        fields = attrs.fields(cls)
    return {field.name: Any if field.type is None else field.type for field in fields}


def plain(hint: Any) -> Any:
    """A type without Optional, NewType and Annotated; a union of several, or a type variable, says nothing."""
    while True:
        if isinstance(hint, NewType):
            hint = hint.__supertype__
        elif typing.get_origin(hint) is Annotated:
            hint = typing.get_args(hint)[0]
        elif is_union(hint):
            inner = [member for member in typing.get_args(hint) if member is not type(None)]
            hint = inner[0] if len(inner) == 1 else Any
        else:
            return Any if isinstance(hint, TypeVar) else hint


def is_union(hint: Any) -> bool:
    """`A | B` or `Optional[A]`."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def is_protocol(hint: Any) -> bool:
    """A Protocol, bare or with arguments (`Source[Document]`)."""
    origin = typing.get_origin(hint) or hint
    return isinstance(origin, type) and bool(getattr(origin, "_is_protocol", False))


def item_hint(hint: Any, position: int) -> Any:
    """The type of the item at `position` of a container type; of a mapping's values at position 1.

    >>> item_hint(tuple[int, ...], 5), item_hint(tuple[int, str], 1), item_hint(dict[str, float], 1)
    (<class 'int'>, <class 'str'>, <class 'float'>)
    """
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if not arguments or not isinstance(origin, type):
        return Any
    if origin is tuple and arguments[-1] is not Ellipsis:
        return arguments[position] if position < len(arguments) else Any
    if issubclass(origin, Mapping):
        return arguments[position]
    return arguments[0]


def members(protocol: Any) -> list[str]:
    """The names that a Protocol asks for."""
    origin = typing.get_origin(protocol) or protocol
    found: set[str] = set()
    for base in origin.__mro__:
        if getattr(base, "_is_protocol", False) and base is not typing.Protocol:
            found |= {*vars(base), *inspect.get_annotations(base)}
    return sorted(name for name in found if not name.startswith("_") or name == "__call__")
