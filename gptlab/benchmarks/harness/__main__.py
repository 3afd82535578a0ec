"""`python -m gptlab.benchmarks.harness RUN --tasks hellaswag,arc_easy`: a run through lm-evaluation-harness.

It prints the harness's own table. Tasks read their data from the hub, and one's own from a folder of the harness's
YAML files, `--include-path`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gptlab.benchmarks.harness.model import HarnessModel, register
from gptlab.benchmarks.likelihood import BATCH_TOKENS
from gptlab.pipeline.observe import Drops, watching
from gptlab.storage import write_atomically
from gptlab.types.errors import FourPartError, refusal


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; the exit code: 0 done, 2 it cannot be done, and why is said, 130 Ctrl-C.

    Args:
        arguments: without the program's name; those of the process when None.
    """
    chosen = _parser().parse_args(arguments)
    try:
        with watching(Drops()) as drops:
            results = evaluate(chosen)
    except FourPartError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 130
    for reason, count in drops.counts.items():
        sys.stderr.write(f"{count} times: {reason} ({drops.examples[reason]})\n")
    if chosen.output is not None:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(chosen.output, json.dumps(results, indent=2, default=str) + "\n")
    return 0


def evaluate(chosen: argparse.Namespace) -> dict[str, Any]:
    """The harness's results; its table goes to standard output.

    Raises:
        ValueError: the harness is not installed, knows no such task, or the run has no model.
    """
    lm_eval = register()
    manager = lm_eval.tasks.TaskManager(include_path=[str(path) for path in chosen.include_path] or None)
    names = [name for name in chosen.tasks.split(",") if name]
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown or not names:
        raise refusal(
            "--tasks",
            got=", ".join(unknown) or "no task",
            wanted="names of tasks that the harness has",
            do="See them all with: lm-eval ls tasks. Your own are found with --include-path FOLDER.",
        )
    settings = {"run": chosen.run, "batch_tokens": chosen.batch_tokens}
    model = HarnessModel.create_from_arg_obj(settings, {"device": chosen.device})
    results: dict[str, Any] = lm_eval.simple_evaluate(
        model=model, tasks=names, num_fewshot=chosen.num_fewshot, limit=chosen.limit, task_manager=manager
    )
    sys.stdout.write(f"{lm_eval.utils.make_table(results)}\n")
    return {name: results.get(name) for name in ("results", "groups", "n-samples", "n-shot", "versions", "configs")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gptlab.benchmarks.harness", description="The model of a run through lm-evaluation-harness."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory, as experiments/20261124_101500")
    parser.add_argument("--tasks", required=True, metavar="A,B", help="tasks of the harness, or your own")
    parser.add_argument(
        "--include-path", action="append", default=[], type=Path, metavar="DIR", help="where yours are"
    )
    parser.add_argument(
        "--num-fewshot", type=int, metavar="N", help="worked examples; the task's own number if not said"
    )
    parser.add_argument("--limit", type=float, metavar="N", help="questions of each task; below 1, a share of them")
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS, metavar="N", help="default: %(default)s")
    parser.add_argument("--device", metavar="NAME", help="such as cuda")
    parser.add_argument("--output", type=Path, metavar="FILE", help="all results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
