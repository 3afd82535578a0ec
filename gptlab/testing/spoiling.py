"""Near-misses: values that are almost of an annotation, and always fail its run-time check.

One thing is wrong in each: a dtype, a rank, one axis of one field, one field, the kind of a container, the type of
its elements. What by chance is right after all (an axis may have any size where nothing else names it) is drawn
again.
"""

import copy
import random
import typing
from collections.abc import Mapping
from typing import Any, Literal, NewType

import attrs
import numpy as np
from hypothesis import strategies as st

from gptlab.pipeline.axes import AxisTable, Claim, Claimed
from gptlab.pipeline.bind import Mismatch
from gptlab.pipeline.bind import Scope as Examined
from gptlab.pipeline.dims import parse_dims
from gptlab.pipeline.examine import examiner
from gptlab.pipeline.hints import is_array, is_union, show, strip
from gptlab.testing.arrays import array, library_of
from gptlab.testing.draw import Draw, composite
from gptlab.testing.drawing import Scope, bound_variables, init_names, record_hints, record_of, scope_arrays, value
from gptlab.testing.errors import cannot_draw
from gptlab.testing.sizes import sizes

_POOL: tuple[Any, ...] = (None, 3, 1.5, "3", b"3", True, (), [], {}, frozenset(), ("x", 1), [b"x"], {1: 2j}, 2j)


def conforms(item: Any, annotation: Any, axes: Mapping[str, Claim] | None = None) -> bool:
    """Whether the run-time check of a pipeline lets an item pass.

    Args:
        item: what would be yielded.
        annotation: what was promised.
        axes: claims on its axes.

    >>> conforms(3, int | None), conforms("3", int | None)
    (True, False)
    """
    table = AxisTable()
    for name, claim in (axes or {}).items():
        table.claim(Claimed(0, name, claim))
    state = random.getstate()  # beartype looks at a random element of a list
    try:
        scope = Examined(table)
        examiner(annotation)(item, scope)
        scope.close()
    except Mismatch:
        return False
    finally:
        random.setstate(state)
    return True


@composite
def spoiled(draw: Draw, annotation: Any, scope: Scope) -> Any:
    """A value that is not of the annotation, but almost."""
    hint = draw(bound_variables(annotation))
    axes = scope.axes
    pool = [wrong for wrong in _POOL if not conforms(wrong, hint, axes)]
    if not pool:
        raise cannot_draw(
            f"near-misses of {show(annotation)}",
            got="an annotation that everything fits",
            wanted="one that something fails",
            do="Write a narrower annotation.",
        )
    found = draw(sizes(scope_arrays([hint]), axes, {}, scope.limits))
    near = _near(hint, attrs.evolve(scope, sizes=found)).filter(lambda wrong: not conforms(wrong, hint, axes))
    return draw(st.one_of(near, st.sampled_from(pool)) if _has_near(hint) else st.sampled_from(pool))


def _has_near(hint: Any) -> bool:
    hint = strip(hint)
    if isinstance(hint, NewType):
        return _has_near(hint.__supertype__)
    if typing.get_origin(hint) is Literal:
        return False
    return is_array(hint) or is_union(hint) or record_of(hint) is not None or bool(typing.get_args(hint))


@composite
def _near(draw: Draw, hint: Any, scope: Scope) -> Any:
    hint = strip(hint)
    if isinstance(hint, NewType):
        return draw(_near(hint.__supertype__, scope))
    if is_array(hint):
        return draw(_near_array(hint, scope))
    if is_union(hint):
        return draw(_near(draw(st.sampled_from(typing.get_args(hint))), scope))
    kind = record_of(hint)
    if kind is not None:
        return draw(_near_record(hint, kind, scope))
    if typing.get_args(hint) and typing.get_origin(hint) is not Literal:
        return draw(_near_generic(hint, scope))
    pool = [wrong for wrong in _POOL if not conforms(wrong, hint)]
    return draw(st.sampled_from(pool)) if pool else None


