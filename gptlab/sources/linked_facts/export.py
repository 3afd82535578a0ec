"""The world as a standard MediaWiki export, schema 0.11, written page by page.

Follows what `dumpBackup.php --current` writes (https://www.mediawiki.org/wiki/Help:Export), so that whatever reads
Wikipedia's dumps reads this.
"""

import hashlib
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

_NAMESPACES = (
    (-2, "Media"), (-1, "Special"), (0, ""), (1, "Talk"), (2, "User"), (3, "User talk"), (4, "Project"),
    (5, "Project talk"), (6, "File"), (7, "File talk"), (8, "MediaWiki"), (9, "MediaWiki talk"), (10, "Template"),
    (11, "Template talk"), (12, "Help"), (13, "Help talk"), (14, "Category"), (15, "Category talk"),
)  # fmt: skip
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def write_header(out: TextIO) -> None:
    """The root element and the site's name, namespaces and case rule."""
    names = "".join(
        f'      <namespace key="{key}" case="first-letter"' + (f">{name}</namespace>\n" if name else " />\n")
        for key, name in _NAMESPACES
    )
    out.write(
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.mediawiki.org/xml/export-0.11/ '
        'http://www.mediawiki.org/xml/export-0.11.xsd" version="0.11" xml:lang="en">\n'
        "  <siteinfo>\n    <sitename>Linked Facts</sitename>\n    <dbname>linkedfacts</dbname>\n"
        "    <base>https://linkedfacts.example/wiki/Main_Page</base>\n    <generator>gptlab</generator>\n"
        f"    <case>first-letter</case>\n    <namespaces>\n{names}    </namespaces>\n  </siteinfo>\n"
    )


def write_page(
    out: TextIO, *, page_id: int, title: str, wikitext: str, redirect: str = "", namespace: int = 0
) -> None:
    """One `<page>` with its only revision."""
    content = wikitext.encode()
    sha1 = _base36(int.from_bytes(hashlib.sha1(content, usedforsecurity=False).digest())).zfill(31)
    leads_to = f"    <redirect title={quoteattr(redirect)} />\n" if redirect else ""
    out.write(
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{page_id}</id>\n{leads_to}"
        f"    <revision>\n      <id>{page_id}</id>\n      <timestamp>2024-01-01T00:00:00Z</timestamp>\n"
        "      <contributor>\n        <username>Editor</username>\n        <id>1</id>\n      </contributor>\n"
        f"      <origin>{page_id}</origin>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(content)}" sha1="{sha1}" xml:space="preserve">{escape(wikitext)}</text>\n'
        f"      <sha1>{sha1}</sha1>\n    </revision>\n  </page>\n"
    )


def write_footer(out: TextIO) -> None:
    """The end of the root element; a file without it was cut."""
    out.write("</mediawiki>\n")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
