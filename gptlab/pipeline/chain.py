"""The construction check: every part takes what the one before yields, and all agree on the axes.

One walk from the first part to the last. Type variables are bound where a neighbour says what they are; names of axes
that nobody claims are numbered by part (`n` of part 3 is `n·3`), so that two parts may use one name for two axes.
Measured: see `experiments/contract_cost`.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from gptlab.pipeline.axes import AxisConflict, AxisTable, Claim, Claimed, claims_of, too_narrow, written_claims
from gptlab.pipeline.dims import Dim, names_in, parse_dims, rename
from gptlab.pipeline.explain import axis_error, capacity_error, order_error, seam_error
from gptlab.pipeline.hints import arrays_in, map_arrays, substitute, variables
from gptlab.pipeline.signature import Face, read
from gptlab.pipeline.subtype import fits
from gptlab.pipeline.verdict import Known


@attrs.frozen
class Chain:
    """Parts that fit.

    Attributes:
        faces: the parts as they look here: type variables bound, axes of their own numbered.
        table: what is known of the axes.
    """

    faces: tuple[Face, ...]
    table: AxisTable

    def axes(self) -> Mapping[str, Claim]:
        """The claims of all parts, merged: a size beats a bound, a tight bound a loose one."""
        return self.table.merged()


def check_chain(parts: Sequence[Any]) -> Chain:
    """Check that parts can follow each other.

    Raises:
        ContractError: where they cannot, or where the annotations do not say.
    """
    faces = [read(part) for part in parts]
    for position, face in enumerate(faces):
        if face.is_source and position:
            raise order_error(faces, position)
    table = _claims(faces)
    claimed = table.names()
    faces = _apart(_scoped(face, position, claimed) for position, face in enumerate(faces))
    free = variables(faces[0].takes) if not faces[0].is_source else frozenset()
    for position in range(1, len(faces)):
        before, after = faces[position - 1], faces[position]
        known = Known(open=free | variables(after.takes), size_of=table.size_of, root_of=table.root_of)
        verdict = fits(before.yields, after.takes, known)
        if not verdict.fits:
            raise seam_error(faces, position, verdict, table)
        try:
            for mine, other in known.pairs:
                table.unify(mine, other)
        except AxisConflict as conflict:
            raise axis_error(faces, conflict) from None
        faces = [_bound(face, known.bound) for face in faces]
        faces[position] = _placed(faces[position], known.axes, claimed)
    _check_capacity(faces, table)
    return Chain(tuple(faces), table)


def _claims(faces: Sequence[Face]) -> AxisTable:
    table = AxisTable()
    for position, face in enumerate(faces):
        written = [pair for hint in (face.takes, face.yields) for pair in written_claims(hint)]
        for axis, claim in (*claims_of(face.part).items(), *written):
            try:
                table.claim(Claimed(position, axis, claim))
            except AxisConflict as conflict:
                raise axis_error(faces, conflict) from None
    return table


def _check_capacity(faces: Sequence[Face], table: AxisTable) -> None:
    vocab = table.size_of("vocab")
    for position, face in enumerate(faces if vocab is not None else ()):
        for hint in (face.takes, face.yields):
            narrow = too_narrow(hint, vocab or 0)
            if narrow is not None:
                raise capacity_error(faces, position, hint, narrow, table.claims("vocab"))


def _scoped(face: Face, position: int, claimed: frozenset[str]) -> Face:
    """Number the axis names that belong to this part alone."""
    if not arrays_in(face.takes) and not arrays_in(face.yields):
        return face
    change = functools.partial(_numbered_axes, position, claimed)
    return attrs.evolve(face, takes=map_arrays(face.takes, change), yields=map_arrays(face.yields, change))


def _numbered_axes(position: int, claimed: frozenset[str], axes: str) -> str:
    pairs = zip(axes.split(), parse_dims(axes), strict=True)
    return " ".join(_numbered(text, dim, position, claimed) for text, dim in pairs)


def _numbered(text: str, dim: Dim, position: int, claimed: frozenset[str]) -> str:
    if dim.kind in ("named", "many") and dim.name:
        return text if dim.name in claimed else f"{text}·{position}"
    if dim.kind != "symbolic" or "{" in text:
        return text
    expression = dim.expression
    for name in names_in(expression) - claimed:
        expression = rename(expression, name, f"{name}·{position}")
    return "#" * dim.broadcast + expression.replace(" ", "")


def _placed(face: Face, axes: Mapping[str, tuple[str, ...]], claimed: frozenset[str]) -> Face:
    """Axes of its own that stand for several axes, a number or an expression are these from here on."""
    stand = {
        name: place
        for name, place in axes.items()
        if name not in claimed and "_" not in place and (name[0] == "*" or not place[0].isidentifier())
    }
    if not stand or not arrays_in(face.yields):
        return face
    return attrs.evolve(face, yields=map_arrays(face.yields, functools.partial(_replaced, stand)))


def _replaced(stand: Mapping[str, tuple[str, ...]], axes: str) -> str:
    changed: list[str] = []
    for text, dim in zip(axes.split(), parse_dims(axes), strict=True):
        expression = dim.expression if "{" not in text else ""
        for name in names_in(expression) & stand.keys() if expression else ():
            expression = rename(expression, name, stand[name][0]).replace(" ", "")
        name = f"*{dim.name}" if dim.kind == "many" else dim.name
        whole = dim.kind in ("named", "many") and not dim.broadcast and name in stand
        changed.extend(stand[name] if whole else [expression or text])
    return " ".join(changed)


def _apart(faces: Iterable[Face]) -> list[Face]:
    """Two parts that both write `T` mean two variables."""
    seen: set[TypeVar] = set()
    result = []
    for face in faces:
        own = variables(face.takes) | variables(face.yields)
        fresh: dict[TypeVar, Any] = {variable: _twin(variable) for variable in own & seen}
        seen |= own
        result.append(_bound(face, fresh))
    return result


def _twin(variable: TypeVar) -> TypeVar:
    name, limits = variable.__name__, variable.__constraints__
    return TypeVar(name, *limits) if limits else TypeVar(name, bound=variable.__bound__)


def _bound(face: Face, bound: Mapping[TypeVar, Any]) -> Face:
    if not bound or not (variables(face.takes) | variables(face.yields)):
        return face
    return attrs.evolve(face, takes=substitute(face.takes, bound), yields=substitute(face.yields, bound))
