"""What a value holds now, as a value that nothing can change: to see later whether it changed, or whether two agree.

`==` will not do: outputs of models compare by identity, arrays by element, and NaN is not itself.
"""

import inspect
from collections.abc import Mapping, Set
from pathlib import PurePath
from typing import Any

import attrs
import numpy as np


@attrs.frozen
class Held:
    """The content of a value.

    Attributes:
        kind: its class, and for an array dtype and shape.
        content: a plain value, bytes of an array, or the parts by name.
    """

    kind: str
    content: Any


def snapshot(value: Any) -> Held:
    """The content of a value, down to the bytes of its arrays.

    >>> first = snapshot({"a": np.zeros(2)})
    >>> first == snapshot({"a": np.zeros(2)}), first == snapshot({"a": np.zeros(2, "float32")})
    (True, False)
    """
    return _held(value, frozenset())


def difference(left: Held, right: Held, path: str = "it") -> str:
    """Where two contents differ first, in words; empty when they are the same.

    >>> difference(snapshot([1, 2]), snapshot([1, 3]))
    'it[1] is 2 and 3'
    """
    if left == right:
        return ""
    if left.kind != right.kind:
        return f"{path} is {_summary(left)} and {_summary(right)}"
    mine, other = left.content, right.content
    if isinstance(mine, dict) and isinstance(other, dict):
        for name in [*mine, *other]:
            if name not in mine or name not in other:
                return f"{path}{name} is only in the {'second' if name in other else 'first'}"
            if found := difference(mine[name], other[name], path + name):
                return found
    if isinstance(mine, bytes) and left.kind.startswith(("ndarray", "Tensor")):
        return f"{path}, {left.kind}, has other numbers: {_numbers(left)} and {_numbers(right)}"
    return f"{path} is {_summary(left)} and {_summary(right)}"


def snapshot_list(contents: list[Held]) -> Held:
    """The outputs as one content."""
    return Held("list", {f"{number}": content for number, content in enumerate(contents)})


def _held(value: Any, above: frozenset[int]) -> Held:  # noqa: PLR0911  (a table of cases)
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | str | bytes | PurePath):
        return Held(kind, value)
    if isinstance(value, float | complex):
        return Held(kind, repr(value))  # NaN is itself, and 0.0 is not -0.0
    if isinstance(value, np.ndarray | np.generic):
        return _numpy(value, above)
    if _is_tensor(value):
        return _tensor(value)
    if id(value) in above:
        return Held(kind, "itself")
    inside = above | {id(value)}
    if isinstance(value, Mapping):
        return Held(kind, {f"[{key!r}]": _held(inner, inside) for key, inner in value.items()})
    if isinstance(value, Set):
        return Held(kind, frozenset(value))
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return Held(kind, {f"[{number}]": _held(inner, inside) for number, inner in enumerate(value)})
    parts = _parts(value)
    if parts is None:
        return Held(kind, value)
    return Held(kind, {f".{name}": _held(inner, inside) for name, inner in parts.items()})


def _parts(value: Any) -> Mapping[str, Any] | None:
    """The fields of a record, or of an object that compares by identity; None where `==` is to be trusted."""
    if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
        return None
    if attrs.has(type(value)):
        return {field.name: getattr(value, field.name, None) for field in attrs.fields(type(value))}
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name, None) for name in value.__dataclass_fields__}
    if hasattr(value, "_fields"):
        return {name: getattr(value, name) for name in value._fields}
    if compares_by_identity(value) and hasattr(value, "__dict__"):
        return dict(vars(value))
    return None


def compares_by_identity(value: Any) -> bool:
    """Whether a value is equal to itself alone."""
    equal: Any = type(value).__eq__
    return equal is object.__eq__


def _numpy(value: Any, above: frozenset[int]) -> Held:
    array = np.asarray(value)
    if array.dtype.hasobject:
        return Held(f"ndarray of objects, shape {array.shape}", [_held(one, above) for one in array.ravel().tolist()])
    return Held(f"{type(value).__name__} of {array.dtype}, shape {array.shape}", array.tobytes())


def _is_tensor(value: Any) -> bool:
    return any(base.__module__.split(".")[0] == "torch" and base.__name__ == "Tensor" for base in type(value).__mro__)


def _tensor(value: Any) -> Held:
    import torch  # noqa: PLC0415  (loaded already: here is a tensor)

    flat = torch.empty(value.numel(), dtype=value.dtype)  # contiguous, as not every view of one number is
    flat.copy_(value.detach().reshape(-1))
    kind = f"Tensor of {str(value.dtype).removeprefix('torch.')}, shape {tuple(value.shape)}"
    return Held(kind, flat.view(torch.uint8).numpy().tobytes())


def _summary(held: Held) -> str:
    if isinstance(held.content, dict):
        return f"a {held.kind} of {len(held.content)}"
    return held.kind if isinstance(held.content, bytes) and " of " in held.kind else f"{held.content!r:.60}"


def _numbers(held: Held) -> str:
    dtype = held.kind.split(" of ", 1)[1].split(",")[0]
    try:
        return f"{np.frombuffer(held.content, dtype).tolist()!s:.60}"
    except (TypeError, ValueError):
        return f"{held.content[:16]!r}"
