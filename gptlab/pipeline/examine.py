"""One item against one annotation: a function is made for each annotation once, and called for each item.

Axes are bound per record: `tokens` of two documents in one walk are two axes, `seq` of two fields of one row is one.
"""

import functools
import inspect
import operator
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NewType, TypeVar

import attrs

from gptlab.pipeline.axes import AtMost, AxisTable
from gptlab.pipeline.dims import Dim, evaluate, parse_dims
from gptlab.pipeline.generics import class_bindings
from gptlab.pipeline.hints import (
    MISSING,
    arguments,
    field_hints,
    is_array,
    is_protocol,
    is_union,
    show,
    strip,
    substitute,
    without_scope,
)

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


@functools.lru_cache(maxsize=1024)
def examiner(hint: Any) -> Examine:  # noqa: PLR0911  (a table of cases)
    """The function that examines items of an annotation.

    >>> examine = examiner(tuple[int, str])
    >>> examine((1, "a"), Scope(AxisTable()))
    >>> examine((1, 2), Scope(AxisTable()))
    Traceback (most recent call last):
    gptlab.pipeline.examine.Mismatch: tuple
    """
    hint = strip(hint)
    if isinstance(hint, NewType):
        return examiner(hint.__supertype__)
    if hint in (Any, MISSING, object) or isinstance(hint, TypeVar):
        return _anything
    if is_array(hint):
        return _array(hint)
    if not _has_parts(hint):
        return _plain(hint)
    if is_union(hint):
        return _union(hint)
    kind: Any = typing.get_origin(hint) or hint
    if field_hints(kind):
        return _record(hint, kind)
    if kind is tuple and Ellipsis not in typing.get_args(hint):
        return _tuple(hint)
    if issubclass(kind, Mapping):
        return _mapping(hint, kind)
    return _collection(hint, kind) if issubclass(kind, Collection) else _plain(kind)


def _anything(item: Any, scope: Scope) -> None:
    """Nothing is promised."""


def _has_parts(hint: Any) -> bool:
    """Whether there is a record or an array in it, which beartype would not look into."""
    hint = strip(hint)
    if isinstance(hint, NewType):
        return _has_parts(hint.__supertype__)
    if is_array(hint):
        return True
    origin = typing.get_origin(hint)
    if origin is None:
        return inspect.isclass(hint) and bool(field_hints(hint))
    if origin is Literal or origin is type or origin is typing.get_origin(Callable[[int], int]):
        return False
    return bool(field_hints(origin) if inspect.isclass(origin) else ()) or any(map(_has_parts, arguments(hint)))


def _plain(hint: Any) -> Examine:
    """No record and no array inside: `isinstance` for a class, beartype for the rest."""
    if inspect.isclass(hint) and hint not in (float, complex) and not is_protocol(hint) and not typing.get_args(hint):
        kind = hint

        def examine_class(item: Any, scope: Scope) -> None:
            if not isinstance(item, kind):
                raise Mismatch(found(item), show(hint))

        return examine_class
    if is_protocol(typing.get_origin(hint) or hint):  # its signatures were compared when the pipeline was built
        return _anything
    return _by_beartype(hint)


def _by_beartype(hint: Any) -> Examine:
    from beartype import BeartypeConf, beartype  # noqa: PLC0415  (a tenth of a second that only a run needs)
    from beartype.roar import BeartypeCallHintViolation  # noqa: PLC0415

    # Four times faster than `is_bearable`, which looks the annotation up on every call. A lambda, since what is
    # defined by `def` is decorated already where gptlab itself is under check.
    accept: Any = lambda item: None  # noqa: E731
    accept.__name__ = accept.__qualname__ = "accept"
    accept.__annotations__ = {"item": hint}
    accepts = beartype(conf=BeartypeConf(is_pep484_tower=True))(accept)

    def examine_plain(item: Any, scope: Scope) -> None:
        try:
            accepts(item)
        except BeartypeCallHintViolation:
            raise Mismatch(found(item), show(hint)) from None

    return examine_plain


