"""What does a document store cost to build, to open and to read, at a million documents?

    python experiments/document_store/measure.py --out experiments/document_store/result.json

Documents have log-normal lengths (300 tokens on average) and 15 links each, whose targets follow a power law; one
link in ten leads to no document. Text is not tokenized: tokens are drawn, so that the store's own speed is seen, and
beside it stands the speed of a `ByteLevelBPE` on documents of `LinkedFactsWiki`, in the same run. Every step runs in
a process of its own, whose peak of resident memory is the kernel's `VmHWM`. A second build of half the size gives
what a document more costs, from which English Wikipedia is told.

There is no peer to install: the figure to beat is half the tokenizer's speed. Needs 2 GB of disk and 4 minutes.
`--only-reading` measures the memory of a reader again, which no other work on the machine changes, and leaves all
other figures as they are.
"""

# ruff: noqa: PLC0415 - each step imports what it measures, in a process of its own

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

END = 8191
LINKS = 15
MEAN_TOKENS = 300
ENWIKI = {"documents": 7_000_000, "links": 200_000_000, "tokens": 5_000_000_000}
CHUNK = 20_000


def documents(count: int) -> Iterator[Any]:
    """Tokenized documents of a graph with power-law in-links."""
    from gptlab.types import DocumentId, TokenizedDocument

    rng = np.random.default_rng(0)
    names = [
        DocumentId(f"Document_{number * 2654435761 % 2**32:x}_{number}") for number in range(count + count // 10)
    ]
    popular = rng.permutation(count)
    pool = rng.integers(0, END, 1 << 22).astype(np.uint16)
    for begin in range(0, count, CHUNK):
        size = min(CHUNK, count - begin)
        sigma = 1.0
        lengths = rng.lognormal(np.log(MEAN_TOKENS) - sigma**2 / 2, sigma, size).astype(int).clip(LINKS + 1, 60_000)
        targets = popular[(count * rng.random((size, LINKS)) ** 5).astype(int)]
        absent = rng.random((size, LINKS)) < 0.1
        targets[absent] = rng.integers(count, len(names), int(absent.sum()))
        positions = np.sort((rng.random((size, LINKS)) * (lengths[:, None] - 1)).astype(np.int32), axis=1)
        places = rng.integers(0, len(pool) - 60_000, size)
        for row in range(size):
            tokens = pool[places[row] : places[row] + lengths[row]].copy()
            tokens[-1] = END
            name = names[begin + row]
            yield TokenizedDocument(
                id=name,
                title=name.replace("_", " "),
                tokens=tokens,
                link_positions=positions[row],
                link_targets=tuple([names[target] for target in targets[row].tolist()]),
            )


def memory(field: str) -> float:
    """A line of /proc/self/status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise KeyError(field)


def tokenizer_speed(folder: Path, count: int) -> dict[str, float]:
    """Tokens a second of the tokenizer by itself, and of the stage that carries links too."""
    from gptlab.sources import LinkedFactsWiki
    from gptlab.tokenizers import LearnedBPE, Tokenize
    from gptlab.tokenizers.tokenize import document_text

    wiki = LinkedFactsWiki(pages=3000, cache=folder)
    texts = list(wiki.get_data_generator())
    tokenizer = LearnedBPE(corpus=wiki, vocab_size=END + 1, cache=folder).table
    tokenizer.encode_array("warm up")
    alone, stage, tokens = [], [], 0
    for _ in range(5):
        begun = time.perf_counter()
        tokens = sum(len(tokenizer.encode_array(document_text(each))) for each in texts)
        alone.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        assert sum(1 for _ in Tokenize(tokenizer)(iter(texts))) == len(texts)
        stage.append(time.perf_counter() - begun)
    return {"tokenizer": tokens / min(alone), "stage": tokens / min(stage), "tokens": tokens}


def generating(folder: Path, count: int) -> dict[str, float]:
    """What the drawn documents cost by themselves."""
    begun = time.perf_counter()
    tokens = sum(len(each.tokens) for each in documents(count))
    return {"seconds": time.perf_counter() - begun, "tokens": tokens, "peak_mb": memory("VmHWM")}


def building(folder: Path, count: int) -> dict[str, float]:
    """A build from drawn documents."""
    from gptlab.graph.store import build
    from gptlab.graph.store.document_store import DocumentStore

    merging: list[float] = []
    merge = build.merge_parts

    def timed(*args: Any, **kwargs: Any) -> Any:
        merging.append(time.perf_counter())
        summary = merge(*args, **kwargs)
        merging.append(time.perf_counter())
        return summary

    build.merge_parts = timed
    begun = time.perf_counter()
    store = DocumentStore.build(documents(count), folder / f"store-{count}", tokenizer="measured")
    seconds = time.perf_counter() - begun
    sizes = {path.name: path.stat().st_size for path in store.directory.glob("*.npy")}
    tokens = sum(size for name, size in sizes.items() if name.startswith("tokens-"))
    names = sizes["names.npy"] + sizes["missing.npy"] + sizes["missing_offsets.npy"]
    by_link = sum(sizes[f"{name}.npy"] for name in ("out_targets", "out_positions", "in_linkers"))
    by_odd = sum(size for name, size in sizes.items() if name.startswith("odd_") and "offsets" not in name)
    return {
        "seconds": seconds,
        "merge_seconds": merging[1] - merging[0],
        "peak_mb": memory("VmHWM"),
        "tokens": store.summary.tokens,
        "edges": store.summary.edges,
        "links": store.summary.links,
        "shards": len(store.token_shards),
        "bytes_per_document": (sum(sizes.values()) - tokens - names - by_link - by_odd) / count,
        "bytes_of_titles_per_document": sizes["names.npy"] / count,
        "bytes_per_link": (by_link + by_odd) / store.summary.links,
        "store_mb": sum(sizes.values()) / 1e6,
    }


def opening(folder: Path, count: int) -> dict[str, float]:
    """Opening: the first time in a process, and the middle of many; and what a process holds then."""
    from gptlab.graph.store.document_store import DocumentStore

    directory = folder / f"store-{count}"
    before = memory("VmRSS")
    begun = time.perf_counter()
    DocumentStore.open(directory)
    times = [time.perf_counter() - begun]
    for _ in range(30):
        begun = time.perf_counter()
        store = DocumentStore.open(directory)
        times.append(time.perf_counter() - begun)
    held = memory("VmRSS")
    begun = time.perf_counter()
    store.verify()
    return {
        "first_ms": times[0] * 1e3,
        "median_ms": float(np.median(times)) * 1e3,
        "imported_mb": before,
        "opened_mb": held,
        "verify_seconds": time.perf_counter() - begun,
    }


def per_call(call: Callable[[Any], object], arguments: list[Any]) -> float:
    """Microseconds of a call, on arguments of which none has been used before."""
    begun = time.perf_counter()
    for argument in arguments:
        call(argument)
    return round((time.perf_counter() - begun) / len(arguments) * 1e6, 2)


def looking_up(folder: Path, count: int) -> dict[str, float]:
    """Microseconds of each kind of look, at documents at random, the page cache warm."""
    from gptlab.graph.store.document_store import DocumentStore

    store = DocumentStore.open(folder / f"store-{count}")
    fresh = iter(np.random.default_rng(1).permutation(count).reshape(10, -1)[:, :20_000].tolist())
    ids = [store.ids[number] for number in next(fresh)]
    return {
        "number of an identity": per_call(store.numbers.__getitem__, ids),
        "identity that is absent": per_call(store.numbers.get, [f"{id}?" for id in ids]),
        "identity of a number": per_call(store.ids.__getitem__, next(fresh)),
        "tokens of a number": per_call(store.tokens_of, next(fresh)),
        "links out": per_call(store.graph.targets, next(fresh)),
        "links in": per_call(store.graph.linkers, next(fresh)),
        "whole document": per_call(store.__getitem__, next(fresh)),
    }


def reading(folder: Path, count: int, *, every: int) -> dict[str, float]:
    """A training reader: 10,000 walks of 2,048 tokens, every token looked at; `every` so many it lets go of pages."""
    from gptlab.graph.policies import BreadthFirst
    from gptlab.graph.store import walks as store_walks
    from gptlab.graph.store.document_store import DocumentStore
    from gptlab.graph.traverse import TraverseLinks

    class Stored:
        store = DocumentStore.open(folder / f"store-{count}")

    store_walks._RELEASE_EVERY = every
    imported = memory("VmRSS")
    walks = store_walks.Walks.__new__(store_walks.Walks)
    object.__setattr__(walks, "documents", Stored())
    object.__setattr__(walks, "traverse", TraverseLinks(BreadthFirst(), budget=2048))
    highest, tokens, begun = 0.0, 0, time.perf_counter()
    for number, walk in enumerate(walks.get_data_generator()):
        tokens += sum(int(document.tokens.max() > 0) * len(document.tokens) for document in walk.documents)
        if number % 50 == 0:
            highest = max(highest, memory("VmRSS"))
        if number == 10_000:
            break
    return {
        "before_mb": imported,
        "highest_mb": highest,
        "not_file_mb": memory("RssAnon"),
        "walks_per_second": number / (time.perf_counter() - begun),
        "tokens": tokens,
    }


READING = {f"reading, pages let go of every {every} walks": every for every in (2, 8, 64)}
"""The first is what `Walks` does."""

STEPS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    function.__name__: function for function in (tokenizer_speed, generating, building, opening, looking_up)
} | {name: partial(reading, every=every) for name, every in READING.items()}


def step(name: str, folder: Path, count: int) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, __file__, "--step", name, "--folder", str(folder), "--documents", str(count)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(name, count, run.stdout.strip(), file=sys.stderr, flush=True)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def verdict(found: dict[str, Any], count: int) -> dict[str, Any]:
    """The figures that were asked for."""
    build, small, tokenizer = found["build"], found["small build"], found["tokenizer"]
    own = build["seconds"] - found["generating"]["seconds"]
    more_mb = (build["peak_mb"] - small["peak_mb"]) / (count - count // 2)
    links = build["links"] / count
    # Memory grows with documents and with links; that all of it grows with links is the worse case of the two.
    scale = max(ENWIKI["documents"], ENWIKI["links"] / links)
    return {
        "tokens per second, all": build["tokens"] / build["seconds"],
        "tokens per second, store alone": build["tokens"] / own,
        "tokens per second, tokenizer": tokenizer["tokenizer"],
        "store alone / tokenizer": build["tokens"] / own / tokenizer["tokenizer"],
        "tokenizing and storing / tokenizer": 1 / (1 + tokenizer["tokenizer"] * own / build["tokens"]),
        "enwiki build MB": small["peak_mb"] + more_mb * (scale - count // 2),
        "enwiki store GB": (
            2 * ENWIKI["tokens"]
            + ENWIKI["documents"] * (build["bytes_per_document"] + build["bytes_of_titles_per_document"])
            + ENWIKI["links"] * build["bytes_per_link"]
        )
        / 1e9,
    }


def measured(folder: Path, count: int) -> dict[str, Any]:
    """All but reading; leaves the store."""
    found: dict[str, Any] = {"documents": count, "tokenizer": step("tokenizer_speed", folder, count)}
    found["generating"] = step("generating", folder, count)
    found["small build"] = step("building", folder, count // 2)
    shutil.rmtree(folder / f"store-{count // 2}")
    found["build"] = step("building", folder, count)
    found |= {name: step(name, folder, count) for name in ("opening", "looking_up")}
    return found | {"verdict": verdict(found, count)}


def main() -> None:
    """All steps, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--step", choices=STEPS, default=None)
    parser.add_argument("--only-reading", action="store_true", help="keep all other figures of --out")
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder, options.documents)))
        return
    count = options.documents
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        if options.only_reading:
            found = json.loads(options.out.read_text(encoding="utf-8"))
            step("building", folder, count)
        else:
            found = measured(folder, count)
        found |= {name: step(name, folder, count) for name in READING}
    finally:
        shutil.rmtree(folder)
    text = json.dumps(found, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
