"""Bytes of a dump as text: a byte that is no text costs one character, and it is known where.

Where the damage is, in bytes of the UTF-8 that the XML parser sees, tells which page it is in, however the dump was
cut into pieces on the way: one process and many count the same pages.
"""

import codecs
import re

from gptlab.sources.errors import SourceError

_DAMAGE = "\ufffe\uffff"
"""Stands for damage while it is being located: two characters that XML forbids."""
_DECLARED = re.compile(rb"""<\?xml[^>]{0,80}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

codecs.register_error("gptlab-damage", lambda error: (_DAMAGE, error.end))  # type: ignore[attr-defined]


def encoding_of(start: bytes, where: object) -> str:
    """The encoding that the first bytes of an export tell: by their mark, or declared, or UTF-8.

    Raises:
        SourceError: an encoding is declared that nobody knows.

    >>> encoding_of(b"<mediawiki>", "a.xml"), encoding_of(b"\\xff\\xfe<\\x00", "a.xml")
    ('utf-8', 'utf-16')
    """
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    declared = _DECLARED.match(start)
    name = declared[1].decode() if declared else "utf-8"
    try:
        return codecs.lookup(name).name
    except LookupError:
        wanted = "UTF-8, UTF-16 with a byte-order mark, or a declared encoding that Python knows"
        raise SourceError(where, got=f"the encoding {name!r}", wanted=wanted, do="Convert it to UTF-8.") from None


class Decoder:
    """Bytes to text, piece by piece.

    Attributes:
        damage: where bytes were replaced by U+FFFD, as offsets into the text's UTF-8; whoever uses them clears it.

    >>> decoder = Decoder("a.xml")
    >>> decoder(b"t\\xc3"), decoder(b"\\xa9 \\xff!"), decoder.damage
    ('t', 'é �!', [4])
    """

    def __init__(self, where: object, encoding: str = "") -> None:
        self.damage: list[int] = []
        self._where = where
        self._length = 0
        self._decoder = codecs.getincrementaldecoder(encoding)("strict") if encoding else None

    def __call__(self, chunk: bytes) -> str:
        """The text of the next bytes."""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(encoding_of(chunk, self._where))("strict")
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(chunk)
        except UnicodeDecodeError:
            self._decoder.setstate(state)
            text = self._located(chunk)
        self._length += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        return text

    def _located(self, chunk: bytes) -> str:
        assert self._decoder is not None
        self._decoder.errors = "gptlab-damage"
        parts = self._decoder.decode(chunk).split(_DAMAGE)
        self._decoder.errors = "strict"
        offset = self._length
        for part in parts[:-1]:
            offset += len(part.encode("utf-8", "replace"))
            self.damage.append(offset)
            offset += len("\ufffd".encode())
        return "\ufffd".join(parts)