def _record(hint: Any, kind: Any) -> Examine:
    bound = class_bindings(hint)
    hints = {name: substitute(annotation, bound) for name, annotation in field_hints(kind).items()}
    fields = tuple((name, examiner(annotation), f"{kind.__name__}.{name}") for name, annotation in hints.items())
    has_axes = any(map(_has_parts, hints.values()))
    # Whether a value is of a class follows from its type, so the types of these fields are looked at once.
    simple = tuple(field for field in fields if _is_simple(hints[field[0]]))
    others = tuple(field for field in fields if field not in simple)
    types_of = _types_of(tuple(name for name, _, _ in simple))
    accepted: set[Any] = set()

    def examine_record(item: Any, scope: Scope) -> None:
        if not isinstance(item, kind):
            raise Mismatch(found(item), show(hint))
        own = Scope(scope.table) if has_axes else scope
        types = types_of(item)
        if types not in accepted:
            _examine_fields(simple, item, own)
            accepted.add(types)
        if others:
            _examine_fields(others, item, own)
        if has_axes and own.later:
            own.close()

    return examine_record


def _examine_fields(fields: tuple[tuple[str, Examine, str], ...], item: Any, scope: Scope) -> None:
    for name, examine, label in fields:
        scope.label = label
        try:
            examine(getattr(item, name), scope)
        except Mismatch as mismatch:
            raise mismatch.at(f".{name}") from None


def _is_simple(hint: Any) -> bool:
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    return inspect.isclass(hint) and hint in (int, str, bytes, bool, type(None))


def _types_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A function from a record to the types of these fields."""
    if len(names) < 2:
        return lambda item: tuple(type(getattr(item, name)) for name in names)
    values = operator.attrgetter(*names)
    return lambda item: tuple(map(type, values(item)))


def _union(hint: Any) -> Examine:
    members = tuple(examiner(member) for member in typing.get_args(hint))

    def examine_union(item: Any, scope: Scope) -> None:
        closest: Mismatch | None = None
        for examine in members:
            state = (dict(scope.sizes), dict(scope.many), list(scope.later)) if scope.sizes or scope.many else None
            try:
                examine(item, scope)
            except Mismatch as mismatch:
                scope.sizes, scope.many, scope.later = state or ({}, {}, scope.later)
                if closest is None or _close(mismatch) > _close(closest):
                    closest = mismatch
            else:
                return
        if closest is not None and (closest.close or closest.path):
            raise closest
        raise Mismatch(found(item), show(hint))

    return examine_union


def _close(mismatch: Mismatch) -> tuple[int, bool]:
    return len(mismatch.path), mismatch.close


def _tuple(hint: Any) -> Examine:
    members = tuple((examiner(member), f"[{index}]") for index, member in enumerate(typing.get_args(hint)))

    def examine_tuple(item: Any, scope: Scope) -> None:
        if not isinstance(item, tuple) or len(item) != len(members):
            raise Mismatch(found(item), show(hint))
        outer = scope.label
        for (examine, step), element in zip(members, item, strict=True):
            scope.label = outer + step
            try:
                examine(element, scope)
            except Mismatch as mismatch:
                raise mismatch.at(step) from None

    return examine_tuple


def _collection(hint: Any, kind: Any) -> Examine:
    examine_element = examiner(typing.get_args(hint)[0])

    def examine_collection(item: Any, scope: Scope) -> None:
        if not isinstance(item, kind):
            raise Mismatch(found(item), show(hint))
        for index, element in enumerate(item):
            try:
                examine_element(element, scope)
            except Mismatch as mismatch:
                raise mismatch.at(f"[{index}]") from None

    return examine_collection


def _mapping(hint: Any, kind: Any) -> Examine:
    key, value = map(examiner, typing.get_args(hint))

    def examine_mapping(item: Any, scope: Scope) -> None:
        if not isinstance(item, kind):
            raise Mismatch(found(item), show(hint))
        for name, element in item.items():
            try:
                key(name, scope)
                value(element, scope)
            except Mismatch as mismatch:
                raise mismatch.at(f"[{name!r}]") from None

    return examine_mapping


def _array(hint: Any) -> Examine:
    """Array type and dtype by jaxtyping, once per dtype; axes here."""
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
