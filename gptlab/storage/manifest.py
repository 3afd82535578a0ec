"""`manifest.json`: what a finished directory holds, with sizes and hashes. It is written last.

A directory of millions of small files lists its sub-folders instead, each by one hash over its files' names and
contents: a few thousand lines, which is what looking whether it is complete costs.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from gptlab import __version__
from gptlab.storage.errors import StorageError
from gptlab.storage.flushing import flush, flush_tree
from gptlab.storage.jsonfiles import pretty_json, read_json

MANIFEST = "manifest.json"
FORMAT = 1
_LARGEST = 1 << 30  # a folder of a few million files


@attrs.frozen(kw_only=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        kind: what the directory is for.
        format: version of this file.
        gptlab: version that wrote it.
        files: path below the directory, with `/`, to (size in bytes, SHA-256 in hex). A path that ends in `/` is a
            sub-folder listed as a whole: (bytes in all its files, SHA-256 over their names and hashes).
    """

    kind: str
    format: int
    gptlab: str
    files: Mapping[str, tuple[int, str]]


def write_manifest(directory: Path, kind: str, *, by_folder: bool = False) -> None:
    """List every file below `directory` (or every sub-folder in it), and flush all of it, the list last."""
    files = {}
    paths = []
    for path in sorted(directory.iterdir()) if by_folder else _walk(directory):
        name = path.relative_to(directory).as_posix()
        paths.append(path)
        if path.is_file():
            size, digest = _hashed(path)
            files[name] = {"size": size, "sha256": digest}
        elif by_folder:
            size, digest = _folder_hashed(path)
            files[f"{name}/"] = {"size": size, "sha256": digest}
    if by_folder:
        flush_tree(directory)
    else:
        flush(paths)
    content = {"kind": kind, "format": FORMAT, "gptlab": __version__, "files": files}
    (directory / MANIFEST).write_text(pretty_json(content), encoding="utf-8")
    flush([directory / MANIFEST, directory])


def _hashed(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _folder_hashed(folder: Path) -> tuple[int, str]:
    """One size and one hash for all files below a folder; memory holds one sub-folder's names."""
    total = 0
    whole = hashlib.sha256()
    for path in _walk(folder):
        if path.is_file():
            size, digest = _hashed(path)
            total += size
            whole.update(f"{path.relative_to(folder).as_posix()}\0{size}\0{digest}\n".encode())
    return total, whole.hexdigest()


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a finished directory.

    Raises:
        StorageError: there is none, or it is not one of ours, or it names files outside the directory.
    """
    path = directory / MANIFEST
    data = read_json(path, largest=_LARGEST)
    try:
        files = {name: (entry["size"], entry["sha256"]) for name, entry in data["files"].items()}
        manifest = Manifest(kind=data["kind"], format=data["format"], gptlab=data["gptlab"], files=files)
    except (AttributeError, KeyError, TypeError) as error:
        raise _unusable(path, f"a file without {error}", "a manifest of gptlab") from error
    if manifest.format != FORMAT:
        raise _unusable(
            path, f"format {manifest.format!r}", f"format {FORMAT}, the one that gptlab {__version__} reads"
        )
    for name in manifest.files:
        size, digest = manifest.files[name]
        if type(size) is not int or type(digest) is not str:
            raise _unusable(path, f"size {size!r} and hash {digest!r}", "a manifest of gptlab")
        if not _stays_inside(name):
            raise _unusable(path, f"the file name {name!r}", "names that stay inside the directory")
    return manifest


def kind_of(directory: Path) -> Any:
    """What the manifest says the directory is, whole or not; None where there is no manifest of ours."""
    try:
        return read_manifest(directory).kind
    except StorageError:
        return None


def sizes_agree(directory: Path, manifest: Manifest) -> bool:
    """Whether every listed file is there, a real file of its size."""
    return next(_size_faults(directory, manifest), None) is None


def verify(path: Path, kind: str) -> None:
    """Read everything in a finished directory and compare it with the hashes of when it was made.

    Files that the manifest does not list are not looked at. Costs about a second per GB.

    Raises:
        StorageError: it is not finished, of another kind, or a file is missing, cut, changed or cannot be read.
    """
    manifest = read_manifest(path)
    if manifest.kind != kind:
        raise StorageError(
            path, got=f"a {manifest.kind}", wanted=f"a {kind}", do="Look whether the folder is the right one."
        )
    try:
        for name, got, wanted in _size_faults(path, manifest):
            raise _damaged(path / name, got, wanted)
        for name, (_, wanted) in manifest.files.items():
            hashed = _folder_hashed if name.endswith("/") else _hashed
            if hashed(path / name)[1] != wanted:
                content = f"the content with SHA-256 {wanted[:16]}..."
                raise _damaged(path / name, "content that has changed", content)
    except OSError as error:  # a bad sector, a file of somebody else, one that is being removed
        raise _damaged(path, f"{error.strerror} ({error.filename or 'while reading'})", "files to read") from error


def _size_faults(directory: Path, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for name, (size, _) in manifest.files.items():
        path = directory / name
        if name.endswith("/"):
            if path.is_symlink() or not path.is_dir():
                yield name, "no such folder", f"a folder of {size} bytes"
        elif path.is_symlink() or not path.is_file():
            yield name, "no such file", f"a file of {size} bytes"
        elif (found := path.stat().st_size) != size:
            yield name, f"{found} bytes", f"{size} bytes"


def _walk(directory: Path) -> Iterator[Path]:
    """Everything below, parents first, in the order of names; a link or a device is nobody's finished work."""
    for path in sorted(directory.iterdir()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise StorageError(
                path, got="a link or a device", wanted="files and folders", do="Copy what it points at instead."
            )
        yield path
        if path.is_dir():
            yield from _walk(path)


def _stays_inside(name: object) -> bool:
    return isinstance(name, str) and name != "" and not name.startswith("/") and ".." not in PurePosixPath(name).parts


def _unusable(path: Path, got: str, wanted: str) -> StorageError:
    return StorageError(path, got=got, wanted=wanted, do="Make the directory again; this one cannot be trusted.")


def _damaged(path: Path, got: str, wanted: str) -> StorageError:
    return StorageError(path, got=got, wanted=wanted, do="Remove the directory and make it again, or restore a copy.")
