"""One file from one of several servers onto the disk: into `<name>.part`, checked against its hash, then renamed.

A file under its own name is whole and verified, always; a `.part` is what has arrived so far, and the next run goes
on behind its last byte. Mirrors are asked first and the origin last; whoever served the bytes, the hash is the
origin's.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path

import attrs

from gptlab.pipeline.observe import progress, say
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.download.client import Answer, Client, Refused, Transient
from gptlab.sources.wikipedia.download.release import RemoteFile
from gptlab.storage.errors import disk_error

WORTHWHILE = 1 << 20
"""Bytes after which an attempt that broke off counts as none: a long download may break off any number of times."""
MIRROR_ATTEMPTS = 3
"""How often a mirror that fails is asked again; there is another server to go to."""
TELL_BYTES = 1 << 26
"""Bytes hashed between two reports of progress: a tenth of a second."""
_BLOCK = 1 << 20
Report = Callable[[int], None]
"""Told how many bytes of a file are there."""


class _Untrue(Exception):  # noqa: N818 - never leaves this module
    """An answer to a request for a range that is not that range."""


def transfer(file: RemoteFile, folder: Path, servers: Sequence[str], client: Client, report: Report) -> None:
    """Bring `file` into `folder`, whole and verified.

    Args:
        servers: base addresses in the order in which they are asked, the origin last.
        report: called as bytes arrive.

    Raises:
        SourceError: no server gives it.
        StorageError: the disk does not take it.

    In every case what has arrived stays in the `.part`, unless its hash has shown it to be wrong.
    """
    part = part_of(folder / file.name)
    reasons = []
    for server in servers:
        url = f"{server.rstrip('/')}/{file.path}"
        is_last = server is servers[-1]
        reason = _Landing(file, part, url, client, report, is_last=is_last).complete()
        if not reason:
            with _disk_errors(part):
                _settle(part, folder / file.name)
            return
        reasons.append(f"{url}: {reason}")
        if client.stopped.is_set():
            break
        if not is_last:
            say(f"{url}: {reason}; the next server is asked")
    kept = f"{part.stat().st_size:,} bytes are kept in {part.name}" if part.exists() else "nothing was kept"
    size = "" if file.size is None else f" of {file.size:,} bytes"
    raise SourceError(
        file.name,
        got="\n".join(reasons),
        wanted=f"a file{size} whose {file.algorithm} is {file.digest}",
        do=f"Start the same command again: it goes on where it is ({kept}). {_hint(reasons)}",
    )


def _hint(reasons: Sequence[str]) -> str:
    if any("status 404" in reason for reason in reasons):
        return "If the dump has been removed there, ask for the newest one: --date latest."
    return "Another mirror may help too."


def part_of(path: Path) -> Path:
    """Where a file is while it is not whole."""
    return path.with_name(f"{path.name}.part")


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_right(path: Path, file: RemoteFile) -> bool:
    """Whether what is at `path` has the file's hash; reads all of it, unless its size tells already."""
    if file.size is not None and size_of(path) != file.size:
        return False
    digest = hashlib.new(file.algorithm, usedforsecurity=False)
    done = 0
    with path.open("rb") as bytes_on_disk:
        while block := bytes_on_disk.read(_BLOCK):
            digest.update(block)
            done += len(block)
            if done % TELL_BYTES == 0:
                progress(f"verify {file.name}", done, size_of(path), "bytes")
    if done > TELL_BYTES:
        progress(f"verify {file.name}", done, done, "bytes")
    return digest.hexdigest() == file.digest


