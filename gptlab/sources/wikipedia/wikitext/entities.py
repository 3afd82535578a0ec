"""HTML entities, decoded once: `&amp;nbsp;` is the text `&nbsp;`. Only those with a semicolon, as in MediaWiki."""

import html
import re

_ENTITY = re.compile(r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
_SPACES = {"\xa0": " ", "\u2009": " ", "\u202f": " ", "\u2002": " ", "\u2003": " ", "\xad": ""}


def decode_entities(text: str) -> str:
    """Entities as characters; spaces of every width as a space, soft hyphens as nothing.

    >>> decode_entities("Q&amp;A&nbsp;&ndash; &unknown; &copy no &amp;lt;")
    'Q&A – &unknown; &copy no &lt;'
    """
    if "&" in text:
        text = _ENTITY.sub(_decode, text)
    if not text.isascii():
        for space, plain in _SPACES.items():  # a tenth of what `str.translate` takes
            if space in text:
                text = text.replace(space, plain)
    return text


def _decode(found: re.Match[str]) -> str:
    entity = found[0]
    decoded = _DECODED.get(entity)
    if decoded is None:
        decoded = html.unescape(entity)
        if entity.startswith("&#") and not (decoded.isprintable() or decoded.isspace()):
            decoded = ""
        decoded = " " if decoded.isspace() else decoded
        if len(_DECODED) < 4096:
            _DECODED[entity] = decoded
    return decoded


_DECODED: dict[str, str] = {}
