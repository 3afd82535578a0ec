"""A dump on standard input is kept as it comes, because it is read twice, and named by what it holds.

So it is found again by whatever is told to read the same bytes: a run that was interrupted goes on when they are
piped in once more.
"""

import functools
import hashlib
import sys
from pathlib import Path

from gptlab.pipeline.observe import progress, say
from gptlab.sources.errors import SourceError
from gptlab.storage import is_complete, new_directory
from gptlab.storage.temporaries import hold, temporary_sibling

KIND = "wikipedia-stdin"
STDIN = Path("-")
"""The path that means standard input, as everywhere."""
_BLOCK = 1 << 20


@functools.cache
def kept_stdin(cache: Path) -> Path:
    """The file in `cache` that holds all of standard input; read once by each process.

    Raises:
        SourceError: nothing is piped in.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise SourceError(
            "standard input",
            got="a terminal",
            wanted="a MediaWiki XML export, plain or compressed with bz2, gzip or xz",
            do="Pipe a dump in, as in `curl URL | program`, or name a file.",
        )
    cache.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(cache / KIND)
    digest, size = hashlib.sha256(), 0
    try:
        with temporary.open("xb") as file:
            hold(file.fileno())
            while block := sys.stdin.buffer.read(_BLOCK):
                file.write(block)
                digest.update(block)
                size += len(block)
                progress("keep standard input", size, None, "bytes")
            file.flush()
            progress("keep standard input", size, size, "bytes")
            directory = cache / f"{KIND}-{digest.hexdigest()[:16]}"
            if not is_complete(directory, KIND):  # while the file is open, nobody sweeps it out
                with new_directory(directory, kind=KIND) as made:
                    temporary.rename(made / "dump")
                say(f"standard input is kept as {directory / 'dump'} ({size:,} bytes): it is read twice")
    finally:
        temporary.unlink(missing_ok=True)
    return directory / "dump"
