"""How fast are packed rows read at random and collated, beside memcpy, nanoGPT, litdata, grain and a file per row?

    python -m venv peers && peers/bin/pip install . torch litdata grain
    peers/bin/python experiments/row_reading/run.py [--rows 20000] [--rounds 7]

Batches of 32 rows of 2,048 tokens, page cache warm, one thread. What each gives is its own kind of batch: gptlab
tokens, targets, documents and positions (int32) and edges; the others input and target (int64), which is as many
bytes. memcpy is a copy of as many bytes into memory that is there. Beside it stands what no reader can do without:
as many bytes written into new memory, and the tokens of the rows read where they lie. `get_batch` is nanoGPT's
(train.py at 3adf61e), which maps the file anew for each batch. litdata reads with its TokensLoader, shuffled, without
workers; grain a mapped array, shuffled, batched, without threads. The contenders take turns; a ratio is the median
over rounds of the ratio within a round. Writes `result.json` beside this file.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import grain
import litdata
import numpy as np
import torch
from litdata.streaming.item_loader import TokensLoader

from gptlab.packing import Collate, PackedRows, PackedShards, Shuffled, stack
from gptlab.pipeline import pipeline
from gptlab.types import DocumentId, PackedSequence

HERE = Path(__file__).parent
BATCH, SEQ, DOCUMENTS, EDGES = 32, 2048, 8, 12
WARM = 20
"""Batches of each turn that are not counted."""


@attrs.frozen
class Rows:
    """Rows of documents of random lengths with random edges."""

    size: int

    def get_data_generator(self) -> Iterator[PackedSequence]:
        """One after the other, the same each time."""
        random = np.random.default_rng(0)
        names = tuple(DocumentId(f"Document_{number}") for number in range(DOCUMENTS))
        for _ in range(self.size):
            length = int(random.integers(SEQ - 100, SEQ + 1))
            inner = 2 + random.choice(length // 2 - 2, DOCUMENTS - 1, replace=False) * 2
            starts = np.sort(np.append(0, inner)).astype(np.int32)
            tokens = random.integers(1, 50_000, SEQ).astype(np.uint16)
            tokens[starts[1:] - 1] = 0
            tokens[length - 1 :] = 0
            linkers = random.integers(1, DOCUMENTS, EDGES)
            edges = np.stack([linkers, linkers - 1, starts[linkers]], axis=1).astype(np.int32)
            yield PackedSequence(
                tokens=tokens, starts=starts, ids=names, edges=edges, length=length, end_of_text=0, dropped={}
            )


def get_batch(path: Path) -> Callable[[], Any]:
    """nanoGPT's, as it is published, on a CPU."""
    block_size, batch_size = SEQ, BATCH

    def read() -> Any:
        data = np.memmap(path, dtype=np.uint16, mode="r")
        ix = torch.randint(len(data) - block_size, (batch_size,))
        x = torch.stack([torch.from_numpy((data[i : i + block_size]).astype(np.int64)) for i in ix])
        y = torch.stack([torch.from_numpy((data[i + 1 : i + 1 + block_size]).astype(np.int64)) for i in ix])
        return x, y

    return read


