"""The arrays of a checkpoint: one safetensors file, or several with an index; names and shapes before any numbers.

safetensors holds arrays and nothing that could run. Names in an index are a stranger's: they must be files of the
same folder, and no links out of it.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptlab.storage import read_json
from gptlab.types.errors import refusal

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LARGEST_INDEX = 64 << 20


@attrs.frozen
class StoredArrays:
    """The arrays of a folder by name; read one at a time.

    Attributes:
        files: the file of each array.
    """

    files: Mapping[str, Path]

    @classmethod
    def look(cls, directory: Path) -> "StoredArrays":
        """What there is, without reading a number.

        Raises:
            ValueError: no safetensors, a missing shard, a name that leads out of the folder, a damaged header.
        """
        if (directory / INDEX).exists():
            return cls(_indexed(directory))
        path = plain_file(directory, SINGLE)
        with _opened(path) as file:
            return cls(dict.fromkeys(file.keys(), path))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from the header."""
        with _opened(self.files[name]) as file:
            return tuple(file.get_slice(name).get_shape())

    def read(self, names: list[str]) -> Iterator[tuple[str, Tensor]]:
        """Each array with its name, file by file: one is in memory at a time."""
        by_file: dict[Path, list[str]] = {}
        for name in names:
            by_file.setdefault(self.files[name], []).append(name)
        for path, inside in by_file.items():
            with _opened(path) as file:
                for name in inside:
                    yield name, file.get_tensor(name)


def plain_file(directory: Path, name: str) -> Path:
    """A file of the folder itself, or of the hub library's cache that the folder is a view of.

    Raises:
        ValueError: it is not there, or is a link to somewhere else.
    """
    path = directory / name
    if not path.is_file():
        there = sorted(each.name for each in directory.glob("*")) if directory.is_dir() else []
        pickled = [each for each in there if each.endswith((".bin", ".pt", ".pth"))]
        raise refusal(
            path,
            got=f"no such file, but {pickled[0]}" if pickled else "no such file",
            wanted="a checkpoint as safetensors with its config.json",
            do="Pickles are not read, for they can run code: ask for, or convert to, safetensors."
            if pickled
            else "Look whether the folder is the right one, and whole.",
        )
    if _leads_out(path):
        raise refusal(
            path,
            got="a symbolic link that leads out of the folder",
            wanted="the file itself",
            do="Copy what it points at, if you trust it.",
        )
    return path


def _leads_out(path: Path) -> bool:
    """Whether it is a link to somewhere else than the blobs that the hub library's cache keeps beside a snapshot."""
    if not path.is_symlink():
        return False
    folder = path.parent.resolve()
    target = Path(os.path.normpath(folder / path.readlink()))
    return target.parent not in (folder, folder.parent.parent / "blobs")


def _indexed(directory: Path) -> dict[str, Path]:
    """The file of each array by the index; every file must hold what the index says of it, and no more."""
    index = read_json(plain_file(directory, INDEX), largest=_LARGEST_INDEX)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise refusal(
            directory / INDEX,
            got=f"{index!r:.60}",
            wanted='{"weight_map": {array: file, ...}}',
            do="Fetch the repository again.",
        )
    for name in sorted(set(names.values())):
        if "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise refusal(
                directory / INDEX,
                got=f"the file name {name!r:.100}",
                wanted="safetensors files of the same folder",
                do="Do not trust this checkpoint.",
            )
        path, said = plain_file(directory, name), {array for array, file in names.items() if file == name}
        with _opened(path) as file:
            held = set(file.keys())
        if said != held:
            raise refusal(
                path,
                got=f"{sorted(said ^ held)[0]}, which only one of file and index has",
                wanted=f"the {len(said)} arrays that {INDEX} names for it",
                do="Fetch the repository again; its files do not belong together.",
            )
    return {array: directory / file for array, file in names.items()}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, json.JSONDecodeError) as error:
        raise refusal(
            path, got=str(error), wanted="a whole safetensors file", do="Fetch it again; it was cut or changed."
        ) from error
