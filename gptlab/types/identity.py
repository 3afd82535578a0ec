"""Who a document is: the one function from a title to an identity.

Every layer that meets a title (a dump's `<title>`, a link's target, a redirect, a user's prompt) calls
`document_id`, so a link and the page it means cannot disagree. Two "matching" copies of such a function are
how a corpus gets two ids for `Cat`.
"""

import re
import unicodedata
from typing import Literal, NewType

DocumentId = NewType("DocumentId", str)
"""A canonical title: NFC, underscores for spaces, first letter by the wiki's own rule. `WHO` is not `Who`."""

CaseRule = Literal["first-letter", "case-sensitive"]
"""MediaWiki's two rules: fold the first letter to upper case (Wikipedia), or fold nothing (Wiktionary)."""

# MediaWiki's own set (includes/title/MediaWikiTitleCodec.php): every space-like character is an underscore,
# and direction marks, which copy and paste leaves behind, are dropped.
_SPACES = re.compile(r"[ _\u00A0\u1680\u180E\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\t\n\r]+")
_DIRECTION_MARKS = re.compile(r"[\u200E\u200F\u202A-\u202E]")


def document_id(title: str, case_rule: CaseRule = "first-letter") -> DocumentId:
    """The identity of the document with this title.

    Nothing else is folded: case after the first letter, punctuation and diacritics tell documents apart.
    The function is idempotent, so an identity may be passed where a title is asked for.

    Args:
        title: as written in a dump, a link or a prompt; spaces and underscores are the same.
        case_rule: the wiki's `<case>` of the title's namespace.

    Returns:
        The identity; empty only when the title holds nothing but spaces.

    Source: https://www.mediawiki.org/wiki/Manual:Page_title

    >>> document_id("alan  Turing"), document_id("WHO") == document_id("Who")
    ('Alan_Turing', False)
    """
    if title.isascii():  # nothing to compose: as below, at a third of its price
        clean = title.replace(" ", "_")
        if "__" in clean or not clean.isprintable():
            clean = _SPACES.sub("_", clean)
        clean = clean.strip("_")
        return DocumentId(clean[:1].upper() + clean[1:] if case_rule == "first-letter" else clean)
    composed = unicodedata.normalize("NFC", _DIRECTION_MARKS.sub("", title))
    clean = _SPACES.sub("_", composed).strip("_")
    if case_rule == "first-letter" and clean:
        first = clean[0].upper()
        # MediaWiki keeps a letter whose upper case is several letters (the German sharp s, say).
        clean = (first if len(first) == 1 else clean[0]) + clean[1:]
    return DocumentId(unicodedata.normalize("NFC", clean))
