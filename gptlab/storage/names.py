"""Import paths: the names by which configurations call classes and functions, and who may be called.

A configuration comes from a disk or a hub, so a name in it is untrusted: it resolves only to something *defined*
in gptlab or in a package that the caller allows. `gptlab.storage.configs.os.system` is reachable but not gptlab's.
"""

import difflib
import importlib
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gptlab.storage.errors import StorageError

OURS = "gptlab"
_LONGEST = 500


def name_of(value: type | FunctionType) -> str:
    """The import path of a class or function, by the shortest package that exports it.

    The public name outlives a move of the file it is defined in.

    >>> from gptlab.types import Document
    >>> name_of(Document)
    'gptlab.types.Document'
    """
    module, name = _module_name(value), value.__qualname__
    parts = module.split(".")
    for length in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:length]))
        if vars(package).get(name) is value if package else False:
            return f"{'.'.join(parts[:length])}.{name}"
    return f"{module}.{name}"


def import_from_nested_path(name: str, *, allow: tuple[str, ...] = ()) -> Any:
    """The class or function that a dotted path names, where it is gptlab's or an allowed package's.

    Args:
        name: for example `gptlab.tokenizers.ByteTokenizer`.
        allow: further packages (`recipes`), each with everything below it.

    Raises:
        StorageError: the name is not allowed, does not exist, or is not a class or function defined there.

    >>> import_from_nested_path("gptlab.types.document_id")("alan turing")
    'Alan_turing'
    """
    allowed = (OURS, *allow)
    parts = name.split(".")
    if (
        len(name) > _LONGEST
        or not all(part.isidentifier() and not part.startswith("__") for part in parts)
        or not _is_below(name, allowed)
    ):
        raise _refused(name, allowed)
    found = _resolve(name, parts, allowed)
    if not isinstance(found, type | FunctionType) or not _is_below(_module_name(found), allowed):
        raise _refused(name, allowed)
    return found


def nearest(wrong: str, known: list[str]) -> str:
    """A hint at the name that was meant.

    >>> nearest("widht", ["width", "layers"])
    'Did you mean `width`?'
    """
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(known) or 'nothing'}."


def main_name() -> str | None:
    """What the program that runs is called as a module: by `python -m` its own name, a script by its file's.

    A class of a script is saved under that name, and found again by whoever has the script's folder on the path.
    """
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else None


def _resolve(name: str, parts: list[str], allowed: tuple[str, ...]) -> Any:
    """Import as far as there are modules, then take attributes of modules and classes only."""
    found: Any = _module(parts[0])
    for position, part in enumerate(parts[1:], 2):
        if not isinstance(found, ModuleType | type):
            raise _refused(name, allowed)
        inner = vars(found).get(part)
        if inner is None and isinstance(found, ModuleType) and hasattr(found, "__path__"):
            inner = _module(".".join(parts[:position]))
        if isinstance(inner, ModuleType) and not _is_below(inner.__name__, allowed):
            raise _refused(name, allowed)
        if inner is None:
            public = [known for known in getattr(found, "__all__", vars(found)) if not known.startswith("_")]
            raise StorageError(
                name,
                got=f"no {part} in {'.'.join(parts[: position - 1])}",
                wanted="a class or function",
                do=nearest(part, public),
            )
        found = inner
    return found


def _module(name: str) -> ModuleType | None:
    """The module of this name, imported if need be; None where there is no such file."""
    if name == main_name():
        return sys.modules["__main__"]  # the recipe that runs is not to be imported a second time
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            return None
        raise


def _module_name(value: type | FunctionType) -> str:
    """Where a thing is defined; of the program that runs its name as a module in place of `__main__`."""
    is_of_main = value.__module__ in ("__main__", "__mp_main__")  # the latter in a process that was spawned
    return (main_name() if is_of_main else None) or value.__module__


def _is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _refused(name: str, allowed: tuple[str, ...]) -> StorageError:
    return StorageError(
        name[:200],
        got="a name that may not be called from a file",
        wanted=f"a class or function defined in {' or '.join(allowed)}",
        do=f'If you trust that package, say allow=("{name.partition(".")[0][:50]}",); otherwise do not load this.',
    )
