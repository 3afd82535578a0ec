"""What goes wrong with runs, and what an operating system's error means to who started one."""

from gptlab.storage.errors import os_error_parts
from gptlab.types.errors import FourPartError, four_parts


class ExperimentError(FourPartError):
    """A run cannot be made, loaded or shown."""


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
