"""What does each piece of the training step give? Each is switched off by itself, the rest left on.

    taskset -c 0 python experiments/step_speed/pieces.py 512 --rounds 9

The model of `measure.py`, 14 million parameters, float32, eager, causal mask (which needs nothing of the mask that
follows links), forward, backward and fused AdamW. A piece switched off is PyTorch's own operations under autograd.
Variants take turns, a step each; the ratio is the median of ratios within rounds. Prints one JSON object.
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest import mock

import torch
from measure import batch_of, ours
from torch import Tensor, nn
from torch.nn import functional

from gptlab.models import MaskSpec, by_hand, onednn, transformer


def plain_losses(x: Tensor, weight: Tensor, targets: Tensor, most: int) -> Tensor:
    """The loss from logits that autograd keeps."""
    return functional.cross_entropy(x @ weight.t(), targets.long(), ignore_index=-1, reduction="none")


def plain_heads(
    qkv: Tensor, norms: tuple[nn.RMSNorm, nn.RMSNorm], rotation: by_hand.Rotation, heads: int, key_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Heads normed and rotated one operation after the other."""
    queries, keys, values = qkv.transpose(1, 2).split([heads, key_heads, key_heads], dim=1)
    queries, keys = (nn.RMSNorm.forward(norm, part) for norm, part in zip(norms, (queries, keys), strict=True))
    return transformer.rotate(queries, rotation), transformer.rotate(keys, rotation), values


def plain_conv(x: Tensor, weight: Tensor, crossing: list[Tensor]) -> Tensor:
    """The mix of the last tokens, where no document begins within the row."""
    out = x * (1 + weight[0, 0])
    for back in range(1, len(weight)):
        out = out + functional.pad(x[:, :-back] * weight[back, 0], (0, 0, back, 0))
    return out


SWITCHES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "everything on": contextlib.nullcontext,
    "products by oneDNN": lambda: mock.patch.object(onednn, "HAS_ONEDNN", False),
    "losses in one memory": lambda: mock.patch.object(transformer, "linear_losses", plain_losses),
    "heads normed and turned": lambda: mock.patch.object(transformer, "split_heads", plain_heads),
    "RMSNorm": lambda: mock.patch.object(transformer.RmsNorm, "forward", nn.RMSNorm.forward),
    "short convolution": lambda: mock.patch.object(transformer, "short_conv", plain_conv),
    "relu squared": lambda: mock.patch.object(transformer, "relu_squared", lambda x: functional.relu(x).square()),
}
OWN_ATTENTION = "attention by rectangles"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seq_len", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    batch = batch_of(args.seq_len, 1, seed=0)
    batch.documents[:] = 0
    step, _ = ours(args.seq_len, batch, mask=MaskSpec("causal"))
    dense, _ = ours(args.seq_len, batch, mask=MaskSpec("causal"), attention="dense")
    variants = [*((name, switch, step) for name, switch in SWITCHES.items())]
    variants.append((OWN_ATTENTION, contextlib.nullcontext, dense))
    taken: dict[str, list[float]] = {name: [] for name, *_ in variants}
    for count in range(args.rounds + 1):
        for name, switch, work in variants:
            with switch():
                began = time.perf_counter()
                work()
                if count:
                    taken[name].append(time.perf_counter() - began)
    whole = taken["everything on"]
    ratios = {
        name: round(statistics.median(a / b for a, b in zip(times, whole, strict=True)), 3)
        for name, times in taken.items()
    }
    ms = {name: round(1000 * statistics.median(times), 1) for name, times in taken.items()}
    print(json.dumps({"seq_len": args.seq_len, "rounds": args.rounds, "ms_off": ms, "times_off": ratios}, indent=2))


if __name__ == "__main__":
    main()
