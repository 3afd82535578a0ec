"""Named axes along a pipeline: who fixes or bounds them, and whether all agree.

A name means the same axis in every part once somebody claims it: by `axes()` (`seq` is 2048, `vocab` at most 8192)
or as a number with a name in an annotation (`"rows=3"`). All other names belong to the part that writes them, and a
seam says which of its neighbour's axes they are; so a helper on `"n d"` may stand twice in a pipeline.
"""

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from gptlab.pipeline.dims import parse_dims
from gptlab.pipeline.hints import arguments, arrays_in, field_hints, without_scope


@attrs.frozen
class AtMost:
    """A bound on an axis: any size up to `size` will do. A model's longest context is one.

    >>> print(AtMost(1024))
    at most 1024
    """

    size: int = attrs.field(validator=[attrs.validators.instance_of(int), attrs.validators.ge(0)])

    def __str__(self) -> str:
        return f"at most {self.size}"


Claim = int | AtMost
"""What a part says of one axis: its size, or a bound."""


@attrs.frozen
class Claimed:
    """A claim and who made it.

    Attributes:
        position: index of the part in the pipeline.
        axis: the name that it used.
        claim: the size or the bound.
    """

    position: int
    axis: str
    claim: Claim


class AxisConflict(ValueError):  # noqa: N818  (caught in the walk: ContractError is what leaves it)
    """Two claims on one axis that cannot both hold; `claims` are the two."""

    def __init__(self, first: Claimed, second: Claimed) -> None:
        super().__init__(f"axis {first.axis} is {first.claim} and {second.claim}")
        self.claims = (first, second)


def claims_of(part: Any) -> Mapping[str, Claim]:
    """The claims of a part, of the object whose method it is, or of the sources that a source reads.

    >>> class Model:
    ...     def axes(self) -> dict[str, Claim]:
    ...         return {"seq": AtMost(1024)}
    ...     def forward(self) -> None: ...
    >>> claims_of(Model().forward)
    {'seq': AtMost(size=1024)}
    """
    if isinstance(part, functools.partial):
        return claims_of(part.func)
    if inspect.ismethod(part):
        return claims_of(part.__self__)
    if not inspect.isclass(part) and callable(getattr(part, "axes", None)):
        found: Mapping[str, Claim] = part.axes()
        return found
    merged: dict[str, Claim] = {}
    if hasattr(part, "get_data_generator") and attrs.has(type(part)):
        for field in attrs.fields(type(part)):
            held = getattr(part, field.name, None)
            if hasattr(held, "get_data_generator"):
                merged.update(claims_of(held))
    return merged


def written_claims(hint: Any) -> Iterator[tuple[str, int]]:
    """The axes that an annotation, or a record in it, writes as a number with a name: `"rows=3"`."""
    for array in arrays_reached(hint):
        for dim in parse_dims(array.dim_str):
            if dim.kind == "fixed" and dim.name:
                yield dim.name, dim.size


def arrays_reached(hint: Any) -> tuple[Any, ...]:
    """The arrays in an annotation and in the fields of the records that it names."""
    return tuple(array for _, array in fields_reached(hint))


@functools.lru_cache(maxsize=1024)
def fields_reached(hint: Any) -> tuple[tuple[str, Any], ...]:
    """(name of the field, array) of every array that an item of this type holds; the name is empty for a bare one."""
    found: list[tuple[str, Any]] = []
    seen: set[Any] = set()

    def visit(name: str, inner: Any) -> None:
        found.extend((name, array) for array in arrays_in(inner))
        for record in _classes(inner):
            if record not in seen:
                seen.add(record)
                for field, annotation in field_hints(record).items():
                    visit(field, annotation)

    visit("", hint)
    return tuple(found)


def _classes(hint: Any) -> Iterator[type]:
    if inspect.isclass(hint) and not arguments(hint):
        yield hint
    for inner in arguments(hint):
        yield from _classes(inner)


