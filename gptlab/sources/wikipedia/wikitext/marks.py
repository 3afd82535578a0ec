"""Marks: control characters that stand for what has been taken out of the text while it is being parsed.

Each step is text to text. What a later step must not look into (code, a finished link) is replaced by a numbered
mark and put back by the last step. Input loses these characters first, so a mark is always ours.
"""

import re

import attrs

from gptlab.types import DocumentId

OPAQUE = "\x02"
"""`OPAQUE n OPAQUE`: code, mathematics or literal prose."""
LINK = "\x03"
"""`LINK n LINK`: a finished link."""
BREAK = "\x04"
"""A line break inside a paragraph, an item or a link."""
HOLE = "\x05"
"""Where a template was dropped: punctuation left empty around it goes as well."""
JOINT = "\x0e"
"""Keeps quote marks apart where something between them went: `''a''<ref/>''b''`."""
ROW, CELL = "\x0f", "\x10"
"""A row of a table that is kept, alone on its line; between its cells."""
QUOTE_START, QUOTE_END = "\x06", "\x07"
"""A block quotation opens, closes; alone on their lines."""

STRAY = re.compile(f"[{BREAK}{QUOTE_START}{QUOTE_END}{ROW}{CELL}]")
"""Marks that only mean something in their place; elsewhere (half of a tag in a cell) they are a space."""
_OURS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_OUR_BYTES = bytes(byte for byte in range(128) if _OURS.match(chr(byte)))
_RETURNS = re.compile(r"\r\n?")


@attrs.frozen
class Opaque:
    """Text that is not wikitext. `kind`: `prose` is escaped as prose, `code` as code, `block` as lines of its own."""

    kind: str
    text: str


@attrs.define
class Gathered:
    """What one page's marks stand for."""

    opaque: list[Opaque] = attrs.field(factory=list)
    links: list[tuple[str, DocumentId]] = attrs.field(factory=list)

    def hide(self, kind: str, text: str) -> str:
        """The mark for a piece of opaque text."""
        self.opaque.append(Opaque(kind, text))
        return f"{OPAQUE}{len(self.opaque) - 1}{OPAQUE}"

    def link(self, anchor: str, target: DocumentId) -> str:
        """The mark for a link; its anchor may hold opaque marks and entities, no links."""
        self.links.append((anchor, target))
        return f"{LINK}{len(self.links) - 1}{LINK}"


def without_marks(text: str) -> str:
    """The text with line ends as newlines and without control characters, which no wiki stores."""
    if "\r" in text:
        text = _RETURNS.sub("\n", text)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return _OURS.sub("", text)
    is_clean = len(encoded.translate(None, _OUR_BYTES)) == len(encoded)  # a fifth of what a search takes
    return text if is_clean else _OURS.sub("", text)


def joint(text: str, start: int, end: int) -> str:
    """What stands for `text[start:end]` when it goes: nothing, or a joint between quote marks."""
    return JOINT if text[start - 1 : start] == "'" == text[end : end + 1] else ""
