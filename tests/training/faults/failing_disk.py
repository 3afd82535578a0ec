"""A disk whose power fails: what would still be there, given what was forced to it and what only written.

POSIX promises that a file's content survives once the file was synced, and a name once its folder was. About all else
it promises nothing, so a cut keeps any part of it: of a folder, the first few of the changes since its last sync (as
a journal does) or any of them (as it may do without one); of a file, what was synced, what is there now, its
beginning, or its length in zeros. A rename is one change: both names or neither. Linux file systems promise more;
nothing here leans on that.
"""

import os
import random
from pathlib import Path
from typing import Any

import attrs

Change = dict[str, "Thing | None"]
"""What one call did to the names of a folder: each name and what it stands for after; None: for nothing."""


@attrs.define(eq=False)
class Thing:
    """A file or a folder, whatever it is called.

    Attributes:
        is_folder: else a file.
        synced: bytes of a file when it was synced last; None: never.
        now: bytes of a file at the last look.
        synced_names: of a folder when it was synced last.
        safe: bytes at a file's beginning that have not been touched since its last sync.
        names: of a folder at the last look.
        since: changes to a folder's names since its last sync.
    """

    is_folder: bool
    synced: bytes | None = None
    now: bytes = b""
    safe: int = 0
    synced_names: dict[str, "Thing"] = attrs.field(factory=dict)
    names: dict[str, "Thing"] = attrs.field(factory=dict)
    since: list[Change] = attrs.field(factory=list)

    def is_synced(self) -> None:
        """What is there now is on the disk."""
        self.synced, self.safe = self.now, len(self.now)
        self.synced_names, self.since = dict(self.names), []


class FailingDisk:
    """Follows a directory from call to call. All that is there at first is taken to be on the disk.

    >>> import tempfile
    >>> root, after = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp()) / "after"
    >>> disk = FailingDisk(root)
    >>> _ = (root / "a").write_text("text")
    >>> disk.look()
    >>> disk.synced(root / "a")  # the content, not the name
    >>> disk.cut(after, random.Random(1)), os.listdir(after)
    (None, [])
    >>> disk.synced(root)
    >>> disk.cut(after.with_name("then"), random.Random(1)), (after.with_name("then") / "a").read_text()
    (None, 'text')
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_inode: dict[int, Thing] = {}
        self._top = Thing(is_folder=True)
        self.look()
        for thing in (self._top, *self._by_inode.values()):
            thing.is_synced()

    def look(self) -> None:
        """See what has changed since the last look; to be called after every call that changes something."""
        seen: dict[int, Thing] = {}
        self._look_into(self._root, self._top, seen)
        self._by_inode = seen  # numbers of what is gone may be given to something new

    def synced(self, path: Path) -> None:
        """`path` was forced to the disk."""
        self.look()
        thing = self._top if path == self._root else self._by_inode[path.stat().st_ino]
        thing.is_synced()

    def cut(self, target: Path, dice: random.Random) -> None:
        """Make at `target` what is there when the power is back; the dice decide about all that was not synced."""
        self._restore(self._top, target, dice)

    def _look_into(self, folder: Path, thing: Thing, seen: dict[int, Thing]) -> None:
        names: dict[str, Thing] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                inode, is_folder = entry.inode(), entry.is_dir(follow_symlinks=False)
                known = self._by_inode.get(inode)
                if known is None or known.is_folder != is_folder:
                    known = Thing(is_folder=is_folder)
                names[entry.name] = seen[inode] = known
                try:
                    if is_folder:
                        self._look_into(Path(entry.path), known, seen)
                    else:
                        known.now = Path(entry.path).read_bytes()
                        known.safe = min(known.safe, _in_common(known.now, known.synced or b""))
                except FileNotFoundError:
                    pass  # another thread was faster; the next look sees it
        thing.since += _changes(thing.names, names)
        thing.names = names

    def _restore(self, folder: Thing, target: Path, dice: random.Random) -> None:
        target.mkdir()
        names: dict[str, Any] = dict(folder.synced_names)
        some = dice.randint(0, len(folder.since))
        as_journal = dice.random() < 0.5
        kept = folder.since[:some] if as_journal else [each for each in folder.since if dice.random() < 0.5]
        for change in kept:
            names |= change
        for name, thing in names.items():
            if thing is None:
                continue
            if thing.is_folder:
                self._restore(thing, target / name, dice)
            else:
                (target / name).write_bytes(_content(thing, dice))


def _changes(before: dict[str, Thing], after: dict[str, Thing]) -> list[Change]:
    """Names that changed, in groups that one call must have changed together: they share a thing."""
    groups: list[tuple[set[int], Change]] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is new:
            continue
        things = {id(thing) for thing in (old, new) if thing is not None}
        together: Change = {name: new}
        apart = []
        for others, change in groups:
            if others & things:
                things |= others
                together |= change
            else:
                apart.append((others, change))
        groups = [*apart, (things, together)]
    return [change for _, change in groups]


def _in_common(left: bytes, right: bytes) -> int:
    """How many bytes at the beginning are the same."""
    return next(
        (at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )


def _content(file: Thing, dice: random.Random) -> bytes:
    synced, now, safe = file.synced or b"", file.now, file.safe
    if synced == now:
        return now
    beginning = now[: dice.randint(min(safe, len(now)), len(now))]
    return dice.choice([synced, now, beginning, now[:safe] + bytes(max(0, len(now) - safe))])
