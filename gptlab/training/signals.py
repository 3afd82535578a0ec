"""Ctrl-C and SIGTERM ask the loop to stop after its step, so that nothing is cut in half.

A second Ctrl-C does what it does everywhere: it stops at once.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import attrs

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@attrs.define
class StopRequest:
    """Whether somebody asked to stop; anybody may set it.

    Attributes:
        asked: whether to stop.
        signal: how it was asked, where it was by a signal.
    """

    asked: bool = False
    signal: int = signal.SIGINT


@contextlib.contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block the first SIGINT or SIGTERM sets the request; then the former handlers are back.

    Python delivers signals to the main thread only, so elsewhere the block changes nothing.

    >>> import os
    >>> with stop_on_signal() as stop:
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     stop.asked
    True
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in former.items():
            if handler is not None:  # None: set by C code, which Python can neither read nor put back
                signal.signal(number, handler)

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.asked, stop.signal = True, number
        restore()

    try:
        for number in SIGNALS:
            signal.signal(number, ask)
        yield stop
    finally:
        restore()
