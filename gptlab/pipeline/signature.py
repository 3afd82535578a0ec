"""What a part takes and yields, read from its annotations: nobody writes a type twice.

A part is a source (it has `get_data_generator`) or a stage (any other callable). Both are read once, when a
pipeline is built, into a `Face`. Only the stream counts: a stage's first free positional parameter and its return
annotation; any other parameter must have a default.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import attrs

from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.generics import class_bindings
from gptlab.pipeline.hints import MISSING, arrays_in, field_hints, map_arrays, show, substitute, variables
from gptlab.pipeline.place import function_of, location, name_of
from gptlab.pipeline.subtype import fits
from gptlab.pipeline.verdict import Known
from gptlab.types.errors import four_parts


@attrs.frozen(kw_only=True)
class Face:
    """How a part looks to its neighbours.

    Attributes:
        part: the part itself.
        name: its class or function.
        takes: the type of one item in; `None` for a source.
        yields: the type of one item out.
        barrier: whether it reads all of its input before it yields.
    """

    part: Any = attrs.field(eq=False)
    name: str
    takes: Any
    yields: Any
    barrier: bool = False

    @property
    def where(self) -> str:
        """File and line of its code; looked up when asked for, since finding a class's line parses its file."""
        return location(self.part)

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
        raise _unreadable(
            part, "is a source and takes nothing", "a source", "a stage", "Ask yields(...) of a source."
        )
    return face.takes


def yields(part: object) -> Any:
    """The type of one item that a source or a stage yields; see `takes`."""
    return read(part).yields


def read(part: Any) -> Face:
    """Read a part's annotations.

    A part whose types follow from its configuration, as a pipeline's do, says them itself: `item_types()` gives
    (takes, yields), with `None` for what a source takes.

    Raises:
        ContractError: where the part is neither source nor stage, or an annotation is missing or no stream.
    """
    _refuse_what_is_no_part(part)
    if hasattr(part, "item_types"):
        taken, yielded = part.item_types()
        return Face(part=part, name=name_of(part), takes=taken, yields=yielded, barrier=_is_barrier(part))
    if hasattr(part, "get_data_generator"):
        method = part.get_data_generator
        _refuse_required(part, list(inspect.signature(method).parameters.values()))
        return Face(
            part=part,
            name=name_of(part),
            takes=None,
            yields=_yielded(part, _hints(method).get("return", MISSING), _owner(part)),
        )
    hints = _hints(part)
    stream, *others = _parameters(part)
    _refuse_required(part, others)
    owner = _owner(part)
    return Face(
        part=part,
        name=name_of(part),
        takes=_taken(part, stream.name, hints.get(stream.name, MISSING), owner),
        yields=_yielded(part, hints.get("return", MISSING), owner),
        barrier=_is_barrier(part),
    )


def _is_barrier(part: Any) -> bool:
    return bool(getattr(part, "barrier", False))


def _unreadable(part: Any, title: str, got: str, wanted: str, remedy: str) -> ContractError:
    return ContractError(
        four_parts(f"{name_of(part)} {title}", got=f"{got}   {location(part)}", wanted=wanted, do=remedy)
    )


def _refuse_what_is_no_part(part: Any) -> None:
    """Say what a thing is that cannot stand in a pipeline, and what to write for it."""
    name, stage = name_of(part), "a source, or a stage annotated Iterator[...] -> Iterator[...]"
    if inspect.isclass(part):
        raise _unreadable(part, "is a class", f"the class {name}", f"a value, {name}(...)", f"Write {name}(...).")
    if isinstance(part, Iterator):
        remedy = "Pass what makes it: the source itself, or the stage without calling it."
        raise _unreadable(part, "is already running", "an iterator, good for one pass", stage, remedy)
    if hasattr(part, "get_data_generator") or callable(part):
        return
    if hasattr(part, "forward"):
        raise _unreadable(part, "is a model, not a stage", f"a {name}", stage, "Pass its method: model.forward.")
    remedy = "Give it get_data_generator(self) -> Iterator[...], or pass a value that has it."
    raise _unreadable(part, "is neither a source nor a stage", name if part is None else f"a {name}", stage, remedy)


