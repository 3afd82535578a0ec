"""What the origin publishes: one dump of one wiki as files, each with the hash that it must have."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

import attrs

from gptlab.sources.errors import SourceError

Layout = Literal["multistream", "content"]
Algorithm = Literal["sha1", "sha256"]
Ask = Callable[[str], str | None]
"""Gives the text at a path below the origin, or None where there is nothing."""
Measure = Callable[[str], int | None]
"""Gives the size of the file at a path below the origin, or None where it does not say."""

_DIGITS: Mapping[Algorithm, int] = {"sha1": 40, "sha256": 64}


@attrs.frozen(kw_only=True)
class RemoteFile:
    """One file of a dump.

    Attributes:
        path: below the origin, or below a mirror.
        digest: its hash in hexadecimal digits, as the origin publishes it.
        size: bytes; None where the origin does not say.
        is_index: whether it is the index of a multistream dump, and holds no pages.
    """

    path: str
    algorithm: Algorithm
    digest: str
    size: int | None = None
    is_index: bool = False

    @property
    def name(self) -> str:
        """What the file is called, here as there."""
        return self.path.rpartition("/")[2]


@attrs.frozen(kw_only=True)
class Release:
    """One dump of one wiki: all its files, those with pages in the order of their pages."""

    wiki: str
    date: str
    layout: Layout
    files: tuple[RemoteFile, ...]


class Incomplete(Exception):  # noqa: N818 - not an error where another date will do
    """There is no whole dump of this date, for a reason that a person can read."""


def dates_in(listing: str | None, pattern: str, form: str) -> list[str]:
    """The dates that a folder's listing links to, newest first.

    >>> dates_in('<a href="20261001/">x</a> <a href="20261101/">y</a> <a href="20269901/">z</a>', r"\\d{8}", "%Y%m%d")
    ['20261101', '20261001']
    """
    found = re.findall(rf"""(?i)href\s*=\s*["'](?:[^"'?#]*/)?({pattern})/["']""", listing or "")
    return sorted({date for date in found if is_date(date, form)}, reverse=True)


def is_date(text: str, form: str) -> bool:
    """Whether a text is a day of the calendar in this form.

    >>> is_date("20260229", "%Y%m%d"), is_date("2026-02-28", "%Y-%m-%d")
    (False, True)
    """
    try:
        return datetime.strptime(text, form).strftime(form) == text
    except ValueError:
        return False


def hashes(text: str, algorithm: Algorithm, prefix: str, where: str) -> dict[str, str]:
    """File name to hash, from a list as `sha1sum` and `sha256sum` write it, of the names that begin with `prefix`.

    A list that was cut off is refused: a cut line is no hash, and where the list says which files there are, a
    shorter one would silently be a smaller dump.

    Raises:
        SourceError: a line is no hash and name, or its name is cut.

    >>> hashes(f"{'ab' * 20}  teawiki-20261101-a.bz2\\n", "sha1", "teawiki-20261101-", "sums")
    {'teawiki-20261101-a.bz2': 'abababababababababababababababababababab'}
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(rf"([0-9a-fA-F]{{{_DIGITS[algorithm]}}})[ \t]+\*?(?:\./)?(\S+)", line.strip())
        if match is None or (prefix.startswith(match[2]) or (match[2].startswith(prefix) and "." not in match[2])):
            raise SourceError(
                f"{where}, line {number}",
                got=repr(line[:120]),
                wanted=f"a {algorithm} and the name of a file",
                do="The list of hashes is cut off or damaged: try again later, or give the date of another dump.",
            )
        if match[2].startswith(prefix):
            found[match[2]] = match[1].lower()
    return found