@attrs.define
class _Landing:
    """The `.part` of one file, being completed from one server.

    Attributes:
        is_last: whether no other server is left to be asked.
        is_own: whether all of the part is this server's.
        knows_ranges: false once the server has answered a request for a range with something else.
        restarts: how often bytes that were all this server's had another hash.
    """

    file: RemoteFile
    part: Path
    url: str
    client: Client
    report: Report
    is_last: bool
    is_own: bool = False
    knows_ranges: bool = True
    restarts: int = 0

    def complete(self) -> str:
        """Until the part has the file's hash: then an empty string, else why the server was given up."""
        failures = 0
        attempts = self.client.attempts if self.is_last else min(self.client.attempts, MIRROR_ATTEMPTS)
        while True:
            have, wait = size_of(self.part), None
            try:
                if self._is_whole(have):
                    if is_right(self.part, self.file):
                        return ""
                    self._start_over()
                    continue
                reason = "only a part of the file"
            except Transient as transient:
                reason, wait = str(transient), transient.wait
            except Refused as refused:
                return str(refused)
            if self.client.stopped.is_set():
                return reason
            failures = 0 if size_of(self.part) - have >= WORTHWHILE else failures + 1
            if failures >= attempts:
                return f"{reason} ({failures} times)"
            if failures:
                try:
                    self.client.pause(failures, wait, self.url, reason)
                except Refused as refused:
                    return str(refused)

    def _is_whole(self, have: int) -> bool:
        """Whether the part is as long as the file, after one request where it was not."""
        if self.file.size is not None and have >= self.file.size:
            return True
        start = have if self.knows_ranges else 0
        self.is_own = self.is_own or start == 0
        try:
            return self._fetch(start)
        except _Untrue as untrue:
            self.knows_ranges = False
            if not self.is_last:  # asked for everything, this one would cost what has arrived
                raise Refused(str(untrue)) from None
            raise Transient(str(untrue)) from None
        except Refused as refused:
            if refused.status != 416:
                raise
            self.knows_ranges = False
            if str(refused.headers.get("Content-Range", "")).strip() == f"bytes */{have}":
                return True
            raise Transient(str(refused)) from None

    def _start_over(self) -> None:
        """Throw away what has the wrong hash: once if another's bytes may be in it, and once more from the origin."""
        self.part.unlink()
        reason = f"bytes whose {self.file.algorithm} is another"
        self.restarts += self.is_own
        if self.restarts > self.is_last:
            raise Refused(reason)
        say(f"{self.url}: {reason}; started over")
        self.is_own = False

    def _fetch(self, start: int) -> bool:
        """One request: what arrives is written at its place. Whether that is all that the server has."""
        with self.client.ask(self.url, start=start) as answer:
            first, end, total = _extent(answer, start, self.file)
            with _disk_errors(self.part), _opened(self.part, first) as out:
                done = first
                for chunk in answer.chunks:
                    left = memoryview(chunk)
                    while left:
                        left = left[out.write(left) :]  # a disk that is nearly full takes a part
                    done += len(chunk)
                    self.report(done)
                    if self.file.size is not None and done > self.file.size:
                        break  # its hash will be another
        if end is not None and done < end:
            raise Transient(f"a connection closed after {done - first:,} of {end - first:,} bytes")
        return done == total if total is not None else end is None


def _extent(answer: Answer, start: int, file: RemoteFile) -> tuple[int, int | None, int | None]:
    """(first byte, byte behind the last, size of the whole file) of what an answer brings.

    Nothing is written before this: an answer that cannot be the file must not cost what has arrived.
    """
    if answer.status == 206:
        given = (answer.headers.get("Content-Range") or "").strip()
        match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", given)
        size = None if match is None or match[3] == "*" else int(match[3])
        wrong_size = None not in (size, file.size) and size != file.size
        if start == 0 or match is None or int(match[1]) != start or int(match[2]) < start or wrong_size:
            raise _Untrue(f"bytes from {start} asked for, Content-Range {given!r} answered")
        end = int(match[2]) + 1
        if size is not None and end > size:
            raise _Untrue(f"Content-Range {given!r}, which ends behind the end")
        return start, end, size if size is not None else file.size
    if answer.status != 200:
        raise Refused(f"HTTP status {answer.status}", answer.status)
    if file.size is not None and answer.length is not None and answer.length != file.size:
        raise Transient(f"another file, of {answer.length:,} bytes and not {file.size:,}")
    return 0, answer.length, answer.length if file.size is None else file.size


@contextlib.contextmanager
def _opened(part: Path, first: int) -> Iterator[FileIO]:
    """The `.part`, cut to `first` bytes and open for more. Unbuffered: a kill loses nothing that was written."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT, 0o666)
    with open(descriptor, "wb", buffering=0) as out:  # noqa: PTH123 - a descriptor is no path
        out.truncate(first)
        out.seek(first)
        yield out


def _settle(part: Path, path: Path) -> None:
    """Rename what is verified, and put both on the disk."""
    for step, target in ((None, part), (part, path.parent)):
        if step is not None:
            step.replace(path)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _disk_errors(part: Path) -> Iterator[None]:
    """Say what the disk did not take, in four parts; network errors have become others before they come here."""
    try:
        yield
    except OSError as error:
        raise disk_error(part, error) from error
