"""Fifth step: lines. Headings, lists, quotations and paragraphs become Markdown; what templates left empty goes.

Holes are cleaned line by line, and only around a hole's mark, so `f()` in prose keeps its parentheses while the
empty pair where a pronunciation stood goes.
"""

import functools
import re

from gptlab.sources.wikipedia.wikitext.emphasis import emphasis
from gptlab.sources.wikipedia.wikitext.marks import (
    BREAK,
    CELL,
    HOLE,
    JOINT,
    LINK,
    OPAQUE,
    QUOTE_END,
    QUOTE_START,
    ROW,
    STRAY,
    Gathered,
)
from gptlab.sources.wikipedia.wikitext.opaque import hide_block

_LIST = "*#:;"
_LIST_MARKS = frozenset(_LIST)
_TERM, _DROPPED = 7, -1
_NO_LINE = (_DROPPED, "")
_HEADING = re.compile(r"(={1,6})(.+?)\1[ \t\x05]*$")
_COLON = re.compile(r"[ \t]{0,9}(:)[ \t]+")
_SPACES = re.compile(r"[ \t]{2,}")
_BLANKS = re.compile(r"\n{3,}")
_ROW = re.compile(r"!.*(?:!!|\|)|!\s*(?:scope|style|colspan|rowspan|align|width|class|bgcolor)\b")
_ONLY_MARKS = re.compile(r"[\s\x04\x05,;:.|()/–—*·•-]*")

_PUNCTUATION = "'\"()[]（）,;:./–—-!?\x04\x05" + "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All that the rules below read."""
_RUN = re.compile(f"{HOLE}[{re.escape(_PUNCTUATION)}]*")
_HOLES = re.compile(r"\x05(?:[ \t,;:/]{0,9}\x05)+")
_PAIR = re.compile(r"[ \t]{0,9}[(\[（][\s,;:/\x04\x05–—\"'-]{1,60}[)\]）]")
_AFTER_OPENING = re.compile(r"([(\[（])[ ,;:/]{0,9}\x05[ ,;:/]{0,9}")
_BEFORE_CLOSING = re.compile(r"[ ,;:/]{0,9}\x05[ ,;:/]{0,9}([)\]）])")
_QUOTED = re.compile(r"('{2,5}|\")[ ]{0,9}\x05[ ]{0,9}\1")
_BEFORE_POINT = re.compile(r"[ \t]{0,9}\x05[ \t]{0,9}(?=[,.;:!?)\]]|$)")
_LEADING = re.compile(r"^[\s]{0,9}\x05[\s,;:.)]{0,9}")
_TWICE = re.compile(r"([,;:])[ \t]{0,9}\x05[ \t]{0,9}([,;:.])")


def clean_holes(line: str) -> str:
    """One line without holes' marks and without the punctuation that a hole left empty.

    The rules read marks and punctuation only, so each run of these that holds a hole is cleaned by itself; there are
    few different ones, and they are remembered.

    >>> clean_holes("Tea (\\x05) or cha (\\x05; 'leaf') is \\x05 , they say, \\x05 hot.")
    "Tea or cha ('leaf') is, they say, hot."
    """
    kept: list[str] = []
    position = 0
    for found in _RUN.finditer(line):
        before = line[position : found.start()]
        words = before.rstrip(_PUNCTUATION)
        run = before[len(words) :] + found[0]
        is_first, position = not words and not position, found.end()
        kept += (words, (_cleaned if len(run) < 40 else _clean)(run, is_first, position == len(line)))
    cleaned = "".join(kept) + line[position:]
    return _SPACES.sub(" ", cleaned) if "  " in cleaned or "\t" in cleaned else cleaned


def _clean(run: str, is_first: bool, is_last: bool) -> str:
    """A run of marks and punctuation; other words stand where it is not the first or the last of its line."""
    line = ("" if is_first else "a") + run + ("" if is_last else "a")
    line = _QUOTED.sub(HOLE, line)
    line = _HOLES.sub(HOLE, line)
    line = _LEADING.sub("", line)
    line = _PAIR.sub(lambda found: HOLE if HOLE in found[0] else found[0], line)
    line = _AFTER_OPENING.sub(r"\1", line)
    line = _BEFORE_CLOSING.sub(r"\1", line)
    line = _TWICE.sub(r"\2", line)
    line = _BEFORE_POINT.sub("", line).replace(HOLE, "")
    return line[not is_first : len(line) - (not is_last)]


_cleaned = functools.lru_cache(maxsize=1 << 12)(_clean)


