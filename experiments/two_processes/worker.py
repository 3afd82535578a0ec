"""One process of the experiment: trains for a few steps and prints the median seconds of a step, as JSON.

    worker.py FOLDER WIDTH LAYERS ROWS SEQ STEPS CORE...

Process number r is pinned to the r-th core. Under torchrun the processes share each batch; alone it has all of it.
"""

import itertools
import json
import os
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
RANK = int(os.environ.get("LOCAL_RANK", "0"))
CORES = [int(core) for core in sys.argv[7:]]
os.sched_setaffinity(0, {CORES[RANK % len(CORES)]})

import numpy as np  # noqa: E402 - after the process is pinned
import torch  # noqa: E402

from gptlab.models import DagTransformer, DagTransformerConfig  # noqa: E402
from gptlab.packing import Collate, Shuffled  # noqa: E402
from gptlab.pipeline import pipeline  # noqa: E402
from gptlab.training import TorchTrainer, TrainerConfig  # noqa: E402
from gptlab.types import DocumentId, PackedSequence  # noqa: E402

VOCAB = 2048
WARM = 3
"""Steps that are not counted: allocations, the first exchange of gradients."""


def row(number: int, seq: int) -> PackedSequence:
    """Documents of 64 tokens, each with a link to the one before it."""
    starts = np.arange(0, seq, 64, dtype=np.int32)
    tokens = np.random.default_rng(number).integers(1, VOCAB, seq).astype(np.uint16)
    tokens[63::64] = 0
    edges = [[document, document - 1, 64 * document + 16] for document in range(1, len(starts))]
    return PackedSequence(
        tokens=tokens,
        starts=starts,
        ids=tuple(DocumentId(f"D{number}_{start}") for start in starts),
        edges=np.array(edges, np.int32).reshape(-1, 3),
        length=seq,
        end_of_text=0,
        dropped={},
    )


def main() -> None:
    folder = Path(sys.argv[1])
    width, layers, rows, seq, steps = map(int, sys.argv[2:7])
    torch.set_num_threads(1)
    model = DagTransformer.instantiate(
        DagTransformerConfig(layers=layers, width=width, heads=width // 32, vocab_size=VOCAB, max_seq_len=seq)
    )
    source = pipeline(Shuffled(tuple(row(number, seq) for number in range(64))), Collate(rows))
    cfg = TrainerConfig(steps=steps, checkpoint_every=10**6, warmup_steps=1)
    TorchTrainer.instantiate(cfg, model, source, directory=folder).train()
    if os.environ.get("RANK", "0") != "0":
        return
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    ends = [line["seconds"] for line in lines]
    seconds = [after - before for before, after in itertools.pairwise(ends)][WARM - 1 :]
    print(
        json.dumps(
            {
                "seconds": statistics.median(seconds),
                "losses": [line["loss"] for line in lines],
                "parameters": model.parameter_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
