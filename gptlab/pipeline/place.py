"""Where a part is: its name and the file and line of its code, for tables and errors."""

import functools
import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def name_of(part: object) -> str:
    """What a person calls the part: its class, its function, or `Class.method`.

    >>> name_of(functools.partial(sorted, key=len)), name_of("text".split), name_of(3)
    ('partial(sorted)', 'str.split', 'int')
    """
    if part is None:
        return "None"
    if isinstance(part, functools.partial):
        return f"partial({name_of(part.func)})"
    if isinstance(part, types.MethodType | types.BuiltinMethodType) and not inspect.ismodule(part.__self__):
        owner = part.__self__
        return f"{owner.__name__ if inspect.isclass(owner) else type(owner).__name__}.{part.__name__}"
    if inspect.isroutine(part) or inspect.isclass(part):
        return "a lambda" if part.__name__ == "<lambda>" else part.__name__
    return type(part).__name__


def function_of(part: Any) -> Callable[..., Any]:
    """The function whose annotations speak for a part."""
    if isinstance(part, functools.partial):
        return function_of(part.func)
    if inspect.isroutine(part) or inspect.isclass(part):
        return part
    return type(part).__call__


def location(part: Any) -> str:
    """`file:line` of the code behind a part: relative to its package's parent, or the file's name alone."""
    code: Any = part.func if isinstance(part, functools.partial) else part
    if not inspect.isclass(code) and not inspect.isroutine(code):
        code = type(code)
    code = inspect.unwrap(code)
    found = _first_line(code)
    if found is None:
        return "(no source file)"
    file, line = found
    package = code.__module__.split(".")[0]
    path = Path(file)
    parts = path.parts
    if package in parts[:-1]:
        return f"{Path(*parts[len(parts) - 1 - parts[::-1].index(package) :])}:{line}"
    return f"{path.name}:{line}"


def _first_line(code: Any) -> tuple[str, int] | None:
    function = getattr(code, "__func__", code)
    if hasattr(function, "__code__"):
        return function.__code__.co_filename, function.__code__.co_firstlineno
    kind: Any = code
    return _class_line(kind) if inspect.isclass(code) else None


@functools.lru_cache(maxsize=1024)
def _class_line(kind: Any) -> tuple[str, int] | None:
    """A class's line: where `inspect` parses the file, or without the file its first method's."""
    module = sys.modules.get(kind.__module__)
    if getattr(module, "__file__", None) is not None:
        try:
            return inspect.getsourcefile(kind) or "?", inspect.getsourcelines(kind)[1]
        except (OSError, TypeError):  # made at run time, or the file is gone
            return None
    return None
