"""Saving and loading a part in every way that the library has."""

import inspect
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from gptlab.pipeline.place import name_of
from gptlab.storage import StorageError, from_config, load_from_dir, save_to_dir, to_config
from gptlab.testing.errors import broken
from gptlab.testing.laws.law import Law, NotApplicable
from gptlab.testing.snapshots import compares_by_identity, difference, snapshot


def saved(law: Law, part: Any) -> list[tuple[str, Any]]:
    """The part as each way of saving and loading gives it back: (way, value).

    Raises:
        LawBroken: it cannot be saved, or comes back as another value.
        NotApplicable: it is a function, or its class is not at the top of a module.
    """
    _refuse_what_nobody_saves(law, part)
    ways: list[tuple[str, Any]] = []
    try:
        if not _saves_itself(part):
            config = to_config(part)
            ways.append(("its configuration", from_config(config, allow=packages_in(config))))
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "saved"
            save_to_dir(part, directory)
            ways.append(("its directory", load_from_dir(directory, allow=_packages(part))))
    except StorageError as error:
        raise broken(
            law.sentence,
            part,
            got=f"StorageError: {error}",
            wanted="a value that save_to_dir writes and load_from_dir reads",
            do="Make it a frozen attrs value of plain settings, or give it save_to_dir and load_from_dir.",
        ) from error
    for way, twin in ways:
        _is_equal(law, part, twin, way)
    return ways


def packages_in(config: Any) -> tuple[str, ...]:
    """The packages whose classes a configuration names."""
    return tuple(sorted(set(_named(config))))


def _named(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        for key, inner in config.items():
            if key in ("class", "function", "enum") and isinstance(inner, str):
                yield inner.split(".")[0]
            yield from _named(inner)
    elif isinstance(config, list):
        for inner in config:
            yield from _named(inner)


def _packages(part: Any) -> tuple[str, ...]:
    if not _saves_itself(part):
        return packages_in(to_config(part))
    return (type(part).__module__.split(".")[0],)


def _saves_itself(part: Any) -> bool:
    return hasattr(part, "save_to_dir") and hasattr(type(part), "load_from_dir")


def _refuse_what_nobody_saves(law: Law, part: Any) -> None:
    if inspect.ismethod(part) or isinstance(part, partial):
        raise NotApplicable("it is a method or a partial: what it belongs to is what is saved")
    if inspect.isroutine(part):
        raise NotApplicable("it is a function, which is saved by its name")
    if "<locals>" in type(part).__qualname__ or type(part).__module__ == "__main__":
        raise NotApplicable("its class is not at the top of a module that can be imported again")
    if not attrs.has(type(part)) and not _saves_itself(part):
        raise broken(
            law.sentence,
            part,
            got=f"a plain object of class {name_of(part)}",
            wanted="a frozen attrs value, or methods save_to_dir and load_from_dir",
            do=f"Write @attrs.frozen above {type(part).__name__}.",
        )


def _is_equal(law: Law, part: Any, twin: Any, way: str) -> None:
    compares = not compares_by_identity(part)
    if compares and twin == part:
        return
    if not compares and type(twin) is type(part) and (_saves_itself(part) or to_config(twin) == to_config(part)):
        return
    raise broken(
        law.sentence,
        part,
        got=difference(snapshot(part), snapshot(twin), "the value") or f"a value from {way} that is not equal",
        wanted=f"an equal value from {way}",
        do="Keep in the value what it is made of, and nothing else.",
    )
