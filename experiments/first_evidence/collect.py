"""What do runs of the flagship say about restated facts? Collect their closing figures.

    python -m recipes.dagseq_wiki --seed 0        and so on, three minutes each on two cores
    python experiments/first_evidence/collect.py experiments/20261124_111607 ...

prints one object for each run and keeps all of them in result.json beside this file.
"""

import json
import sys
from pathlib import Path
from typing import Any

from gptlab.experiment import RunDirectory, read_metrics

GROUP = "facts that only the linked document tells"
KINDS = ("one_key", "two_key", "two_hop")
FIGURES = ("n", "loss", "loss_cut", "gain", "gain_stderr", "accuracy", "accuracy_cut", "chance")


def of_run(path: Path) -> dict[str, Any]:
    """Settings that matter and figures of one finished run."""
    run = RunDirectory.look(path)
    if run.summary is None:
        raise SystemExit(f"{path} has not ended: go on with it by --resume {path}")
    figures = run.summary["figures"][GROUP]
    last = read_metrics(run.metrics)[-1]
    return {
        "run": run.name,
        "commit": run.environment["git"]["commit"],
        "seed": run.config["seed"],
        "steps": last["step"],
        "training_seconds": round(last["seconds"]),
        **{kind: {name: round(figures[f"{kind}_{name}"], 4) for name in FIGURES} for kind in KINDS},
    }


def main() -> None:
    """Collect, print, keep."""
    result = [of_run(Path(argument)) for argument in sys.argv[1:]]
    text = json.dumps(result, indent=1)
    Path(__file__).with_name("result.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
