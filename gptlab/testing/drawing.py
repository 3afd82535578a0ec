"""A strategy from an annotation, by what the annotation promises and nothing else.

Axes are drawn once per record (as the run-time check binds them) and symbolic ones solved, so that no example is
thrown away. Records are made by their own `__init__`: what that refuses with a `ValueError` is not drawn.
"""

import collections
import collections.abc
import enum
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePath
from typing import Any, Literal, NewType, TypeVar

import attrs
import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from gptlab.pipeline.axes import TOKEN_NAMES, Claim
from gptlab.pipeline.dims import parse_dims
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
)
from gptlab.testing.arrays import array, dtypes_of, elements
from gptlab.testing.draw import Draw, Quiet, composite
from gptlab.testing.errors import cannot_draw
from gptlab.testing.registry import bound_of, entry_for
from gptlab.testing.sizes import Limits, Sizes, shape_of, sizes
from gptlab.testing.text import nasty_text

_DEEP = 2


@attrs.frozen(kw_only=True)
class Scope:
    """What holds for what is drawn at one place.

    Attributes:
        axes: sizes and bounds that the part claims, everywhere.
        sizes: of the axes of the record at hand.
        limits: how large things may be.
        nonfinite: whether floats may be NaN or infinite.
        field: its name, which tells token ids from other numbers.
        depth: of records in records.
        path: the records around, for one that holds itself.
    """

    axes: Mapping[str, Claim] = attrs.Factory(dict)
    sizes: Sizes = attrs.Factory(Sizes)
    limits: Limits = attrs.Factory(Limits)
    nonfinite: bool = False
    field: str = ""
    depth: int = 0


def strategy_for(
    annotation: Any,
    *,
    invalid: bool = False,
    axes: Mapping[str, Claim] | None = None,
    limits: Limits = Limits(),
    nonfinite: bool = False,
    shared: Mapping[str, int] | None = None,
) -> st.SearchStrategy[Any]:
    """Values of an annotation that a seam can have.

    Named axes are consistent within one example, across all fields of a record; the library's records (documents,
    walks, rows, batches) are valid and not only well typed; text has the nasty parts of Unicode.

    Args:
        annotation: a class, a record, a jaxtyping array, a union, a collection, a `NewType` and so on.
        invalid: near-misses instead: values that just fail the run-time check of the annotation.
        axes: axis name to size, or to `AtMost`, as a part's `axes()` gives them.
        limits: how large axes and collections may be.
        nonfinite: whether floats may be NaN or infinite.
        shared: sizes that examples of one stream have in common.

    Raises:
        CannotDraw: (when drawn) the annotation does not say what to draw, such as a Protocol.

    >>> import numpy as np
    >>> from hypothesis import find
    >>> from jaxtyping import Float32
    >>> find(strategy_for(Float32[np.ndarray, "n n+1"]), lambda array: array.size > 0)
    array([[0., 0.]], dtype=float32)
    """
    from gptlab.testing.spoiling import spoiled  # noqa: PLC0415  (the two call each other)

    scope = Scope(axes=dict(axes or {}), limits=limits, nonfinite=nonfinite)
    drawn = spoiled(annotation, scope) if invalid else _item(annotation, scope, dict(shared or {}))
    return Quiet(drawn, f"strategy_for({show(annotation)}{', invalid=True' if invalid else ''})")


@composite
def _item(draw: Draw, hint: Any, scope: Scope, shared: Mapping[str, int]) -> Any:
    """One item: its bare arrays have axes in common, and a record at the top has those of its stream."""
    hint = draw(bound_variables(hint))
    kind = record_of(hint)
    hints = list(record_hints(hint, kind).values()) if kind is not None else [hint]
    found = draw(sizes(scope_arrays(hints), scope.axes, shared, scope.limits))
    return draw(value(hint, attrs.evolve(scope, sizes=found), at_top=True))


@composite
def bound_variables(draw: Draw, hint: Any) -> Any:
    """The annotation with a type for each variable: its bound, one of its constraints, or a simple type."""
    bound: dict[Any, Any] = {}
    for variable in sorted(variables_in(hint), key=lambda one: one.__name__):
        if variable.__bound__ is not None:
            bound[variable] = variable.__bound__
        else:
            bound[variable] = draw(st.sampled_from(variable.__constraints__ or (int, str, tuple[int, str])))
    return substitute(hint, bound) if bound else hint


