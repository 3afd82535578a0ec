"""Third step: tables go, whether written in bars (`{| ... |}`) or as HTML, nested ones with them.

A table that is never closed ends at the next heading: MediaWiki would swallow the rest of the page, and with it
everything the page says.
"""

import bisect
import re

_EDGE = re.compile(r"^[ \t:*#;\x05]*\{\||^[ \t\x05]*\|\}|<(/?)table\b[^<>]*>", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^==", re.MULTILINE)


def drop_tables(text: str) -> str:
    """The text without its tables; a closing that closes nothing goes as well.

    >>> drop_tables("before\\n{|\\n| cell\\n|}\\nafter")
    'before\\n\\nafter'
    """
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    for found in _EDGE.finditer(text):
        if found[0].endswith("}") or found[1] == "/":
            spans.append((opened.pop() if opened else found.start(), found.end()))
        else:
            opened.append(found.start())
    if opened:
        headings = [found.start() for found in _HEADING.finditer(text)]
        for start in opened:
            index = bisect.bisect(headings, start)
            spans.append((start, headings[index] if index < len(headings) else len(text)))
    if not spans:
        return text
    kept: list[str] = []
    position = 0
    for start, end in sorted(spans):
        if start >= position:
            kept.append(text[position:start])
        position = max(position, end)
    kept.append(text[position:])
    return "".join(kept)
