r"""The notation of a link in text, `[anchor](Target_title)`: the one writer and the one reader.

Sources write links with `render_link` where they parse the markup, and carry each as a `Link` span from then on.
`scan_links` reads text that carries no links: a user's prompt, or what a model has written. A property test
holds the two together: scanning what was rendered gives the carried spans.

The notation is CommonMark's inline link, narrowed so that one pass with no look-back reads it:

- prose keeps its brackets; only `](`, which would close a link, is written `]\(` (`escape_prose`);
- in anchors `[`, `]` and `\` are escaped by a backslash;
- a target is an identity (no spaces). `%`, brackets, unbalanced parentheses and control characters are
  percent-encoded; balanced parentheses stay, so `Mercury_(planet)` reads as itself.
"""

import re
from urllib.parse import unquote

import attrs

from gptlab.types.identity import CaseRule, DocumentId, document_id


@attrs.frozen(kw_only=True)
class Link:
    """A link as a span of its document's text: `text[start:end]` is all of it, markup included.

    `end` is where the link is complete, and so where the target may be read from.
    """

    start: int
    end: int
    target: DocumentId


def escape_prose(text: str) -> str:
    r"""Make a run of literal prose safe to stand beside links; `[sic]` stays as it is.

    A backslash that would touch the link after the run is doubled.

    >>> print(escape_prose("[sic] a[0](x)"))
    [sic] a[0]\(x)
    """
    text = _CLOSES.sub(r"]\1\\(", text)
    bare = text.rstrip("\\")
    return bare + "\\" * (2 * (len(text) - len(bare)))


def escape_code(text: str) -> str:
    """Make code or mathematics safe, where Markdown knows no escapes: a space parts `]` from `(`.

    >>> escape_code("table[0](x)")
    'table[0] (x)'
    """
    return text.replace("](", "] (")


def render_link(anchor: str, target: DocumentId) -> str:
    """Write one link.

    Args:
        anchor: what the reader sees, unescaped; line breaks become spaces.
        target: the identity linked to.

    >>> render_link("the planet", DocumentId("Mercury_(planet)"))
    '[the planet](Mercury_(planet))'
    >>> render_link("sad", DocumentId("C:("))
    '[sad](C:%28)'
    """
    shown = " ".join(anchor.split())
    if _SPECIAL.search(shown):
        shown = _SPECIAL.sub(_BACKSLASHED, shown)
    return f"[{shown}]({encode_target(target)})"


def encode_target(target: DocumentId) -> str:
    """The target as it stands between the parentheses of a link; `document_id(unquote(...))` undoes it.

    >>> encode_target(DocumentId("100%_(album)"))
    '100%25_(album)'
    """
    if not _TO_LOOK_AT.search(target):
        return target
    encoded = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), target)
    if not _is_balanced(encoded):
        encoded = encoded.replace("(", "%28").replace(")", "%29")
    return encoded


def scan_links(text: str, case_rule: CaseRule = "first-letter") -> tuple[Link, ...]:
    r"""Find every link in text that carries none, in order, in linear time.

    Args:
        text: prose in the notation above. Anything that is not a whole link is prose.
        case_rule: how the targets' first letters are read.

    >>> scan_links(r"see [cats](cat) and [not]\(this)")
    (Link(start=4, end=15, target='Cat'),)
    """
    links = []
    opening: int | None = None
    position = 0
    while found := _MARK.search(text, position):
        mark, position = found[0], found.end()
        if mark == "[":
            opening = found.start()  # the innermost opening wins: anchors hold no bare brackets
        elif mark == "](" and opening is not None:
            end = _target_end(text, position)
            target = document_id(unquote(text[position : end - 1]), case_rule) if end else ""
            if end and target:
                links.append(Link(start=opening, end=end, target=DocumentId(target)))
                position = end
            opening = None
        elif mark in ("]", "\n", "]("):
            opening = None
    return tuple(links)


_SPECIAL = re.compile(r"[\[\]\\]")
_BACKSLASHED = r"\\\g<0>"
_CLOSES = re.compile(r"\](\\*)\(")
_UNSAFE = re.compile(r"[%\s\[\]<>\\\x00-\x1f\x7f-\x9f]")
_TO_LOOK_AT = re.compile(rf"{_UNSAFE.pattern}|[()]")
_MARK = re.compile(r"\\[\[\]\\]|\[|\]\(|\]|\n")
_LONGEST_TARGET = 1024  # a title has at most 255 bytes, three characters each when encoded: keeps the scan linear
_TARGET_MARK = re.compile(r"[()\[\s]")


def _target_end(text: str, start: int) -> int:
    """One past the parenthesis that closes the target beginning at `start`, or 0 where none does."""
    depth = 0
    for found in _TARGET_MARK.finditer(text, start, start + _LONGEST_TARGET):
        if found[0] == "(":
            depth += 1
        elif found[0] != ")":
            return 0
        elif depth == 0:
            return found.end() if found.start() > start else 0
        else:
            depth -= 1
    return 0


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0
