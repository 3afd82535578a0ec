"""The error of this floor, and what an operating system's error means to a person."""

import errno
import shutil
from pathlib import Path

from gptlab.types.errors import FourPartError


class StorageError(FourPartError):
    """Something that cannot be stored, found or trusted."""


_FREE = "Free some space, or choose a folder on another disk; what was finished is kept."
_IN_THE_WAY = ("folders on the way", "Remove or rename the file that is in the way, or choose another path.")
_PERMISSION = ("permission", "Change its permissions, or choose another path.")
_REMEDIES = {
    errno.ENOSPC: ("a disk with room", _FREE),
    errno.EDQUOT: ("room within the quota", _FREE),
    errno.EFBIG: ("a file within the size limit", "Raise the limit (`ulimit -f unlimited`), or use another disk."),
    errno.EROFS: ("a file system that can be written", "Choose a folder elsewhere."),
    errno.EIO: ("a disk that works", "Look at the disk (`dmesg`) before anything more is written to it."),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENAMETOOLONG: ("a shorter path", "Choose a folder with a shorter name."),
    errno.ENOENT: ("a path that exists", "Check the spelling; a relative path begins at the current folder."),
    errno.EISDIR: ("a file", "Name a file inside the folder."),
}
_OF_THE_PROGRAM = (errno.ENOENT, errno.EISDIR)
"""A path that is not there may be an input that was never made: no fault of the disk."""


def is_disk_error(error: OSError) -> bool:
    """Whether an error speaks of the disk (full, read-only, no permission) and so is not the program's fault."""
    return error.errno in _REMEDIES and error.errno not in _OF_THE_PROGRAM


def os_error_parts(error: OSError) -> tuple[str, str, str]:
    """What was got, what was wanted, and what to do, by the number of an operating system's error.

    >>> os_error_parts(OSError(errno.EROFS, "Read-only file system"))[1:]
    ('a file system that can be written', 'Choose a folder elsewhere.')
    """
    wanted, do = _REMEDIES.get(error.errno or 0, ("an operation that succeeds", "Look at the path and try again."))
    return error.strerror or str(error), wanted, do


def disk_error(path: Path, error: OSError) -> StorageError:
    """An operating system's error about writing `path`, in four parts.

    >>> print(disk_error(Path("cache/rows"), OSError(errno.EROFS, "Read-only file system")))
    cache/rows
      got     Read-only file system
      wanted  a file system that can be written
      Choose a folder elsewhere.
    """
    got, wanted, do = os_error_parts(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        got += f" ({_free(path)} free there)"
    return StorageError(path, got=got, wanted=wanted, do=do)


def _free(path: Path) -> str:
    """Room on the disk of the nearest folder that exists, as a person reads it."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    return f"{shutil.disk_usage(existing).free / 1e9:.2f} GB"
