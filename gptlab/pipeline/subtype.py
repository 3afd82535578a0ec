"""Does one annotation fit where another is wanted: yes, no, or cannot tell.

Ours, because the libraries at hand answer another question: beartype's `is_subhint` lets `Any` and free variables
pass and treats parameters of callables covariantly, and mypy cannot be asked at run time. What is not sure is never a
yes: an `Any` or a bare `list` at a seam is a mistake that would otherwise show an hour into a run.

The rules are those of the typing specification (https://typing.python.org/en/latest/spec/), with two notes: an
attribute of a Protocol is compared covariantly, since records are frozen; `int` fits `float` as in PEP 484.
"""

import collections.abc
import enum
import functools
import inspect
import typing
from typing import Any, ForwardRef, Literal, Never, NewType, NoReturn, TypeVar, Union

import attrs

from gptlab.pipeline.arrays import array_fits
from gptlab.pipeline.generics import is_generic, variance, view_as
from gptlab.pipeline.hints import (
    MISSING,
    arguments,
    field_hints,
    is_array,
    is_protocol,
    is_union,
    show,
    strip,
    variables,
)
from gptlab.pipeline.structural import call_fits, protocol_fits
from gptlab.pipeline.verdict import YES, Known, Verdict, cannot_tell, no, worst


def fits(got: Any, wanted: Any, known: Known | None = None) -> Verdict:
    """Whether every value that `got` allows is one that `wanted` allows.

    Args:
        got: the annotation of what comes.
        wanted: the annotation of what is taken.
        known: type variables that may be bound and sizes of axes; learned facts are left in it.

    >>> fits(bool, int).answer.name, fits(list[bool], list[int]).answer.name, fits(Any, int).answer.name
    ('YES', 'NO', 'CANNOT_TELL')
    """
    return _fits(got, wanted, Known() if known is None else known)


def _fits(got: Any, wanted: Any, known: Known) -> Verdict:  # noqa: PLR0911  (a table of cases)
    got, wanted = strip(got), strip(wanted)
    for hint in (got, wanted):
        if hint is MISSING or hint is Any:
            return cannot_tell(f"{show(hint)} says nothing of the type")
        if isinstance(hint, str | ForwardRef):
            return cannot_tell(f"{hint!r} is a name that was not resolved")
    if isinstance(got, TypeVar) or isinstance(wanted, TypeVar):
        return _variable_fits(got, wanted, known)
    if wanted is object or got in (Never, NoReturn):
        return YES
    if is_union(got):
        return _every_member_fits(got, wanted, known)
    if typing.get_origin(got) is Literal or typing.get_origin(wanted) is Literal:
        return _literal_fits(got, wanted, known)
    if is_union(wanted):
        members = sorted(typing.get_args(wanted), key=lambda member: bool(variables(member)))
        return known.first(
            (functools.partial(_fits, got, member, known) for member in members),
            otherwise=no(f"{show(got)} is none of {show(wanted)}"),
        )
    return _single_fits(got, wanted, known)


def _single_fits(got: Any, wanted: Any, known: Known) -> Verdict:  # noqa: PLR0911
    """Neither side a variable, a union or a literal."""
    if got is wanted and isinstance(got, NewType):
        return YES
    if isinstance(got, NewType):
        return _fits(got.__supertype__, wanted, known)
    if isinstance(wanted, NewType):
        return no(f"{show(got)} is not {show(wanted)}; {show(wanted)}(...) makes one")
    if is_array(got) and is_array(wanted):
        return array_fits(got, wanted, known, _fits)
    if is_array(got):
        kind = _fits(got.array_type, wanted, known)
        return kind if kind.fits else Verdict(kind.answer, f"{show(got)} is not {show(wanted)}")
    if is_array(wanted):
        kind = _fits(got, wanted.array_type, known)
        return cannot_tell(f"{show(got)} says no dtype and no axes, {show(wanted)} does") if kind.fits else kind
    wanted_origin = typing.get_origin(wanted) or wanted
    if is_protocol(wanted_origin):
        return protocol_fits(got, wanted, known, _fits)
    if wanted_origin is collections.abc.Callable:
        return _callable_fits(got, wanted, known)
    if wanted_origin is tuple and ((typing.get_origin(got) or got) is tuple or hasattr(got, "_fields")):
        return _tuple_fits(got, wanted, known)
    return _class_fits(got, wanted, known)