@composite
def _near_array(draw: Draw, hint: Any, scope: Scope) -> Any:
    """A wrong dtype, a wrong rank, a size that is one off, or nested lists."""
    right = draw(value(hint, scope))
    wrongs = ["kind", "rank"]
    if isinstance(hint.dtypes, tuple | list):
        wrongs.append("dtype")
    if any(dim.kind in ("fixed", "symbolic", "named") for dim in parse_dims(hint.dim_str)):
        wrongs.append("size")
    match draw(st.sampled_from(wrongs)):
        case "kind":
            return np.zeros(right.shape, "float32").tolist()
        case "rank":
            return right[None]
        case "dtype":
            library = library_of(hint.array_type)
            allowed = [dtype for dtype in ("int32", "float32", "bool", "int64") if dtype not in hint.dtypes]
            return draw(array(library, draw(st.sampled_from(allowed)), tuple(right.shape)))
        case _:
            return draw(_resized(right)) if right.shape else right[None]


@composite
def _resized(draw: Draw, right: Any) -> Any:
    """One axis one longer."""
    axis = draw(st.integers(0, len(right.shape) - 1))
    shape = list(right.shape)
    shape[axis] += 1
    if isinstance(right, np.ndarray):
        return np.zeros(shape, right.dtype)
    return right.new_zeros(shape)


@composite
def _near_record(draw: Draw, hint: Any, kind: Any, scope: Scope) -> Any:
    """The record with one wrong field, or its fields without their record."""
    hints = record_hints(hint, kind)
    found = draw(sizes(scope_arrays(hints.values()), scope.axes, {}, scope.limits))
    scope = attrs.evolve(scope, sizes=found, depth=scope.depth + 1)
    right = draw(value(hint, scope, at_top=True))
    names = [name for name, annotation in hints.items() if name in init_names(kind) and _can_fail(annotation)]
    if not names or draw(st.integers(0, 4)) == 4:
        return {name: getattr(right, name) for name in hints}
    name = draw(st.sampled_from(names))
    if is_array_like(getattr(right, name)) and draw(st.booleans()):
        wrong = draw(_resized(getattr(right, name))) if getattr(right, name).shape else None
    else:
        wrong = draw(_near(hints[name], scope))
    return _with_field(right, name, wrong)


def is_array_like(thing: Any) -> bool:
    """Whether it has a shape and a dtype."""
    return hasattr(thing, "shape") and hasattr(thing, "dtype")


def _can_fail(hint: Any) -> bool:
    return any(not conforms(wrong, hint) for wrong in _POOL)


def _with_field(record: Any, name: str, wrong: Any) -> Any:
    """A copy with another field, past `__init__`: a class under check would refuse what we are after."""
    if isinstance(record, tuple):
        return type(record)._make(wrong if field == name else getattr(record, field) for field in record._fields)  # type: ignore[attr-defined]
    twin = copy.copy(record)
    object.__setattr__(twin, name, wrong)
    return twin


@composite
def _near_generic(draw: Draw, hint: Any, scope: Scope) -> Any:
    """Another kind of container, or wrong elements: all of them, since beartype looks at one at random."""
    origin, args = typing.get_origin(hint), [arg for arg in typing.get_args(hint) if arg not in (Ellipsis, ())]
    is_fixed = origin is tuple and Ellipsis not in typing.get_args(hint)
    if is_fixed:
        right = list(draw(value(hint, scope)))
        if not args or draw(st.booleans()):
            return (*right, None)
        place = draw(st.integers(0, len(args) - 1))
        right[place] = draw(_near(args[place], scope)) if _can_fail(args[place]) else right[place]
        return tuple(right)
    try:
        is_mapping = issubclass(origin, Mapping)
    except TypeError:
        is_mapping = False
    wrong = st.lists(_near(args[-1], scope), min_size=1, max_size=2)
    if is_mapping:
        keys = st.lists(value(args[0], scope), min_size=1, max_size=1)
        return dict(zip(draw(keys), draw(wrong), strict=False))
    elements = draw(wrong)
    make = draw(st.sampled_from([list, tuple, *_makers(origin)]))
    try:
        return make(elements)
    except TypeError:  # what cannot be hashed stands in no set
        return list(elements)


def _makers(origin: Any) -> list[Any]:
    return [origin] if origin in (list, tuple, set, frozenset) else []
