"""The wiki a dump came from: read from its `<siteinfo>`, never assumed.

Namespaces decide what a colon in a link means, the case rule decides which titles are one document, and the
language decides which letters join a link. All of them are values, so parsing stays a pure function.
"""

import functools
import re

import attrs

from gptlab.sources.wikipedia.languages import FILE_ALIASES, INTERWIKI_PREFIXES, LANGUAGE_CODES, LINK_TRAILS
from gptlab.types import CaseRule, DocumentId, document_id

FILE, CATEGORY, MEDIA = 6, 14, -2
INTERWIKI, INTERLANGUAGE = -100, -101
"""Kinds of prefix beside the namespaces' own numbers."""


@attrs.frozen(kw_only=True)
class Namespace:
    """One namespace of a wiki: its number, its local name, and how its titles' first letters are read."""

    key: int
    name: str
    case_rule: CaseRule = "first-letter"


_CANONICAL = {
    -2: "Media",
    -1: "Special",
    0: "",
    1: "Talk",
    2: "User",
    3: "User talk",
    4: "Project",
    5: "Project talk",
    6: "File",
    7: "File talk",
    8: "MediaWiki",
    9: "MediaWiki talk",
    10: "Template",
    11: "Template talk",
    12: "Help",
    13: "Help talk",
    14: "Category",
    15: "Category talk",
}


@attrs.frozen(kw_only=True)
class SiteInfo:
    """What parsing needs to know about a wiki. The default is an English wiki with the standard namespaces.

    Attributes:
        name: `<sitename>`; it is also the name of the project namespace.
        database: `<dbname>`, such as `enwiki`.
        language: the code in the export's `xml:lang`.
        case_rule: `<case>`, the rule where a namespace gives none.
        namespaces: as the dump lists them.

    >>> site = SiteInfo(language="vi", namespaces=(Namespace(key=14, name="Thể loại"),))
    >>> site.namespace_of("thể_loại") == CATEGORY, site.namespace_of("2001")
    (True, None)
    """

    name: str = "Wikipedia"
    database: str = ""
    language: str = "en"
    case_rule: CaseRule = "first-letter"
    namespaces: tuple[Namespace, ...] = ()

    def namespace_of(self, prefix: str) -> int | None:
        """The namespace, or kind of foreign wiki, that a title's prefix names; None when it names none."""
        return prefixes(self).get(" ".join(prefix.replace("_", " ").split()).lower())

    def case_of(self, namespace: int) -> CaseRule:
        """How first letters are read in this namespace."""
        return next((each.case_rule for each in self.namespaces if each.key == namespace), self.case_rule)

    def identity_of(self, title: str, namespace: int) -> DocumentId:
        """Which document a full title means, in the namespace that its prefix names: one rule for pages and links.

        >>> SiteInfo(namespaces=(Namespace(key=14, name="Thể loại"),)).identity_of("Category:tea", 14)
        'Thể_loại:Tea'
        """
        if not namespace:
            return document_id(title, self.case_of(0))
        prefix, _, rest = title.partition(":")
        name = next((each.name for each in self.namespaces if each.key == namespace), prefix)
        local = document_id(rest, self.case_of(namespace))
        return document_id(f"{name}:{local}", self.case_of(0)) if local else DocumentId("")


@functools.lru_cache(maxsize=64)
def prefixes(site: SiteInfo) -> dict[str, int]:
    """Every prefix that is no part of a title, lower case with spaces, to its namespace or kind of wiki."""
    table = dict.fromkeys(INTERWIKI_PREFIXES, INTERWIKI)
    table.update(dict.fromkeys(LANGUAGE_CODES, INTERLANGUAGE))
    names = [(name, key) for key, name in _CANONICAL.items()]
    names += [("Image", FILE), ("Image talk", FILE + 1), (site.name, 4)]
    if site.name == "Wikipedia":
        names += [("WP", 4), ("WT", 5)]
    names += [(alias.replace("_", " "), FILE) for alias in FILE_ALIASES.get(site.language, "").split()]
    names += [(each.name, each.key) for each in site.namespaces]
    table.update((" ".join(name.replace("_", " ").split()).lower(), key) for name, key in names if name)
    return table


@functools.lru_cache(maxsize=64)
def link_trail(language: str) -> re.Pattern[str]:
    """A pattern that matches the letters that join the link before them; the empty string where none do."""
    letters = LINK_TRAILS.get(language.partition("-")[0].lower(), "a-z")
    return re.compile(f"[{letters}]*" if letters else "")
