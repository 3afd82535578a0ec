"""A real build in a process of its own, for tests that kill it: `python killed_build.py STORE SEED PROCESSES`.

It replaces the store that is there, by one of documents that the seed decides.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from gptlab.graph.store.build import build_store
from gptlab.graph.store.parts import PartSize
from gptlab.types import DocumentId, TokenizedDocument

SIZE = 120


@attrs.frozen
class Corpus:
    """Documents that link among themselves; half of them are of the first source, half of the second."""

    seed: int
    half: int

    def get_data_generator(self) -> Iterator[TokenizedDocument]:
        rng = np.random.default_rng([self.seed, self.half])
        for number in range(self.half * SIZE // 2, (self.half + 1) * SIZE // 2):
            links = int(rng.integers(4))
            yield TokenizedDocument(
                id=DocumentId(f"S{self.seed}_{number}"),
                title=f"Number {number}",
                tokens=np.append(rng.integers(0, 9, 10), 9).astype(np.uint16),
                link_positions=np.arange(links, dtype=np.int32),
                link_targets=tuple(
                    DocumentId(f"S{self.seed}_{target}") for target in rng.integers(SIZE + 9, size=links)
                ),
            )


def corpora(seed: int) -> tuple[Corpus, Corpus]:
    return Corpus(seed, 0), Corpus(seed, 1)


if __name__ == "__main__":
    store, seed, processes = sys.argv[1:]
    os.fsync = lambda descriptor: None  # what is written survives a kill; only a power cut needs the disk
    print("begin", flush=True)
    build_store(corpora(int(seed)), Path(store), replace=True, processes=int(processes), size=PartSize(tokens=250))
    print("end", flush=True)
