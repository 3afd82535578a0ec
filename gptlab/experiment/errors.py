"""What goes wrong with runs, in four parts: where, what was got, what was wanted, what to do."""

import errno


class ExperimentError(ValueError):
    """A run cannot be made, loaded or shown.

    >>> print(ExperimentError("runs/7", got="no config.json", wanted="a run directory", do="Look for it elsewhere."))
    runs/7
      got     no config.json
      wanted  a run directory
      Look for it elsewhere.
    """

    def __init__(self, where: str, *, got: str, wanted: str, do: str) -> None:
        self.where, self.got, self.wanted, self.do = where, got, wanted, do
        super().__init__(four_parts(where, got=got, wanted=wanted, do=do))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost on the way out of a worker process.
        return _rebuild, (self.where, self.got, self.wanted, self.do)


def _rebuild(where: str, got: str, wanted: str, do: str) -> ExperimentError:
    return ExperimentError(where, got=got, wanted=wanted, do=do)


def four_parts(where: str, *, got: str, wanted: str, do: str) -> str:
    """The text of an error; further lines of a part are indented below its first."""
    got, wanted = (part.replace("\n", "\n" + " " * 10) for part in (got, wanted))
    do = do.replace("\n", "\n  ")
    return f"{where}\n  got     {got}\n  wanted  {wanted}\n  {do}"


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
