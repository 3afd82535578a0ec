"""The error of this floor, and what an operating system's error means to a person."""

import errno
import shutil
from pathlib import Path

from gptlab.types.errors import FourPartError


class StorageError(FourPartError):
    """Something that cannot be stored, found or trusted."""


_FULL = "Free some space, or choose a folder on another disk (`cache=...`); what was finished before is kept."
_REMEDIES = {
    errno.ENOSPC: ("a disk with room", _FULL),
    errno.EDQUOT: ("room within the quota", _FULL),
    errno.EFBIG: ("a file within the size limit", "Raise the limit (`ulimit -f unlimited`), or use another disk."),
    errno.EROFS: ("a file system that can be written", "Choose a folder elsewhere (`cache=...`)."),
    errno.EACCES: ("permission to write", "Change the folder's permissions, or choose another (`cache=...`)."),
    errno.EPERM: ("permission to write", "Change the folder's permissions, or choose another (`cache=...`)."),
    errno.ENOTDIR: ("folders on the way", "Remove or rename the file that is in the way, or choose another path."),
    errno.EEXIST: ("folders on the way", "Remove or rename the file that is in the way, or choose another path."),
    errno.ENAMETOOLONG: ("a shorter path", "Choose a folder with a shorter name."),
}


def is_disk_error(error: OSError) -> bool:
    """Whether an error speaks of the disk (full, read-only, no permission) and so is not the program's fault."""
    return error.errno in _REMEDIES


def disk_error(path: Path, error: OSError) -> StorageError:
    """An operating system's error about writing `path`, in four parts.

    >>> print(disk_error(Path("cache/rows"), OSError(errno.EROFS, "Read-only file system")))
    cache/rows
      got     Read-only file system
      wanted  a file system that can be written
      Choose a folder elsewhere (`cache=...`).
    """
    wanted, do = _REMEDIES.get(error.errno or 0, ("an operation that succeeds", "Look at the path and try again."))
    got = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        got += f" ({_free(path)} free there)"
    return StorageError(path, got=got, wanted=wanted, do=do)


def _free(path: Path) -> str:
    """Room on the disk of the nearest folder that exists, as a person reads it."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    return f"{shutil.disk_usage(existing).free / 1e9:.2f} GB"
