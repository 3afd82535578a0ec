"""Who asks: every request carries it, so that Wikimedia can reach whoever runs a download that does harm.

It is asked for once: given to any download it is kept beside the dumps, and later ones find it there. There is no
default, because nobody else can answer for a run.
"""

import re
from pathlib import Path

from gptlab.sources.errors import SourceError
from gptlab.storage import write_atomically

_CONTACT = re.compile(r"(?:[^\s()@<>]+@[^\s()@<>]+\.[^\s()@<>]+|https?://[^\s()<>]+\.[^\s()<>]+|User:[^\s()<>]+)")
_FILE = "contact.txt"


def is_contact(text: str) -> bool:
    """Whether a text can stand in a User-Agent and names somebody: mail, a web page, or a wiki's user page.

    >>> is_contact("ann@example.org"), is_contact("https://example.org/ann"), is_contact("User:Ann"), is_contact("me")
    (True, True, True, False)
    """
    return text.isascii() and text.isprintable() and len(text) <= 200 and _CONTACT.fullmatch(text) is not None


def known_contact(given: str | None, folder: Path) -> str:
    """The contact given, which is kept in `folder`, or the one kept earlier.

    Raises:
        SourceError: there is neither.
    """
    path = folder / _FILE
    kept = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if given is not None:
        if given != kept:
            write_atomically(path, given + "\n")
        return given
    if not is_contact(kept):
        raise SourceError(
            "WikipediaDownload.contact",
            got=f"{kept!r} in {path}" if kept else "none",
            wanted="an address at which Wikimedia can reach you, such as you@university.edu",
            do="Give it once, as contact=... or --contact ...: it is kept beside the dumps, and sent along.",
        )
    return kept