def _variable_fits(got: Any, wanted: Any, known: Known) -> Verdict:  # noqa: PLR0911
    if got is wanted:
        return YES
    if isinstance(wanted, TypeVar) and wanted in known.open:
        return _bind(wanted, got, known)
    if isinstance(got, TypeVar) and got in known.open:
        if got in known.bound:
            return _fits(known.bound[got], wanted, known)
        limit = got.__bound__
        if limit is not None and _fits(limit, wanted, known).fits:
            return YES
        if limit is not None and not _fits(wanted, limit, known).fits:
            return no(f"{show(got)} is at most {show(limit)}, not {show(wanted)}")
        known.bound[got] = wanted
        return YES
    if is_union(wanted) and got in typing.get_args(wanted):
        return YES
    if isinstance(got, TypeVar) and (got.__bound__ is not None or got.__constraints__):
        return worst(_fits(limit, wanted, known) for limit in got.__constraints__ or (got.__bound__,))
    variable = got if isinstance(got, TypeVar) else wanted
    return cannot_tell(f"type variable {show(variable)} is bound to nothing")


def _bind(variable: TypeVar, got: Any, known: Known) -> Verdict:
    """Let an open variable of the wanted side stand for `got`, or for what it stands for and `got`."""
    if isinstance(got, TypeVar) and known.bound.get(got) is not None:
        got = known.bound[got]
    earlier = known.bound.get(variable)
    if earlier is not None:
        again = _fits(got, earlier, known)
        if again.fits or variable in known.exact:
            return again
        got = Union[earlier, got]  # noqa: UP007  (types that are values)
    if variable.__constraints__:
        for constraint in variable.__constraints__:
            if _fits(got, constraint, known).fits:
                known.bound[variable] = constraint
                return YES
        return no(f"{show(got)} is none of {', '.join(map(show, variable.__constraints__))}, which {variable} may be")
    if variable.__bound__ is not None:
        limited = _fits(got, variable.__bound__, known)
        if not limited.fits:
            return limited.within(f"{variable.__name__} is at most {show(variable.__bound__)}")
    known.bound[variable] = got
    return YES


def _every_member_fits(got: Any, wanted: Any, known: Known) -> Verdict:
    """Each member of a union is another item, with axes of its own."""
    axes = dict(known.axes)
    verdicts = []
    for member in typing.get_args(got):
        known.axes = dict(axes)
        verdicts.append(_fits(member, wanted, known))
    return worst(verdicts)


def _literal_fits(got: Any, wanted: Any, known: Known) -> Verdict:
    if typing.get_origin(got) is not Literal:
        return _fits(_as_literal(got), wanted, known) if _as_literal(got) is not None else _no_literal(got, wanted)
    allowed = [
        (type(value), value)
        for member in (typing.get_args(wanted) if is_union(wanted) else (wanted,))
        if typing.get_origin(strip(member)) is Literal
        for value in typing.get_args(strip(member))
    ]
    others = [
        strip(member)
        for member in (typing.get_args(wanted) if is_union(wanted) else (wanted,))
        if typing.get_origin(strip(member)) is not Literal
    ]
    left = [value for value in typing.get_args(got) if (type(value), value) not in allowed]
    if left and not others:
        return no(f"{', '.join(map(repr, left))} is not in {show(wanted)}")
    return worst(_fits(type(value), Union[tuple(others)], known) for value in left)  # noqa: UP007


def _as_literal(hint: Any) -> Any:
    """A type with few values as the literal of them all."""
    if hint is bool:
        return Literal[True, False]
    if isinstance(hint, enum.EnumMeta):
        return Literal[tuple(hint)]
    return Literal[None] if hint is type(None) else None


def _no_literal(got: Any, wanted: Any) -> Verdict:
    return no(f"{show(got)} has more values than {show(wanted)}")


