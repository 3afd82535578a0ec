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
    told = {reason: [count, drops.examples[reason]] for reason, count in drops.counts.items()}
    (directory / DROPS).write_text(pretty_json(told), encoding="utf-8")


def tell_drops(directory: Path) -> None:
    """Drop again what `keeping_drops` wrote down there."""
    for reason, (count, example) in read_json(directory / DROPS).items():
        drop(reason, count=count, example=example)
