"""What is known and there on disk: which release was chosen, and which of its files are verified.

`release.json` beside the files says what was chosen before the first byte is fetched, so that a later run goes on
with the same dump and, once all files are there, asks nobody. `verified.json` notes the size and time of every file
whose hash was found right; a file that has changed since, or was put there by hand, is hashed again, never fetched
again when it is right.
"""

import contextlib
import errno
import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gptlab.pipeline.observe import say
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.download.layouts import LAYOUTS
from gptlab.sources.wikipedia.download.release import Layout, Release, RemoteFile
from gptlab.sources.wikipedia.download.transfer import is_right, part_of, size_of
from gptlab.storage import StorageError, from_config, pretty_json, to_config, write_atomically
from gptlab.storage.errors import disk_error

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""Some network disks have none; then nobody waits."""
CHOSEN, VERIFIED = "release.json", "verified.json"


def keep(release: Release, folder: Path) -> None:
    """Note what was chosen."""
    write_atomically(folder / CHOSEN, pretty_json(to_config(release)))


def kept_releases(folder: Path, layouts: Iterable[Layout]) -> list[Release]:
    """The releases of a wiki that were chosen earlier: whole ones first, then the newest, layouts in their order."""
    found = []
    for rank, layout in enumerate(layouts):
        for path in folder.glob(f"*/{CHOSEN}"):
            with contextlib.suppress(StorageError, OSError, ValueError):  # an older gptlab's: chosen again
                release = from_config(json.loads(path.read_text(encoding="utf-8")), kind=Release)
                if release.layout == layout and release.date == path.parent.name:
                    found.append((not is_there(release, path.parent), rank, release))
    found.sort(key=lambda each: each[2].date, reverse=True)
    return [release for *_, release in sorted(found, key=lambda each: each[:2])]


def is_there(release: Release, folder: Path) -> bool:
    """Whether every file is there, as it was when its hash was found right. Asks the disk alone, and reads little."""
    known = _verified(folder)
    states = [(_state(folder / file.name), known.get(file.name)) for file in release.files]
    return all(state is not None and state == noted for state, noted in states)


def missing(release: Release, folder: Path) -> list[RemoteFile]:
    """The files that must be fetched. Those that are there but unknown are hashed first."""
    absent = []
    for file in release.files:
        path = folder / file.name
        state = _state(path)
        if state is not None and state != _verified(folder).get(file.name):
            if is_right(path, file):
                note(file, folder)
            else:
                say(f"{path} is not what the origin has: fetched again")
                path.replace(part_of(path))
                state = None
        if state is None:
            absent.append(file)
    return absent


def note(file: RemoteFile, folder: Path) -> None:
    """Remember that a file is there and right."""
    known = {**_verified(folder), file.name: _state(folder / file.name)}
    write_atomically(folder / VERIFIED, pretty_json(known))


def need_room(files: Iterable[RemoteFile], folder: Path) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        SourceError: there is less room than is still to be fetched.
    """
    needed = sum(max(0, (file.size or 0) - size_of(part_of(folder / file.name))) for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            folder,
            got=f"{free / 1e9:.2f} GB free on that disk",
            wanted=f"{needed / 1e9:.2f} GB, for what is still to be fetched",
            do="Free some space, or name a folder on another disk as the cache.",
        )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a cache: whoever else downloads into it waits, so the connections never add up.

    The kernel lets it go when the process dies, however it dies.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise disk_error(path, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is downloading to {folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise disk_error(path, error) from error
        yield


def fitting_layouts(layout: Layout | None, date: str | None) -> tuple[Layout, ...]:
    """The layouts that a request means, in the order in which they are tried."""
    if layout is not None:
        return (layout,)
    if date is not None and "-" in date:
        return ("content",)
    return tuple(LAYOUTS) if date in (None, "latest") else ("multistream",)


def _verified(folder: Path) -> dict[str, Any]:
    try:
        known = json.loads((folder / VERIFIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _state(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]
