"""The logger of one run: made once, passed on, bound to nothing global.

`make_logger` constructs a `logging.Logger` that is not in Python's registry of loggers, so two runs in one process
never write into each other's log.txt, and nobody can reach it but through the reference that is passed on. Every
rank appends to the same log.txt, each record by one `write` on a descriptor opened with O_APPEND, which the kernel
keeps whole among any number of writers (tested with 16 processes and 16,000 lines, none of them torn).
Nothing rotates it here; where someone moves or removes it, the run goes on in a new one that says so. A line that
could not be written (a full disk) is counted and the loss told in the log itself.
"""

import contextlib
import errno
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from gptlab.experiment.text import printable

_LINE = "%(asctime)s.%(msecs)03d rank {rank} %(levelname)-7s %(message)s"


class AppendHandler(logging.Handler):
    """Appends each record to a file by a single write; the lines that follow the first are indented.

    A full disk must not end a training that could go on: the lines lost are counted, said once on stderr, and
    written as a number when writing works again.
    """

    def __init__(self, path: Path, rank: int) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter(_LINE.format(rank=rank), datefmt="%Y-%m-%d %H:%M:%S"))
        self.lost = 0
        self._path = path
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if self._descriptor is None:
            return
        text = printable(self.format(record)).replace("\n", "\n    ") + "\n"
        text = self._reopened() + text
        if self.lost:
            text = f"({self.lost} lines before this one could not be written)\n{text}"
        line = text.encode("utf-8", "backslashreplace")
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.lost = 0
        except OSError as error:
            if not self.lost:
                print(f"{self._path}: {error.strerror}; the run goes on, its log has a gap", file=sys.stderr)
            self.lost += 1

    def _reopened(self) -> str:
        """Where the file was moved or removed under us (logrotate, a person), go on in a new one that says so."""
        try:
            if os.path.samestat(os.fstat(self._descriptor or 0), self._path.stat()):
                return ""
        except FileNotFoundError:
            pass
        except OSError:
            return ""
        try:
            fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError:  # its folder is gone as well: what we hold is still open
            return ""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = fresh
        return "(this file was moved or removed while the run worked; earlier lines went with it)\n"

    def close(self) -> None:
        """Close the file; records that come later are not written."""
        with self.lock or contextlib.nullcontext():
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        super().close()


class ConsoleHandler(logging.Handler):
    """Shows messages on a rich console, above its progress bars, without time and rank."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        style = "bold red" if record.levelno >= logging.ERROR else "yellow" if record.levelno > logging.INFO else ""
        word = f"{record.levelname.lower()}: " if style else ""
        self._console.print(Text(word + printable(record.getMessage()), style=style), soft_wrap=True)


def make_logger(directory: Path, rank: int, console: Console | None = None) -> logging.Logger:
    """A logger that writes all to `directory`/log.txt, and what a person should read to the console of rank 0.

    Levels: DEBUG goes to log.txt only, INFO and above to the console as well.

    Args:
        directory: the run directory; it exists.
        rank: the number of this process.
        console: where rank 0 speaks; standard output when not given. Share it with `ConsoleObserver`, so that
            messages and bars do not tear each other.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     logger = make_logger(Path(folder), rank=1)
    ...     logger.info("hello")
    ...     close_logger(logger)
    ...     print((Path(folder) / "log.txt").read_text()[24:], end="")
    rank 1 INFO    hello
    """
    logger = logging.Logger(f"gptlab.run.{directory.name}", logging.DEBUG)
    logger.addHandler(AppendHandler(directory / "log.txt", rank))
    if rank == 0:
        logger.addHandler(ConsoleHandler(console if console is not None else Console()))
    return logger


def one_line(error: BaseException) -> str:
    """What went wrong, for a list: the first lines of the message, after the name of the error.

    >>> one_line(ValueError("a\\nb"))
    'ValueError: a; b'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(f"{type(error).__name__}: {'; '.join(lines[:3])}".rstrip(": "))


def close_logger(logger: logging.Logger) -> None:
    """Close the files that a logger of `make_logger` holds."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def capturing(logger: logging.Logger) -> Iterator[None]:
    """Log warnings and uncaught errors while the block runs; both of Python's hooks are put back afterwards.

    An error that leaves the block is logged with its traceback (to log.txt only: whoever catches it shows it) and
    goes on its way. That is why `sys.excepthook` is not used: by the time it is called the block has been left.
    """
    show, thread_hook = warnings.showwarning, threading.excepthook

    def log_warning(  # noqa: PLR0917 - the signature is Python's
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None:
            show(message, category, filename, lineno, file, line)
        else:
            logger.warning("%s (%s, %s:%d)", message, category.__name__, filename, lineno)

    def log_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "of unknown name"
        text = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        logger.error("uncaught error in thread %s: %s", name, args.exc_type.__name__)
        logger.debug("%s", text.rstrip())

    with warnings.catch_warnings():
        warnings.showwarning = log_warning
        threading.excepthook = log_thread
        try:
            yield
        except KeyboardInterrupt:
            logger.debug("interrupted")
            raise
        except Exception:
            logger.debug("uncaught error", exc_info=True)
            raise
        finally:
            threading.excepthook = thread_hook
