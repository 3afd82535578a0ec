"""What goes wrong with runs, and what an operating system's error means to who started one."""

import errno

from gptlab.types.errors import FourPartError, four_parts


class ExperimentError(FourPartError):
    """A run cannot be made, loaded or shown."""


_FREE = "Free some space, or choose a folder on another disk; what was finished is kept."
_REMEDIES = {
    errno.ENOSPC: ("a disk with room", _FREE),
    errno.EDQUOT: ("room within the quota", _FREE),
    errno.EACCES: ("permission", "Change its permissions, or choose another path."),
    errno.EPERM: ("permission", "Change its permissions, or choose another path."),
    errno.EROFS: ("a file system that can be written", "Choose a folder elsewhere."),
    errno.ENOENT: ("a path that exists", "Check the spelling; a relative path begins at the current folder."),
    errno.ENOTDIR: ("folders on the way", "Remove or rename the file that is in the way, or choose another path."),
    errno.EISDIR: ("a file", "Name a file inside the folder."),
    errno.EEXIST: ("a path that is free", "Remove or rename what is in the way, or choose another path."),
}


def explain_os_error(error: OSError, what: str = "") -> str:
    """An operating system's error in four parts, with a remedy that fits its number.

    Args:
        error: its `filename`, where it has one, is named.
        what: what was tried, as in "cannot write".

    >>> print(explain_os_error(FileNotFoundError(2, "No such file or directory", "a.xml"), "cannot read"))
    cannot read a.xml
      got     No such file or directory
      wanted  a path that exists
      Check the spelling; a relative path begins at the current folder.
    """
    got, wanted, do = os_error_parts(error)
    where = " ".join(part for part in (what, str(error.filename or "")) if part) or "the operating system"
    return four_parts(where, got=got, wanted=wanted, do=do)


def os_error_parts(error: OSError) -> tuple[str, str, str]:
    """What was got, what was wanted, and what to do."""
    wanted, do = _REMEDIES.get(error.errno or 0, ("an operation that succeeds", "Look at the path and try again."))
    return error.strerror or str(error), wanted, do
