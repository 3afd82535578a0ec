"""`python -m gptlab.sources.wikipedia.worker`: one process that works on parts of a dump, fed through pipes.

The first message is the task, every further one a part; for each of them one message goes back. Threads read and
write, so that a part waits here while another is worked on. It ends when its input does.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from typing import IO

from gptlab.sources.wikipedia.work import Task, do_part
from gptlab.sources.wikipedia.workers import receive, send


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Work on parts until there are no more."""
    task: Task = pickle.loads(receive(source))
    work = task.begin()
    parts: queue.Queue[bytes | None] = queue.Queue(maxsize=1)
    results: queue.Queue[bytes | None] = queue.Queue(maxsize=1)
    threading.Thread(target=_read, args=(source, parts), daemon=True).start()
    writer = threading.Thread(target=_write, args=(sink, results), daemon=True)
    writer.start()
    while (part := parts.get()) is not None:
        results.put(do_part(task, work, pickle.loads(part)))
    results.put(None)
    writer.join()


def _read(source: IO[bytes], parts: "queue.Queue[bytes | None]") -> None:
    try:
        while True:
            parts.put(receive(source))
    except EOFError:
        parts.put(None)


def _write(sink: IO[bytes], results: "queue.Queue[bytes | None]") -> None:
    while (result := results.get()) is not None:
        try:
            send(sink, result)
        except OSError:
            os._exit(1)  # the reader is gone, and the main thread may wait for room that never comes


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a reader that is interrupted ends its workers itself
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever prints, prints beside the results
        serve(sys.stdin.buffer, out)
