"""What was dropped while something was made stands beside it on disk, and is told again when it is found there.

So a run that reuses rows or documents shows the same table as the run that made them: a dump that was cut off is
still cut off the second time.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gptlab.pipeline.observe import Drops, drop, observer, watching
from gptlab.storage.jsonfiles import pretty_json, read_json

DROPS = "drops.json"


@contextlib.contextmanager
def keeping_drops(directory: Path) -> Iterator[None]:
    """Write down what is dropped meanwhile, in `directory`; whoever watches is told as ever.

    >>> import tempfile
    >>> directory = Path(tempfile.mkdtemp())
    >>> with keeping_drops(directory):
    ...     drop("empty document", example="Tea")
    >>> with watching(Drops()) as drops:
    ...     tell_drops(directory)
    >>> drops.counts["empty document"], drops.examples["empty document"]
    (1, 'Tea')
    """
    with watching(Drops(onward=observer())) as drops:
        yield
    write_drops(directory, drops)


def write_drops(directory: Path, drops: Drops) -> None:
    """Write down drops that are known, for `tell_drops`."""
    told = {reason: [count, drops.examples[reason]] for reason, count in drops.counts.items()}
    # Half a surrogate pair, which has no UTF-8, becomes its own JSON escape.
    (directory / DROPS).write_bytes(pretty_json(told).encode("utf-8", "backslashreplace"))


def tell_drops(directory: Path) -> None:
    """Drop again what `keeping_drops` wrote down there."""
    for reason, (count, example) in read_json(directory / DROPS).items():
        drop(reason, count=count, example=example)
