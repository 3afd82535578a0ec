"""Protocols by signature: a class fits when its methods could be called as the Protocol's are.

`isinstance(len, P)` is true for every Protocol with `__call__`, so names are not enough: parameters are compared
contravariantly and results covariantly, by their annotations.
"""

import collections.abc
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from gptlab.pipeline.generics import class_bindings
from gptlab.pipeline.hints import MISSING, field_hints, is_protocol, show, substitute, variables
from gptlab.pipeline.verdict import YES, Known, Verdict, cannot_tell, no, worst

Fits = Callable[[Any, Any, Known], Verdict]

_MACHINERY = frozenset(
    (
        "__abstractmethods__",
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__class_getitem__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__init__",
        "__match_args__",
        "__module__",
        "__new__",
        "__non_callable_proto_members__",
        "__orig_bases__",
        "__parameters__",
        "__protocol_attrs__",
        "__qualname__",
        "__slots__",
        "__static_attributes__",
        "__subclasshook__",
        "__type_params__",
        "__weakref__",
        "_abc_impl",
        "_is_protocol",
        "_is_runtime_protocol",
        "__hash__",
    )
)


@attrs.frozen
class _Method:
    """A method without `self`: its parameters in order and its annotations."""

    parameters: tuple[inspect.Parameter, ...]
    hints: Mapping[str, Any]


def protocol_fits(got: Any, wanted: Any, known: Known, fits: Fits) -> Verdict:
    """Whether a class has all that a Protocol asks for.

    Args:
        got: a class, a parametrised class, or a `Callable[...]`.
        wanted: a Protocol, perhaps parametrised.
        known: passed on.
        fits: the comparison of two annotations.
    """
    question = (got, wanted)
    if question in known.assumed:  # it holds unless something else says no
        return YES
    known.assumed.add(question)
    try:
        protocol = typing.get_origin(wanted) or wanted
        bound = class_bindings(wanted)
        return worst(
            _member_fits(got, protocol, name, bound, known, fits).within(f"{show(protocol)}.{name}")
            for name in members(protocol)
        )
    finally:
        known.assumed.discard(question)


def members(protocol: type) -> Iterator[str]:
    """The names that a Protocol asks for, in the order of their definition."""
    seen: set[str] = set()
    for kind in reversed(protocol.__mro__):
        if not is_protocol(kind):
            continue
        for name in (*inspect.get_annotations(kind), *vars(kind)):
            if name not in _MACHINERY and name not in seen:
                seen.add(name)
                yield name


def _member_fits(  # noqa: PLR0917
    got: Any, protocol: type, name: str, bound: Mapping[TypeVar, Any], known: Known, fits: Fits
) -> Verdict:
    wanted = _lookup(protocol, name, bound, got)
    kind = typing.get_origin(got) or got
    if kind is collections.abc.Callable and name == "__call__":
        return _callable_as(got, wanted, known, fits)
    if not inspect.isclass(kind):
        return cannot_tell(f"{show(got)} is no class whose methods can be read")
    have = _lookup(kind, name, class_bindings(got), got)
    if have is None:
        return no(f"{show(got)} has no {name}")
    if isinstance(have, _Method) and isinstance(wanted, _Method):
        return method_fits(have, wanted, known, fits)
    if isinstance(have, _Method) or isinstance(wanted, _Method):
        return no(f"{name} is a method on one side and a value on the other")
    return fits(have, wanted, known)


def _lookup(kind: type, name: str, bound: Mapping[TypeVar, Any], owner: Any) -> Any:
    """A member's type: a `_Method`, the annotation of a value, or `None` where there is none."""
    own: dict[Any, Any] = {**bound, typing.Self: owner}
    fields = field_hints(kind)
    if name in fields:
        return substitute(fields[name], own)
    # The class and its bases alone: every class has `type.__call__` through its metaclass.
    found = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    if isinstance(found, property) and found.fget is not None:
        return substitute(typing.get_type_hints(found.fget, include_extras=True).get("return", MISSING), own)
    if isinstance(found, classmethod | staticmethod):
        return read_method(found.__func__, own, skip=int(isinstance(found, classmethod)))
    if inspect.isroutine(found):
        return read_method(found, own, skip=1)
    for base in kind.__mro__:
        if name in inspect.get_annotations(base):
            return substitute(typing.get_type_hints(base, include_extras=True)[name], own)
    return None if found is None else MISSING


