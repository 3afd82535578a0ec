"""What a part takes and yields, read from its annotations: nobody writes a type twice.

A part is a source (it has `get_data_generator`) or a stage (any other callable). Both are read once, when a
pipeline is built, into a `Face`. Only the stream counts: a stage's first free positional parameter and its return
annotation; any other parameter must have a default.
"""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from gptlab.pipeline.errors import ContractError

MISSING = inspect.Parameter.empty
"""Stands where no annotation was written."""

_STREAMS = (Iterator, Iterable)
_YIELDED = (Iterator, Iterable, Generator)


@attrs.frozen(kw_only=True)
class Face:
    """How a part looks to its neighbours.

    Attributes:
        part: the part itself.
        name: its class or function.
        takes: the type of one item in; `None` for a source.
        yields: the type of one item out.
        where: file and line, as short as it stays clear.
        barrier: whether it reads all of its input before it yields.
    """

    part: Any = attrs.field(eq=False)
    name: str
    takes: Any
    yields: Any
    where: str
    barrier: bool

    @property
    def is_source(self) -> bool:
        """Whether a pipeline can begin with it and nothing can precede it."""
        return self.takes is None


def takes(part: object) -> Any:
    """The type of one item that a stage takes.

    Args:
        part: a function, a bound method, a partial, or a value with `__call__`.

    Raises:
        ContractError: where `part` is a source, or its annotation does not say.

    >>> def shout(words: Iterator[str]) -> Iterator[bytes]:
    ...     yield from (word.upper().encode() for word in words)
    >>> takes(shout), yields(shout)
    (<class 'str'>, <class 'bytes'>)
    """
    face = read(part)
    if face.is_source:
        raise ContractError(f"{face.name} is a source, which takes nothing\n  {face.where}\n  Ask for yields(...).")
    return face.takes


def yields(part: object) -> Any:
    """The type of one item that a source or a stage yields; see `takes`."""
    return read(part).yields


def read(part: object) -> Face:
    """Read a part's annotations.

    Raises:
        ContractError: where the part is neither source nor stage, or an annotation is missing or no stream.
    """
    if inspect.isclass(part):
        raise ContractError(
            f"{part.__name__} is a class, not a part\n"
            f"  got     the class {part.__name__}   {location(part)}\n"
            f"  wanted  a value, whose fields are its configuration\n"
            f"  Write {part.__name__}(...) with its settings."
        )
    if hasattr(part, "get_data_generator"):
        method = part.get_data_generator
        yielded = _item(part, _hints(method).get("return", MISSING), yielded=True)
        return Face(part=part, name=name_of(part), takes=None, yields=yielded, where=location(part), barrier=False)
    if not callable(part):
        raise ContractError(_neither(part))
    hints = _hints(part)
    stream = _stream_parameter(part)
    return Face(
        part=part,
        name=name_of(part),
        takes=_item(part, hints.get(stream, MISSING), yielded=False),
        yields=_item(part, hints.get("return", MISSING), yielded=True),
        where=location(part),
        barrier=bool(getattr(part, "barrier", False)),
    )


def name_of(part: object) -> str:
    """What a person calls the part: its class, its function, or `Class.method`.

    >>> name_of(functools.partial(sorted, key=len)), name_of("text".split)
    ('partial(sorted)', 'str.split')
    """
    if isinstance(part, functools.partial):
        return f"partial({name_of(part.func)})"
    if isinstance(part, types.MethodType | types.BuiltinMethodType) and not inspect.ismodule(part.__self__):
        owner = part.__self__
        return f"{owner.__name__ if inspect.isclass(owner) else type(owner).__name__}.{part.__name__}"
    return getattr(part, "__name__", None) or type(part).__name__


def location(part: object) -> str:
    """`file:line` of the code behind a part, the file relative to the directory of its top package."""
    code = _function(part)
    found = inspect.unwrap(code) if callable(code) else code
    if not inspect.isclass(part) and not isinstance(part, functools.partial) and not inspect.isroutine(part):
        found = type(part)
    try:
        file = inspect.getsourcefile(found)
        line = found.__code__.co_firstlineno if hasattr(found, "__code__") else inspect.getsourcelines(found)[1]
    except (TypeError, OSError):
        return "(no source file)"
    package = getattr(inspect.getmodule(found), "__name__", "").split(".")[0]
    path = Path(file or "?")
    parts = path.parts
    if package in parts:
        path = Path(*parts[parts.index(package) :])
    elif path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    else:
        path = Path(path.name)
    return f"{path}:{line}"


def _function(part: Any) -> Callable[..., Any]:
    """The function whose annotations speak for a part."""
    if isinstance(part, functools.partial):
        return _function(part.func)
    if inspect.isroutine(part) or inspect.isclass(part):
        return part
    return type(part).__call__


def _hints(part: Any) -> dict[str, Any]:
    function = _function(part)
    return typing.get_type_hints(function, include_extras=True)


def _stream_parameter(part: Any) -> str:
    for parameter in inspect.signature(part).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return parameter.name
    raise ContractError(_neither(part))


def _item(part: Any, hint: Any, *, yielded: bool) -> Any:
    """`A` of `Iterator[A]`."""
    origin = typing.get_origin(hint)
    if origin in (_YIELDED if yielded else _STREAMS):
        return typing.get_args(hint)[0]
    raise ContractError(f"{name_of(part)}: annotate Iterator[...], got {hint}")


def _neither(part: object) -> str:
    return f"{name_of(part)} is neither a source nor a stage"