class LineStep:
    """The lines of one page on their way to Markdown."""

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        self._out: list[tuple[int, str]] = []  # (level of heading, line); 0 for all else
        self._last = "blank"
        self._quoted = 0
        self._counters: dict[int, int] = {}
        self._indented: list[str] = []

    def run(self, text: str) -> str:
        """All lines as Markdown, with marks for links and code still in them."""
        if "\n\n\n" in text:
            text = _BLANKS.sub("\n\n", text)
        indented = self._indented
        for line in text.split("\n"):
            first = line[:1]
            if first == " " and not line.isspace():
                indented.append(line)
                continue
            if indented:
                self._end_indented()
            if first == "|" or (line in _LIST_MARKS and self._out and self._out[-1] is _NO_LINE):
                continue  # what is left of a table; an empty item behind another
            self._line(line, first)
        if indented:
            self._end_indented()
        whole = "\n".join(_without_empty_sections(self._out))
        return STRAY.sub(" ", whole) if any(mark in text for mark in (ROW, CELL, QUOTE_START, QUOTE_END)) else whole

    def _line(self, line: str, first: str) -> None:
        if not first:
            self._blank()
        elif first in _LIST:
            self._item(line)
        elif first == "=" and (found := _HEADING.match(line)):
            self._heading(len(found[1]), found[2])
        elif first == "|" or (first == "!" and _ROW.match(line)):
            return
        elif first == ROW:
            self._row(line[1:].replace(ROW, " "))
        elif first == QUOTE_START:
            self._blank()
            self._quoted += 1
        elif first == QUOTE_END:
            self._quoted = max(0, self._quoted - 1)
            self._blank()
        elif line.startswith("----"):
            self._blank()
            line = line.lstrip("-")
            self._line(line, line[:1])
        else:
            self._paragraph(line)

    def _inline(self, text: str) -> str:
        if HOLE in text:
            text = clean_holes(text)
        if "''" in text:
            text = emphasis(text)
        if JOINT in text:
            text = text.replace(JOINT, "")
        if "  " in text:
            text = _SPACES.sub(" ", text)
        return text.strip()

    def _put(self, kind: str, line: str, level: int = 0) -> None:
        """One line; a blank one before it where Markdown would run it into the line before."""
        if self._last not in (kind, "blank") or (kind == "indent" and self._last == "indent"):
            self._put_blank()
        self._out.append((level, "> " * self._quoted + line if self._quoted else line))
        self._last = kind

    def _put_blank(self) -> None:
        if self._out and self._last != "blank":
            self._out.append((0, "> " * self._quoted if self._quoted and self._last != "heading" else ""))
            self._last = "blank"

    def _blank(self) -> None:
        self._put_blank()
        self._counters.clear()

    def _paragraph(self, line: str) -> None:
        text = self._inline(line)
        if not text or (HOLE in line and _ONLY_MARKS.fullmatch(text)):
            self._blank()
            self._out.append(_NO_LINE)
            return
        self._put("paragraph", text.replace(BREAK, "\n" + "> " * self._quoted))
        self._counters.clear()

    def _heading(self, level: int, text: str) -> None:
        self._quoted = 0
        title = self._inline(text.replace(BREAK, " "))
        if title:
            self._blank()
            self._put("heading", "#" * level + " " + title, level)
            self._blank()

    def _item(self, line: str) -> None:
        written = line.lstrip(_LIST)
        text = self._inline(written) if written else ""
        if not text or _ONLY_MARKS.fullmatch(text):
            if not self._out or self._out[-1] is not _NO_LINE:
                self._out.append(_NO_LINE)
            return
        prefix = line[: len(line) - len(written)]
        bullets = prefix.rstrip(":;")
        if prefix[-1] == ";":
            self._definition(text)
            return
        if not bullets or prefix[-1] == ":":
            lead = "  " * len(bullets[:8])
            self._put("item" if bullets else "indent", lead + text.replace(BREAK, "\n" + lead))
            return
        depth = min(len(prefix), 8) - 1
        lead = "  " * depth
        for deeper in [each for each in self._counters if each > depth]:
            del self._counters[deeper]
        if prefix[-1] == "#":
            self._counters[depth] = self._counters.get(depth, 0) + 1
            lead += f"{self._counters[depth]}. "
        else:
            self._counters.pop(depth, None)
            lead += "- "
        self._put("item", lead + text.replace(BREAK, "\n" + "  " * (depth + 1)))

    def _row(self, line: str) -> None:
        """One row of a table; Markdown wants a rule below the first."""
        cells = [self._inline(cell.replace(BREAK, " ")).replace("|", "\\|") for cell in line.split(CELL)]
        is_first = self._last != "table"
        self._put("table", f"| {' | '.join(cells)} |")
        if is_first:
            self._put("table", "|" + " --- |" * len(cells))
        self._counters.clear()

    def _definition(self, text: str) -> None:
        text = text.replace(BREAK, " ")
        term, colon, meaning = _COLON.split(text, 1) if _COLON.search(text) else (text, "", "")
        self._put("indent", term if "**" in term else f"**{term}**", _TERM)
        if colon and meaning.strip():
            self._put("indent", meaning.strip())

    def _end_indented(self) -> None:
        """Lines that begin with a space: several without links are code, as MediaWiki shows them; else prose."""
        lines = self._indented.copy()
        self._indented.clear()
        whole = "\n".join(lines)
        if len(lines) < 2 or any(mark in whole for mark in (LINK, OPAQUE, HOLE, "''")):
            for line in map(str.strip, lines):
                self._line(line, line[:1])
            return
        code = "\n".join(line[1:] for line in lines).replace(BREAK, "\n").replace(JOINT, "")
        for line in hide_block(code, "", self._gathered).split("\n"):
            self._line(line, line[:1])


def _without_empty_sections(lines: list[tuple[int, str]]) -> list[str]:
    """Headings that nothing follows go, and terms of which all that followed was dropped; with a link they stay."""
    kept: list[str] = []
    below, dropped = 0, False
    for level, line in reversed(lines):
        if level == _DROPPED:
            dropped = True
            continue
        if level:
            if below <= level and LINK not in line and (level != _TERM or dropped):
                while kept and not kept[-1]:
                    kept.pop()
                continue
            below, dropped = level, False
        elif line:
            below, dropped = 99, False
        kept.append(line)
    kept.reverse()
    while kept and not kept[-1].strip("> "):
        kept.pop()
    return kept
