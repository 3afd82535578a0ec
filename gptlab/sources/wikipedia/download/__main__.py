"""`python -m gptlab.sources.wikipedia.download simplewiki`: bring a wiki's newest complete dump onto the disk.

Started again after whatever ended it, it goes on where it was; when everything is there it asks nobody. What it
prints at the end, one path a line, are the files with pages.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from gptlab.pipeline.observe import watching
from gptlab.sources.wikipedia.download.layouts import LAYOUTS
from gptlab.sources.wikipedia.download.shown import Shown
from gptlab.sources.wikipedia.download.source import MOST_CONNECTIONS, ORIGIN, WikipediaDownload
from gptlab.types.errors import FourPartError

INTERRUPTED = 130
"""What a shell makes of a program that Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Download one wiki; the exit code.

    Args:
        arguments: without the program's name; those of the process when None.
    """
    chosen = parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        download = WikipediaDownload(
            wiki=chosen.wiki,
            date=chosen.date,
            layout=chosen.layout,
            contact=chosen.contact,
            mirrors=tuple(chosen.mirror),
            origin=chosen.origin,
            connections=chosen.connections,
            attempts=chosen.attempts,
            backoff=chosen.backoff,
            patience=chosen.patience,
            cache=chosen.cache,
        )
        with Shown(console) as shown, watching(shown):
            if chosen.list:
                lines = [f"{date}  {layout}" for layout, date in download.dates()]
            else:
                download.pre_cache()
                lines = [str(path) for path in download.paths]
                shown.say(f"{chosen.wiki} {download.release.date} is whole and verified")
        sys.stdout.writelines(f"{line}\n" for line in lines)
    except FourPartError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.", highlight=False)
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """The options, each with what it is for."""
    made = argparse.ArgumentParser(
        prog="python -m gptlab.sources.wikipedia.download",
        description="Bring the dump of a wiki onto the disk, verified against the hashes that Wikimedia publishes. "
        "Started again it goes on where it was, and when everything is there it asks nobody.",
    )
    made.add_argument("wiki", help="the name of its database: simplewiki, enwiki, viwiki, frwiktionary...")
    made.add_argument(
        "--contact",
        help="an address at which Wikimedia can reach you, such as you@university.edu; needed once, then remembered",
    )
    made.add_argument(
        "--date",
        help="20261101 or, of the content file exports, 2026-11-01; 'latest' looks whether there is a newer one than "
        "on disk (default: what is on disk, else the newest complete one)",
    )
    made.add_argument("--list", action="store_true", help="show which dates there are, and download nothing")
    made.add_argument(
        "--layout",
        choices=tuple(LAYOUTS),
        help="multistream: articles in one file with an index; content: all pages in shards (default: the first "
        "that has a complete dump)",
    )
    made.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="asked for the files before Wikimedia is, may be given several times; hashes come from Wikimedia",
    )
    made.add_argument(
        "--connections", type=int, default=1, help=f"downloads at a time, {MOST_CONNECTIONS} at most (default: 1)"
    )
    made.add_argument(
        "--cache",
        type=Path,
        default=Path(".gptlab/cache"),
        help="files go to CACHE/wikipedia/WIKI/DATE/ (default: .gptlab/cache)",
    )
    made.add_argument("--origin", default=ORIGIN, metavar="ADDRESS", help=f"(default: {ORIGIN})")
    made.add_argument("--attempts", type=int, default=8, help="how often what fails is tried (default: 8)")
    made.add_argument("--backoff", type=float, default=1.0, help="seconds of the first pause (default: 1)")
    made.add_argument("--patience", type=float, default=60.0, help="seconds of silence allowed (default: 60)")
    return made


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code == INTERRUPTED:
        os._exit(code)  # a thread that waits for a silent server would hold the process for its patience
    sys.exit(code)
