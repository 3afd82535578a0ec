"""One item against one annotation: a function is made for each annotation once, and called for each item.

This is the definition of what passes, and what explains what does not; `accept` is quicker about what surely passes.
The examiners of a record's fields are made when its first item comes, so that a record may hold others of its kind.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NewType, TypeVar

from gptlab.pipeline.bind import Examine, Mismatch, Scope, array_examiner, found
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


@functools.lru_cache(maxsize=1024)
def examiner(hint: Any) -> Examine:  # noqa: PLR0911  (a table of cases)
    """The function that examines items of an annotation.

    >>> from gptlab.pipeline.axes import AxisTable
    >>> examine = examiner(tuple[int, str])
    >>> examine((1, "a"), Scope(AxisTable()))
    >>> examine((1, 2), Scope(AxisTable()))
    Traceback (most recent call last):
    gptlab.pipeline.bind.Mismatch: tuple
    """
    hint = strip(hint)
    if isinstance(hint, NewType):
        return examiner(hint.__supertype__)
    if hint in (Any, MISSING, object) or isinstance(hint, TypeVar):
        return _anything
    if is_array(hint):
        return array_examiner(hint)
    if not _has_parts(hint):
        return _plain(hint) if plain_element(hint) is None else _row(hint)
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


def plain_class(hint: Any) -> Any:
    """The class where it, or a `NewType` of it, is one whose values have nothing inside; else None.

    >>> plain_class(NewType("Name", str)), plain_class(list[str])
    (<class 'str'>, None)
    """
    hint = strip(hint)
    while isinstance(hint, NewType):
        hint = strip(hint.__supertype__)
    return hint if inspect.isclass(hint) and hint in (int, str, bytes, bool, type(None)) else None


def plain_element(hint: Any) -> Any:
    """The class of the elements of a collection of such values; else None.

    >>> plain_element(tuple[int, ...]), plain_element(tuple[int])
    (<class 'int'>, None)
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, set, frozenset) or (origin is tuple and args[1:] == (Ellipsis,)):
        return plain_class(args[0])
    return None


def _row(hint: Any) -> Examine:
    """A collection of plain values, all of which are looked at; beartype would look at one, at random."""
    kind, element = typing.get_origin(hint), plain_element(hint)
    examine_each = _collection(hint, kind)

    def examine_row(item: Any, scope: Scope) -> None:
        if not isinstance(item, kind) or not set(map(type, item)) <= {element}:
            examine_each(item, scope)

    return examine_row


def _plain(hint: Any) -> Examine:
    """No record and no array inside: `isinstance` for a class, beartype for the rest."""
    is_class = inspect.isclass(hint) and not typing.get_args(hint) and not typing.is_typeddict(hint)
    if is_class and hint not in (float, complex) and not is_protocol(hint):
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
    has_parts = any(map(_has_parts, hints.values()))

    @functools.cache
    def fields() -> tuple[tuple[str, Examine, str], ...]:
        return tuple((name, examiner(inner), f"{kind.__name__}.{name}") for name, inner in hints.items())

    def examine_record(item: Any, scope: Scope) -> None:
        if not isinstance(item, kind):
            raise Mismatch(found(item), show(hint))
        own = Scope(scope.table) if has_parts else scope
        for name, examine, label in fields():
            own.label = label
            try:
                examine(getattr(item, name), own)
            except Mismatch as mismatch:
                raise mismatch.at(f".{name}") from None
        if has_parts:
            own.close()

    return examine_record


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
