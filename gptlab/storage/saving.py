"""One function each to save and to load anything, by composition; nothing that is loaded can run code.

    <directory>/config.json             {"schema": 2, "gptlab": "0.1.0", "value": {"class": ..., fields...}}
    <directory>/<path of the field>/    what a value's own `save_to_dir` wrote: {"class": ..., "saved": "model"}
    <directory>/<path of the field>.npy an array: {"array": "tokens.npy"}

Configurations are JSON, arrays are .npy without pickles, classes are named and must be gptlab's or allowed.
"""

import os
import types
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gptlab.storage.arrays import read_npy
from gptlab.storage.decode import decode
from gptlab.storage.directories import new_directory, verify
from gptlab.storage.encode import encode, saves_itself
from gptlab.storage.errors import StorageError
from gptlab.storage.explain import RefusedError
from gptlab.storage.inspection import inspect_directory, refuse_link
from gptlab.storage.jsonfiles import pretty_json, read_json
from gptlab.storage.manifest import MANIFEST
from gptlab.storage.names import import_from_nested_path, name_of
from gptlab.storage.schema import envelope, opened

CONFIG = "config.json"
KIND = "saved"


def save_to_dir(value: Any, directory: Path) -> None:
    """Save a value and all it is made of, so that `load_from_dir` gives an equal one.

    A value with its own `save_to_dir` and `load_from_dir` (weights, ranks) is saved by them, at any depth. A class
    may take this very function as its method: `save_to_dir = gptlab.storage.save_to_dir`.

    Args:
        value: a component, a pipeline, a record, a recipe.
        directory: made as a whole, with a manifest, where it does not exist; an empty or unfinished one (as
            `new_directory` yields) is written into.

    Raises:
        StorageError: a value that cannot be saved; a directory that holds a saved value; a full disk.

    >>> import tempfile
    >>> from gptlab.types import Prompt
    >>> directory = Path(tempfile.mkdtemp()) / "prompt"
    >>> save_to_dir(Prompt(text="Once"), directory)
    >>> load_from_dir(directory)
    Prompt(text='Once', title='', max_new_tokens=128, seed=0)
    """
    if not directory.exists():
        with new_directory(directory, kind=KIND) as temporary:
            _write(value, temporary)
    elif (directory / CONFIG).exists():
        raise StorageError(
            directory,
            got="a directory that holds a saved value",
            wanted="a new directory",
            do="Choose another path, or remove it; nothing was touched.",
        )
    else:
        _write(value, directory)


def load_from_dir(directory: Path, *, allow: tuple[str, ...] = ()) -> Any:
    """The value that `save_to_dir` wrote there.

    Where there is a manifest, every file is compared with its hash first (a second per GB).

    Args:
        directory: what was given to `save_to_dir`.
        allow: packages beside gptlab whose classes and functions may be named. Importing them runs their code,
            so allow what you would run.

    Raises:
        StorageError: not a saved value, damaged, hostile, or of classes that are not allowed.
    """
    if (directory / MANIFEST).exists():
        verify(directory, KIND)
    value = opened(read_json(_inside(directory, CONFIG)), str(directory / CONFIG), bare=False)

    def restore(reference: dict[str, Any]) -> Any:
        match reference:
            case {"saved": str(name), "class": str(kind), **rest} if not rest:
                return _load_own(_inside(directory, name), kind, allow)
            case {"array": str(name), **rest} if not rest:
                return read_npy(_inside(directory, name))
        raise RefusedError(f"{reference!r:.80}", "a reference to saved files as save_to_dir writes it")

    return decode(value, restore, allow, str(directory / CONFIG))


def _write(value: Any, directory: Path) -> None:
    def special(inner: Any, path: tuple[str, ...]) -> Any:
        parts = path or ("value",)
        if isinstance(inner, np.ndarray):
            *folders, last = parts
            with _place(directory, (*folders, f"{last}.npy")).open("xb") as file:
                np.save(file, np.asarray(inner, order="C"), allow_pickle=False)
            return {"array": "/".join(parts) + ".npy"}
        if saves_itself(inner):
            folder = _place(directory, parts)
            folder.mkdir()
            inner.save_to_dir(folder)
            return {"class": name_of(type(inner)), "saved": "/".join(parts)}
        return None

    (directory / CONFIG).write_text(pretty_json(envelope(encode(value, special))), encoding="utf-8")


def _load_own(directory: Path, name: str, allow: tuple[str, ...]) -> Any:
    kind = import_from_nested_path(name, allow=allow)
    if not isinstance(getattr(kind, "load_from_dir", None), types.MethodType):
        raise RefusedError(name, "a class with the class method load_from_dir")
    inspect_directory(directory)
    return kind.load_from_dir(directory)


def _place(directory: Path, parts: tuple[str, ...]) -> Path:
    """Where to write; a mapping's keys are among the parts, so they are looked at like a stranger's."""
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part or len(os.fsencode(part)) > 200:
            raise StorageError(
                ".".join(parts), got=f"the key {part!r:.80}", wanted="keys that can name a folder", do="Rename it."
            )
    target = directory.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _inside(directory: Path, name: str) -> Path:
    """A path below `directory` without `..` and without links on the way."""
    path = PurePosixPath(name)
    if not _is_plain(path):
        raise RefusedError(
            f"the path {name!r:.80}", "a path inside the saved directory", "Do not trust this directory."
        )
    target = directory
    for part in path.parts:
        target = target / part
        refuse_link(target)
    if not target.exists():
        raise StorageError(
            target, got="nothing", wanted="what save_to_dir writes", do="Look whether the folder is whole."
        )
    return target


def _is_plain(path: PurePosixPath) -> bool:
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