def _hints(part: Any) -> dict[str, Any]:
    function = function_of(part)
    # A class defined inside a function is not among its method's globals; itself and what it closes over are.
    known = {type(part).__name__: type(part)}
    closure = getattr(function, "__closure__", None)
    if closure:
        cells = zip(function.__code__.co_freevars, closure, strict=False)
        known |= {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
    try:
        return typing.get_type_hints(function, localns=known, include_extras=True)
    except NameError as error:
        remedy = f"Import {error.name}, or define it at the top of the module, so that annotations can be read."
        wanted = "names that exist when the pipeline is built"
        raise _unreadable(part, "has an annotation that cannot be read", str(error), wanted, remedy) from error
    except (TypeError, AttributeError):  # written in C, or no function at all: it has no annotations
        return {}


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _parameters(part: Any) -> list[inspect.Parameter]:
    """The stream's parameter first, then the others."""
    try:
        found = list(inspect.signature(part).parameters.values())
    except ValueError:
        found = []
    for index, parameter in enumerate(found):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return [parameter, *found[:index], *found[index + 1 :]]
    remedy = "Give it one positional parameter for the stream: items: Iterator[...]."
    raise _unreadable(part, "takes no stream", "no positional parameter", "(items: Iterator[...])", remedy)


def _refuse_required(part: Any, others: list[inspect.Parameter]) -> None:
    for other in others:
        if other.default is MISSING and other.kind not in (other.VAR_POSITIONAL, other.VAR_KEYWORD):
            remedy = f"Give {other.name} a default, or bind it: functools.partial(..., {other.name}=...)."
            title = f"asks for {other.name}, which no pipeline gives"
            raise _unreadable(part, title, f"{other.name} without a default", "the stream alone", remedy)


def _taken(part: Any, name: str, hint: Any, owner: Any) -> Any:
    """`A` of `items: Iterator[A]`."""
    got, wanted = f"{name}: {show(hint)}", f"{name}: Iterator[...]"
    if hint is MISSING:
        remedy = f"Write {wanted} with the type of an item."
        if name_of(part) == "a lambda":
            remedy = "Write a function with def, whose parameters can be annotated."
        raise _unreadable(part, "does not say what it takes", got, wanted, remedy)
    if typing.get_origin(hint) in (Iterator, Iterable):
        return _resolved(part, typing.get_args(hint)[0], owner)
    if hint in (Iterator, Iterable, typing.Iterator, typing.Iterable):
        title, remedy = "does not say of what its stream is", f"Write {wanted} with the type of an item."
    elif typing.get_origin(hint) in (list, tuple, typing.Sequence, Generator):
        title = "takes more than a stream gives"
        remedy = "A stream is read once, by next: write Iterator[...], and collect what you need inside."
    else:
        title = "takes one item, not a stream"
        if isinstance(part, functools.partial) and part.args:
            raise _unreadable(part, title, got, wanted, "Bind settings by name, so that the stream comes first.")
        remedy = f"Take the stream and loop: for one in {name}: yield ..."
    raise _unreadable(part, title, got, wanted, remedy)


def _yielded(part: Any, hint: Any, owner: Any) -> Any:
    """`B` of `-> Iterator[B]`."""
    origin = typing.get_origin(hint)
    if origin in (Iterator, Iterable, Generator):
        return _resolved(part, typing.get_args(hint)[0], owner)
    got, wanted = f"-> {show(hint)}", "-> Iterator[...]"
    remedy = f"Write {wanted} with the type of an item."
    if hint is MISSING:
        title = "does not say what it yields"
    elif hint in (Iterator, Iterable, Generator, typing.Iterator, typing.Iterable, typing.Generator):
        title = "does not say of what its stream is"
    elif inspect.isclass(origin) and issubclass(origin, AsyncIterable):
        title, remedy = "is asynchronous", "Pipelines are driven by next: write a plain generator."
    else:
        title, remedy = "yields no stream", "Write a generator, with yield for each item, and annotate it so."
    raise _unreadable(part, title, got, wanted, remedy)


_SELF_VALUE = re.compile(r"\{self\.([A-Za-z_][\w.]*)\}")


def _owner(part: Any) -> Any:
    """The value whose fields an annotation may name."""
    if isinstance(part, functools.partial):
        return _owner(part.func)
    if inspect.ismethod(part):
        return part.__self__
    return None if inspect.isroutine(part) else part


def _resolved(part: Any, hint: Any, owner: Any) -> Any:
    """With the part's own types for the variables of its class, and its own sizes for `{self.size}`."""
    if owner is None:
        return hint
    if variables(hint):
        hint = substitute(hint, _type_arguments(owner))

    if any("{" in array.dim_str for array in arrays_in(hint)):
        hint = map_arrays(hint, functools.partial(_with_sizes, part, owner))
    return hint


def _with_sizes(part: Any, owner: Any, axes: str) -> str:
    return _SELF_VALUE.sub(lambda found: str(_attribute(part, owner, found[1])), axes)


def _attribute(part: Any, owner: Any, path: str) -> object:
    for name in path.split("."):
        if not hasattr(owner, name):
            remedy = f"Give {type(owner).__name__} that field, or correct the axes."
            title = "has axes that name a missing field"
            raise _unreadable(part, title, f"{{self.{path}}}", f"a field {name} of {type(owner).__name__}", remedy)
        owner = getattr(owner, name)
    return owner


def _type_arguments(owner: Any) -> Mapping[Any, Any]:
    """What a value's type variables stand for: as written (`Take[int](3)`), by its bases, or by its fields."""
    hint = getattr(owner, "__orig_class__", type(owner))
    bound = dict(class_bindings(hint))
    free = frozenset(getattr(type(owner), "__parameters__", ())) - bound.keys()
    for field, annotation in field_hints(type(owner)).items() if free else ():
        wanted = variables(annotation) & free
        if wanted:
            known = Known(open=wanted)
            _learn(getattr(owner, field, None), annotation, known)
            bound |= {variable: known.bound[variable] for variable in wanted if variable in known.bound}
    return bound


def _learn(value: Any, annotation: Any, known: Known) -> None:
    """Bind the variables of a field's annotation by the value that the field holds."""
    args = typing.get_args(annotation)
    if isinstance(annotation, typing.TypeVar):
        fits(type(value), annotation, known)
    elif hasattr(value, "get_data_generator") and len(args) == 1:
        fits(yields(value), args[0], known)
    elif typing.get_origin(annotation) is Callable and callable(value) and len(args) == 2:
        _learn_function(value, args[0], args[1], known)


def _learn_function(value: Any, parameters: Any, result: Any, known: Known) -> None:
    hints = _hints(value)
    if isinstance(parameters, list):
        names = [parameter.name for parameter in inspect.signature(value).parameters.values()]
        for name, wanted in zip(names, parameters, strict=False):
            if name in hints:
                fits(hints[name], wanted, known)
    if "return" in hints:
        fits(hints["return"], result, known)
