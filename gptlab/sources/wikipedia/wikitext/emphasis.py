"""Quote marks: MediaWiki's bold and italics as Markdown's, line by line.

The rule for lines that do not add up is MediaWiki's own (`Parser::doQuotes`): four marks are an apostrophe and bold,
more than five are apostrophes and both; when bold and italics are both left open, one bold is taken for an apostrophe
and italics, preferably after a one-letter word. What is open at the end of a line is closed there.
"""

import re

_RUN = re.compile("(''+)")


def emphasis(line: str) -> str:
    """One line with `*` and `**` for its quote marks.

    >>> print(emphasis("'''Bold''' and ''it''s and '' ''."))
    **Bold** and *it*s and .
    """
    parts = _RUN.split(line)
    if len(parts) == 1:
        return line
    counts = _counts(parts)
    if counts[::2] == counts[1::2] and 5 not in counts:  # each closes before the next opens
        for index in range(2, len(parts), 4):
            parts[index - 1] = parts[index + 1] = ""
            parts[index] = _wrapped("*" if counts[index // 2 - 1] == 2 else "**", parts[index])
        return "".join(parts)
    out: list[str] = [parts[0]]
    opened: list[tuple[str, int]] = []
    for index, count in enumerate(counts):
        marks = {2: ("*",), 3: ("**",), 5: ("*", "**")}[count]
        if count == 5:
            marks = _both(opened, counts[index + 1] if index + 1 < len(counts) else 0)
        for mark in marks:
            _toggle(mark, out, opened)
        out.append(parts[2 * index + 2])
    while opened:
        _close(out, opened)
    return "".join(out)


def _counts(parts: list[str]) -> list[int]:
    """The runs as 2, 3 or 5; what is literal moves into the text before."""
    counts = []
    italics = bold = 0
    for index in range(1, len(parts), 2):
        count = len(parts[index])
        if count == 4:
            parts[index - 1] += "'"
            count = 3
        elif count > 5:
            parts[index - 1] += "'" * (count - 5)
            count = 5
        italics += count != 3
        bold += count != 2
        counts.append(count)
    if italics % 2 and bold % 2:
        _take_one_bold(parts, counts)
    return counts


def _take_one_bold(parts: list[str], counts: list[int]) -> None:
    single = several = space = -1
    for index, count in enumerate(counts):
        if count != 3:
            continue
        before = parts[2 * index]
        if before[-1:] == " ":
            space = index if space < 0 else space
        elif before[-2:-1] == " ":
            single = index
            break
        elif several < 0:
            several = index
    chosen = next((each for each in (single, several, space) if each >= 0), -1)
    if chosen >= 0:
        counts[chosen] = 2
        parts[2 * chosen] += "'"


def _both(opened: list[tuple[str, int]], following: int) -> tuple[str, str]:
    """In which order five marks toggle: the innermost open one first; of two new ones that closes first as inner."""
    first = opened[-1][0] if opened else "*" if following == 3 else "**"
    return ("**", "*") if first == "**" else ("*", "**")


def _toggle(mark: str, out: list[str], opened: list[tuple[str, int]]) -> None:
    if not any(each == mark for each, _ in opened):
        opened.append((mark, len(out)))
        return
    again = []
    while opened[-1][0] != mark:
        again.append(opened[-1][0])
        _close(out, opened)
    _close(out, opened)
    opened.extend((each, len(out)) for each in again)


def _close(out: list[str], opened: list[tuple[str, int]]) -> None:
    mark, begin = opened.pop()
    out[begin:] = [_wrapped(mark, "".join(out[begin:]))]


def _wrapped(mark: str, inside: str) -> str:
    """What a mark holds between two of it, its outer spaces left outside; nothing is not wrapped."""
    bare = inside.strip(" \x05\x04")
    if not bare:
        return inside
    if len(bare) == len(inside):
        return mark + bare + mark
    lead = inside[: len(inside) - len(inside.lstrip(" \x05\x04"))]
    return f"{lead}{mark}{bare}{mark}{inside[len(lead) + len(bare) :]}"
