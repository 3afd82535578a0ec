"""A run that works: its logger, its observer and what is said when it is stopped, in one `with`."""

import contextlib
import logging
from collections.abc import Iterator

import attrs
from rich.console import Console

from gptlab.experiment.console import ConsoleObserver
from gptlab.experiment.logger import capturing, close_logger, make_logger
from gptlab.experiment.ranks import rank_from_environment
from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.using import in_use
from gptlab.pipeline.observe import watching


@attrs.frozen(kw_only=True, eq=False)
class Session:
    """What a running recipe passes on.

    Attributes:
        run: its directory.
        logger: for modules that take one.
        observer: counts drops, for the closing table.
        console: of the first rank; None on the others.
    """

    run: RunDirectory
    logger: logging.Logger
    observer: ConsoleObserver
    console: Console | None


@contextlib.contextmanager
def running(run: RunDirectory, console: Console | None = None, *, go_on: str = "") -> Iterator[Session]:
    """Log, show bars and count drops while the block runs.

    When an error or Ctrl-C leaves the block, what was kept and `go_on` are added to it as a note, which
    `gptlab.experiment.main` shows.

    Args:
        run: where log.txt is written.
        console: where the first rank speaks; standard output when None.
        go_on: the command that continues an interrupted run.
    """
    rank = rank_from_environment()
    shared = (console if console is not None else make_console()) if rank == 0 else None
    logger = make_logger(run.path, rank, shared)
    observer = ConsoleObserver(logger, shared)
    try:
        with in_use(run.path), capturing(logger), observer, watching(observer):
            yield Session(run=run, logger=logger, observer=observer, console=shared)
    except (Exception, KeyboardInterrupt) as error:
        how = "Go on" if isinstance(error, KeyboardInterrupt) else "Go on when that is mended"
        error.add_note(f"Kept: {kept(run)}" + (f"\n{how}: {go_on}" if go_on else ""))
        raise
    finally:
        close_logger(logger)


def make_console() -> Console:
    """Standard output, with text as it is: brackets of Markdown are not taken for colours."""
    return Console(markup=False, highlight=False, emoji=False)


def kept(run: RunDirectory) -> str:
    """What an interrupted run leaves behind, in words."""
    parts = [str(run.path)]
    if run.metrics.exists():
        with run.metrics.open("rb") as file:
            parts.append(f"metrics of {sum(1 for _ in file):,} steps")
    if run.checkpoints.is_dir():
        names = sorted(path.name for path in run.checkpoints.iterdir() if not path.name.startswith("."))
        if names:
            parts.append(f"checkpoints {', '.join(names)}")
    return ", ".join(parts)
