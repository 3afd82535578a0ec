"""`report.html`: one run as one page that opens without a server or a network, a year later, on a phone.

All is in the file: pictures as data, no script, no font from elsewhere. It is made from the run directory alone, so
it can be made again at any time, also of a run that was interrupted.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gptlab.experiment.leaderboard_rows import LEADERBOARDS, leaderboard_rows
from gptlab.experiment.report_page import (
    error,
    escape,
    fixed,
    number,
    page,
    pairs,
    picture,
    pictures_of,
    section,
    table,
)
from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.summary import flat
from gptlab.experiment.tables import comparisons
from gptlab.experiment.text import Real, size
from gptlab.storage import write_atomically

LOG_LINES = 200
"""Last lines of log.txt that are shown; the file itself lies beside the report."""


def write_report(
    run: RunDirectory, summary: Mapping[str, Any] | None = None, *, leaderboards: Path = LEADERBOARDS
) -> Path:
    """Write the report of a run from its directory; of an unfinished one with what there is.

    Args:
        run: the run.
        summary: what the run ends with, where it is just about to be marked as ended; None: what it ended with.
        leaderboards: the folder whose rows of this run are shown.
    """
    ends = summary is not None or run.is_finished
    summary = (run.summary or {}) if summary is None else summary
    facts = run.environment
    sections = [
        _figures(summary.get("figures", {})),
        _pictures(run),
        _samples(summary.get("samples", [])),
        _drops(summary.get("drops", [])),
        leaderboards_section(leaderboards, [run.name]),
        section("Settings", pairs(flat(run.config))),
        _data(run.data),
        section("Environment", _environment(facts)),
        _recipe(run),
        _log(run),
    ]
    recipe = Path(str(facts.get("recipe", ""))).name
    state = "finished" if ends else "not finished"
    lead = f"{recipe}, {state}, gptlab {facts.get('gptlab', '')}"
    write_atomically(run.report, page(f"Run {run.name}", lead, sections))
    return run.report


def _figures(groups: Mapping[str, Mapping[str, Real | None]]) -> str:
    """Per benchmark the figures that have a counterpart with the edges cut, then the others."""
    parts = []
    for group, all_figures in groups.items():
        known = {name: value for name, value in all_figures.items() if value is not None}
        compared = comparisons(known)
        paired = {name for name in known for row in compared if name in _used(row.metric.replace(" ", "_"))}
        parts.append(f"<h3>{escape(group)}</h3>")
        if compared:
            head = ("figure", "with links", "links cut", "gain", "± s.e.", "chance")
            rows = [
                (
                    escape(row.metric),
                    *(fixed(each) for each in (row.linked, row.cut, row.gain, row.stderr, row.chance)),
                )
                for row in compared
            ]
            clear = [bool(row.stderr and row.gain > 3 * row.stderr) for row in compared]
            parts.append(table(head, rows, clear, "Bold: the gain is more than three standard errors."))
        rest = {name: value for name, value in all_figures.items() if name not in paired}
        rows = [
            (escape(name.replace("_", " ")), number(value) + error(rest.get(f"{name}_stderr")))
            for name, value in rest.items()
            if name.removesuffix("_stderr") == name or name.removesuffix("_stderr") not in rest
        ]
        parts.append(table((), rows) if rows else "")
    return section("Figures", "".join(parts)) if parts else ""


def _used(base: str) -> set[str]:
    prefix = base.rpartition("_")[0]
    gain = {"loss": "gain", "accuracy": "accuracy_gain"}.get(base.rpartition("_")[2], "")
    gain = f"{prefix}_{gain}" if prefix else gain
    chance = f"{prefix}_chance" if prefix else "chance"
    return {base, f"{base}_cut", gain, f"{gain}_stderr", chance, f"{chance}_loss"}


def _pictures(run: RunDirectory) -> str:
    parts = [picture(png, name) for name, png in pictures_of(run.path / "plots")]
    return section("Pictures", "".join(parts)) if parts else ""


def leaderboards_section(folder: Path, names: Sequence[str]) -> str:
    """The rows of these runs on every leaderboard, in bold among others."""
    parts = []
    for board in leaderboard_rows(folder, names):
        rows = [tuple(_cell(value) for value in row) for row in board.rows]
        parts.append(f"<h3>{escape(board.name)}</h3>" + table(board.columns, rows, board.mine))
    return section("Leaderboards", "".join(parts)) if parts else ""


def _cell(text: str) -> str:
    """A CSV value, to the right where it is a number; long ones shortened to what a column needs."""
    try:
        return number(float(text)) if "_" not in text else escape(text)
    except ValueError:
        return escape(text)


def samples_html(samples: Sequence[Mapping[str, Any]]) -> str:
    """What a model wrote: the prompt in grey, and marks where a linked document was read."""
    parts = []
    for sample in samples:
        text, pieces, at = str(sample["text"]), [], 0
        for position, target in sample["read"]:
            pieces.append(escape(text[at:position]) + f"<mark>[read: {escape(target)}]</mark>")
            at = position
        pieces.append(escape(text[at:]))
        title = f"<b>{escape(str(sample['title']))}</b>\n" if sample["title"] else ""
        prompt = f'<span class="prompt">{escape(str(sample["prompt"]))}</span>'
        parts.append(f"<blockquote>{title}{prompt}{''.join(pieces)}</blockquote>\n")
        if sample["missing"]:
            parts.append(f"<p>Not in the store: {escape(', '.join(sample['missing']))}</p>\n")
    return "".join(parts)


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    note = "<p>Grey: the prompt. Marked: a link was complete there, and its document was read.</p>\n"
    return section("Samples", note + samples_html(samples)) if samples else ""


def _data(hashes: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            escape(place),
            escape(str(entry.get("read by") or entry.get("made by"))),
            escape(size(entry["bytes"])),
            f"<code>{escape(str(entry['sha256'])[:16])}</code>",
        )
        for place, entry in hashes.items()
    ]
    return section("Data", table(("place", "by", "size", "SHA-256"), rows)) if rows else ""


def _drops(drops: Sequence[Mapping[str, Any]]) -> str:
    if not drops:
        return ""
    rows = [(escape(each["reason"]), number(each["count"]), escape(each["example"])) for each in drops]
    return section("What was left out", table(("reason", "count", "for example"), rows))


def _environment(facts: Mapping[str, Any]) -> str:
    packages = facts.get("packages", {})
    rest = flat({name: value for name, value in facts.items() if name not in ("packages", "command")})
    command = " ".join(str(part) for part in facts.get("command", []))
    return (
        f"<pre>{escape(command)}</pre>\n{pairs(rest)}"
        f"<details><summary>{len(packages)} packages</summary>{pairs(packages)}</details>\n"
    )


def _recipe(run: RunDirectory) -> str:
    body = f"<details><summary>recipe.txt</summary><pre>{escape(run.recipe)}</pre></details>\n"
    if run.has_patch:
        body += "<p>The code differed from the commit; patch.diff beside this file restores it.</p>\n"
    return section("Recipe", body)


def _log(run: RunDirectory) -> str:
    if not run.log.exists():
        return ""
    lines = run.log.read_text(encoding="utf-8", errors="replace").splitlines()
    title = f"the last {LOG_LINES} of {len(lines):,} lines" if len(lines) > LOG_LINES else f"{len(lines):,} lines"
    text = escape("\n".join(lines[-LOG_LINES:]))
    return section("Log", f"<details><summary>{title}</summary><pre>{text}</pre></details>\n")
