"""What surely passes, said quickly, so that a check of every item costs little (see `experiments/contract_cost`).

A function is written for each annotation, as attrs writes `__init__`: straight lines that compare types, dtypes and
shapes. It says True only of what `examine` lets pass. False means "not sure": values of subclasses, symbolic axes,
arrays of other libraries than numpy and all that is wrong go to `examine`, which decides and explains.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, NewType, TypeVar

import attrs

from gptlab.pipeline.axes import AxisTable
from gptlab.pipeline.dims import Dim, parse_dims
from gptlab.pipeline.examine import plain_class
from gptlab.pipeline.generics import class_bindings
from gptlab.pipeline.hints import MISSING, field_hints, is_array, is_protocol, is_union, strip, substitute

Accept = Callable[[Any], bool]
"""item -> whether it surely passes."""

Limits = tuple[tuple[str, int, int], ...]
"""(axis, smallest size, largest size)."""

_SINGLE, _PAIRED = (tuple, list, set, frozenset), (dict,)
_MOST_RECORDS = 32  # a generic record may hold ever new types of itself


def acceptor(hint: Any, table: AxisTable) -> Accept:
    """The quick function of an annotation.

    Args:
        hint: what items should be.
        table: what the pipeline knows of the axes.

    >>> import numpy as np
    >>> from jaxtyping import Int32
    >>> accept = acceptor(tuple[Int32[np.ndarray, "n"], Int32[np.ndarray, "n"]], AxisTable())
    >>> one, two = np.zeros(1, np.int32), np.zeros(2, np.int32)
    >>> accept((one, one)), accept((one, two)), accept(None)
    (True, False, False)
    """
    return _written(hint, table.limits())


@functools.lru_cache(maxsize=1024)
def _written(hint: Any, limits: Limits) -> Accept:
    try:
        return _Writer({name: (least, most) for name, least, most in limits}).function(hint)
    except _Unsure:
        return _never


def _never(item: Any) -> bool:
    """For annotations that only `examine` understands."""
    return False


class _Unsure(Exception):  # noqa: N818  (no error: the annotation is left to `examine`)
    pass


Axes = dict[str, str]
"""Axis name (or `shape of n m`) to what holds its size (or the whole shape)."""


@attrs.define
class _Writer:
    """Writes one function for each record and one for the annotation; they call each other by name.

    Attributes:
        limits: axis to its smallest and largest size.
        lines: the code.
        space: what the code refers to.
        records: the function of each record.
        waiting: records whose function is not written yet.
    """

    limits: Mapping[str, tuple[int, int]]
    lines: list[str] = attrs.Factory(list)
    space: dict[str, Any] = attrs.Factory(dict)
    records: dict[Any, str] = attrs.Factory(dict)
    waiting: list[Any] = attrs.Factory(list)
    _count: int = 0

    def function(self, hint: Any) -> Accept:
        """Write and compile everything."""
        self.lines.append("def accept(item):")
        self._value(hint, "item", "    ", {})
        self.lines.append("    return True")
        while self.waiting:
            self._record(self.waiting.pop())
        exec(compile("\n".join(self.lines), "<gptlab.pipeline.accept>", "exec"), self.space)
        accept: Accept = self.space["accept"]
        return accept

    def _record(self, hint: Any) -> None:
        kind, bound, axes = typing.get_origin(hint) or hint, class_bindings(hint), Axes()
        self.lines.append(f"def {self.records[hint]}(item):")
        self._refuse(f"type(item) is not {self._name(kind)}", "    ")
        for field, annotation in field_hints(kind).items():
            variable = self._new("value")
            self.lines.append(f"    {variable} = item.{field}")
            self._value(substitute(annotation, bound), variable, "    ", axes)
        self.lines.append("    return True")

    def _value(self, hint: Any, value: str, indent: str, axes: Axes | None) -> None:
        """Lines that return False unless `value` is surely of the annotation; no `axes` where a name would repeat."""
        hint = strip(hint)
        while isinstance(hint, NewType):
            hint = strip(hint.__supertype__)
        plain = plain_class(hint)
        kind = typing.get_origin(hint) or hint
        if hint in (Any, MISSING, object) or isinstance(hint, TypeVar):
            return
        if plain is not None or hint is float:
            self._refuse(f"type({value}) is not {self._name(hint)}", indent)
        elif is_array(hint):
            self._array((hint,), value, indent, axes)
        elif is_union(hint):
            self._union(typing.get_args(hint), value, indent, axes)
        elif kind is Literal:
            self._literal(typing.get_args(hint), value, indent)
        elif not inspect.isclass(kind) or is_protocol(kind) or typing.is_typeddict(kind):
            raise _Unsure
        elif field_hints(kind):
            self._refuse(f"not {self._function_of(hint)}({value})", indent)
        elif typing.get_args(hint):
            self._container(kind, typing.get_args(hint), value, indent, axes)
        elif hint is kind and kind is not complex:
            self._refuse(f"not isinstance({value}, {self._name(kind)})", indent)
        else:
            raise _Unsure

    def _function_of(self, hint: Any) -> str:
        if hint not in self.records:
            if len(self.records) == _MOST_RECORDS:
                raise _Unsure
            self.records[hint] = self._new("accept")
            self.waiting.append(hint)
        return self.records[hint]

    def _union(self, members: tuple[Any, ...], value: str, indent: str, axes: Axes | None) -> None:
        kinds = [plain_class(member) for member in members]
        if None not in kinds:
            self._refuse(f"type({value}) not in {self._name(frozenset(kinds))}", indent)
        elif all(map(is_array, members)) and len({member.dim_str for member in members}) == 1:
            self._array(members, value, indent, axes)
        elif len(members) == 2 and type(None) in members and not any(map(is_array, members)):
            (member,) = (member for member in members if member is not type(None))
            self.lines.append(f"{indent}if {value} is not None:")
            self._value(member, value, indent + "    ", None)
            self.lines.append(f"{indent}    pass")
        else:
            raise _Unsure

    def _literal(self, choices: tuple[Any, ...], value: str, indent: str) -> None:
        kinds = set(map(type, choices))
        if not kinds <= {int, str}:
            raise _Unsure
        for kind in kinds if len(kinds) == 1 else ():
            self._refuse(f"type({value}) is not {self._name(kind)}", indent)
            self._refuse(f"{value} not in {self._name(frozenset(choices))}", indent)
            return
        raise _Unsure

    def _container(self, kind: Any, args: tuple[Any, ...], value: str, indent: str, axes: Axes | None) -> None:
        if kind is tuple and args[1:] != (Ellipsis,):
            members = [self._new("value") for arg in args if arg != ()]
            self._refuse(f"type({value}) is not tuple or len({value}) != {len(members)}", indent)
            if members:
                self.lines.append(f"{indent}{', '.join(members)}, = {value}")
            for member, inner in zip(members, args, strict=False):
                self._value(inner, member, indent, axes)
            return
        known = [
            one for one in (_PAIRED if len(args) == 2 and kind is not tuple else _SINGLE) if issubclass(one, kind)
        ]
        if not known:
            raise _Unsure
        self._refuse(f"type({value}) not in {self._name(frozenset(known))}", indent)
        self._elements(args[0], value, indent)
        if known[0] is dict:
            self._elements(args[1], f"{value}.values()", indent)

    def _elements(self, hint: Any, values: str, indent: str) -> None:
        plain = plain_class(hint)
        if plain is not None:
            self._refuse(f"{values} and set(map(type, {values})) != {self._name(frozenset((plain,)))}", indent)
            return
        element = self._new("value")
        self.lines.append(f"{indent}for {element} in {values}:")
        self._value(hint, element, indent + "    ", None)
        self.lines.append(f"{indent}    pass")

    def _array(self, hints: tuple[Any, ...], value: str, indent: str, axes: Axes | None) -> None:
        """Several have the same axes and other dtypes."""
        import numpy as np  # noqa: PLC0415

        if any(hint.array_type is not np.ndarray for hint in hints):
            raise _Unsure
        dtypes = sorted({dtype for hint in hints for dtype in _dtypes(hint)}, key=str)
        names = [self._name(dtype) for dtype in dtypes]
        one_of = " and ".join(f"{value}.dtype is not {name}" for name in names[:3])
        dtype_is_wrong = one_of if len(names) <= 3 else f"{value}.dtype not in {self._name(frozenset(dtypes))}"
        self._refuse(f"type({value}) is not {self._name(np.ndarray)} or ({dtype_is_wrong})", indent)
        text = hints[0].dim_str
        shape, dims, whole = self._new("shape"), parse_dims(text), f"shape of {text}"
        if axes is not None and whole in axes:
            self._refuse(f"{value}.shape != {axes[whole]}", indent)
            return
        self.lines.append(f"{indent}{shape} = {value}.shape")
        self._refuse(f"len({shape}) != {len(dims)}", indent)
        for index, dim in enumerate(dims):
            self._axis(dim, f"{shape}[{index}]", indent, axes)
        if axes is not None and not any(dim.kind == "any" for dim in dims):
            axes[whole] = shape

    def _axis(self, dim: Dim, size: str, indent: str, axes: Axes | None) -> None:
        if dim.kind == "any":
            return
        if dim.broadcast or dim.kind not in ("fixed", "named") or (dim.kind == "named" and axes is None):
            raise _Unsure
        if dim.kind == "fixed":
            self._refuse(f"{size} != {dim.size}", indent)
        elif axes is not None and dim.name in axes:
            self._refuse(f"{size} != {axes[dim.name]}", indent)
        elif axes is not None:
            axes[dim.name] = size
            if dim.name in self.limits:
                least, most = self.limits[dim.name]
                self._refuse(f"not {least} <= {size} <= {most}", indent)

    def _refuse(self, condition: str, indent: str) -> None:
        self.lines.append(f"{indent}if {condition}: return False")

    def _name(self, thing: Any) -> str:
        name = self._new("thing")
        self.space[name] = thing
        return name

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def _dtypes(hint: Any) -> list[Any]:
    """The dtypes of numpy that the annotation names."""
    import numpy as np  # noqa: PLC0415

    if not isinstance(hint.dtypes, tuple | list):
        return [np.dtype(name) for name in ("bool", "int32", "int64", "float32", "float64")]  # any; these are common
    found = []
    for name in hint.dtypes:
        try:
            found.append(np.dtype(name))
        except TypeError:  # a dtype of other libraries, or a pattern
            continue
    return found
