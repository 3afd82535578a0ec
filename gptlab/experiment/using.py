"""Who uses a run right now: a lock that the kernel lets go when its process ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Mark a directory as used while the block runs; any number may use it at once.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp())
    >>> with in_use(path):
    ...     is_in_use(path)
    True
    >>> is_in_use(path)
    False
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then nobody is told
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_in_use(path: Path) -> bool:
    """Whether any process holds it by `in_use`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
