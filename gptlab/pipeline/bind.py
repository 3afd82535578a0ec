"""One array against one annotation, and the axes of one record as they are bound.

Axes are bound per record: `tokens` of two documents in one walk are two axes, `seq` of two fields of one row is one.
jaxtyping decides about array types and dtypes. Axes are bound here and not by its `isinstance`, so that the message
can say which field bound them and a size that a part of the pipeline fixed holds in every item.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import attrs

from gptlab.pipeline.axes import AtMost, AxisTable
from gptlab.pipeline.dims import Dim, evaluate, parse_dims
from gptlab.pipeline.hints import show, without_scope

Examine = Callable[[Any, "Scope"], None]
"""(item, axes bound so far) -> nothing, or `Mismatch`."""


class Mismatch(Exception):  # noqa: N818  (never leaves the check: ContractError does)
    """What was found is not what was wanted.

    The path to where is put together on the way up, so that an item that passes pays nothing for it.
    """

    def __init__(self, found: str, wanted: str, why: str = "", axis: str = "", *, close: bool = False) -> None:
        super().__init__(found)
        self.found, self.wanted, self.why, self.axis = found, wanted, why, axis
        self.close = close  # of a union's members the one that came closest is the one to explain
        self.path = ""

    def at(self, step: str) -> "Mismatch":
        """The same, seen from one level up."""
        self.path = step + self.path
        return self


@attrs.define
class Scope:
    """The axes of one record.

    Attributes:
        table: what the whole pipeline knows of the axes.
        label: the field that is being examined.
        sizes: name to (size, the field that bound it).
        many: `*name` to (may be broadcast, shape).
        later: symbolic axes whose names were not bound yet.
    """

    table: AxisTable
    label: str = ""
    sizes: dict[str, tuple[int, str]] = attrs.Factory(dict)
    many: dict[str, tuple[bool, tuple[int, ...]]] = attrs.Factory(dict)
    later: list[tuple[str, Callable[[], None]]] = attrs.Factory(list)

    def known(self) -> dict[str, int]:
        """The sizes of all names, for symbolic axes."""
        fixed = {name: self.table.size_of(name) for name in self.table.names()}
        sizes = {name: size for name, size in fixed.items() if size is not None}
        return sizes | {name: size for name, (size, _) in self.sizes.items()}

    def close(self) -> None:
        """Examine the symbolic axes that had to wait."""
        for step, check in self.later:
            try:
                check()
            except Mismatch as mismatch:
                raise mismatch.at(step) from None


def array_examiner(hint: Any) -> Examine:
    """The function that examines arrays of an annotation: type and dtype by jaxtyping, once per dtype; axes here.

    >>> import numpy as np
    >>> from jaxtyping import Int32
    >>> array_examiner(Int32[np.ndarray, "n n"])(np.zeros((2, 3), np.int32), Scope(AxisTable()))
    Traceback (most recent call last):
    gptlab.pipeline.bind.Mismatch: ndarray of int32, shape (2, 3)
    """
    kind, dims = hint.array_type, parse_dims(hint.dim_str)
    loose = hint.dtype[kind, "..."]
    accepted: set[Any] = set()
    many = next((index for index, dim in enumerate(dims) if dim.kind == "many"), None)

    def examine_array(item: Any, scope: Scope) -> None:
        seen = (type(item), getattr(item, "dtype", None))
        if seen not in accepted:
            if not isinstance(item, loose):
                why = f"dtype {seen[1]} is not {hint.dtype.__name__}" if isinstance(item, _class(kind)) else ""
                raise Mismatch(found(item), show(hint), why)
            accepted.add(seen)
        try:
            _examine_axes(dims, many, item.shape, scope, hint)
        except _Wrong as wrong:
            raise Mismatch(found(item), show(hint), str(wrong), wrong.axis, close=True) from None

    return examine_array


def _examine_axes(dims: tuple[Dim, ...], many: int | None, shape: tuple[int, ...], scope: Scope, hint: Any) -> None:
    if many is None:
        if len(shape) != len(dims):
            raise _Wrong(f"{_count(len(shape))}, wanted {len(dims)}")
        _each(dims, shape, scope, hint)
        return
    tail = len(dims) - many - 1
    if len(shape) < many + tail:
        raise _Wrong(f"{_count(len(shape))}, wanted at least {many + tail}")
    stop = len(shape) - tail
    _each(dims[:many], shape[:many], scope, hint)
    _each(dims[many + 1 :], shape[stop:], scope, hint)
    _several(dims[many], tuple(shape[many:stop]), scope)


def _each(dims: tuple[Dim, ...], shape: tuple[int, ...], scope: Scope, hint: Any) -> None:
    for dim, size in zip(dims, shape, strict=True):
        earlier = scope.sizes.get(dim.name)
        if earlier is not None and earlier[0] == size and dim.kind == "named":  # by far the most
            continue
        if dim.kind == "symbolic" and not (dim.broadcast and size == 1):
            _symbolic(dim, size, scope, hint)
        else:
            _one(dim, size, scope)


class _Wrong(Exception):  # noqa: N818
    def __init__(self, why: str, axis: str = "") -> None:
        super().__init__(why)
        self.axis = axis


def _count(axes: int) -> str:
    return "1 axis" if axes == 1 else f"{axes} axes"


def _class(kind: Any) -> Any:
    return kind if inspect.isclass(kind) else object


def _one(dim: Dim, size: int, scope: Scope) -> None:
    if dim.kind == "any" or (dim.broadcast and size == 1):
        return
    if dim.kind == "fixed":
        if dim.size != size:
            raise _Wrong(f"an axis is {size}, wanted {dim.size}")
        return
    earlier = scope.sizes.get(dim.name)
    if earlier is not None:
        if earlier[0] != size:
            also = f" as in {earlier[1]}" if earlier[1] and earlier[1] != scope.label else ""
            raise _Wrong(f"axis {without_scope(dim.name)} is {size}, wanted {earlier[0]}{also}")
        return
    for claimed in scope.table.claims(dim.name):
        claim = claimed.claim
        if (size > claim.size) if isinstance(claim, AtMost) else (size != claim):
            raise _Wrong(f"axis {without_scope(dim.name)} is {size}, wanted {claim}", dim.name)
    scope.sizes[dim.name] = (size, scope.label)


def _symbolic(dim: Dim, size: int, scope: Scope, hint: Any) -> None:
    """A size that is arithmetic on other axes; it waits until they are known."""
    if evaluate(dim.expression, scope.known()) is None:
        step = scope.label[scope.label.rfind(".") :] if "." in scope.label else scope.label
        scope.later.append((step, functools.partial(_is_size, dim, size, scope, hint)))
    else:
        _is_size(dim, size, scope, hint)


def _is_size(dim: Dim, size: int, scope: Scope, hint: Any) -> None:
    wanted = evaluate(dim.expression, scope.known())
    if wanted != size:
        text = without_scope(dim.expression)
        why = f"axis {text} is {size}, wanted {wanted}" if wanted is not None else f"nothing sizes axis {text}"
        raise Mismatch(f"an axis of {size}", show(hint), why, close=True)


def _several(dim: Dim, shape: tuple[int, ...], scope: Scope) -> None:
    """`*name`: the same axes wherever it stands, or ones that broadcast to them (`*#name`)."""
    if not dim.name:
        return
    earlier_may, earlier = scope.many.setdefault(dim.name, (dim.broadcast, shape))
    if earlier == shape:
        return
    both = _broadcast(earlier, shape)
    fits = both is not None and (earlier_may or both == earlier) and (dim.broadcast or both == shape)
    if not fits:
        raise _Wrong(f"axes {without_scope(dim.name)} are {shape}, wanted {earlier}")
    if earlier_may:
        scope.many[dim.name] = (dim.broadcast, both or shape)


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    import numpy as np  # noqa: PLC0415

    try:
        return np.broadcast_shapes(one, other)
    except ValueError:
        return None


def found(item: Any) -> str:
    """What a thing is, in a few words: arrays by dtype and shape, short values as they are, others by type.

    >>> found(3), found(["a long list"] * 100), found(None)
    ('int 3', 'list', 'None')
    """
    if hasattr(item, "dtype") and hasattr(item, "shape"):
        return f"{type(item).__name__} of {str(item.dtype).removeprefix('torch.')}, shape {tuple(item.shape)}"
    if item is None:
        return "None"
    text = repr(item) if isinstance(item, str | bytes | int | float) else ""
    return f"{type(item).__name__} {text}".strip() if len(text) <= 40 else type(item).__name__
