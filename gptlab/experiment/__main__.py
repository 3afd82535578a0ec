"""`python -m gptlab.experiment list|show|compare|plot|report|leaderboard|restore|clean`: what runs there are.

Nothing here imports torch, so it answers at once. Only `clean` removes anything, after it has said what and asked.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from gptlab.benchmarks.leaderboard import read_leaderboard
from gptlab.benchmarks.leaderboard_view import by_metric, columns, heading
from gptlab.experiment.clean import removable, remove
from gptlab.experiment.cli import report as explain
from gptlab.experiment.compare import differences_table, last_figures, runs_table
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.finding import find
from gptlab.experiment.leaderboard_rows import LEADERBOARDS, add_run
from gptlab.experiment.plot_leaderboard import plot_leaderboard
from gptlab.experiment.plot_losses import plot_losses
from gptlab.experiment.report import write_report
from gptlab.experiment.report_comparison import write_comparison
from gptlab.experiment.restore import restore
from gptlab.experiment.run_directory import runs
from gptlab.experiment.session import make_console
from gptlab.experiment.summary import flat
from gptlab.experiment.tables import columns_table, figures_table, places_table, settings_table
from gptlab.experiment.text import size


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question about runs; the exit code.

    Args:
        arguments: without the program's name; those of the process when None.
    """
    chosen = _parser().parse_args(arguments)
    answer: Callable[[argparse.Namespace, Console], None] = chosen.answer
    try:
        answer(chosen, make_console())
    except (ValueError, OSError) as error:
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


def report_runs(chosen: argparse.Namespace, console: Console) -> None:
    """Write report.html of one run again, or one page that compares several."""
    found = [find(chosen.root, name) for name in chosen.runs]
    if len(found) == 1 and chosen.out is None:
        console.print(str(write_report(found[0], leaderboards=chosen.leaderboards)), soft_wrap=True)
        return
    out = chosen.out if chosen.out is not None else chosen.root / "comparison.html"
    console.print(str(write_comparison(found, out, leaderboards=chosen.leaderboards)), soft_wrap=True)


def plot_runs(chosen: argparse.Namespace, console: Console) -> None:
    """The loss curves of one run or of several in one PNG."""
    found = [find(chosen.root, name) for name in chosen.runs]
    out = chosen.out if chosen.out is not None else chosen.root / "losses.png"
    metrics = found[0].metrics if len(found) == 1 else {run.name: run.metrics for run in found}
    console.print(str(plot_losses(metrics, out)), soft_wrap=True)


def show_leaderboards(chosen: argparse.Namespace, console: Console) -> None:
    """Leaderboards, best first; --add gives them a run's figures, --plot draws one of them."""
    folder, added = chosen.leaderboards, [find(chosen.root, name) for name in chosen.add]
    for run in added:
        for path in add_run(run, folder):
            console.print(f"{run.name}: {path}", soft_wrap=True)
    paths = [folder / f"{name}.csv" for name in chosen.names] or sorted(folder.glob("*.csv"))
    if not paths or not all(path.is_file() for path in paths):
        there = ", ".join(sorted(path.stem for path in folder.glob("*.csv"))) or "none"
        raise ExperimentError(
            f"the leaderboards in {folder}",
            got=", ".join(chosen.names) or "no leaderboard",
            wanted=f"some of those that there are: {there}",
            do="Begin one with: python -m gptlab.experiment leaderboard --add RUN",
        )
    if chosen.plot is not None and len(paths) > 1:
        raise ExperimentError(
            "--plot",
            got=f"{len(paths)} leaderboards",
            wanted="the name of one",
            do=f"For example: leaderboard {paths[0].stem} --plot {chosen.plot}",
        )
    for path in paths:
        rows = read_leaderboard(path)
        for metric, each in by_metric(rows).items():
            title = f"{path.stem.replace('_', ' ')}: {heading(each)}"
            console.print(columns_table(columns(each), title, numbers=(metric, "n")))
        if chosen.plot is not None:
            picture = plot_leaderboard(rows, chosen.plot, mine=[run.name for run in added])
            console.print(str(picture), soft_wrap=True)


