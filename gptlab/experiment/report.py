"""`report.html`: one run as one page that opens without a server or a network, a year later, on a phone.

All is in the file: pictures as data, no script, no font from elsewhere. It is made from the run directory alone, so
it can be made again at any time, also of a run that was interrupted.
"""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gptlab.experiment.run_directory import RunDirectory
from gptlab.experiment.summary import flat
from gptlab.experiment.tables import comparisons, figure
from gptlab.experiment.text import Real, printable
from gptlab.storage import write_atomically

LOG_LINES = 200
"""Last lines of log.txt that are shown; the file itself lies beside the report."""

_STYLE = """
:root { color-scheme: light; --ink: #1d1d1f; --faint: #5f6368; --line: #dadce0; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink); background: #fff;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 2px solid var(--accent); padding-bottom: .2rem; }
p.lead { color: var(--faint); margin: .2rem 0 1rem; }
figure { margin: 0 0 1rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: var(--faint); font-size: .9rem; text-align: left; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0 0 1rem; font-size: .92rem; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { overflow-wrap: break-word; }
tr.clear td { font-weight: 600; }
pre { background: #f6f8fa; padding: .75rem; overflow-x: auto; overflow-wrap: normal;
  font: .82rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; border-radius: 4px; }
blockquote { margin: 0 0 1rem; padding: .5rem .75rem; border-left: 4px solid var(--accent); background: #f6f8fa;
  white-space: pre-wrap; }
blockquote .prompt { color: var(--faint); } blockquote mark { background: #fde9c4; }
@media (max-width: 40rem) { th, th.number { white-space: normal; overflow-wrap: break-word; }
  th, td { padding-right: .45rem; }
  table { font-size: .82rem; } }
details > summary { cursor: pointer; color: var(--accent); margin: .5rem 0; }
"""


def write_report(run: RunDirectory, summary: Mapping[str, Any] | None = None) -> Path:
    """Write the report of a run from its directory; of an unfinished one with what there is.

    Args:
        run: the run.
        summary: what the run ends with, where it is just about to be marked as ended; None: what it ended with.
    """
    ends = summary is not None or run.is_finished
    summary = (run.summary or {}) if summary is None else summary
    facts = run.environment
    sections = [
        _figures(summary.get("figures", {})),
        _pictures(run),
        _samples(summary.get("samples", [])),
        _drops(summary.get("drops", [])),
        _section("Settings", _pairs(flat(run.config))),
        _section("Environment", _environment(facts)),
        _recipe(run),
        _log(run),
    ]
    recipe = Path(str(facts.get("recipe", ""))).name
    state = "finished" if ends else "not finished"
    lead = f"{recipe}, {state}, gptlab {facts.get('gptlab', '')}"
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{_escape(f"Run {run.name}")}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n</head>\n"
        f'<body>\n<h1>Run {_escape(run.name)}</h1>\n<p class="lead">{_escape(lead)}</p>\n'
        f"{''.join(sections)}</body>\n</html>\n"
    )
    write_atomically(run.report, page)
    return run.report


def _figures(groups: Mapping[str, Mapping[str, Real | None]]) -> str:
    """Per benchmark the figures that have a counterpart with the edges cut, then the others."""
    parts = []
    for group, all_figures in groups.items():
        known = {name: value for name, value in all_figures.items() if value is not None}
        pairs = comparisons(known)
        paired = {name for name in known for row in pairs if name in _used(row.metric.replace(" ", "_"))}
        parts.append(f"<h3>{_escape(group)}</h3>")
        if pairs:
            head = ("figure", "with links", "links cut", "gain", "± s.e.", "chance")
            rows = [
                (
                    _escape(row.metric),
                    *(_fixed(each) for each in (row.linked, row.cut, row.gain, row.stderr, row.chance)),
                )
                for row in pairs
            ]
            clear = [bool(row.stderr and row.gain > 3 * row.stderr) for row in pairs]
            parts.append(_table(head, rows, clear, "Bold: the gain is more than three standard errors."))
        rest = {name: value for name, value in all_figures.items() if name not in paired}
        rows = [
            (_escape(name.replace("_", " ")), _number(value) + _error(rest.get(f"{name}_stderr")))
            for name, value in rest.items()
            if name.removesuffix("_stderr") == name or name.removesuffix("_stderr") not in rest
        ]
        parts.append(_table((), rows) if rows else "")
    return _section("Figures", "".join(parts)) if parts else ""


def _used(base: str) -> set[str]:
    prefix = base.rpartition("_")[0]
    gain = {"loss": "gain", "accuracy": "accuracy_gain"}.get(base.rpartition("_")[2], "")
    gain = f"{prefix}_{gain}" if prefix else gain
    chance = f"{prefix}_chance" if prefix else "chance"
    return {base, f"{base}_cut", gain, f"{gain}_stderr", chance, f"{chance}_loss"}


