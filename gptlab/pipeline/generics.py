"""Generic classes: what a class is as its base (`dict[str, int]` as `Iterable[str]`), and which way it varies."""

import collections
import collections.abc
import inspect
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union

from gptlab.pipeline.hints import is_protocol, substitute

_ABC = collections.abc
_BUILTIN = (list, dict, set, frozenset, tuple, type, collections.deque, collections.defaultdict)
_COVARIANT = frozenset(
    {
        *(_ABC.Iterable, _ABC.Iterator, _ABC.Reversible, _ABC.Container, _ABC.Collection, _ABC.Sequence, _ABC.Set),
        *(_ABC.KeysView, _ABC.ValuesView, _ABC.ItemsView, _ABC.Awaitable, frozenset, tuple, type),
    }
)
_ELEMENT: Mapping[Any, Any] = {str: str, bytes: int, bytearray: int, memoryview: int, range: int}


def is_generic(kind: type) -> bool:
    """Whether a class without `[...]` leaves something out."""
    if kind in _BUILTIN or issubclass(kind, collections.Counter | collections.OrderedDict):
        return True
    if kind.__module__ == "collections.abc":
        return hasattr(kind, "__class_getitem__")
    return bool(getattr(kind, "__parameters__", ()))


def variance(kind: type, count: int) -> tuple[int, ...]:
    """For each parameter +1 (covariant), -1 (contravariant) or 0 (must be the same).

    >>> variance(list, 1), variance(collections.abc.Mapping, 2)
    ((0,), (0, 1))
    """
    if kind in _COVARIANT:
        return (1,) * count
    if kind is _ABC.Mapping:
        return (0, 1)
    if kind is _ABC.Generator:
        return (1, -1, 1)[:count]
    parameters = getattr(kind, "__parameters__", ())
    if len(parameters) != count:
        return (0,) * count
    return tuple(_declared(variable, kind) for variable in parameters)


def _declared(variable: Any, kind: type) -> int:
    if getattr(variable, "__infer_variance__", False):  # PEP 695: a frozen class can only give
        return int(bool(getattr(kind.__setattr__, "__name__", "") == "_frozen_setattrs"))
    return int(bool(getattr(variable, "__covariant__", False))) - int(bool(getattr(variable, "__contravariant__", 0)))


def view_as(hint: Any, base: type) -> tuple[Any, ...] | None:
    """The arguments of `base` that a class, perhaps with arguments, inherits or has.

    Args:
        hint: a class or a parametrised class.
        base: a generic class that it is a subclass of.

    Returns:
        As many arguments as `base` has parameters, or `None` where the class does not say.

    >>> view_as(dict[str, int], collections.abc.Iterable), view_as(bytes, collections.abc.Sequence)
    ((<class 'str'>,), (<class 'int'>,))
    """
    kind, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is base:
        return args or None
    for parent in getattr(kind, "__orig_bases__", ()):
        parent_kind = typing.get_origin(parent) or parent
        if inspect.isclass(parent_kind) and issubclass(parent_kind, base) and not is_protocol(parent_kind):
            return view_as(
                substitute(parent, dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))), base
            )
    return _builtin_view(kind, args, base)


def _builtin_view(kind: type, args: tuple[Any, ...], base: type) -> tuple[Any, ...] | None:
    for known, element in _ELEMENT.items():
        if issubclass(kind, known):
            return (element,)
    if issubclass(kind, tuple):
        elements = args or tuple(typing.get_type_hints(kind).values()) if kind is not tuple or args else ()
        elements = tuple(element for element in elements if element is not Ellipsis and element != ())
        return (Union[elements],) if elements else None  # noqa: UP007  (types that are values)
    if issubclass(kind, collections.Counter) and args:
        args = (*args, int)
    if issubclass(kind, _ABC.ItemsView) and len(args) == 2:
        return (tuple[args],)  # type: ignore[valid-type]
    if issubclass(kind, _ABC.ValuesView) and len(args) == 2:
        return args[1:]
    if (
        args
        and (issubclass(kind, _ABC.Mapping | _ABC.Generator))
        and not issubclass(base, _ABC.Mapping | _ABC.Generator)
    ):
        return args[:1]
    return args or _by_iteration(kind, base)


def _by_iteration(kind: type, base: type) -> tuple[Any, ...] | None:
    """A class that is iterable only because it has the method."""
    if base not in (_ABC.Iterable, _ABC.Iterator, _ABC.Collection, _ABC.Reversible):
        return None
    method = getattr(kind, "__next__" if base is _ABC.Iterator else "__iter__", None)
    if not inspect.isfunction(method):
        return None
    result = typing.get_type_hints(method).get("return")
    if result is None or base is _ABC.Iterator:
        return None if result is None else (result,)
    return view_as(result, _ABC.Iterator) if typing.get_args(result) else None


def class_bindings(hint: Any) -> dict[TypeVar, Any]:
    """What the type variables of a class and of its bases stand for in `hint`.

    >>> T = TypeVar("T")
    >>> class Box(typing.Generic[T]): ...
    >>> class Named(Box[str]): ...
    >>> class_bindings(Named)
    {~T: <class 'str'>}
    """
    kind, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    parameters = getattr(kind, "__parameters__", ())
    bound: dict[TypeVar, Any] = dict(zip(parameters, args, strict=False)) if len(args) == len(parameters) else {}
    for parent in getattr(kind, "__orig_bases__", ()):
        if typing.get_origin(parent) in (typing.Generic, typing.Protocol):
            continue
        for variable, value in class_bindings(substitute(parent, bound)).items():
            bound.setdefault(variable, value)
    return bound
