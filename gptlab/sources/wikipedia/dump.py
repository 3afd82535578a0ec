"""`WikipediaDump`: a MediaWiki export as documents, their links resolved through redirects.

Two passes the first time, one from then on (see `redirects`). Nothing is held but the page being read, so memory is
flat over a dump of any length. Whatever is not a document is counted with its reason and shown.
"""

import hashlib
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.export import Page, read_export
from gptlab.sources.wikipedia.opening import open_raw
from gptlab.sources.wikipedia.redirects import KIND, Redirects, build_redirects, title_hash
from gptlab.sources.wikipedia.siteinfo import SiteInfo, prefixes
from gptlab.sources.wikipedia.wikitext import Converter
from gptlab.storage import LOCATION, FromMapping
from gptlab.types import Document, DocumentId
from gptlab.types.records import Flag

_SAMPLED = 1 << 20
"""Bytes at each end of a dump that go into its fingerprint."""
_EDITION = "1"
"""Raised whenever the same dump comes to give other documents."""


def _namespaces(value: object) -> frozenset[int]:
    if isinstance(value, (set, frozenset, list, tuple)) and value and all(isinstance(each, int) for each in value):
        return frozenset(value)
    raise SourceError(
        "WikipediaDump.namespaces", got=repr(value), wanted="a set of namespace numbers", do="Give {0} for articles."
    )


@attrs.frozen(kw_only=True)
class WikipediaDump:
    """The documents of a MediaWiki XML export, plain, .bz2, .gz or .xz, of any wiki in any language.

    Attributes:
        path: the dump. What it is called does not matter: its first bytes say how it is compressed.
        namespaces: which pages are documents; 0 holds the articles.
        templates: how further templates read in prose, such as `{"My quote": "“{text|1}”"}`; an empty pattern
            drops a template that would be rendered.
        cache: where the table of redirects is kept, and found again.

    A damaged byte becomes U+FFFD and its page is counted. A dump that is cut off gives its complete pages and says
    where it was cut. Of two pages with one identity the later is dropped and counted.

    >>> sorted(WikipediaDump(path=Path("simplewiki.xml.bz2")).namespaces)
    [0]
    """

    path: Path = attrs.field(converter=Path, metadata=LOCATION)
    namespaces: frozenset[int] = attrs.field(default=frozenset({0}), converter=_namespaces)
    templates: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    def content_fingerprint(self) -> str:
        """What the dump holds, without reading all of it: size, time of change, first and last MiB.

        Raises:
            SourceError: when it cannot be read.
        """
        with open_raw(self.path) as file:
            status = self.path.stat()
            digest = hashlib.sha256(f"{_EDITION} {status.st_size} {status.st_mtime_ns} ".encode())
            digest.update(file.read(_SAMPLED))
            file.seek(max(0, status.st_size - _SAMPLED))
            digest.update(file.read(_SAMPLED))
        return digest.hexdigest()[:32]

    def pre_cache(self) -> None:
        """Find all redirects, unless an earlier run has."""
        build_redirects(self._table(), self._identified())

    def get_data_generator(self) -> Iterator[Document]:
        """The documents, in the order of the dump.

        Raises:
            SourceError: when the dump is missing, empty, damaged, no export, or declares a document type.
        """
        self.pre_cache()
        redirects = Redirects.open(self._table())
        redirects.report()
        left_out = _LeftOut()
        seen: set[int] = set()
        convert: Converter | None = None
        try:
            with closing(read_export(self.path)) as pages:
                for site, page in pages:
                    convert = convert or self._converter(site, redirects)
                    identity = identity_in(page, site, self.namespaces)
                    reason = _left_out_because(page, identity)
                    if not reason and redirects.twice and (key := title_hash(identity)) in redirects.twice:
                        reason = "second page of one title" if key in seen else ""
                        seen.add(key)
                    if reason:
                        left_out.count(reason, page.title)
                        continue
                    if page.damaged:
                        left_out.count("bytes that are no text, replaced by U+FFFD (page kept)", page.title)
                    yield _document(identity, page, convert, site)
        finally:
            left_out.report()

    __or__ = then
    initialize = FromMapping()

    def _table(self) -> Path:
        key = f"{self.content_fingerprint()} {sorted(self.namespaces)}"
        return self.cache / f"{KIND}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    def _converter(self, site: SiteInfo, redirects: Redirects) -> Converter:
        return Converter(site, templates=self.templates, namespaces=self.namespaces, resolve=redirects)

    def _identified(self) -> Generator[tuple[SiteInfo, Page, DocumentId], None, None]:
        with closing(read_export(self.path, "find redirects", quiet=True)) as pages:
            for site, page in pages:
                identity = identity_in(page, site, self.namespaces)
                if identity and (page.redirect is not None or not _left_out_because(page, identity)):
                    yield site, page, identity


def identity_in(page: Page, site: SiteInfo, namespaces: frozenset[int]) -> DocumentId:
    """The identity of a page, or nothing when it lies in no wanted namespace."""
    namespace = page.namespace
    if namespace is None:
        prefix, colon, _ = page.title.partition(":")
        named = prefixes(site).get(prefix.lower()) if colon else None
        namespace = named if named is not None and named > 0 else 0
    return site.identity_of(page.title, namespace) if namespace in namespaces else DocumentId("")


def _left_out_because(page: Page, identity: DocumentId) -> str:
    """Why a page is no document; the empty string when it is one."""
    if not identity:
        return "page of another namespace"
    if page.redirect is not None:
        return "redirect (links to it lead to its target)"
    if page.model != "wikitext":
        return "page that is no wikitext"
    return "page whose text the dump lacks" if page.text is None else ""


def _document(identity: DocumentId, page: Page, convert: Converter, site: SiteInfo) -> Document:
    wikitext = page.text or ""
    text, links = convert(wikitext, page.title)
    return Document(
        id=identity, title=page.title, text=text, links=links, flags=flags_of(page.title, wikitext, site.language)
    )


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


class _LeftOut:
    """Counts by reason, told to the observer at the end: one line each, not one per page."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, str]] = {}

    def count(self, reason: str, example: str) -> None:
        number, first = self._counts.get(reason, (0, example))
        self._counts[reason] = (number + 1, first)

    def report(self) -> None:
        for reason, (number, example) in self._counts.items():
            drop(reason, count=number, example=example)
