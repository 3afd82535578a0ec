"""Directories and files that appear whole or not at all.

What takes work is made in a temporary sibling, every file is flushed to the disk and listed with its size and
SHA-256 in `manifest.json`, and one rename makes it visible. So a kill, a full disk or Ctrl-C at any moment leaves
either nothing or the finished thing, and never a half one that the next run would take for finished.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gptlab.storage.errors import StorageError, disk_error, is_disk_error
from gptlab.storage.exchange import exchange
from gptlab.storage.flushing import flush, make_folder
from gptlab.storage.manifest import MANIFEST, kind_of, read_manifest, sizes_agree, verify, write_manifest
from gptlab.storage.temporaries import hold, kept_directory, locked_directory, sweep, temporary_sibling

__all__ = ["is_complete", "new_directory", "unfinished_directory", "verify", "write_atomically"]


@contextlib.contextmanager
def new_directory(path: Path, *, kind: str, replace: bool = False) -> Iterator[Path]:
    """Make a directory as a whole: write into the one yielded; when the block ends well it is `path`.

    If another process finishes `path` in the meantime, the first one wins and ours is discarded: what is made
    at a path is a function of the path (a cache), so both are the same. A damaged directory of the same kind is
    replaced. Stale temporaries in the same folder, left by processes that died, are removed first.

    Args:
        path: where it will be; its parents are made.
        kind: what it is, a short name that `is_complete` and `verify` ask for.
        replace: swap out a directory of this kind that is there, in one step.

    Raises:
        StorageError: `path` holds something else; the disk is full or cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "squares"
    >>> with new_directory(path, kind="squares") as directory:
    ...     _ = (directory / "numbers.txt").write_text("1 4 9")
    >>> is_complete(path, "squares"), sorted(file.name for file in path.iterdir())
    (True, ['manifest.json', 'numbers.txt'])
    """
    _prepare(path.parent)
    _refuse_strangers(path, kind)
    with _disk_errors(path):
        with locked_directory(path) as temporary:
            yield temporary
            write_manifest(temporary, kind)
            _publish(temporary, path, kind, replace)
        flush([path.parent])


@contextlib.contextmanager
def unfinished_directory(path: Path, *, kind: str, finished: str = "*") -> Iterator[Path]:
    """Make a directory of millions of files as a whole, in work that can be left at any moment and gone on with.

    As `new_directory`, but what is yielded is `path` with `.unfinished` behind its name: it stays where the block
    fails or the process is killed, and the next call yields it again, with all that was written. Only one process
    works in it, others wait. The manifest lists sub-folders, not files.

    Args:
        path: where the directory is seen once it is whole.
        kind: as of `new_directory`.
        finished: a glob pattern of the files by which work is gone on with. An error of the block (a kill or an
            interrupt is none) by which none of them is left leaves nothing at all.

    Raises:
        StorageError: `path` holds something else; the disk is full or cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "squares"
    >>> with contextlib.suppress(KeyboardInterrupt), unfinished_directory(path, kind="squares") as directory:
    ...     _ = (directory / "1.txt").write_text("1")
    ...     raise KeyboardInterrupt
    >>> with unfinished_directory(path, kind="squares") as directory:
    ...     sorted(file.name for file in directory.iterdir())
    ['1.txt']
    """
    _prepare(path.parent)
    _refuse_strangers(path, kind)
    with _disk_errors(path):
        with kept_directory(path) as directory:
            try:
                yield directory
            except Exception:
                if not any(directory.glob(finished)):
                    shutil.rmtree(directory, ignore_errors=True)
                raise
            if not is_complete(path, kind):
                write_manifest(directory, kind, by_folder=True)
                _publish(directory, path, kind, replace=False)
            shutil.rmtree(directory, ignore_errors=True)
        flush([path.parent])


def is_complete(path: Path, kind: str) -> bool:
    """Whether a finished directory of this kind is at `path`, every file with its size. Hashes are for `verify`."""
    try:
        manifest = read_manifest(path)
    except StorageError:
        return False
    return manifest.kind == kind and sizes_agree(path, manifest)


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part; it is on disk on return.

    Args:
        path: its parents are made.
        data: text is written as UTF-8.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    temporary = temporary_sibling(path)
    _prepare(path.parent)
    with _disk_errors(path):
        try:
            with temporary.open("xb") as file:
                hold(file.fileno())
                file.write(data.encode("utf-8") if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush([path.parent])


def _prepare(folder: Path) -> None:
    """Make the folder, and sweep out what dead processes left in it."""
    try:
        make_folder(folder)
        sweep(folder)
    except OSError as error:
        raise disk_error(folder, error) from error


def _publish(temporary: Path, path: Path, kind: str, replace: bool) -> None:
    """Give the finished directory its name; afterwards `temporary` is whatever there is to remove."""
    try:
        temporary.rename(path)  # succeeds when nothing, or an empty directory, is there
    except OSError:
        if not path.is_dir():
            raise
        _refuse_strangers(path, kind)
        if replace or not is_complete(path, kind):
            exchange(temporary, path)


def _refuse_strangers(path: Path, kind: str) -> None:
    """Only an empty directory, or one that we made for the same purpose, may be at `path`."""
    is_free = not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir()))
    if not is_free and kind_of(path) != kind:
        found = "a directory" if path.is_dir() else "a file"
        raise StorageError(
            path,
            got=f"{found} that is no {kind} of gptlab (no {MANIFEST} of that kind)",
            wanted=f"a free path, or an earlier {kind}",
            do="Move it away, or choose another path; nothing was touched.",
        )


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn errors that speak of the disk into one that says what to do; others (a missing input) pass."""
    try:
        yield
    except OSError as error:
        if not is_disk_error(error):
            raise
        raise disk_error(path, error) from error
