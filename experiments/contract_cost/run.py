"""What does the contract cost? Run: `python experiments/contract_cost/run.py`; the answer is in README.md.

1. How long does it take to check a pipeline of ten stages when it is built?
2. How much longer does the flagship's data pipeline take with the run-time check at `first` and at `all`?

Processor time of this process, the best of several runs taken in turns, so that other work on the machine and its
clock do not decide.
"""

import itertools
import json
import platform
import random
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import attrs

from gptlab.graph import BreadthFirst, TraverseLinks
from gptlab.packing import Collate, Pack
from gptlab.pipeline import SourcePipeline, pipeline
from gptlab.pipeline.check import CHECKS
from gptlab.tokenizers import ByteTokenizer, LearnedBPE, Tokenize
from gptlab.types import Batch, Document, document_id, render_link, scan_links

T = TypeVar("T")
WORDS = [
    stem + ending
    for stem in ("riv", "mount", "harb", "lant", "corr", "vess")
    for ending in ("er", "ain", "our", "ern")
]


@attrs.frozen
class Pages:
    """Linked pages of a few hundred words, the same for the same seed."""

    pages: int
    words: int = 300
    seed: int = 0

    def get_data_generator(self) -> Iterator[Document]:
        draw = random.Random(self.seed)
        for page in range(self.pages):
            words = draw.choices(WORDS, k=self.words)
            for place in range(10, self.words, 40):
                words[place] = render_link(words[place], document_id(f"Page {draw.randrange(self.pages)}"))
            text = " ".join(words)
            title = f"Page {page}"
            yield Document(id=document_id(title), title=title, text=text, links=scan_links(text))


def same(items: Iterator[T]) -> Iterator[T]:
    """A generic stage, to lengthen the chain."""
    yield from items


def flagship(source: Pages, tokenizer: ByteTokenizer | LearnedBPE) -> SourcePipeline[Batch]:
    """Documents to batches."""
    return pipeline(
        source,
        Tokenize(tokenizer),
        TraverseLinks(BreadthFirst(), seed=1, budget=2048),
        Pack(seq_len=1024),
        Collate(batch_size=8),
    )


def seconds(data: SourcePipeline[Batch]) -> float:
    """Processor time to draw everything."""
    start = time.process_time()
    for _ in data.get_data_generator():
        pass
    return time.process_time() - start


def building(repeats: int = 200) -> float:
    """Milliseconds to build and check ten parts, in the middle of many runs."""
    parts = flagship(Pages(1), ByteTokenizer()).parts
    ten = (parts[0], same, parts[1], same, parts[2], same, parts[3], same, parts[4], same)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        pipeline(*ten)
        times.append(time.process_time() - start)
    return 1000 * sorted(times)[repeats // 2]


def running(tokenizer: ByteTokenizer | LearnedBPE, pages: int, rounds: int) -> dict[str, float]:
    """The best time at each setting."""
    data = flagship(Pages(pages), tokenizer)
    best = dict.fromkeys(CHECKS, float("inf"))
    for _, checks in itertools.product(range(rounds), CHECKS):
        best[checks] = min(best[checks], seconds(data.checked(checks)))
    return {**best, "first over off": best["first"] / best["off"] - 1, "all over off": best["all"] / best["off"] - 1}


def main() -> None:
    """Measure, print, and keep the result beside this file."""
    with tempfile.TemporaryDirectory() as cache:
        learned = LearnedBPE(corpus=Pages(200), vocab_size=512, cache=Path(cache))
        learned.pre_cache()
        result = {
            "building ten parts, milliseconds": building(),
            "bytes": running(ByteTokenizer(), pages=1000, rounds=7),
            "learned BPE": running(learned, pages=1000, rounds=7),
            "python": platform.python_version(),
            "jaxtyping": version("jaxtyping"),
            "beartype": version("beartype"),
        }
    text = json.dumps(result, indent=1)
    Path(__file__).with_name("result.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
