"""Third step: tables go, whether written in bars (`{| ... |}`) or as HTML, nested ones with them; or stay as rows.

A table that is never closed ends at the next heading: MediaWiki would swallow the rest of the page, and with it
everything the page says.
"""

import bisect
import re
from collections.abc import Callable

from gptlab.sources.wikipedia.wikitext.marks import CELL, ROW, STRAY
from gptlab.sources.wikipedia.wikitext.tags import replace_tags

_EDGE = re.compile(r"\n[ \t\x05]*+(?:(\|\})|[ \t:*#;\x05]*+\{\|)|<(?:(/)|(?!/))(?i:table)\b[^<>]*>")
"""Where a table opens or, with a group, closes. It begins with what is rare, a line's end or `<`, and so is fast."""
_HEADING = re.compile(r"^==", re.MULTILINE)


def drop_tables(text: str, instead: Callable[[str], str] = lambda table: "") -> str:
    """The text without its tables; a closing that closes nothing goes as well.

    Args:
        text: wikitext.
        instead: what stands for an outermost table.

    >>> drop_tables("before\\n{|\\n| cell\\n|}\\nafter")
    'before\\n\\nafter'
    """
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    text = "\n" + text
    for found in _EDGE.finditer(text):
        start = found.start()
        start += text[start] == "\n"
        if found.lastindex:
            spans.append((opened.pop() if opened else start, found.end()))
        else:
            opened.append(start)
    if opened:
        headings = [found.start() for found in _HEADING.finditer(text)]
        end = 0
        for start in opened:
            if start >= end:  # else it lies within one that is never closed either
                index = bisect.bisect(headings, start)
                end = headings[index] if index < len(headings) else len(text)
                spans.append((start, end))
    kept: list[str] = []
    position = 1
    for start, end in sorted(spans):
        if start >= position:
            kept += (text[position:start], instead(text[start:end]))
        position = max(position, end)
    kept.append(text[position:])
    return "".join(kept)


_HTML = re.compile(r"<(/?)(table|tr|td|th|caption|thead|tbody|tfoot)\b[^<>]*>", re.IGNORECASE)
_HTML_AS = {"tr": "\n|-\n", "td": "\n|", "th": "\n!", "caption": "\n|+"}
_CELLS = re.compile(r"\|\||!!")
_ATTRIBUTES = re.compile(r"[^\[\]{}|]*\|(?!\|)")


def table_rows(table: str) -> str:
    """A table as one marked line for each row, its cells apart; nested tables, captions and attributes go.

    >>> table_rows("{| class=x\\n! a !! b\\n|-\\n| style=y | 1 || 2\\n|}").split("\\n")[1:-1]
    ['\\x0fa\\x10b', '\\x0f1\\x102']
    """
    _, end, inside = table.partition("\n" if "{|" in table[:256].partition("\n")[0] else ">")
    if not end:
        return ""
    inside = drop_tables(inside)
    if "<" in inside:
        inside = _HTML.sub(lambda found: "" if found[1] else _HTML_AS.get(found[2].lower(), "\n"), inside)
        inside = STRAY.sub(" ", replace_tags(inside))
    rows: list[list[str]] = [[]]
    is_caption = False
    for line in map(str.strip, inside.split("\n")):
        first = line[:1]
        if line.startswith("|-"):
            rows.append([])
        elif line.startswith("|+"):
            is_caption = True
        elif first and first in "|!":
            is_caption = False
            rows[-1] += _cells(line)
        elif line and rows[-1] and not is_caption:
            rows[-1][-1] += f" {line}"
    kept = [row for row in rows if any(row)]
    width = max(map(len, kept), default=0)
    lines = (ROW + CELL.join(row + [""] * (min(width, _WIDEST) - len(row))) for row in kept)
    return "\n" + "\n".join(lines) + "\n" if kept else ""


_WIDEST = 64
"""Columns to which shorter rows are filled up."""


def _cells(line: str) -> list[str]:
    """The cells of a line that begins with a bar or an exclamation mark."""
    separated = _CELLS.split(line[1:]) if line[0] == "!" else line[1:].split("||")
    return [_ATTRIBUTES.sub("", cell, count=1).strip() if "|" in cell else cell.strip() for cell in separated]
