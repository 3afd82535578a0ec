"""What a run ends with on the console: figures with and without links, what was dropped, where things are, what next.

Tables are rich renderables, built here and shown by `show`, which also writes them into log.txt as plain text.
"""

import io
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.text import Real, printable, shorten
from gptlab.pipeline.observe import Drops
from gptlab.types import Generation

LONGEST_EXAMPLE = 32
"""Characters of an example in the table of drops: a title of 300 leaves no room for the reason."""
_GAINS = {"loss": "gain", "accuracy": "accuracy_gain"}


@attrs.frozen(kw_only=True)
class Comparison:
    """One figure of one model on the same rows, with the linked documents in sight and with those edges cut.

    Attributes:
        metric: what was measured.
        linked: with the edges.
        cut: without.
        gain: what the links are worth, positive when they help; paired, so it has a smaller error than both.
        stderr: standard error of the gain; None when it is not known.
        chance: what guessing among the choices would give, where that is known.
    """

    metric: str
    linked: Real
    cut: Real
    gain: Real
    stderr: Real | None = None
    chance: Real | None = None

    def __attrs_post_init__(self) -> None:
        if self.stderr is not None and self.stderr < 0:
            raise ExperimentError(
                f"Comparison.stderr of {self.metric}",
                got=self.stderr,
                wanted="0 or more",
                do="Give the error's size, or None when it is not known.",
            )


def comparisons(figures: Mapping[str, Real]) -> list[Comparison]:
    """Every figure that has a `..._cut` beside it, as the benchmarks name them.

    The gain is taken from `gain` and `accuracy_gain`, with their `_stderr`; where there is none it is the difference,
    and its error is not known. Figures that are not numbers (no answer of a kind was found) are left out.

    >>> [row] = comparisons({"all_loss": 2.0, "all_loss_cut": 3.5, "all_gain": 1.5, "all_gain_stderr": 0.25})
    >>> row.metric, row.gain, row.stderr
    ('all loss', 1.5, 0.25)
    """
    found = []
    for name in figures:
        if not name.endswith("_cut"):
            continue
        base = name.removesuffix("_cut")
        prefix, short = base.rpartition("_")[0], base.rpartition("_")[2]
        stem = f"{prefix}_" if prefix else ""
        gain_name = stem + _GAINS.get(short, f"{short}_gain")
        linked, cut = figures[base], figures[name]
        sign = -1.0 if short == "loss" else 1.0
        gain = figures.get(gain_name, sign * (linked - cut))
        chance = figures.get(f"{stem}chance_loss" if short == "loss" else f"{stem}chance")
        if math.isfinite(linked) and math.isfinite(cut):
            stderr = figures.get(f"{gain_name}_stderr")
            found.append(
                Comparison(
                    metric=base.replace("_", " "), linked=linked, cut=cut, gain=gain, stderr=stderr, chance=chance
                )
            )
    return found


def comparison_table(rows: Sequence[Comparison], title: str = "What reading the linked documents is worth") -> Table:
    """Metric, with links, without, gain ± standard error, and how many standard errors that is."""
    table = _table(title, "figure")
    for name in ("with links", "links cut", "gain ± s.e.", "gain / s.e.", "chance"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        error = f" ± {row.stderr:.3f}" if row.stderr is not None else ""
        ratio = f"{row.gain / row.stderr:.1f}" if row.stderr else ""
        chance = f"{row.chance:.3f}" if row.chance is not None else ""
        style = "bold green" if row.stderr and row.gain > 3 * row.stderr else ""
        gain = Text(f"{row.gain:+.3f}{error}", style=style)
        table.add_row(_text(row.metric), f"{row.linked:.3f}", f"{row.cut:.3f}", gain, ratio, chance)
    return table


def figures_table(figures: Mapping[str, object], title: str) -> Table:
    """Names and figures; a `..._stderr` is shown with the figure it belongs to."""
    table = _table(title, "figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, float) and math.isnan(value):
            continue  # a mean over nothing; the count beside it says so
        base = name.removesuffix("_stderr")
        if base != name and base in figures:
            continue
        error = figures.get(f"{name}_stderr")
        shown = figure(value) + (f" ± {figure(error)}" if error is not None else "")
        table.add_row(_text(name.replace("_", " ")), _text(shown))
    return table


def columns_table(columns: Mapping[str, Sequence[str]], title: str, numbers: Collection[str] = ()) -> Table:
    """A table by its columns; those of `numbers` stand to the right."""
    first, *others = columns
    table = _table(title, first)
    for name in others:
        right = name in numbers
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(_text, row))
    return table


def settings_table(settings: Mapping[str, object], title: str = "Settings") -> Table:
    """Dotted names and values, as they are written on the command line."""
    table = _table(title, "setting")
    table.add_column("value", overflow="fold")
    for name, value in settings.items():
        table.add_row(_text(name), _text(str(value)))
    return table


def samples_table(samples: Sequence[Generation], title: str = "What it writes") -> Table:
    """Prompt, continuation, and which documents were read before which character of the continuation."""
    table = _table(title, "prompt")
    table.add_column("continuation", style="bold")
    table.add_column("has read", style="cyan")
    for sample in samples:
        read = [
            document if not place else f"{document} (from character {place} on)" for place, document in sample.read
        ]
        table.add_row(
            _text(sample.prompt.text.strip()), _text(sample.text.strip()), _text(", ".join(read) or "no document")
        )
    return table


def drops_table(drops: Drops, title: str = "What was left out") -> Table:
    """Reason, count and the first example; the most frequent first."""
    table = _table(title, "reason")
    table.add_column("count", justify="right", no_wrap=True)
    table.columns[0].no_wrap = True
    table.add_column("for example", overflow="fold")
    for reason, number in drops.counts.most_common():
        table.add_row(_text(reason), f"{number:,}", _text(shorten(drops.examples.get(reason, ""), LONGEST_EXAMPLE)))
    return table


def places_table(places: Mapping[str, Path | str], title: str = "Where things are") -> Table:
    """What lies where; paths are never broken, so that they can be copied."""
    table = _table(title, "what")
    table.add_column("where", overflow="fold")
    for what, where in places.items():
        table.add_row(_text(what), _text(str(where)))
    return table


def next_table(commands: Mapping[str, str], title: str = "What to do next") -> Table:
    """What one may want, and the command that does it."""
    table = _table(title, "to")
    table.add_column("run", overflow="fold", style="cyan")
    for want, command in commands.items():
        table.add_row(_text(want), _text(command))
    return table


def show(console: Console | None, logger: logging.Logger, *tables: Table) -> None:
    """Print the tables that have rows, and write them to log.txt."""
    for table in tables:
        if table.row_count:
            if console is not None:
                console.print()
                console.print(table)
            logger.debug("%s", as_text(table))


def as_text(table: Table, width: int = 110) -> str:
    """A table as plain text."""
    out = io.StringIO()
    Console(file=out, width=width, no_color=True, force_terminal=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def figure(value: object) -> str:
    """A value as tables show it: whole numbers whole, others with four digits.

    >>> figure(3.0), figure(1234.5678), figure(0.00123), figure("x"), figure(None)
    ('3', '1,235', '0.00123', 'x', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isfinite(value) and float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, header_style="dim")
    table.add_column(first)
    return table


def _text(text: str) -> Text:
    return Text(printable(text))
