"""`python -m gptlab.experiment list|show|compare|report`: what runs there are, what one did, how several differ.

Reading only, but for `report`, which makes a run's page again. Nothing here imports torch, so it answers at once.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gptlab.experiment.cli import report as explain
from gptlab.experiment.compare import differences_table, last_figures, runs_table
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.plot_losses import plot_losses
from gptlab.experiment.report import write_report
from gptlab.experiment.run_directory import RunDirectory, runs
from gptlab.experiment.session import make_console
from gptlab.experiment.summary import flat
from gptlab.experiment.tables import figures_table, places_table, settings_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question about runs; the exit code.

    Args:
        arguments: without the program's name; those of the process when None.
    """
    chosen = _parser().parse_args(arguments)
    answer: Callable[[argparse.Namespace, Console], None] = chosen.answer
    try:
        answer(chosen, make_console())
    except (ExperimentError, OSError) as error:
        return explain(error, debug=False)
    return 0


def list_runs(chosen: argparse.Namespace, console: Console) -> None:
    """All runs with the settings in which they differ and their last figures."""
    found = runs(chosen.root)
    if not found:
        raise ExperimentError(
            str(chosen.root),
            got="no run" if chosen.root.is_dir() else "no such folder",
            wanted="the folder of your runs",
            do="Make one with: python -m recipes.dagseq_wiki, or name another folder with --root.",
        )
    console.print(runs_table(found))


def show_run(chosen: argparse.Namespace, console: Console) -> None:
    """One run: its figures, its settings, where its files are."""
    run = find(chosen.root, chosen.run)
    for group, figures in (run.summary or {}).get("figures", {}).items():
        console.print(figures_table(figures, group))
    console.print(figures_table(last_figures(run), "Last figures of training"))
    console.print(settings_table(flat(run.config)))
    console.print(places_table({path.name: path for path in sorted(run.path.iterdir()) if path.name[0] != "."}))


def compare_runs(chosen: argparse.Namespace, console: Console) -> None:
    """Several runs: the settings in which they differ, their last figures, and their curves as a picture if asked."""
    found = [find(chosen.root, name) for name in chosen.runs]
    console.print(differences_table(found))
    if chosen.plot is not None:
        plot_losses({run.name: run.metrics for run in found}, chosen.plot)
        console.print(f"loss curves: {chosen.plot}", soft_wrap=True)


def report_run(chosen: argparse.Namespace, console: Console) -> None:
    """Write report.html of one run again."""
    console.print(str(write_report(find(chosen.root, chosen.run))), soft_wrap=True)


def find(root: Path, name: str) -> RunDirectory:
    """A run by its path, its name, the beginning of its name, or `last`.

    Raises:
        ExperimentError: there is none, or more than one.
    """
    if (Path(name) / "recipe.txt").is_file():
        return RunDirectory.look(Path(name))
    known = runs(root)
    found = known[-1:] if name == "last" else [run for run in known if run.name == name]
    found = found or [run for run in known if run.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    raise ExperimentError(
        f"the run {name!r}",
        got=f"{len(found)} runs of that name in {root}" + "".join(f"\n{run.name}" for run in found[:10]),
        wanted="one",
        do="See them with: python -m gptlab.experiment list",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gptlab.experiment", description="Tables of runs.")
    # Every command takes --root after its name, where people write it.
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", type=Path, default=Path("experiments"), help="folder of the runs (experiments)")
    commands = parser.add_subparsers(required=True, metavar="list|show|compare|report")

    def add(name: str, answer: Callable[[argparse.Namespace, Console], None]) -> Any:
        text = (answer.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(answer=answer)
        return command

    add("list", list_runs)
    add("show", show_run).add_argument("run", help="path, name, beginning of a name, or `last`")
    compare = add("compare", compare_runs)
    compare.add_argument("runs", nargs="+", help="paths, names, beginnings of names, or `last`")
    compare.add_argument("--plot", type=Path, help="write the loss curves into this PNG")
    add("report", report_run).add_argument("run", help="path, name, beginning of a name, or `last`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
