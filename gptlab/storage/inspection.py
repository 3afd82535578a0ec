"""A directory from outside is looked at whole before anything in it is read.

Whatever it came from (a hub, an archive, another person's disk), it may hold a link that leads out, a device that
never ends, a pickle that runs when it is read, or a header that promises 10 GB to a reader who allocates first. Each
is refused by its name here, in one place, so that no loader has to think of it. Costs one `stat` and one read of a
header per file.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gptlab.storage.arrays import check_npy, check_safetensors
from gptlab.storage.errors import StorageError
from gptlab.storage.jsonfiles import LARGEST, read_json
from gptlab.storage.manifest import MANIFEST, read_manifest

MOST_FILES = 1_000_000
_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".npz", ".dill", ".mar"})


def inspect_directory(directory: Path) -> None:
    """Refuse a directory that holds anything but plain files of the kinds that gptlab reads safely.

    `directory` itself may be a link: its caller chose it.

    Raises:
        StorageError: the first thing that is a link, a device, a pickle, JSON that is none, or an array whose header
            does not fit its file; or no such directory.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.pkl").write_bytes(b"anything")
    >>> inspect_directory(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    gptlab.storage.errors.StorageError: ...model.pkl
      got     a pickle, which runs code when it is read
      wanted  JSON, .npy and .safetensors
      Do not trust this directory; ask its maker for safetensors.
    """
    if not directory.is_dir():
        raise StorageError(
            directory,
            got="a file" if directory.exists() else "no such directory",
            wanted="a directory that save_to_dir wrote",
            do="Look whether the path is the right one.",
        )
    for number, path in enumerate(_walk(directory)):
        if number >= MOST_FILES:
            raise StorageError(
                directory,
                got=f"more than {MOST_FILES:,} files",
                wanted="a saved value",
                do="Do not trust this directory.",
            )
        _inspect_file(path)


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link: what it points at is not part of the directory."""
    if path.is_symlink():
        raise StorageError(
            path,
            got="a symbolic link",
            wanted="files of the saved directory itself",
            do="Copy what it points at, if you trust it.",
        )


def _walk(directory: Path) -> Iterator[Path]:
    """Every file below; a link or a device is refused where it stands, and so never entered."""
    for path in sorted(directory.iterdir()):
        refuse_link(path)
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from _walk(path)
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise StorageError(
                path,
                got="a device, a pipe or a socket",
                wanted="plain files",
                do="Do not trust this directory.",
            )


def _inspect_file(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in _PICKLES or _is_pickle(path):
        raise StorageError(
            path,
            got="a pickle, which runs code when it is read",
            wanted="JSON, .npy and .safetensors",
            do="Do not trust this directory; ask its maker for safetensors.",
        )
    if path.name == MANIFEST:
        read_manifest(path.parent)
    elif suffix == ".json":
        read_json(path, largest=LARGEST)
    elif suffix == ".npy":
        check_npy(path)
    elif suffix == ".safetensors":
        check_safetensors(path)


def _is_pickle(path: Path) -> bool:
    """Whether a file under another name begins and ends as pickles of protocol 2 and later do."""
    with path.open("rb") as file:
        head = file.read(2)
        if len(head) < 2 or head[0] != 0x80 or not 2 <= head[1] <= 5:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"."
