"""How much faster is attention that computes only what is seen, on one core?

    taskset -c 0 python experiments/attention_speed/measure.py 512 2048 8192

Forward and backward of 6 heads of 64 in float32, over rows of linked documents (`packs.py`), with the mask that
follows links. Peers: SDPA with the dense mask; SDPA with its causal mask over the whole row (which sees more than it
should); and both forms of `gathered`. They take turns; per pack the median over rounds, then the median over packs.
Prints one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from packs import row_of
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gptlab.models import MaskSpec, gathered
from gptlab.models.attention import Attend, dense_attention
from gptlab.models.gathered import gathered_attention
from gptlab.models.plan import make_plan

HEADS, SIZE = 6, 64
PACKS = {512: 9, 2048: 7, 8192: 3}
ROUNDS = {512: 11, 2048: 5, 8192: 3}


def by_flash(attend: Attend) -> Attend:
    """The form that keeps no probabilities, whatever their number."""

    def attend_so(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        usual, gathered.MOST_KEPT = gathered.MOST_KEPT, -1
        out = attend(queries, keys, values)
        gathered.MOST_KEPT = usual
        return out

    return attend_so


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_pack(seq_len: int, seed: int) -> dict[str, float]:
    """Milliseconds of each kernel on one row, of its plan, and the share of pairs computed."""
    documents, edges = row_of(seq_len, seed)
    spec = MaskSpec("from_link")
    gathering = gathered_attention(documents, edges, spec)
    kernels = {
        "gathered": gathering,
        "gathered by flash": by_flash(gathering),
        "dense mask": dense_attention(documents, edges, spec),
        "plain causal": lambda *qkv: scaled_dot_product_attention(*qkv, is_causal=True),
    }
    generator = torch.Generator().manual_seed(seed)
    shape = (1, seq_len, HEADS, SIZE)  # as a linear layer leaves them
    qkv = [torch.randn(shape, generator=generator, requires_grad=True) for _ in range(3)]
    weights = torch.randn(shape, generator=generator).transpose(1, 2)

    def both_ways(kernel: Attend) -> Tensor:
        out = kernel(*(tensor.transpose(1, 2) for tensor in qkv))
        out.backward(weights)
        return out.detach()

    error = (both_ways(kernels["gathered"]) - both_ways(kernels["dense mask"])).abs().max().item()
    taken: dict[str, list[float]] = {name: [] for name in (*kernels, "plan")}
    for _ in range(ROUNDS[seq_len]):
        for name, kernel in kernels.items():
            taken[name].append(seconds(lambda kernel=kernel: both_ways(kernel)))
        taken["plan"].append(seconds(lambda: make_plan(documents, edges, spec)))
    pairs = make_plan(documents, edges, spec).pairs / seq_len**2
    medians = {name: 1000 * statistics.median(times) for name, times in taken.items()}
    return medians | {"share of pairs": pairs, "largest error": error}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seq_len", type=int, nargs="+", choices=sorted(PACKS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for seq_len in args.seq_len:
        packs = [measure_pack(seq_len, seed) for seed in range(PACKS[seq_len])]
        ratios = {
            f"{name} / gathered": [pack[name] / pack["gathered"] for pack in packs]
            for name in ("dense mask", "plain causal", "gathered by flash", "plan")
        }
        results[seq_len] = {
            "packs": len(packs),
            "median_ms": {name: round(statistics.median(pack[name] for pack in packs), 3) for name in packs[0]},
            "median_ratio": {name: round(statistics.median(values), 4) for name, values in ratios.items()},
            "least_ratio": {name: round(min(values), 4) for name, values in ratios.items()},
            "largest_error": max(pack["largest error"] for pack in packs),
        }
    print(json.dumps({"heads": HEADS, "head_size": SIZE, "torch": torch.__version__, "rows": results}, indent=2))


if __name__ == "__main__":
    main()