def variables_in(hint: Any) -> set[Any]:
    """Type variables, also inside NewTypes."""
    if isinstance(hint, TypeVar):
        return {hint}
    if typing.get_origin(hint) is Literal:
        return set()
    return set().union(*(variables_in(inner) for inner in arguments(hint)))


def record_of(hint: Any) -> Any:
    """The class of a record, or None."""
    hint = strip(hint)
    kind = typing.get_origin(hint) or hint
    return kind if inspect.isclass(kind) and not is_array(kind) and field_hints(kind) else None


def record_hints(hint: Any, kind: Any) -> Mapping[str, Any]:
    """The annotations of a record's fields, with types for its variables."""
    bound = class_bindings(hint)
    return {name: substitute(annotation, bound) for name, annotation in field_hints(kind).items()}


def scope_arrays(hints: Collection[Any]) -> list[Any]:
    """The arrays whose axes are bound together: not those of records within."""
    found: list[Any] = []
    for hint in map(strip, hints):
        if isinstance(hint, NewType):
            found += scope_arrays([hint.__supertype__])
        elif is_array(hint):
            found.append(hint)
        elif typing.get_origin(hint) is not Literal and record_of(hint) is None:
            found += scope_arrays([inner for inner in arguments(hint) if inner is not Ellipsis and inner != ()])
    return found


@composite
def value(  # noqa: PLR0911  (a table of cases)
    draw: Draw, hint: Any, scope: Scope, at_top: bool = False
) -> Any:
    """A value at one place. The first alternatives are what shrinking ends with."""
    hint = strip(hint)
    entry = entry_for(typing.get_origin(hint) or hint)
    if entry is not None:
        return draw(entry.one(scope.axes))
    if isinstance(hint, NewType):
        return draw(value(hint.__supertype__, scope, at_top))
    if is_array(hint):
        return draw(_array(hint, scope))
    if is_union(hint):
        return draw(value(_member(draw, hint, scope), scope))
    if typing.get_origin(hint) is Literal:
        return draw(st.sampled_from(typing.get_args(hint)))
    kind = record_of(hint)
    if kind is not None:
        return draw(_record(hint, kind, scope, at_top))
    if typing.get_origin(hint) is not None or hint in _CONTAINERS:
        return draw(_generic(hint, scope))
    return draw(plain(hint, scope))


def _member(draw: Draw, hint: Any, scope: Scope) -> Any:
    members = tuple(sorted(typing.get_args(hint), key=lambda member: record_of(member) is not None))
    if scope.depth > _DEEP:  # and one that may hold another of itself
        flat = [member for member in members if record_of(member) is None]
        members = tuple(flat) or members
    return draw(st.sampled_from(members))


@composite
def _array(draw: Draw, hint: Any, scope: Scope) -> Any:
    dims = parse_dims(hint.dim_str)
    shape = draw(shape_of(dims, scope.sizes, scope.limits))
    is_ids = scope.field in TOKEN_NAMES or any(dim.name in TOKEN_NAMES for dim in dims)
    below = bound_of(scope.axes, "vocab", 0) if is_ids and "vocab" in scope.axes else None
    library = "torch" if getattr(hint.array_type, "__module__", "").split(".")[0] == "torch" else "numpy"
    dtype = draw(st.sampled_from(dtypes_of(hint)))
    return draw(array(library, dtype, shape, below, nonfinite=scope.nonfinite))


@composite
def _record(draw: Draw, hint: Any, kind: Any, scope: Scope, at_top: bool) -> Any:
    hints = record_hints(hint, kind)
    found = scope.sizes if at_top else draw(sizes(scope_arrays(hints.values()), scope.axes, {}, scope.limits))
    own = attrs.evolve(scope, sizes=found, depth=scope.depth + 1)
    fields = {
        name: draw(value(annotation, attrs.evolve(own, field=name)))
        for name, annotation in hints.items()
        if name in init_names(kind)
    }
    try:
        return kind(**{init_names(kind)[name]: drawn for name, drawn in fields.items()})
    except ValueError:
        return reject()  # the record's own validators know more than its types


def init_names(kind: Any) -> Mapping[str, str]:
    """Field name to the name of its argument, for the fields that are arguments."""
    if attrs.has(kind):
        return {field.name: field.alias or field.name for field in attrs.fields(kind) if field.init}
    fields = getattr(kind, "__dataclass_fields__", None)
    return {name: name for name in (kind._fields if fields is None else [n for n, f in fields.items() if f.init])}


