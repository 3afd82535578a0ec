"""Swap two directories in one step, which POSIX rename cannot: the kernel's own call, by ctypes.

Renaming the old one away first would leave a moment with neither, and a kill in that moment would lose the last
good one. Where the file system cannot swap, we refuse.
"""

import ctypes
import os
import sys
from pathlib import Path

from gptlab.storage.errors import StorageError

_AT_FDCWD = -2 if sys.platform == "darwin" else -100
_SWAP = 2  # RENAME_EXCHANGE of renameat2(2) and RENAME_SWAP of renamex_np(2) alike
_CALL = "renameatx_np" if sys.platform == "darwin" else "renameat2"


def exchange(first: Path, second: Path) -> None:
    """Each takes the other's name, in one step.

    Raises:
        StorageError: the file system has no such operation.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), _CALL)
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), ctypes.c_uint(_SWAP)) != 0:
        number = ctypes.get_errno()
        raise StorageError(
            second,
            got=f"a file system that cannot swap two directories in one step ({os.strerror(number)})",
            wanted="the old directory or the new one at every moment",
            do="Save to a new path and remove the old one afterwards.",
        )
