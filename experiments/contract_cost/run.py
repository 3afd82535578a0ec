"""What does the contract cost? Run: `python experiments/contract_cost/run.py`; the answer is in README.md.

1. How long does it take to check a pipeline of ten stages when it is built?
2. How much longer does the flagship's data pipeline take with the run-time check at `first` and at `all`?

Processor time of this process, the best of several runs taken in turns, so that other work on the machine and its
clock do not decide.
"""

import itertools
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from gptlab.graph import BreadthFirst, Split, TraverseLinks
from gptlab.packing import Collate, Pack
from gptlab.pipeline import SourcePipeline, pipeline
from gptlab.pipeline.check import CHECKS
from gptlab.sources import LinkedFactsWiki, WikipediaDump
from gptlab.tokenizers import LearnedBPE, Tokenize, Truncate
from gptlab.types import Batch

T = TypeVar("T")
PAGES, ROUNDS = 2000, 9


def same(items: Iterator[T]) -> Iterator[T]:
    """A generic stage, to lengthen the chain."""
    yield from items


def flagship(dump: Path, tokenizer: LearnedBPE, cache: Path) -> SourcePipeline[Batch]:
    """The data path of `recipes.dagseq_wiki`, from the dump to batches, with nothing kept on the way."""
    return pipeline(
        WikipediaDump(path=dump, cache=cache),
        Split("train", 0.2),
        Tokenize(tokenizer),
        Truncate(128),
        TraverseLinks(BreadthFirst(), seed=0, budget=256),
        Pack(seq_len=256),
        Collate(batch_size=16),
    )


def seconds(data: SourcePipeline[Batch]) -> float:
    """Processor time to draw everything."""
    start = time.process_time()
    for _ in data.get_data_generator():
        pass
    return time.process_time() - start


def building(data: SourcePipeline[Batch], repeats: int = 200) -> float:
    """Milliseconds to build and check ten parts, in the middle of many runs."""
    source, *stages = data.parts
    ten = (source, same, *stages[:4], same, *stages[4:], same)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        pipeline(*ten)
        times.append(time.process_time() - start)
    return 1000 * sorted(times)[repeats // 2]


def running(data: SourcePipeline[Batch], rounds: int) -> dict[str, float]:
    """The best time at each setting."""
    best: dict[str, float] = dict.fromkeys(CHECKS, float("inf"))
    for _, checks in itertools.product(range(rounds), CHECKS):
        best[checks] = min(best[checks], seconds(data.checked(checks)))
    return {**best, "first over off": best["first"] / best["off"] - 1, "all over off": best["all"] / best["off"] - 1}


def main() -> None:
    """Measure, print, and keep the result beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        wiki = LinkedFactsWiki(pages=PAGES, cache=cache)
        tokenizer = LearnedBPE(corpus=wiki, vocab_size=1024, cache=cache)
        tokenizer.pre_cache()
        data = flagship(wiki.dump, tokenizer, cache)
        data.pre_cache()
        result = {
            "building ten parts, milliseconds": building(data),
            "pages": PAGES,
            "seconds of processor time": running(data, ROUNDS),
            "python": platform.python_version(),
            "jaxtyping": version("jaxtyping"),
            "beartype": version("beartype"),
        }
    text = json.dumps(result, indent=1)
    Path(__file__).with_name("result.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
