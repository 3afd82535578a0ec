"""Sizes for the axes of one record: symbolic axes are solved, not hoped for.

The axes that stand in an expression are few and their sizes small, so all assignments are tried and those that give
every expression a size of 0 or more are drawn from. The smallest comes first, which is what shrinking looks for.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from gptlab.pipeline.axes import AtMost, Claim
from gptlab.pipeline.dims import Dim, evaluate, names_in, parse_dims
from gptlab.testing.draw import Draw, composite
from gptlab.testing.errors import cannot_draw

_WIDEST = 64


@attrs.frozen
class Sizes:
    """The axes of one record.

    Attributes:
        named: axis name to size.
        many: `*name` to shape.
    """

    named: Mapping[str, int] = attrs.Factory(dict)
    many: Mapping[str, tuple[int, ...]] = attrs.Factory(dict)


@attrs.frozen(kw_only=True)
class Limits:
    """How large what is drawn may be.

    Attributes:
        smallest, largest: of axes that nobody claims.
        longest: items in a sequence, entries in a mapping.
    """

    smallest: int = 0
    largest: int = 4
    longest: int = 4


@composite
def sizes(
    draw: Draw, arrays: Sequence[Any], axes: Mapping[str, Claim], fixed: Mapping[str, int], limits: Limits
) -> Sizes:
    """Sizes for all axes of `arrays` together.

    Args:
        arrays: jaxtyping annotations of one record, or of one item.
        axes: sizes and bounds that the part claims.
        fixed: sizes that are settled already.
        limits: of the others.
    """
    dims = [dim for array in arrays for dim in parse_dims(array.dim_str)]
    expressions = sorted({dim.expression for dim in dims if dim.kind == "symbolic"})
    named = {dim.name for dim in dims if dim.kind == "named"}
    tied = sorted(set().union(*(names_in(expression) for expression in expressions)))
    if unknown := [name for name in tied if name not in named and name not in fixed and name not in axes]:
        raise cannot_draw(
            f"an array with an axis made of {unknown[0]}",
            got=f"axes {', '.join(repr(array.dim_str) for array in arrays)}",
            do=f"Name the axis {unknown[0]} in the same record, or pass axes={{{unknown[0]!r}: ...}}.",
        )
    known = dict(draw(st.sampled_from(_solutions(tuple(expressions), tied, axes, fixed, limits)))) if tied else {}
    for name in sorted(named - known.keys()):
        known[name] = draw(st.sampled_from(_choices(name, axes, fixed, limits)))
    shapes = st.lists(st.integers(limits.smallest, limits.largest), max_size=2).map(tuple)
    many = {name: draw(shapes) for name in sorted({dim.name for dim in dims if dim.kind == "many" and dim.name})}
    return Sizes(known, many)


def _choices(name: str, axes: Mapping[str, Claim], fixed: Mapping[str, int], limits: Limits) -> Sequence[int]:
    if name in fixed:
        return [fixed[name]]
    match axes.get(name):
        case int(size):
            return [size]
        case AtMost(size=most):
            return range(min(limits.smallest, most), min(limits.largest, most) + 1)
    return range(limits.smallest, limits.largest + 1)


def _solutions(
    expressions: tuple[str, ...],
    tied: Sequence[str],
    axes: Mapping[str, Claim],
    fixed: Mapping[str, int],
    limits: Limits,
) -> list[tuple[tuple[str, int], ...]]:
    """All assignments under which every expression has a size, the smallest first."""
    for largest in (limits.largest, _WIDEST):
        if largest ** len(tied) > 1 << 18:
            break
        wide = attrs.evolve(limits, largest=max(largest, limits.largest))
        found = []
        for values in itertools.product(*(_choices(name, axes, fixed, wide) for name in tied)):
            sizes = dict(zip(tied, values, strict=True))
            results = [evaluate(expression, sizes) for expression in expressions]
            if all(result is not None and result >= limits.smallest for result in results):
                found.append(tuple(sizes.items()))
        if found:
            return sorted(found, key=lambda pairs: sum(size for _, size in pairs))
    raise cannot_draw(
        "an array with symbolic axes",
        got=f"{', '.join(expressions)} with {', '.join(tied)} up to {_WIDEST}",
        do="Look whether any sizes satisfy them all, or pass axes={...} with the sizes.",
    )


@composite
def shape_of(draw: Draw, dims: tuple[Dim, ...], sizes: Sizes, limits: Limits) -> tuple[int, ...]:
    """A shape for one array whose record has these sizes."""
    shape: list[int] = []
    free = st.integers(limits.smallest, limits.largest)
    for dim in dims:
        if dim.kind == "many":
            whole = sizes.many[dim.name] if dim.name else tuple(draw(st.lists(free, max_size=2)))
            shape += _broadcastable(draw, whole) if dim.broadcast else whole
            continue
        if dim.kind == "any":
            size = draw(free)
        elif dim.kind == "fixed":
            size = dim.size
        elif dim.kind == "named":
            size = sizes.named[dim.name]
        else:
            size = evaluate(dim.expression, sizes.named) or 0
        shape.append(draw(st.sampled_from([size, 1])) if dim.broadcast else size)
    return tuple(shape)


def _broadcastable(draw: Draw, whole: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to `whole`: axes missing in front, others 1."""
    kept = whole[draw(st.integers(0, len(whole))) :]
    return tuple(draw(st.sampled_from([size, 1])) for size in kept)
