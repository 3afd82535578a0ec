"""What does a training step cost, against peers, on one core?

    python -m venv peers && peers/bin/pip install . litgpt transformers
    taskset -c 0 peers/bin/python experiments/step_speed/measure.py causal 512 --rounds 9

14 million parameters, float32, eager, fused AdamW for all: forward, backward, optimiser. `causal`: every model with
its plain causal mask. `dag`: this project's model with the mask that follows links, over rows of documents whose
lengths are log-normal (median 150) with 0 to 4 links each, against a nanoGPT-style model with its plain causal mask
and against the same model with the dense mask. Models take turns, a step each; the time is the median over rounds,
and the ratio the median of the ratios within rounds. Prints one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from peers import HEADS, LAYERS, PEERS, VOCAB, WIDTH
from torch import nn

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.training.options import has_bfloat16
from gptlab.types import Batch

Step = Callable[[], None]
OURS = {
    "gptlab": {},
    "gptlab, no short convolution": {"short_conv": 0},
}


def batch_of(seq_len: int, rows: int, seed: int) -> Batch:
    """Rows of linked documents with random tokens."""
    rng = np.random.default_rng(seed)
    documents, edges = [], []
    for _ in range(rows):
        numbers, links = row_of(seq_len, rng)
        documents.append(numbers)
        edges.append(links)
    most = max(map(len, edges))
    tokens = rng.integers(0, VOCAB, (rows, seq_len)).astype(np.int32)
    return Batch(
        tokens=tokens,
        targets=np.roll(tokens, -1, axis=1),
        documents=np.stack(documents),
        positions=np.tile(np.arange(seq_len, dtype=np.int32), (rows, 1)),
        edges=np.stack([np.pad(links, ((0, most - len(links)), (0, 0)), constant_values=-1) for links in edges]),
    )


def row_of(seq_len: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Document numbers and edges of a row: log-normal lengths with median 150, 0 to 4 links from each document."""
    numbers = np.zeros(seq_len, np.int32)
    edges = []
    start = document = 0
    while start < seq_len:
        stop = min(seq_len, start + max(8, int(rng.lognormal(np.log(150), 0.8))))
        numbers[start:stop] = document
        for target in rng.choice(document, min(document, int(rng.integers(0, 5))), replace=False):
            edges.append((document, int(target), int(rng.integers(start, stop))))
        start, document = stop, document + 1
    return numbers, np.array(sorted(edges), np.int32).reshape(-1, 3)


def step_of(loss_of: Callable[[], torch.Tensor], network: nn.Module) -> Step:
    """One training step: forward, backward, fused AdamW."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss_of().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def ours(seq_len: int, batch: Batch, **changes: object) -> tuple[Step, nn.Module]:
    """This project's model, through the same `forward` that the trainer calls."""
    cfg = DagTransformerConfig(
        layers=LAYERS, width=WIDTH, heads=HEADS, vocab_size=VOCAB, max_seq_len=seq_len, **changes
    )
    model = DagTransformer.instantiate(cfg)
    return step_of(lambda: next(model.forward(iter([batch]))).loss, model.network), model.network


def in_bfloat16(step: Step) -> Step:
    """The same step under autocast, as the trainer does it with `dtype="bfloat16"`."""

    def rounded() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step()

    return rounded


def causal(seq_len: int, batch: Batch, only: str | None) -> dict[str, tuple[Step, nn.Module]]:
    """Every model with its causal mask; where the CPU multiplies bfloat16, two of them in that as well."""
    steps = {name: ours(seq_len, batch, mask=MaskSpec("causal"), **changes) for name, changes in OURS.items()}
    tokens, targets = torch.from_numpy(batch.tokens).long(), torch.from_numpy(batch.targets).long()
    for name, make in PEERS.items():
        if only is None or name in only:
            loss, network = make(seq_len)
            steps[name] = step_of(lambda loss=loss: loss(tokens, targets), network), network
    if only is None and has_bfloat16(torch.device("cpu")):
        for name in ("gptlab", "nanoGPT style"):
            steps[f"{name}, bfloat16"] = in_bfloat16(steps[name][0]), steps[name][1]
    return steps


def dag(seq_len: int, batch: Batch, names: list[str]) -> dict[str, tuple[Step, nn.Module]]:
    """This project's model with the mask that follows links, the same with the dense mask, and nanoGPT's causal."""
    steps = {}
    for name in names:
        changes = OURS[name]
        steps[name] = ours(seq_len, batch, **changes)
        steps[f"{name}, dense mask"] = ours(seq_len, batch, attention="dense", **changes)
    return steps | {"nanoGPT style": causal(seq_len, batch, "nanoGPT style")["nanoGPT style"]}


def matmul_peak() -> float:
    """Floating point operations per second of this core in a matrix product of the MLP's shape."""
    left, right = torch.randn(2048, WIDTH), torch.randn(WIDTH, 4 * WIDTH)
    torch.mm(left, right)
    began = time.perf_counter()
    for _ in range(20):
        torch.mm(left, right)
    return 20 * 2 * 2048 * WIDTH * 4 * WIDTH / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mask", choices=["causal", "dag"])
    parser.add_argument("seq_len", type=int)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--packs", type=int, default=1, help="different batches, one after the other")
    parser.add_argument("--brief", action="store_true", help="with the dag mask, the default model alone")
    parser.add_argument("--cold", action="store_true", help="measure the first step too: for steps of many seconds")
    parser.add_argument("--only", default=None, help="names of peers, for a first look")
    args = parser.parse_args()
    torch.set_num_threads(1)
    taken: dict[str, list[float]] = {}
    parameters = {}
    peaks = []
    names = ["gptlab"] if args.brief else list(OURS)
    for pack in range(args.packs):
        batch = batch_of(args.seq_len, args.rows, seed=pack)
        steps = causal(args.seq_len, batch, args.only) if args.mask == "causal" else dag(args.seq_len, batch, names)
        for step, _ in () if args.cold else steps.values():
            step()
        for _ in range(args.rounds):
            peaks.append(matmul_peak())
            for name, (step, network) in steps.items():
                began = time.perf_counter()
                step()
                taken.setdefault(name, []).append(time.perf_counter() - began)
                parameters[name] = sum(weight.numel() for weight in network.parameters())
    result = {
        "mask": args.mask,
        "seq_len": args.seq_len,
        "rows": args.rows,
        "steps_measured": args.rounds * args.packs,
        "matmul_gflops": round(statistics.median(peaks) / 1e9, 1),
        "models": {
            name: {
                "ms_per_step": round(1000 * statistics.median(times), 1),
                "times_gptlab": round(
                    statistics.median(t / own for t, own in zip(times, taken["gptlab"], strict=True)), 3
                ),
                "parameters": parameters[name],
            }
            for name, times in taken.items()
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
