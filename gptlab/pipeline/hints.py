"""Annotations as values: print them, look inside, put types for variables.

Arrays are known by their attributes (`array_type`, `dtypes`, `dim_str`), not by jaxtyping's classes: two writings of
one jaxtyping annotation are different classes, and the names of those classes are private.
"""

import collections.abc
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ForwardRef, Literal, NewType, TypeVar, Union

MISSING = inspect.Parameter.empty
"""Stands where no annotation was written."""

_SCOPE = re.compile(r"·\d+")


def is_array(hint: object) -> bool:
    """Whether `hint` is a jaxtyping array annotation.

    >>> import numpy as np
    >>> from jaxtyping import Float32
    >>> is_array(Float32[np.ndarray, "batch seq"]), is_array(np.ndarray)
    (True, False)
    """
    return isinstance(hint, type) and hasattr(hint, "dim_str") and hasattr(hint, "array_type")


def is_union(hint: object) -> bool:
    """Whether `hint` is `A | B` or `Union[A, B]`."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def is_protocol(hint: object) -> bool:
    """Whether `hint` is a `typing.Protocol` class."""
    return isinstance(hint, type) and bool(getattr(hint, "_is_protocol", False)) and hint is not typing.Protocol


def strip(hint: Any) -> Any:
    """Without what does not change the type: `Annotated`, `Final`, `type X = ...`; `None` is its type."""
    while True:
        if hint is None:
            return type(None)
        origin = typing.get_origin(hint)
        if origin is typing.Annotated or origin in (
            typing.Final,
            typing.ClassVar,
            typing.Required,
            typing.NotRequired,
        ):
            hint = typing.get_args(hint)[0]
        elif hasattr(hint, "__value__") and type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def arguments(hint: Any) -> tuple[Any, ...]:
    """`get_args`, with a callable's parameters spread out before its result."""
    found = typing.get_args(hint)
    if typing.get_origin(hint) is collections.abc.Callable and found and isinstance(found[0], list):
        return (*found[0], found[1])
    return found


def rebuild(hint: Any, change: Callable[[Any], Any]) -> Any:  # noqa: PLR0911  (a table of cases)
    """The same annotation with `change` applied to each of its arguments."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if not args or origin is Literal:
        return hint
    changed = tuple([change(inner) for inner in arg] if isinstance(arg, list) else change(arg) for arg in args)
    if changed == args and all(new is old or not is_array(old) for new, old in zip(changed, args, strict=True)):
        return hint
    if origin in (Union, types.UnionType):
        return Union[changed]  # noqa: UP007  (types that are values)
    if origin is collections.abc.Callable:
        return Callable[changed[0], changed[1]] if len(changed) == 2 else hint
    if origin is typing.Annotated:
        return changed[0]
    if origin is tuple and changed == ((),):
        return hint
    return origin[changed if len(changed) > 1 else changed[0]] if origin is not None else hint


def substitute(hint: Any, bound: Mapping[Any, Any]) -> Any:
    """`hint` with types for its variables (and for `Self`), as far as `bound` knows them.

    >>> T = TypeVar("T")
    >>> substitute(dict[str, list[T]], {T: int})
    dict[str, list[int]]
    """
    if isinstance(hint, TypeVar) or hint is typing.Self:
        known = bound.get(hint, hint)
        return known if known is hint else substitute(known, bound)
    return rebuild(hint, lambda inner: substitute(inner, bound))


def variables(hint: Any) -> frozenset[TypeVar]:
    """The type variables in an annotation."""
    if isinstance(hint, TypeVar):
        return frozenset((hint,))
    if typing.get_origin(hint) is Literal:
        return frozenset()
    return frozenset().union(*(variables(inner) for inner in arguments(hint)))


def map_arrays(hint: Any, change: Callable[[str], str]) -> Any:
    """`hint` with `change` applied to the axes of each array in it."""
    if is_array(hint):
        axes = change(hint.dim_str)
        return hint if axes == hint.dim_str else hint.dtype[hint.array_type, axes]
    return rebuild(hint, lambda inner: map_arrays(inner, change))


def arrays_in(hint: Any) -> tuple[Any, ...]:
    """The arrays written in an annotation, without those in the fields of records."""
    if is_array(hint):
        return (hint,)
    if typing.get_origin(hint) is Literal:
        return ()
    return tuple(array for inner in arguments(hint) for array in arrays_in(inner))


def without_scope(text: str) -> str:
    """Axis names as they were written: `chain` numbers names that belong to one part."""
    return _SCOPE.sub("", text)


def show(hint: Any) -> str:
    """The annotation as a person would write it.

    >>> from collections.abc import Sequence
    >>> show(Sequence[int | None]), show(MISSING), show(Literal["a"] | Any)
    ('Sequence[int | None]', 'no annotation', "Literal['a'] | Any")
    """
    if is_array(hint):
        return f'{hint.dtype.__name__}[{show(hint.array_type)}, "{without_scope(hint.dim_str)}"]'
    simple = _SIMPLE.get(hint) if isinstance(hint, collections.abc.Hashable) else None
    if simple is not None:
        return simple
    if isinstance(hint, TypeVar | NewType):
        return hint.__name__
    if isinstance(hint, ForwardRef):
        return repr(hint.__forward_arg__)
    if isinstance(hint, list):
        return f"[{', '.join(map(show, hint))}]"
    return _show_generic(hint)


_SIMPLE: dict[Any, str] = {MISSING: "no annotation", Any: "Any", type(None): "None", Ellipsis: "...", (): "()"}


def _show_generic(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return " | ".join(map(show, args))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        return f"{name}[{', '.join(map(show, args)) or '()'}]"
    return getattr(hint, "__name__", None) or str(hint).replace("typing.", "")


def field_hints(record: Any) -> Mapping[str, Any]:
    """The annotations of a record's fields, resolved; empty for a class that is no record.

    Raises:
        NameError: where an annotation names what does not exist.
    """
    key: Any = record
    return _field_hints(key)


@functools.lru_cache(maxsize=1024)
def _field_hints(record: Any) -> Mapping[str, Any]:
    attributes = getattr(record, "__attrs_attrs__", None)
    if attributes is not None:
        hints = typing.get_type_hints(record, include_extras=True)
        return {field.name: hints[field.name] for field in attributes if field.name in hints}
    if hasattr(record, "__dataclass_fields__") or (issubclass(record, tuple) and hasattr(record, "_fields")):
        return typing.get_type_hints(record, include_extras=True)
    return {}