def _tuple_fits(got: Any, wanted: Any, known: Known) -> Verdict:
    have, want = _elements(got), _elements(wanted)
    if have is None or want is None:
        return cannot_tell(f"{show(got if have is None else wanted)} does not say its elements; write tuple[...]")
    if Ellipsis in want:
        return worst(_fits(element, want[0], known) for element in have if element is not Ellipsis)
    if Ellipsis in have:
        return no(f"{show(got)} has any length, {show(wanted)} has {len(want)}")
    if len(have) != len(want):
        return no(f"{show(got)} has {len(have)} elements, {show(wanted)} has {len(want)}")
    pairs = enumerate(zip(have, want, strict=True))
    return worst(_fits(left, right, known).within(f"element {index}") for index, (left, right) in pairs)


def _elements(hint: Any) -> tuple[Any, ...] | None:
    if hint is tuple:
        return None
    if hasattr(hint, "_fields"):  # a NamedTuple
        return tuple(field_hints(hint).values())
    args = typing.get_args(hint)
    return () if args == ((),) else args


def _callable_fits(got: Any, wanted: Any, known: Known) -> Verdict:
    want = arguments(wanted)
    if not want:
        return cannot_tell(f"{show(wanted)} does not say what it takes and gives; write Callable[[...], ...]")
    if (typing.get_origin(got) or got) is not collections.abc.Callable:
        return call_fits(got, want, known, _fits)
    have = arguments(got)
    if not have or any(_is_open_list(part) for part in (*have, *want)):
        return cannot_tell(f"{show(got)} and {show(wanted)} do not say all that they take")
    if len(have) != len(want):
        return no(f"{show(got)} takes {len(have) - 1}, {show(wanted)} takes {len(want) - 1}")
    taken = (_fits(right, left, known).within("parameter") for left, right in zip(have[:-1], want[:-1], strict=True))
    return worst((*taken, _fits(have[-1], want[-1], known).within("result")))


def _is_open_list(parameter: Any) -> bool:
    return parameter is Ellipsis or isinstance(parameter, typing.ParamSpec) or _is_concatenate(parameter)


def _is_concatenate(parameter: Any) -> bool:
    return typing.get_origin(parameter) is typing.Concatenate


_WIDER: dict[Any, tuple[Any, ...]] = {int: (float, complex), bool: (float, complex), float: (complex,)}


def _class_fits(got: Any, wanted: Any, known: Known) -> Verdict:  # noqa: PLR0911
    have, want = typing.get_origin(got) or got, typing.get_origin(wanted) or wanted
    if not inspect.isclass(have) or not inspect.isclass(want):
        return cannot_tell(f"{show(got if not inspect.isclass(have) else wanted)} is no type that can be compared")
    if want in _WIDER.get(have, ()):
        return YES
    if not issubclass(have, want):
        return no(f"{show(got)} is not {show(wanted)}")
    wish = typing.get_args(wanted)
    if not wish:
        if is_generic(want):
            return cannot_tell(f"{show(wanted)} does not say of what; write {show(wanted)}[...]")
        return YES
    given = view_as(got, want)
    if given is None or len(given) != len(wish):
        return cannot_tell(f"{show(got)} does not say which {show(want)} it is; write {show(have)}[...]")
    return worst(
        _argument_fits(left, right, direction, known).within(f"in {show(wanted)}")
        for left, right, direction in zip(given, wish, variance(want, len(wish)), strict=True)
    )


def _argument_fits(left: Any, right: Any, direction: int, known: Known) -> Verdict:
    if direction > 0:
        return _fits(left, right, known)
    if direction < 0:
        return _fits(right, left, known)
    both = worst((_fits(left, right, known), _fits(right, left, known)))
    if both.fits:
        known.exact |= (variables(left) | variables(right)) & known.open
    elif _fits(left, right, attrs.evolve(known, bound={}, axes={}, pairs=[])).fits:
        reason = f"{show(left)} and {show(right)} must be the same, since the container can change"
        return Verdict(both.answer, reason)
    return both