def _pictures(run: RunDirectory) -> str:
    folder = run.path / "plots"
    pictures = sorted(folder.glob("*.png")) if folder.is_dir() else []
    parts = []
    for path in pictures:
        data, name = base64.b64encode(path.read_bytes()).decode("ascii"), path.stem.replace("_", " ")
        parts.append(
            f'<figure><img alt="{_escape(name)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{_escape(name)}</figcaption></figure>\n"
        )
    return _section("Pictures", "".join(parts)) if parts else ""


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for sample in samples:
        text, pieces, at = str(sample["text"]), [], 0
        for position, target in sample["read"]:
            pieces.append(_escape(text[at:position]) + f"<mark>[read: {_escape(target)}]</mark>")
            at = position
        pieces.append(_escape(text[at:]))
        title = f"<b>{_escape(str(sample['title']))}</b>\n" if sample["title"] else ""
        prompt = f'<span class="prompt">{_escape(str(sample["prompt"]))}</span>'
        parts.append(f"<blockquote>{title}{prompt}{''.join(pieces)}</blockquote>\n")
        if sample["missing"]:
            parts.append(f"<p>Not in the store: {_escape(', '.join(sample['missing']))}</p>\n")
    note = "<p>Grey: the prompt. Marked: a link was complete there, and its document was read.</p>\n"
    return _section("Samples", note + "".join(parts)) if parts else ""


def _drops(drops: Sequence[Mapping[str, Any]]) -> str:
    if not drops:
        return ""
    rows = [(_escape(each["reason"]), _number(each["count"]), _escape(each["example"])) for each in drops]
    return _section("What was left out", _table(("reason", "count", "for example"), rows))


def _environment(facts: Mapping[str, Any]) -> str:
    packages = facts.get("packages", {})
    rest = flat({name: value for name, value in facts.items() if name not in ("packages", "command")})
    command = " ".join(str(part) for part in facts.get("command", []))
    return (
        f"<pre>{_escape(command)}</pre>\n{_pairs(rest)}"
        f"<details><summary>{len(packages)} packages</summary>{_pairs(packages)}</details>\n"
    )


def _recipe(run: RunDirectory) -> str:
    body = f"<details><summary>recipe.txt</summary><pre>{_escape(run.recipe)}</pre></details>\n"
    if run.has_patch:
        body += "<p>The code differed from the commit; patch.diff beside this file restores it.</p>\n"
    return _section("Recipe", body)


def _log(run: RunDirectory) -> str:
    if not run.log.exists():
        return ""
    lines = run.log.read_text(encoding="utf-8", errors="replace").splitlines()
    title = f"the last {LOG_LINES} of {len(lines):,} lines" if len(lines) > LOG_LINES else f"{len(lines):,} lines"
    text = _escape("\n".join(lines[-LOG_LINES:]))
    return _section("Log", f"<details><summary>{title}</summary><pre>{text}</pre></details>\n")


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{_escape(title)}</h2>\n{body}</section>\n"


def _pairs(values: Mapping[str, Any]) -> str:
    return _table((), [(_escape(name), _escape(_shown(value))) for name, value in values.items()])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fixed(value: Real | None) -> str:
    return f'<span class="number">{value:.3f}</span>' if value is not None else ""


def _error(value: Real | None) -> str:
    return f" ± {_escape(figure(value))}" if value is not None else ""


def _number(value: Real | None) -> str:
    return f'<span class="number">{_escape(figure(value))}</span>' if value is not None else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], clear: Sequence[bool] = (), caption: str = "") -> str:
    """Cells are HTML; one that holds a number is set to the right, and so is its heading."""
    listed = list(rows)
    marks = [*clear, *([False] * (len(listed) - len(clear)))]
    columns = [any(row[i].startswith("<span") for row in listed) for i in range(len(head))]
    cells = "".join(
        f"<th{_right(is_number)}>{_escape(name)}</th>" for name, is_number in zip(head, columns, strict=True)
    )
    lines = []
    for row, is_clear in zip(listed, marks, strict=True):
        line = "".join(f"<td{_right(cell.startswith('<span'))}>{cell}</td>" for cell in row)
        lines.append(f"<tr{' class=clear' if is_clear else ''}>{line}</tr>\n")
    header = f"<thead><tr>{cells}</tr></thead>" if head else ""
    title = f'<p class="lead">{_escape(caption)}</p>' if caption else ""
    return f'{title}<div class="wide"><table>{header}<tbody>\n{"".join(lines)}</tbody></table></div>\n'


def _right(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _escape(text: str) -> str:
    return html.escape(printable(text))
