"""Wikitext to Markdown with its links: a pure function of (wikitext, site), linear in time, that never raises.

Six steps, each from text to text: opaque parts hidden, templates, tags and tables, links, lines, assembly. What a
later step must not look into is a numbered mark by then (`marks`). A step is one regular expression over the whole
text with Python called only where it matches, which is what makes pure Python fast enough.
"""

import functools
import re
from collections.abc import Mapping

from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.sources.wikipedia.wikitext.assemble import assemble
from gptlab.sources.wikipedia.wikitext.lines import LineStep
from gptlab.sources.wikipedia.wikitext.links import LinkStep, Resolver
from gptlab.sources.wikipedia.wikitext.marks import Gathered, without_marks
from gptlab.sources.wikipedia.wikitext.opaque import hide_opaque
from gptlab.sources.wikipedia.wikitext.tables import drop_tables, table_rows
from gptlab.sources.wikipedia.wikitext.tags import replace_tags
from gptlab.sources.wikipedia.wikitext.template_table import renderers_for
from gptlab.sources.wikipedia.wikitext.templates import expand_templates
from gptlab.types import DocumentId, Link, document_id

_SWITCH = re.compile(r"__[^\W\d_]{3,40}__")
_VARIANT = re.compile(r"-\{([^{}]{0,2000}?)\}-")
_VARIANT_LANGUAGES = frozenset({"zh", "sr", "kk", "ku", "iu", "tg", "uz", "gan", "shi", "crh", "wuu", "sh"})


def wikitext_to_markdown(wikitext: str, site: SiteInfo) -> tuple[str, tuple[Link, ...]]:
    """One page's wikitext as Markdown, and its links as spans of it.

    Prose, headings, lists, emphasis, quotations, code and mathematics stay; templates (but those that carry prose),
    tables, references, files, categories, comments, galleries and interlanguage links go.
    `scan_links(text) == links`, whatever the input.

    Args:
        wikitext: any text at all.
        site: the wiki it comes from.

    >>> tea = "'''Tea''' is a [[drink]]{{cn}}, ''not'' a [[Mercury (planet)|planet]]."
    >>> text, links = wikitext_to_markdown(tea, SiteInfo())
    >>> print(text)
    **Tea** is a [drink](Drink), *not* a [planet](Mercury_(planet)).
    >>> [link.target for link in links]
    ['Drink', 'Mercury_(planet)']
    """
    return _default(site)(wikitext)


@functools.lru_cache(maxsize=8)
def _default(site: SiteInfo) -> "Converter":
    return Converter(site)


class Converter:
    """`wikitext_to_markdown` with its options, made once for all pages of a wiki.

    Args:
        site: the wiki.
        templates: prose templates of the user's, name to pattern, such as `{"My quote": "“{text|1}”"}`.
        namespaces: links into these are kept.
        infoboxes: whether the fields of infoboxes stay, as a list.
        tables: whether tables stay, as Markdown's.
        resolve: where a link's target leads in the end; redirects.
    """

    def __init__(
        self,
        site: SiteInfo,
        *,
        templates: Mapping[str, str] | None = None,
        namespaces: frozenset[int] = frozenset({0}),
        resolve: Resolver | None = None,
        infoboxes: bool = False,
        tables: bool = False,
    ) -> None:
        self._site = site
        self._renderers = renderers_for(site.language, tuple(sorted((templates or {}).items())), infoboxes)
        self._links = LinkStep(site, resolve, namespaces)
        self._keeps_tables = tables
        self._has_variants = site.language.partition("-")[0] in _VARIANT_LANGUAGES

    def __call__(self, wikitext: str, title: str = "") -> tuple[str, tuple[Link, ...]]:
        """Convert one page; links to its own title are plain text."""
        gathered = Gathered()
        text = without_marks(wikitext)
        if "<" in text:
            text = hide_opaque(text, gathered)
        if "{{" in text or "}}" in text:
            text = expand_templates(text, self._renderers)
        if "__" in text:
            text = _SWITCH.sub(_switch, text)
        if self._has_variants and "-{" in text:
            text = _VARIANT.sub(_variant, text)
        if "|}" in text or "{|" in text or "able" in text or "ABLE" in text:
            text = drop_tables(text, table_rows) if self._keeps_tables else drop_tables(text)
        if "<" in text:
            text = replace_tags(text)
        own = document_id(title, self._site.case_of(0)) if title else DocumentId("")
        if "[" in text or "]]" in text:
            text = self._links(text, own, gathered)
        return assemble(LineStep(gathered).run(text), gathered)


def _switch(found: re.Match[str]) -> str:
    """`__NOTOC__` and its kin in any script: all capitals, or a script without them."""
    return "" if found[0] == found[0].upper() else found[0]


def _variant(found: re.Match[str]) -> str:
    """Chinese and other script conversion, `-{zh-hans:软件;zh-hant:軟體}-`: the first form."""
    flags, bar, rules = found[1].partition("|")
    if not bar:
        flags, rules = "", found[1]
    if flags.strip() in ("H", "T", "-"):
        return ""
    first = rules.split(";")[0]
    language, colon, form = first.partition(":")
    return form.strip() if colon and re.fullmatch(r"\s*[a-z]{2,3}(-\w+)*\s*", language) else rules
