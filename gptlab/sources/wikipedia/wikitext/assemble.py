"""Last step: the text with its marks replaced by what they stand for, and the links as spans of it.

Entities are decoded here, after all structure has been read, so that none can make structure; prose is escaped here,
after entities, so that none can make a link. Links are written by `render_link` and counted as they are written.
"""

import re

from gptlab.sources.wikipedia.wikitext.entities import decode_entities
from gptlab.sources.wikipedia.wikitext.marks import LINK, OPAQUE, STRAY, Gathered
from gptlab.types import Link, render_link
from gptlab.types.links import escape_code, escape_prose

_OPAQUE_MARK = re.compile(f"{OPAQUE}(\\d+){OPAQUE}")


def assemble(text: str, gathered: Gathered) -> tuple[str, tuple[Link, ...]]:
    """The finished text and its links, ordered, not overlapping."""
    pieces = decode_entities(text).split(LINK)  # prose and the numbers of links, in turn
    links: list[Link] = []
    length = 0
    for index, run in enumerate(pieces):
        if index % 2:
            anchor, target = gathered.links[int(run)]
            if "&" in anchor or not anchor.isprintable():
                anchor = _anchor(anchor, gathered)
            piece = pieces[index] = render_link(anchor, target)
            links.append(Link(start=length, end=length + len(piece), target=target))
            length += len(piece)
        else:
            if OPAQUE in run or "]" in run or "\\" in run:
                pieces[index] = _prose(run, gathered)
            length += len(pieces[index])
    return "".join(pieces), tuple(links)


def _anchor(anchor: str, gathered: Gathered) -> str:
    if OPAQUE in anchor:
        anchor = _OPAQUE_MARK.sub(lambda found: gathered.opaque[int(found[1])].text, anchor)
    return decode_entities(STRAY.sub(" ", anchor))


def _prose(run: str, gathered: Gathered) -> str:
    """A run between links: prose escaped as prose, code as code, and no `](` made where two of them meet."""
    if OPAQUE not in run:
        return escape_prose(run)
    parts = _OPAQUE_MARK.split(run)
    text = ""
    for index, part in enumerate(parts):
        opaque = gathered.opaque[int(part)] if index % 2 else None
        if opaque is None or opaque.kind == "prose":
            piece = escape_prose(opaque.text if opaque else part)
        else:
            piece = escape_code(opaque.text)
        if piece.startswith("(") and text.rstrip("\\").endswith("]"):
            piece = " " + piece
        text += piece
    return text