def litdata_batches(tokens: np.ndarray, directory: Path) -> Callable[[], Any]:
    """Its own format and loader; input and target are cut from blocks of one token more."""
    blocks = TokensLoader(block_size=SEQ + 1)
    litdata.optimize(
        Stretches(tokens), list(range(len(tokens) // 256)), str(directory), chunk_size=(SEQ + 1) * 4096,
        num_workers=1, item_loader=blocks,
    )  # fmt: skip
    data = litdata.StreamingDataset(str(directory), item_loader=TokensLoader(block_size=SEQ + 1), shuffle=True)
    loader = litdata.StreamingDataLoader(data, batch_size=BATCH, num_workers=0)
    return pair_of(itertools.chain.from_iterable(itertools.repeat(loader)))


@attrs.frozen(eq=False)
class Stretches:
    """Tokens to write, 256 rows at a time."""

    tokens: np.ndarray

    def __call__(self, number: int) -> torch.Tensor:
        return torch.from_numpy(self.tokens[number * 256 : number * 256 + 256].reshape(-1))


def grain_batches(tokens: np.ndarray) -> Callable[[], Any]:
    """Random access to a mapped array."""

    class Mapped:
        def __len__(self) -> int:
            return len(tokens) - 1

        def __getitem__(self, number: int) -> np.ndarray:
            flat = tokens.reshape(-1)
            return flat[number * SEQ : number * SEQ + SEQ + 1].astype(np.int64)

    data = grain.MapDataset.source(Mapped()).shuffle(seed=0).repeat().batch(BATCH)
    batches = iter(data.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))
    return pair_of(map(torch.from_numpy, batches))


def pair_of(batches: Iterator[Any]) -> Callable[[], Any]:
    """Input and target of blocks of one token more."""

    def read() -> Any:
        block = next(batches)
        return block[:, :-1].long().contiguous(), block[:, 1:].long().contiguous()

    return read


def a_file_each(tokens: np.ndarray, directory: Path) -> Callable[[], Any]:
    """Tokens only, one file per row."""
    directory.mkdir()
    for number, row in enumerate(tokens[:6000]):
        row.tofile(directory / f"{number}.bin")
    random = np.random.default_rng(1)

    def read() -> Any:
        rows = [
            np.fromfile(directory / f"{n}.bin", np.uint16)
            for n in random.integers(min(len(tokens), 6000), size=BATCH)
        ]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    return read


def contenders(size: int, folder: Path) -> dict[str, Callable[[], Any]]:
    """What gives a batch, by name."""
    rows = PackedRows(Rows(size), cache=folder)
    rows.pre_cache()
    store = PackedShards.open(rows.directory)
    tokens = np.concatenate([np.asarray(shard.tokens) for shard in store.shards])
    tokens.tofile(folder / "train.bin")
    batches = pipeline(Shuffled(rows, seed=1), Collate(BATCH)).get_data_generator()
    random = np.random.default_rng(2)
    source, goal = np.ones((4, BATCH, SEQ), np.int32), np.ones((4, BATCH, SEQ), np.int32)
    small, little = np.ones((BATCH, SEQ), np.uint16), np.ones((BATCH, SEQ), np.uint16)
    return {
        "memcpy": lambda: np.copyto(goal, source),
        "memcpy of the tokens as they are on disk": lambda: np.copyto(little, small),
        "fresh memory, written once": lambda: np.empty_like(goal).fill(3),
        "the tokens alone, gathered": lambda: np.take(tokens, random.integers(size, size=BATCH), axis=0),
        "Shuffled | Collate": lambda: next(batches),
        "PackedShards.batch_at": lambda: store.batch_at(random.integers(size, size=BATCH)),
        "row by row, stacked": lambda: stack([store[n] for n in random.integers(size, size=BATCH).tolist()]),
        "nanoGPT get_batch": get_batch(folder / "train.bin"),
        "litdata": litdata_batches(tokens, folder / "litdata"),
        "grain": grain_batches(tokens),
        "one file per row, tokens only": a_file_each(tokens, folder / "files"),
    }


def turn(read: Callable[[], Any], batches: int) -> float:
    """Median seconds of a batch."""
    times = []
    for _ in range(WARM + batches):
        began = time.perf_counter()
        read()
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARM:])


def main() -> None:
    """Take turns, compare, write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        readers = contenders(asked.rows, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(asked.rounds):
            for name, read in readers.items():
                times[name].append(turn(read, asked.batches))
    ours = times["Shuffled | Collate"]
    result = {
        "date": "2026-11-24",
        "rows": asked.rows,
        "batch": [BATCH, SEQ],
        "microseconds of a batch": {name: round(1e6 * statistics.median(each), 1) for name, each in times.items()},
        "share of memcpy": {name: _ratio(times["memcpy"], each) for name, each in times.items()},
        "Shuffled | Collate is faster by": {name: _ratio(each, ours) for name, each in times.items()},
    }
    (HERE / "result.json").write_text(json.dumps(result, indent=2) + "\n")


def _ratio(times: list[float], base: list[float]) -> float:
    return float(f"{statistics.median(a / b for a, b in zip(times, base, strict=True)):.3g}")


if __name__ == "__main__":
    main()