def read_method(function: Any, bound: Mapping[Any, Any], skip: int) -> _Method:
    """A function's parameters, the first `skip` left out, with types for the variables of its class."""
    try:
        parameters = tuple(inspect.signature(function).parameters.values())[skip:]
        hints = typing.get_type_hints(function, include_extras=True)
    except (ValueError, TypeError, NameError):  # written in C, or naming what does not exist: no annotations
        return _Method((), {})
    return _Method(parameters, {name: substitute(hint, bound) for name, hint in hints.items()})


def method_fits(have: _Method, want: _Method, known: Known, fits: Fits) -> Verdict:
    """Whether every call that `want` allows is one that `have` answers as promised."""
    free = frozenset().union(*map(variables, have.hints.values())) if have.hints else frozenset()
    known.open |= free
    result = fits(have.hints.get("return", MISSING), want.hints.get("return", MISSING), known)
    return worst((*_parameters_fit(have, want, known, fits), result.within("result")))


def _parameters_fit(have: _Method, want: _Method, known: Known, fits: Fits) -> Iterator[Verdict]:
    left = [p for p in have.parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = {p.name: p for p in have.parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    rest = next((p for p in have.parameters if p.kind is p.VAR_POSITIONAL), None)
    more = next((p for p in have.parameters if p.kind is p.VAR_KEYWORD), None)
    used: set[str] = set()
    for index, asked in enumerate(want.parameters):
        if asked.kind in (asked.VAR_POSITIONAL, asked.VAR_KEYWORD):
            mine = rest if asked.kind is asked.VAR_POSITIONAL else more
        elif asked.kind is asked.KEYWORD_ONLY:
            mine = by_name.get(asked.name, more)
        else:
            mine = left[index] if index < len(left) else rest
        if mine is None:
            yield no(f"parameter {asked.name} is not taken")
            continue
        used.add(mine.name)
        if asked.kind is asked.POSITIONAL_OR_KEYWORD and mine is not rest and mine.name != asked.name:
            yield no(f"parameter {mine.name} is called {asked.name}")
        if asked.default is not MISSING and mine.default is MISSING and mine not in (rest, more):
            yield no(f"parameter {mine.name} has no default")
        taken = fits(want.hints.get(asked.name, MISSING), have.hints.get(mine.name, MISSING), known)
        yield taken.within(f"parameter {asked.name}")
    for extra in (*left, *by_name.values()):
        if extra.name not in used and extra.default is MISSING:
            yield no(f"parameter {extra.name} is asked for")


def call_fits(got: Any, want: tuple[Any, ...], known: Known, fits: Fits) -> Verdict:
    """Whether a class with `__call__` fits `Callable[[*want[:-1]], want[-1]]`."""
    kind = typing.get_origin(got) or got
    have = _lookup(kind, "__call__", class_bindings(got), got) if inspect.isclass(kind) else None
    if have is None:
        return no(f"{show(got)} cannot be called")
    if not isinstance(have, _Method) or Ellipsis in want:
        return cannot_tell(f"{show(got)} or what is wanted does not say all that it takes")
    names = [f"argument {number}" for number in range(1, len(want))]
    parameters = tuple(inspect.Parameter(name.replace(" ", "_"), inspect.Parameter.POSITIONAL_ONLY) for name in names)
    hints = {parameter.name: hint for parameter, hint in zip(parameters, want[:-1], strict=True)}
    return method_fits(have, _Method(parameters, {**hints, "return": want[-1]}), known, fits)


def _callable_as(got: Any, wanted: Any, known: Known, fits: Fits) -> Verdict:
    """Whether `Callable[[...], ...]` fits a Protocol's `__call__`."""
    args = typing.get_args(got)
    if not isinstance(wanted, _Method) or not args or not isinstance(args[0], list):
        return cannot_tell(f"{show(got)} does not say all that it takes")
    parameters = tuple(
        inspect.Parameter(f"argument_{number}", inspect.Parameter.POSITIONAL_ONLY) for number in range(len(args[0]))
    )
    hints = {parameter.name: hint for parameter, hint in zip(parameters, args[0], strict=True)}
    positional = tuple(p.replace(kind=p.POSITIONAL_ONLY) for p in wanted.parameters if p.kind is not p.KEYWORD_ONLY)
    return method_fits(
        _Method(parameters, {**hints, "return": args[1]}), attrs.evolve(wanted, parameters=positional), known, fits
    )
