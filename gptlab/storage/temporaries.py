"""Names for what is not finished, and the sweeping away of what dead processes left behind.

A temporary is a hidden sibling of what it will become, so that one rename on one disk finishes it. While it is
worked on its maker holds a lock (`flock`) on it, which the kernel lets go when the process dies, however it dies:
a temporary that can be locked is stale. That holds across containers, reused process ids and reboots, where
asking whether the process id in the name is alive would not; the id is in the name for people.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".gptlab-tmp"
# File systems without locks (some network ones): temporaries are then never taken for stale.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def temporary_sibling(path: Path) -> Path:
    """A name beside `path` that no other process or thread uses."""
    # A title of 255 bytes plus our ending would be too long a name, so the beginning is enough.
    head = os.fsdecode(os.fsencode(path.name)[:100])
    return path.with_name(f".{head}.{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}")


@contextlib.contextmanager
def locked_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside `path`, locked until the block ends; what still has its name then is removed."""
    while True:
        temporary = temporary_sibling(path)
        temporary.mkdir()
        # Between the two calls a sweeper can take the directory for a stale one: then it is gone, and we try again.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
            if _lock(descriptor, wait=True) and _is_same(descriptor, temporary):
                break
            os.close(descriptor)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


@contextlib.contextmanager
def kept_directory(path: Path) -> Iterator[Path]:
    """The one directory beside `path` in which work on it goes on where it was left, locked until the block ends.

    It stays when the block fails or the process dies. Another process that wants it waits.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    while True:
        unfinished.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # whoever held it has just finished it
            descriptor = os.open(unfinished, os.O_RDONLY | os.O_DIRECTORY)
            if _lock(descriptor, wait=True) and _is_same(descriptor, unfinished):
                break
            os.close(descriptor)
    try:
        yield unfinished
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove the temporaries in `folder` that no living process holds; returns how many."""
    removed = 0
    for entry in folder.glob(f".*{SUFFIX}"):
        with contextlib.suppress(OSError):  # another sweeper was faster, or it is not ours to remove
            descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _lock(descriptor, wait=False) and _is_same(descriptor, entry):
                    if entry.is_dir():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
                    removed += 1
            finally:
                os.close(descriptor)
    return removed


def hold(descriptor: int) -> None:
    """Mark an open temporary file as worked on, until it is closed."""
    _lock(descriptor, wait=True)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock was got; where there are no locks, a waiting caller goes on and a sweeper does not."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if not wait and isinstance(error, BlockingIOError):
            return False
        if error.errno not in _NO_LOCKS:
            raise
        return wait
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether `path` still names what is open."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    return False