def restore_run(chosen: argparse.Namespace, console: Console) -> None:
    """A folder in which a run starts again: its commit, its patch, its recipe, its command."""
    run = find(chosen.root, chosen.run)
    into = chosen.into if chosen.into is not None else Path(f"restored_{run.name}")
    again = restore(run, into, repositories=chosen.repository)
    for note in again.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"Start it with:\n{again.command}", soft_wrap=True)


def clean_runs(chosen: argparse.Namespace, console: Console) -> None:
    """Remove runs that left nothing; it lists them and asks. Trained models only with --finished."""
    found = [find(chosen.root, name) for name in chosen.runs] if chosen.runs else runs(chosen.root)
    going = removable(found, finished=chosen.finished, resumable=chosen.resumable)
    for each in going:
        console.print(str(each), soft_wrap=True)
    if not going:
        console.print("Nothing to remove: each has a model (--finished) or a checkpoint (--resumable), or works.")
        return
    total = f"{len(going)} runs, {size(sum(each.bytes for each in going))}"
    if not chosen.yes:
        if not sys.stdin.isatty():
            raise ExperimentError(
                f"clean {chosen.root}",
                got=f"nobody to ask about {total}",
                wanted="a yes",
                do="Say --yes, if that is what should go; nothing was touched.",
            )
        if console.input(f"Remove {total}? [y/N] ").strip().lower() not in ("y", "yes"):
            console.print("Nothing was touched.")
            return
    console.print(f"Removed {len(remove(going))} runs.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gptlab.experiment", description="Tables of runs.")
    # Every command takes --root after its name, where people write it.
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", type=Path, default=Path("experiments"), help="folder of the runs (experiments)")
    commands = parser.add_subparsers(required=True, metavar="list|show|compare|plot|report|leaderboard|restore|clean")

    def add(name: str, answer: Callable[[argparse.Namespace, Console], None]) -> Any:
        text = (answer.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(answer=answer)
        return command

    one, several = "path, name, beginning of a name, or `last`", "paths, names, beginnings of names, or `last`"
    add("list", list_runs)
    add("show", show_run).add_argument("run", help=one)
    compare = add("compare", compare_runs)
    compare.add_argument("runs", nargs="+", help=several)
    compare.add_argument("--plot", type=Path, help="write the loss curves into this PNG")
    plot = add("plot", plot_runs)
    plot.add_argument("runs", nargs="+", help=several)
    plot.add_argument("--out", type=Path, help="the PNG (losses.png beside the runs)")
    report = add("report", report_runs)
    report.add_argument("runs", nargs="+", help=several)
    report.add_argument("--out", type=Path, help="the page (report.html of the run, comparison.html of several)")
    report.add_argument("--leaderboards", type=Path, default=LEADERBOARDS, help=f"folder of CSV ({LEADERBOARDS})")
    board = add("leaderboard", show_leaderboards)
    board.add_argument("names", nargs="*", help="of leaderboards; all of them when none is named")
    board.add_argument("--add", action="append", default=[], metavar="RUN", help=f"its figures: {one}")
    board.add_argument("--plot", type=Path, help="draw the one that is named into this PNG")
    board.add_argument("--leaderboards", type=Path, default=LEADERBOARDS, help=f"folder of CSV ({LEADERBOARDS})")
    again = add("restore", restore_run)
    again.add_argument("run", help=one)
    again.add_argument("--into", type=Path, help="the new folder (restored_RUN)")
    again.add_argument("--repository", type=Path, action="append", default=[], help="a clone that has the commit")
    clean = add("clean", clean_runs)
    clean.add_argument("runs", nargs="*", help=f"{several}; all of them when none is named")
    clean.add_argument("--finished", action="store_true", help="trained models as well")
    clean.add_argument("--resumable", action="store_true", help="runs with a checkpoint as well")
    clean.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
