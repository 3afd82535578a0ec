"""What does a checkpoint every 10 steps cost the training: written in the step's own time, and beside it?

    python experiments/async_saving/run.py [--rounds 4] [--width 384] [--layers 6]

The same `TorchTrainer` on the same model (11 million parameters: a checkpoint of 137 MB, weights and AdamW's two
moments) and the same batches, three ways: no checkpoint, `save_in_background=False`, `save_in_background=True`. The
ways take turns within a round; one thread computes. Measured is the wall clock from the end of step 5 to the end of
step 25, which holds the checkpoints of steps 10 and 20 whole, with what is written beside the five steps after each.
A figure is the median over rounds of the ratio to no checkpoint in the same round. How long the loop itself is held
in `Saver.save` is told as well: it is the stall without the noise of the machine. Writes `result.json` beside this.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import numpy as np
import torch

from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import pipeline
from gptlab.training import TorchTrainer, TrainerConfig, TrainState
from gptlab.training.saver import Saver
from gptlab.types import DocumentId, PackedSequence

HERE = Path(__file__).parent
VOCAB, SEQ, ROWS = 2048, 128, 4
FIRST, LAST, EVERY = 5, 25, 10
WAYS: dict[str, dict[str, Any]] = {
    "no checkpoint": {"checkpoint_every": 10**6},
    "in the step": {"checkpoint_every": EVERY},
    "in the background": {"checkpoint_every": EVERY, "save_in_background": True},
}


@attrs.frozen
class Clock:
    """Hook: when each step ended."""

    ends: dict[int, float] = attrs.field(factory=dict)

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        self.ends[state.step] = time.perf_counter()
        return {}


def row(number: int) -> PackedSequence:
    """Two documents, the second with a link to the first."""
    tokens = np.random.default_rng(number).integers(1, VOCAB, SEQ).astype(np.uint16)
    tokens[63::64] = 0
    return PackedSequence(
        tokens=tokens,
        starts=np.array([0, 64], np.int32),
        ids=(DocumentId(f"A{number}"), DocumentId(f"B{number}")),
        edges=np.array([[1, 0, 80]], np.int32),
        length=SEQ,
        end_of_text=0,
        dropped={},
    )


def trained(way: str, model: DagTransformer, source: Any) -> dict[str, float]:
    """Seconds of the steps that are measured, and of those the seconds that the loop was held by saving."""
    clock, held = Clock(), dict[int, float]()
    real = Saver.save

    def save(self: Any, state: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return real(self, state, **options)
        finally:
            held[state.step] = time.perf_counter() - began

    with tempfile.TemporaryDirectory(dir=HERE) as folder:  # a disk, which /tmp may not be
        cfg = TrainerConfig(steps=LAST + 1, warmup_steps=1, keep_last=1, **WAYS[way])
        Saver.save = save  # type: ignore[method-assign]
        try:
            TorchTrainer.instantiate(cfg, model, source, directory=Path(folder) / "run", hooks=(clock,)).train()
        finally:
            Saver.save = real  # type: ignore[method-assign]
    seconds = sum(spent for step, spent in held.items() if FIRST <= step < LAST)
    return {"seconds": clock.ends[LAST] - clock.ends[FIRST], "held": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=6)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = DagTransformer.instantiate(
        DagTransformerConfig(
            layers=asked.layers, width=asked.width, heads=asked.width // 32, vocab_size=VOCAB, max_seq_len=SEQ
        )
    )
    source = pipeline(Shuffled(tuple(row(number) for number in range(64))), Collate(ROWS))
    rounds = []
    for number in range(asked.rounds):
        ways = list(WAYS) if number % 2 == 0 else list(WAYS)[::-1]
        rounds.append({way: trained(way, model, source) for way in ways})
        print({way: found["seconds"] for way, found in rounds[-1].items()})
    plain = [each["no checkpoint"]["seconds"] for each in rounds]
    result: dict[str, Any] = {
        "date": "2026-11-24",
        "parameters": model.parameter_count(),
        "rounds": asked.rounds,
        "cores": len(os.sched_getaffinity(0)),
        "checkpoints in the steps measured": (LAST - FIRST) // EVERY,
        "seconds of a step without checkpoints": statistics.median(plain) / (LAST - FIRST),
    }
    for way in list(WAYS)[1:]:
        ratios = [each[way]["seconds"] / bare - 1 for each, bare in zip(rounds, plain, strict=True)]
        result[way] = {
            "longer by": statistics.median(ratios),
            "each round": ratios,
            "the loop is held": statistics.median(
                each[way]["held"] / bare for each, bare in zip(rounds, plain, strict=True)
            ),
        }
    (HERE / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
