"""How much faster do two gloo processes train than one, on two cores?

    python experiments/two_processes/run.py [--rounds 3] [--steps 12]

One process on one core reads all of every batch; two processes, a core each, read half of it each and exchange
gradients (`torchrun --nproc-per-node 2`, DDP over gloo). The same `TorchTrainer` call, the same batches, the same
losses. The third figure tells what limits: two processes that know nothing of each other, each with half of the
batch. What they lose against one process with half of the batch is the machine's (caches, memory, clock); what DDP
loses against them is the exchange. Rounds take turns; a figure is the median over rounds of the median step. Writes
`result.json` beside this file.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZES = {"3.7 M": (256, 4, 16, 256)}
"""Width, layers, rows in a batch, tokens in a row."""


def command(processes: int, arguments: list[str]) -> list[str]:
    """A worker alone, or several under torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *(torchrun if processes > 1 else []), str(HERE / "worker.py"), *arguments]


def measured(programs: list[list[str]]) -> list[dict[str, Any]]:
    """Run programs at the same time; what each prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GPTLAB_CHECKS": "off"}
    begun = [
        subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for program in programs
    ]
    found = []
    for process in begun:
        out, err = process.communicate(timeout=400)
        if process.returncode:
            raise SystemExit(err)
        found.append(json.loads([line for line in out.splitlines() if line.startswith("{")][-1]))
    return found


def one_round(size: tuple[int, int, int, int], steps: int, cores: list[str]) -> dict[str, Any]:
    """Seconds of a step, one setting after the other."""
    width, layers, rows, seq = size
    with tempfile.TemporaryDirectory() as place:

        def arguments(name: str, rows_here: int, on: list[str]) -> list[str]:
            return [str(Path(place) / name), *map(str, (width, layers, rows_here, seq, steps)), *on]

        (one,) = measured([command(1, arguments("one", rows, cores[:1]))])
        (two,) = measured([command(2, arguments("two", rows, cores))])
        (half,) = measured([command(1, arguments("half", rows // 2, cores[:1]))])
        apart = measured([command(1, arguments(f"apart-{core}", rows // 2, [core])) for core in cores])
    differences = [abs(a - b) / abs(a) for a, b in zip(one["losses"], two["losses"], strict=True)]
    return {
        "one": one["seconds"],
        "two": two["seconds"],
        "half batch": half["seconds"],
        "two apart": statistics.fmean(each["seconds"] for each in apart),
        "largest relative difference of a loss": max(differences),
        "parameters": one["parameters"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    asked = parser.parse_args()
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
    result: dict[str, Any] = {"date": "2026-11-24", "rounds": asked.rounds, "steps": asked.steps}
    for name, size in SIZES.items():
        rounds = [one_round(size, asked.steps, cores) for _ in range(asked.rounds)]
        ratios = [each["one"] / each["two"] for each in rounds]
        result[name] = {
            "width, layers, rows, tokens": size,
            "parameters": rounds[0]["parameters"],
            "seconds of a step": {
                kind: statistics.median(each[kind] for each in rounds)
                for kind in ("one", "two", "half batch", "two apart")
            },
            "two over one": statistics.median(ratios),
            "each round": ratios,
            "two apart over one": statistics.median(each["one"] / each["two apart"] for each in rounds),
            "largest relative difference of a loss": max(
                each["largest relative difference of a loss"] for each in rounds
            ),
        }
    (HERE / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
