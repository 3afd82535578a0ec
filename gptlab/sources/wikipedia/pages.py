"""What a page of a dump is: which document, why none, and of what kind."""

import re

from gptlab.sources.wikipedia.export import Page
from gptlab.sources.wikipedia.siteinfo import SiteInfo, prefixes
from gptlab.types import DocumentId
from gptlab.types.records import Flag

DAMAGED = "bytes that are no text, replaced by U+FFFD (page kept)"
TWICE = "second page of one title"


def identity_in(page: Page, site: SiteInfo, namespaces: frozenset[int]) -> DocumentId:
    """The identity of a page, or nothing when it lies in no wanted namespace."""
    namespace = page.namespace
    if namespace is None:
        prefix, colon, _ = page.title.partition(":")
        named = prefixes(site).get(prefix.lower()) if colon else None
        namespace = named if named is not None and named > 0 else 0
    return site.identity_of(page.title, namespace) if namespace in namespaces else DocumentId("")


def left_out_because(page: Page, identity: DocumentId) -> str:
    """Why a page is no document; the empty string when it is one."""
    if not identity:
        return "page of another namespace"
    if page.redirect is not None:
        return "redirect (links to it lead to its target)"
    if page.model != "wikitext":
        return "page that is no wikitext"
    return "page whose text the dump lacks" if page.text is None else ""


_DISAMBIGUATION = re.compile(
    r"__DISAMBIG__|\{\{\s*(?:[\w -]{0,30}\bdisambig(?:uation)?\b|hndis|geodis|disamb|dab|begriffsklärung|homonymie"
    r"|desambiguación|desambiguação|disambigua|неоднозначность|(?:trang )?định hướng|توضيح|बहुविकल्पी|消歧义|消歧義)\b",
    re.IGNORECASE,
)
_IN_TITLE = re.compile(
    r" \((?:disambiguation|định hướng|Begriffsklärung|homonymie|значения|توضيح|बहुविकल्पी|消歧义|消歧義)\)$"
)
_LIST = {
    "en": r"Lists? of |Outline of |Index of ",
    "simple": r"Lists? of ",
    "vi": r"Danh sách ",
    "de": r"Liste ",
    "fr": r"Listes? ",
    "es": r"Anexo:|Lista ",
    "ru": r"Список ",
    "ar": r"قائمة ",
}


def flags_of(title: str, wikitext: str, language: str) -> frozenset[Flag]:
    """What kind of page it is, where a traversal may want to leave it out.

    >>> flags_of("List of rivers", "", "en"), flags_of("Ada", "{{disambig}}", "en")
    (frozenset({'list'}), frozenset({'disambiguation'}))
    """
    flags: set[Flag] = set()
    if _IN_TITLE.search(title) or _DISAMBIGUATION.search(wikitext):
        flags.add("disambiguation")
    if language in _LIST and re.match(_LIST[language], title):
        flags.add("list")
    return frozenset(flags)
