"""What does a folder of articles cost at a hundred and two hundred thousand documents, and does any of it grow?

    python experiments/article_folder/run.py [--sizes 50000 100000 200000] > experiments/article_folder/result.json

Documents are made on the spot: 2 KB of text with eight links, titles that share words. For each size, each step in a
process of its own: the folder written; found again (all that a program pays that starts with a finished folder);
documents read by number and by title, drawn at random; all of them as a stream. Seconds are by the clock, memory is
the process's largest. The files of one size are removed before the next is written. No peers: no other tool keeps
documents as files that people read, with their links.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from gptlab.sources import ArticleFolder
from gptlab.types import Document, DocumentId, Link

WORDS = [
    f"{first}{last}" for first in ("ba", "ko", "tri", "sel", "um", "Éri") for last in ("nor", "lake", "ton", "a")
]
DRAWN = 2_000
"""Documents that are read by number, and by title."""
STEPS = ("write", "find", "by number", "by title", "stream")


def title_of(number: int) -> str:
    """The title of document `number`: words that many share, and the number."""
    return f"{WORDS[number % len(WORDS)]} {WORDS[number // 7 % len(WORDS)]} {number}"


@attrs.frozen
class Made:
    """Documents made on the spot, each linked to eight others."""

    size: int

    def get_data_generator(self) -> Iterator[Document]:
        """All of them; every one takes the same time to make."""
        for number in range(self.size):
            pieces, links, length = [], [], 0
            for step in range(8):
                target = title_of((number * 31 + step * 977) % self.size).replace(" ", "_")
                before, link = "words that say something of it, " * 7, f"[it]({target})"
                links.append(
                    Link(start=length + len(before), end=length + len(before) + len(link), target=DocumentId(target))
                )
                pieces += [before, link]
                length += len(before) + len(link)
            title = title_of(number)
            identity = DocumentId(title[0].upper() + title[1:].replace(" ", "_"))
            yield Document(id=identity, title=title, text="".join(pieces), links=tuple(links))


def measure(size: int, cache: Path, step: str) -> dict[str, float]:
    """One step in this process."""
    folder = ArticleFolder(Made(size), cache=cache)
    draw = random.Random(size)
    numbers = [draw.randrange(size) for _ in range(DRAWN)]
    start = time.perf_counter()
    if step in ("write", "find"):
        folder.pre_cache()
    elif step == "by number":
        for number in numbers:
            folder[number]
    elif step == "by title":
        for number in numbers:
            folder.by_title(title_of(number))
    else:
        assert sum(1 for _ in folder.get_data_generator()) == size
    seconds = time.perf_counter() - start
    documents = {"find": 1, "by number": DRAWN, "by title": DRAWN}.get(step, size)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 3),
        "milliseconds_each": round(seconds / documents * 1000, 4),
        "megabytes": round(memory),
    }


def apart(size: int, cache: Path, step: str) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", step, "--sizes", str(size), "--cache", str(cache)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def compare(sizes: list[int]) -> dict[str, object]:
    """Every step at every size, and how much more each document costs at the largest than at the smallest."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for size in sizes:
        cache = Path(tempfile.mkdtemp())
        found[size] = {step: apart(size, cache, step) for step in STEPS}
        shutil.rmtree(cache)
    first, last = found[sizes[0]], found[sizes[-1]]
    growth = {step: round(last[step]["milliseconds_each"] / first[step]["milliseconds_each"], 2) for step in STEPS}
    return {"documents": found, "times_per_document_from_smallest_to_largest": growth}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--measure", default="")
    parser.add_argument("--cache", type=Path, default=Path())
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.sizes[0], given.cache, given.measure)))
    else:
        print(json.dumps(compare(given.sizes), indent=1))
