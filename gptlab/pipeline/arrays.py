"""Does one array annotation fit another: array type, dtypes, axes.

Axes are matched by place. A name on the wanted side stands for whatever is in its place on the other side, the same
everywhere in one annotation; names that both sides use in different places are a transposition.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gptlab.pipeline.dims import Dim, evaluate, is_same, names_in, parse_dims, rename
from gptlab.pipeline.hints import show, without_scope
from gptlab.pipeline.verdict import YES, Known, Verdict, cannot_tell, no, worst


def array_fits(got: Any, wanted: Any, known: Known, class_fits: Callable[[Any, Any, Known], Verdict]) -> Verdict:
    """Whether every array that `got` allows is one that `wanted` allows.

    Args:
        got: a jaxtyping annotation.
        wanted: another.
        known: sizes of named axes, and what is learned about them.
        class_fits: the comparison of the array types.
    """
    if Any in (got.array_type, wanted.array_type):
        side = got if got.array_type is Any else wanted
        return cannot_tell(f"{show(side)} does not say which array library; write np.ndarray or torch.Tensor for Any")
    kind = class_fits(got.array_type, wanted.array_type, known)
    if not kind.fits:
        return no(f"{show(got.array_type)} arrays are not {show(wanted.array_type)} arrays")
    return worst((_dtype_fits(got, wanted), _dims_fit(got, wanted, known)))


def _dtype_fits(got: Any, wanted: Any) -> Verdict:
    allowed = wanted.dtypes
    if not isinstance(allowed, tuple | list):  # jaxtyping's marker for any dtype
        return YES
    given = got.dtypes
    if not isinstance(given, tuple | list):
        return no(f"{got.dtype.__name__} allows every dtype, {wanted.dtype.__name__} only its own")
    other = [dtype for dtype in given if dtype not in allowed]
    if not other:
        return YES
    return no(f"dtype {got.dtype.__name__} is not {wanted.dtype.__name__}")


def _dims_fit(got: Any, wanted: Any, known: Known) -> Verdict:
    have, want = parse_dims(got.dim_str), parse_dims(wanted.dim_str)
    paired = _pair(have, want)
    if isinstance(paired, Verdict):
        return paired
    names = _names(have), _names(want)
    return worst(_dim_fits(left, right, names, known) for left, right in paired)


def _names(dims: tuple[Dim, ...]) -> frozenset[str]:
    return frozenset(without_scope(dim.name) for dim in dims if dim.kind == "named")


def _pair(have: tuple[Dim, ...], want: tuple[Dim, ...]) -> list[tuple[tuple[Dim, ...], Dim]] | Verdict:
    """Each wanted axis with the axes in its place: one, or any number for `...` and `*name`."""
    many = next((index for index, dim in enumerate(want) if dim.kind == "many"), None)
    have_many = any(dim.kind == "many" for dim in have)
    text = f'axes "{without_scope(" ".join(map(str, have)))}" and "{without_scope(" ".join(map(str, want)))}"'
    if many is None:
        if have_many:
            return cannot_tell(f"{text}: write how many axes the first has")
        if len(have) != len(want):
            return no(f"{text}: {len(have)} axes are not {len(want)}")
        return [((left,), right) for left, right in zip(have, want, strict=True)]
    tail = len(want) - many - 1
    if len(have) - have_many < many + tail:
        return (cannot_tell if have_many else no)(f"{text}: fewer than {many + tail} axes are sure")
    stop = len(have) - tail
    if any(dim.kind == "many" for dim in (*have[:many], *have[stop:])):
        return cannot_tell(f"{text}: write how many axes the first has")
    front = [((left,), right) for left, right in zip(have[:many], want[:many], strict=True)]
    back = [((left,), right) for left, right in zip(have[stop:], want[many + 1 :], strict=True)]
    return [*front, (have[many:stop], want[many]), *back]


def _dim_fits(  # noqa: PLR0911  (a table of cases)
    have: tuple[Dim, ...], want: Dim, names: tuple[frozenset[str], frozenset[str]], known: Known
) -> Verdict:
    """One wanted axis against what stands in its place."""
    if want.kind == "any" or (want.kind == "many" and not want.name):
        return YES
    if want.kind == "many":
        return _stands_for("*" + want.name, tuple(map(str, have)), known)
    (left,) = have
    if left.broadcast and not want.broadcast:
        return no(f"axis {_as_written(left)} may be 1, {_as_written(want)} may not")
    if want.broadcast and left.kind == "fixed" and left.size == 1:
        return YES
    if want.kind == "named":
        if left.kind == "named":
            mine, other = without_scope(left.name), without_scope(want.name)
            if mine != other and mine in names[1] and other in names[0]:
                return no(f"axis {mine} stands where {other} is wanted: the axes are in another order")
            known.pairs.append((left.name, want.name))
        else:
            sized = _agrees(left, want, known)
            if not sized.fits:
                return sized
        return _stands_for(want.name, (str(left) if left.kind != "any" else "_",), known)
    return _has_size(left, want, known)


def _agrees(left: Dim, want: Dim, known: Known) -> Verdict:
    """An axis without a name in the place of one whose size somebody fixed."""
    size = known.size_of(want.name)
    if size is None:
        return YES
    given = left.size if left.kind == "fixed" else _size(str(left).lstrip("#"), known)
    if given is None:
        return cannot_tell(f"axis {_as_written(left)} may not be {_as_written(want)} = {size}; name it alike")
    return YES if given == size else no(f"axis {_as_written(want)} is {size}, not {given}")


def _stands_for(name: str, place: tuple[str, ...], known: Known) -> Verdict:
    """Bind a wanted name, or see that it stands for the same again."""
    earlier = known.axes.setdefault(name, place)
    plain = without_scope(name)
    if _by_root(earlier, known) == _by_root(place, known) and place != ("_",):
        return YES
    if earlier is place:  # the first time: an axis with no name may be any one
        return YES
    if len(earlier) != len(place) and not any(dim.startswith(("*", "...")) for dim in (*earlier, *place)):
        return no(f"axes {plain} stand for {len(earlier)} axes and for {len(place)}")
    sizes = [(_size(a, known), _size(b, known)) for a, b in itertools.zip_longest(earlier, place, fillvalue="...")]
    if all(a is not None and a == b for a, b in sizes):
        return YES
    if any(a is not None and b is not None and a != b for a, b in sizes):
        return no(f"axis {plain} stands for {_listed(earlier)} and for {_listed(place)}")
    return cannot_tell(f"axis {plain} stands for {_listed(earlier)} and for {_listed(place)}; name them alike")


def _by_root(dims: tuple[str, ...], known: Known) -> tuple[str, ...]:
    return tuple(_canonical(dim, known) for dim in dims)


def _canonical(expression: str, known: Known) -> str:
    """With one name for all names of an axis."""
    for name in () if expression.startswith(("*", "#")) else names_in(expression):
        if known.root_of(name) != name:
            expression = rename(expression, name, known.root_of(name))
    return expression


def _listed(dims: tuple[str, ...]) -> str:
    return without_scope(" ".join(dims)) or "no axis"


def _has_size(left: Dim, want: Dim, known: Known) -> Verdict:
    """A wanted axis with a size: fixed, or an expression."""
    needed = want.size if want.kind == "fixed" else _size(_through(want.expression, known), known)
    given = left.size if left.kind == "fixed" else _size(str(left).lstrip("#"), known)
    mine, other = _as_written(left), _as_written(want)
    if needed is not None and given is not None:
        return YES if needed == given else no(f"axis {mine} is {given}, wanted {other}{_equals(other, needed)}")
    if left.kind == want.kind == "symbolic":
        through = _canonical(_through(want.expression, known), known)
        if is_same(_canonical(left.expression, known), through):
            return YES
    if left.kind == "named" and want.kind == "symbolic" and left.name in names_in(_through(want.expression, known)):
        return no(f"axis {mine} is not {other}")
    return cannot_tell(f"axis {mine} may not be {other}; write its size, or fix it in axes()")


def _equals(text: str, size: int) -> str:
    return "" if text == str(size) else f" = {size}"


def _through(expression: str, known: Known) -> str:
    """A wanted expression in the names of the other side."""
    for name in names_in(expression):
        place = known.axes.get(name, ())
        if len(place) == 1 and place[0] not in ("_", name) and "#" not in place[0]:
            expression = rename(expression, name, place[0])
    return expression


class _Sizes(Mapping[str, int]):
    """Sizes looked up one by one, for `evaluate`."""

    def __init__(self, size_of: Callable[[str], int | None]) -> None:
        self._size_of = size_of

    def __getitem__(self, name: str) -> int:
        size = self._size_of(name)
        if size is None:
            raise KeyError(name)
        return size

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _size(dim: str, known: Known) -> int | None:
    if dim in ("_", "...") or dim.startswith(("*", "#")):
        return None
    return evaluate(dim, _Sizes(known.size_of))


def _as_written(dim: Dim) -> str:
    return without_scope(str(dim))
