"""Hashes of the data that a run read: of files from outside, and of what was prepared from them.

A fingerprint says what was asked for; these say what was there. They are taken when everything is prepared and kept
in `data.json`, so that a year later one can tell whether a dump of the same name is the same dump.
"""

import hashlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from gptlab.storage import StorageError
from gptlab.storage.manifest import read_manifest

WHOLE = 1 << 30
"""Bytes up to which a file is hashed whole, one second; of a larger one the first and the last MiB and its size."""
_END = 1 << 20


def data_hashes(part: Any) -> dict[str, dict[str, Any]]:
    """By place, the size and the SHA-256 of everything that `part` reads or has prepared, at any depth.

    Args:
        part: a recipe's data path: sources, stages, pipelines, anything made of attrs values.

    >>> import tempfile
    >>> from gptlab.sources import TextFiles
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("Tea")
    >>> [entry["bytes"] for entry in data_hashes(TextFiles(folder)).values()]
    [3]
    """
    found: dict[str, dict[str, Any]] = {}
    for value in _parts(part, set()):
        for field in attrs.fields(type(value)):
            place = getattr(value, field.name)
            if isinstance(place, Path) and "gptlab.location" not in field.metadata and place.exists():
                found[str(place)] = {"read by": type(value).__name__, **hashed(place)}
        directory = getattr(value, "directory", None)
        if isinstance(directory, Path) and directory.is_dir():
            try:
                manifest = read_manifest(directory)
            except StorageError:
                continue
            digest = hashlib.sha256(str(sorted(manifest.files.items())).encode()).hexdigest()
            size = sum(size for size, _ in manifest.files.values())
            found[str(directory)] = {
                "made by": type(value).__name__,
                "files": len(manifest.files),
                "bytes": size,
                "sha256": digest,
            }
    return found


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every attrs value inside, once."""
    if isinstance(value, types.MethodType):
        value = value.__self__
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, tuple | list):
        for item in value:
            yield from _parts(item, seen)
    elif attrs.has(type(value)):
        yield value
        for field in attrs.fields(type(value)):
            yield from _parts(getattr(value, field.name), seen)


def hashed(place: Path) -> dict[str, Any]:
    """Size and hash of a file, or of all files of a folder with their names."""
    if place.is_file():
        return _hashed_file(place)
    digest, total, count = hashlib.sha256(), 0, 0
    for path in sorted(place.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(place).parts):
            one = _hashed_file(path)
            digest.update(f"{path.relative_to(place).as_posix()}\0{one['sha256']}\n".encode(errors="surrogateescape"))
            total, count = total + one["bytes"], count + 1
    return {"files": count, "bytes": total, "sha256": digest.hexdigest()}


def _hashed_file(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            return {"bytes": size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        digest = hashlib.sha256(file.read(_END))
        file.seek(-_END, 2)
        digest.update(file.read(_END))
    return {"bytes": size, "sha256": digest.hexdigest(), "hashed": "the first and the last MiB"}
