"""`python -m gptlab.experiment.reuse RUN MODULE NAME`: a part of a run that is used again and again gets a name.

python -m gptlab.experiment.reuse last tokenizer english     copies <run>/tokenizer to saved/english
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gptlab.experiment.cli import report as explain
from gptlab.experiment.finding import find
from gptlab.experiment.ranks import print0
from gptlab.experiment.saved_parts import SAVED, reuse_part


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy a part of a run to `saved/`; the exit code."""
    chosen = parser().parse_args(arguments)
    try:
        run = find(chosen.root, chosen.run)
        made = reuse_part(run, chosen.module, chosen.name, saved=chosen.saved, replace=chosen.replace)
    except (ValueError, OSError) as error:
        return explain(error, debug=False)
    print0(f"{made.path}\n{made.note}\nLoad it: gptlab.experiment.load_saved({chosen.name!r})")
    return 0


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(
        prog="python -m gptlab.experiment.reuse", description="Give a part of a run a name under saved/."
    )
    made.add_argument("run", help="path, name, beginning of a name, or `last`")
    made.add_argument("module", help="the part: model, tokenizer")
    made.add_argument("name", help="what it is called from now on")
    made.add_argument("--root", type=Path, default=Path("experiments"), help="folder of the runs (experiments)")
    made.add_argument("--saved", type=Path, default=SAVED, help="folder of what is saved (saved)")
    made.add_argument("--replace", action="store_true", help="take the place of one that has the name")
    return made


if __name__ == "__main__":
    sys.exit(main())
