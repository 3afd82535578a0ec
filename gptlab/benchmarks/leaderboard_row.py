"""One row of a leaderboard: a figure with its standard error, and all that is needed to know what it means later."""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from gptlab.types.validators import one_of, satisfies

Best = Literal["lowest", "highest"]

_LOWER_IS_BETTER = ("loss", "perplexity", "bits", "harm")
_COUNTS = ("rows", "edges", "pairs", "documents", "questions")
_is_line = satisfies(lambda text: not {"\n", "\r", "\0"} & set(text), "one line of text", "Write it on one line.")


def best_of(metric: str) -> Best:
    """Which end of a figure is best, by the names that gptlab's benchmarks give: losses are low, all else is high.

    >>> best_of("bits_per_byte"), best_of("one_key_gain")
    ('lowest', 'highest')
    """
    return "lowest" if any(part in _LOWER_IS_BETTER for part in metric.split("_")) else "highest"


@attrs.frozen(kw_only=True)
class LeaderboardRow:
    """One figure of one run.

    Attributes:
        run: its directory's name.
        model: what was trained, in a few words.
        data: a hash of what the figure was measured on; figures on other data do not compare.
        revision: of the code, or of a model from elsewhere.
        metric: the figure's name.
        value: may be NaN, where a mean is over nothing.
        stderr: its standard error, where it is known.
        n: over how many questions, rows, edges.
        best: which end of the metric is best; by its name where it is not said.
        date: of the measurement, as 2026-11-24; today where it is not said.
        note: whatever else there is to say.
    """

    run: str = attrs.field(validator=_is_line)
    metric: str = attrs.field(validator=_is_line)
    value: float = attrs.field(converter=float)
    stderr: float | None = attrs.field(
        default=None,
        validator=satisfies(lambda error: error is None or math.isnan(error) or error >= 0, "0 or more, or None"),
    )
    n: int | None = None
    model: str = attrs.field(default="", validator=_is_line)
    data: str = attrs.field(default="", validator=_is_line)
    revision: str = attrs.field(default="", validator=_is_line)
    best: Best = attrs.field(
        default=attrs.Factory(lambda row: best_of(row.metric), takes_self=True),
        validator=one_of(("lowest", "highest")),
    )
    date: str = attrs.field(factory=lambda: datetime.date.today().isoformat(), validator=_is_line)
    note: str = attrs.field(default="", validator=_is_line)


def rows_of_figures(
    figures: Mapping[str, int | float | None],
    *,
    run: str,
    model: str = "",
    data: str = "",
    revision: str = "",
    note: str = "",
    date: str = "",
    metrics: Sequence[str] | None = None,
) -> list[LeaderboardRow]:
    """Rows of what a benchmark returned.

    Args:
        figures: by name; `<name>_stderr` is the standard error of `<name>`, and `n`, or `<part>_n` of a figure that
            begins with the same part, is what it is over.
        run, model, data, revision, note, date: the same in all rows; see `LeaderboardRow`.
        metrics: which figures; None: those that have a standard error, and a value.

    >>> [row] = rows_of_figures({"exact_match": 0.5, "exact_match_stderr": 0.1, "n": 25.0}, run="20261124_100000")
    >>> row.metric, row.value, row.stderr, row.n, row.best
    ('exact_match', 0.5, 0.1, 25, 'highest')
    """
    chosen = metrics if metrics is not None else [name for name in figures if f"{name}_stderr" in figures]
    rows = []
    for name in chosen:
        value, stderr = figures[name], figures.get(f"{name}_stderr")
        parts = name.split("_")
        counts = [*("_".join([*parts[:end], "n"]) for end in range(len(parts) - 1, -1, -1)), *_COUNTS]
        n = next((count for each in counts if (count := figures.get(each)) is not None), None)
        if value is not None:
            rows.append(
                LeaderboardRow(
                    run=run,
                    metric=name,
                    value=value,
                    stderr=None if stderr is None else float(stderr),
                    n=None if n is None else int(n),
                    model=model,
                    data=data,
                    revision=revision,
                    note=note,
                    date=date or datetime.date.today().isoformat(),
                )
            )
    return rows
