"""The page that reports are written on: one file that loads nothing, and reads on a phone as on a desk.

All is in the file: pictures as data, no script, no font from elsewhere. Cells are HTML; one that holds a number is
set to the right, and so is its heading.
"""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gptlab.experiment.tables import figure
from gptlab.experiment.text import Real, printable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the browser itself holds the page to: it asks nobody for anything, whatever a title or a sample may hold."""

STYLE = """
:root { color-scheme: light; --ink: #1d1d1f; --faint: #5f6368; --line: #dadce0; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink); background: #fff;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 2px solid var(--accent); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
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


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: of the page, as text.
        lead: the line below it, as text.
        sections: HTML, of `section`.
    """
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n'
        f'<body>\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{"".join(sections)}</body>\n</html>\n'
    )


def picture(png: bytes, name: str) -> str:
    """A picture with its name below."""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(name)}</figcaption></figure>\n"
    )


def pictures_of(folder: Path) -> list[tuple[str, bytes]]:
    """The pictures of a run, by name."""
    paths = sorted(folder.glob("*.png")) if folder.is_dir() else []
    return [(path.stem.replace("_", " "), path.read_bytes()) for path in paths]


def section(title: str, body: str) -> str:
    """A heading and what is below it, HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n"


def pairs(values: Mapping[str, Any]) -> str:
    """Names and values, as a table."""
    return table((), [(escape(name), escape(shown(value))) for name, value in values.items()])


def shown(value: Any) -> str:
    """A value of JSON as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def fixed(value: Real | None) -> str:
    """A figure with three digits after the point, as HTML."""
    return f'<span class="number">{value:.3f}</span>' if value is not None else ""


def error(value: Real | None) -> str:
    """A standard error behind its figure, as HTML."""
    return f" ± {escape(figure(value))}" if value is not None else ""


def number(value: Real | None) -> str:
    """A figure as HTML."""
    return f'<span class="number">{escape(figure(value))}</span>' if value is not None else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], clear: Sequence[bool] = (), caption: str = "") -> str:
    """Cells are HTML; one that holds a number is set to the right, and so is its heading."""
    listed = list(rows)
    marks = [*clear, *([False] * (len(listed) - len(clear)))]
    columns = [any(row[i].startswith("<span") for row in listed) for i in range(len(head))]
    cells = "".join(
        f"<th{_right(is_number)}>{escape(name)}</th>" for name, is_number in zip(head, columns, strict=True)
    )
    lines = []
    for row, is_clear in zip(listed, marks, strict=True):
        line = "".join(f"<td{_right(cell.startswith('<span'))}>{cell}</td>" for cell in row)
        lines.append(f"<tr{' class=clear' if is_clear else ''}>{line}</tr>\n")
    header = f"<thead><tr>{cells}</tr></thead>" if head else ""
    title = f'<p class="lead">{escape(caption)}</p>' if caption else ""
    return f'{title}<div class="wide"><table>{header}<tbody>\n{"".join(lines)}</tbody></table></div>\n'


def _right(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def escape(text: str) -> str:
    """Text as HTML, with what a browser could choke on written out."""
    return html.escape(printable(text))