class AxisTable:
    """What is known of every axis of a pipeline; a union-find whose sets carry claims."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._claims: dict[str, list[Claimed]] = {}

    def names(self) -> frozenset[str]:
        """The axes that somebody claimed."""
        return frozenset(claimed.axis for claims in self._claims.values() for claimed in claims)

    def claim(self, claimed: Claimed) -> None:
        """Add a claim.

        Raises:
            AxisConflict: where it cannot hold together with an earlier one.
        """
        self._add(self.root_of(claimed.axis), [claimed])

    def unify(self, one: str, other: str) -> None:
        """Two names are one axis.

        Raises:
            AxisConflict: where their claims cannot both hold.
        """
        left, right = self.root_of(one), self.root_of(other)
        if left != right:
            self._parent[right] = left
            self._add(left, self._claims.pop(right, []))

    def claims(self, name: str) -> tuple[Claimed, ...]:
        """All claims on an axis, in the order in which they were made."""
        return tuple(self._claims.get(self.root_of(name), ()))

    def size_of(self, name: str) -> int | None:
        """The size that somebody fixed."""
        for claimed in self._claims.get(self.root_of(name), ()):
            if isinstance(claimed.claim, int):
                return claimed.claim
        return None

    def merged(self) -> Mapping[str, Claim]:
        """One claim per claimed name: the size, or else the tightest bound.

        >>> table = AxisTable()
        >>> table.claim(Claimed(0, "seq", AtMost(4096)))
        >>> table.claim(Claimed(1, "seq", AtMost(1024)))
        >>> table.merged()
        {'seq': AtMost(size=1024)}
        """
        result: dict[str, Claim] = {}
        for name in sorted(self.names()):
            size = self.size_of(name)
            bounds = [claimed.claim.size for claimed in self.claims(name) if isinstance(claimed.claim, AtMost)]
            result[name] = AtMost(min(bounds)) if size is None else size
        return result

    def limits(self) -> tuple[tuple[str, int, int], ...]:
        """(name, smallest size, largest size) of every name that a claim holds for.

        >>> table = AxisTable()
        >>> table.claim(Claimed(0, "seq", AtMost(4096)))
        >>> table.unify("seq", "n·1")
        >>> table.limits()
        (('n·1', 0, 4096), ('seq', 0, 4096))
        """
        found: list[tuple[str, int, int]] = []
        for name in sorted(self.names() | self._parent.keys()):
            claims = [claimed.claim for claimed in self.claims(name)]
            sizes = [claim for claim in claims if isinstance(claim, int)]
            bounds = [claim.size for claim in claims if isinstance(claim, AtMost)]
            if claims:
                found.append((name, max(sizes, default=0), min(sizes + bounds)))
        return tuple(found)

    def root_of(self, name: str) -> str:
        """One name for all names of one axis."""
        while name in self._parent:
            name = self._parent[name]
        return name

    def _add(self, root: str, new: list[Claimed]) -> None:
        kept = self._claims.setdefault(root, [])
        for claimed in new:
            for earlier in kept:
                if not _agree(earlier.claim, claimed.claim):
                    raise AxisConflict(*sorted((earlier, claimed), key=lambda one: one.position))
            kept.append(claimed)
        if not kept:
            del self._claims[root]


def _agree(one: Claim, other: Claim) -> bool:
    if isinstance(one, AtMost):
        return isinstance(other, AtMost) or other <= one.size
    return one <= other.size if isinstance(other, AtMost) else one == other


_CAPACITY = {"uint8": 1 << 8, "uint16": 1 << 16, "int8": 1 << 7, "int16": 1 << 15, "uint4": 1 << 4, "int4": 1 << 3}
TOKEN_NAMES = frozenset(("tokens", "targets", "token_ids", "input_ids"))
"""Fields and axes of token ids: their dtype must hold the vocabulary, and `gptlab.testing` draws them below it."""


def too_narrow(hint: Any, vocab: int) -> tuple[str, int] | None:
    """The field or axis of token ids that cannot hold a vocabulary, and how many ids it can.

    Token ids are the arrays in fields, or over axes, of `TOKEN_NAMES`. Of several dtypes in a union one must be wide
    enough; a dtype with no known limit is.

    >>> import numpy as np
    >>> from jaxtyping import UInt16
    >>> too_narrow(UInt16[np.ndarray, "tokens"], 70_000)
    ('tokens', 65536)
    """
    widest: dict[str, int] = {}
    for field, array in fields_reached(hint):
        axes = {without_scope(dim.name) for dim in parse_dims(array.dim_str)} & TOKEN_NAMES
        name = field if field in TOKEN_NAMES else min(axes, default="")
        if name and isinstance(array.dtypes, tuple | list):
            capacity = max((_CAPACITY.get(dtype, 1 << 31) for dtype in array.dtypes), default=1 << 31)
            widest[name] = max(widest.get(name, 0), capacity)
    return next(((name, capacity) for name, capacity in widest.items() if capacity < vocab), None)