_CONTAINERS = (list, tuple, dict, set, frozenset, collections.deque)
_MAKERS: Mapping[Any, tuple[Callable[[list[Any]], Any], ...]] = {
    list: (list,),
    collections.deque: (collections.deque,),
    collections.abc.Sequence: (tuple, list),
    collections.abc.MutableSequence: (list,),
    collections.abc.Collection: (tuple, list),
    collections.abc.Iterable: (tuple, list),
    collections.abc.Reversible: (tuple, list),
    collections.abc.Container: (tuple, list),
    collections.abc.Iterator: (iter,),
    set: (set,),
    collections.abc.MutableSet: (set,),
    frozenset: (frozenset,),
    collections.abc.Set: (frozenset, set),
}
_MAPPINGS: Mapping[Any, Callable[[Any], Any]] = {
    dict: dict,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
    collections.OrderedDict: collections.OrderedDict,
}


@composite
def _generic(draw: Draw, hint: Any, scope: Scope) -> Any:
    """A collection, a mapping, a tuple."""
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    longest = scope.limits.longest >> scope.depth  # a record that holds a list of itself must end somewhere
    if origin is tuple and args and args[-1] is not Ellipsis:
        return tuple(draw(value(inner, scope)) for inner in args if inner != ())
    inner = args[0] if args else int
    if origin is tuple:
        return tuple(draw(st.lists(value(inner, scope), max_size=longest)))
    if origin in _MAKERS:
        make = draw(st.sampled_from(_MAKERS[origin]))
        return make(draw(st.lists(value(inner, scope), max_size=longest)))
    if origin in _MAPPINGS or origin is collections.Counter or origin is collections.defaultdict:
        pair = st.tuples(value(inner, scope), value(args[1] if len(args) > 1 else int, scope))
        content = dict(draw(st.lists(pair, max_size=longest)))
        return _mapping(origin, content)
    if origin is np.ndarray:
        kinds = [arg for dtype in args[1:] for arg in typing.get_args(dtype) if inspect.isclass(arg)]
        name = np.dtype(kinds[0]).name if kinds and not inspect.isabstract(kinds[0]) else "float32"
        shape = tuple(draw(st.lists(st.integers(scope.limits.smallest, scope.limits.largest), max_size=2)))
        return draw(array("numpy", name, shape, nonfinite=scope.nonfinite))
    return draw(_by_hypothesis(hint))


def _mapping(origin: Any, content: dict[Any, Any]) -> Any:
    if origin is collections.Counter:
        return collections.Counter(content)
    if origin is collections.defaultdict:
        return collections.defaultdict(lambda: None, content)
    return _MAPPINGS[origin](content)


def plain(hint: Any, scope: Scope) -> st.SearchStrategy[Any]:  # noqa: PLR0911  (a table of cases)
    """A class that is no record, no array and no collection."""
    if hint in (Any, MISSING, object):
        return st.none() | st.integers(-9, 9) | st.text(max_size=3)
    if is_protocol(hint):
        raise cannot_draw(
            f"the Protocol {show(hint)}",
            got="methods without values",
            wanted="a class whose values can be made",
            do=f"Pass inputs=..., or say gptlab.testing.register({show(hint)}, strategy).",
        )
    if hint is int:
        return st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1)
    if hint in (float, complex):
        return elements("float64" if hint is float else "complex128", nonfinite=scope.nonfinite)
    if hint is str:
        return nasty_text()
    if inspect.isclass(hint) and issubclass(hint, PurePath):
        return _paths(hint)
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if hint is np.ndarray:
        return array("numpy", "float32", (2,), nonfinite=scope.nonfinite)
    if getattr(hint, "__module__", "").split(".")[0] == "torch" and hint.__name__ == "Tensor":
        return array("torch", "float32", (2,), nonfinite=scope.nonfinite)
    if inspect.isclass(hint) and issubclass(hint, np.generic):
        return elements(np.dtype(hint).name, nonfinite=scope.nonfinite).map(hint)
    return _by_hypothesis(hint)


def _paths(kind: type[PurePath]) -> st.SearchStrategy[PurePath]:
    names = nasty_text(max_size=8).map(lambda text: text.replace("/", "_").replace("\0", "_")[:40])
    return st.lists(names, max_size=3).map(lambda parts: kind(*parts))


def _by_hypothesis(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever else Hypothesis knows: dates, fractions, UUIDs, what a user has registered with it."""
    try:
        strategy = st.from_type(hint)
        strategy.validate()
    except (InvalidArgument, TypeError, NotImplementedError) as error:
        raise cannot_draw(
            show(hint),
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            do=f"Pass inputs=..., or say gptlab.testing.register({show(hint)}, strategy).",
        ) from error
    return strategy
