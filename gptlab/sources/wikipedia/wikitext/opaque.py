"""First step: comments and extension tags go, and what is not wikitext is hidden behind marks.

MediaWiki's rules: an extension tag runs to the first closing tag of its name, whatever lies between; `<ref/>` closes
itself, so the next `</ref>` is not its own; a tag that is never closed is text; a comment that is never closed
runs to the end. Each kind of closing tag is looked for once in vain at most, which keeps the step linear.
"""

import functools
import re

from gptlab.sources.wikipedia.wikitext.entities import decode_entities
from gptlab.sources.wikipedia.wikitext.marks import HOLE, Gathered, joint

_DROPPED_TEXT = """
    ref references gallery timeline imagemap score graph templatedata mapframe maplink inputbox categorytree
    hiero indicator templatestyles includeonly dynamicpagelist rss quiz section charinsert phonos
"""
_DROPPED = frozenset(_DROPPED_TEXT.split())
_KEPT_TEXT = "nowiki pre math chem ce syntaxhighlight source code"
_KEPT = frozenset(_KEPT_TEXT.split())


@functools.lru_cache(maxsize=256)
def _opening(never_closed: frozenset[str] = frozenset()) -> re.Pattern[str]:
    """What may open a comment or one of the tags, without those that are known to be never closed."""
    names = "|".join(sorted((_DROPPED | _KEPT) - never_closed, key=len, reverse=True)) or "(?!)"
    return re.compile(rf"<(?=[!A-Za-z])(?:(!--)|((?ai:{names}))(?=[\s/>]))")


_CLOSING = {name: re.compile(rf"</(?ai:{name})\s*>") for name in _DROPPED | _KEPT}
_LANGUAGE = re.compile(r"""\blang\s*=\s*["']?\s*([\w+#.-]{1,30})""")
_INNER_TAGS = re.compile(r"</?(?:nowiki|noinclude|span|small|var|b|i|em|strong|br|sub|sup)\b[^<>]*>", re.IGNORECASE)


def hide_opaque(text: str, gathered: Gathered) -> str:
    """The text without comments and dropped tags, with marks for code, mathematics and literal prose."""
    kept: list[str] = []
    position = 0
    never_closed: set[str] = set()
    opening, known = _opening(), 0
    found = opening.search(text)
    while found:
        if found[1]:
            end = text.find("-->", found.end())
            piece, end = "", (end + 3 if end >= 0 else len(text))
            end = _whole_line(text, found.start(), end)
        else:
            piece, end = _extension_tag(text, found, never_closed, gathered)
        if end:
            kept += (text[position : found.start()], piece or _nothing(text, found.start(), end))
            position = end
        if len(never_closed) > known:
            opening, known = _opening(frozenset(never_closed)), len(never_closed)
        found = opening.search(text, max(position, found.end()))
    kept.append(text[position:])
    return "".join(kept)


def _nothing(text: str, start: int, end: int) -> str:
    """What stands where something went: after a space a hole, so that `word <ref/>.` loses its space."""
    return HOLE if text[start - 1 : start] == " " else joint(text, start, end)


def _whole_line(text: str, start: int, end: int) -> int:
    """A comment alone on its line takes the line's end along."""
    alone = (start == 0 or text[start - 1] == "\n") and text[end : end + 1] == "\n"
    return end + 1 if alone else end


def _extension_tag(text: str, found: re.Match[str], never_closed: set[str], gathered: Gathered) -> tuple[str, int]:
    """What stands for the tag that opens at `found`, and where it ends; 0 where it is no whole tag."""
    name = found[2].lower()
    inside = text.find(">", found.end()) + 1
    if inside and text[inside - 2] == "/":
        return (gathered.hide("prose", "") if name == "nowiki" else ""), inside
    closing = _CLOSING[name].search(text, inside) if inside else None
    if closing is None:
        never_closed |= {name} if inside else _DROPPED | _KEPT
        return "", 0
    attributes = text[found.end() : inside - 1]
    content = text[inside : closing.start()]
    if name == "code" and ("[[" in content or "{{" in content):
        return "", 0
    return ("" if name in _DROPPED else _hidden(name, attributes, content, gathered)), closing.end()


def _hidden(name: str, attributes: str, content: str, gathered: Gathered) -> str:
    if name == "nowiki":
        return gathered.hide("prose", decode_entities(content))
    if name in ("math", "chem", "ce"):
        formula = " ".join(content.split())
        block = "block" in attributes
        return gathered.hide("code", (f"$${formula}$$" if block else f"${formula}$") if formula else "")
    if name == "code":
        return gathered.hide("code", _inline_code(decode_entities(_INNER_TAGS.sub("", content))))
    if name == "pre":
        content = decode_entities_in_code(_INNER_TAGS.sub("", content))
    if "inline" in attributes:
        return gathered.hide("code", _inline_code(content))
    language = _LANGUAGE.search(attributes) if name != "pre" else None
    return hide_block(content, language[1].lower() if language else "", gathered)


def decode_entities_in_code(text: str) -> str:
    """Entities decoded line by line, so that the lines stay."""
    return "\n".join(map(decode_entities, text.split("\n"))) if "&" in text else text


def hide_block(content: str, language: str, gathered: Gathered) -> str:
    """A fenced block of code on lines of its own, behind a mark."""
    lines = [line.rstrip() for line in content.strip("\n").split("\n")]
    if not any(lines):
        return ""
    fence = "```"
    while fence in content:
        fence += "`"
    return "\n" + gathered.hide("block", "\n".join([fence + language, *lines, fence])) + "\n"


def _inline_code(content: str) -> str:
    code = " ".join(content.split())
    if not code:
        return ""
    fence = "`"
    while fence in code:
        fence += "`"
    return f"{fence}{code}{fence}" if fence == "`" else f"{fence} {code} {fence}"
