"""Fourth step: links. Internal ones become marks, files and categories go, external ones keep their label.

Innermost links are resolved first, so a caption's own links are marks by the time the caption's end is found, and go
with it. What a link means is MediaWiki's rule: the prefix before the first colon counts only where it names a
namespace or a foreign wiki (`2001: A Space Odyssey` is a title), the fragment after `#` is no part of the target, a
leading colon makes a mention of what would be an inclusion.

Source: https://www.mediawiki.org/wiki/Help:Links
"""

import re
from collections.abc import Callable
from urllib.parse import unquote

from gptlab.sources.wikipedia.siteinfo import CATEGORY, FILE, INTERLANGUAGE, SiteInfo, link_trail, prefixes
from gptlab.sources.wikipedia.wikitext.emphasis import emphasis
from gptlab.sources.wikipedia.wikitext.entities import decode_entities
from gptlab.sources.wikipedia.wikitext.marks import HOLE, JOINT, LINK, OPAQUE, Gathered
from gptlab.types import DocumentId, document_id

LONGEST_TITLE = 255
"""Bytes of UTF-8: MediaWiki's limit; a longer target is no link."""

_EXTERNAL = re.compile(
    r"\[((?:https?:|ftps?:|sftp:|mailto:|news:|ircs?:|gopher:|git:|svn:|magnet:|urn:|geo:|tel:|xmpp:|ssh:|bitcoin:)?"
    r"(?<=:)[^\s\[\]<>\"\x05]*|//[^\s\[\]<>\"\x05]+)[ \t\x05]*((?:[^\[\]\n]|\[[^\[\]\n]*\])*+)\]",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f<>\[\]{}|\ufffd]")
_DOTS = frozenset({".", ".."})
_PIPE_TRICK = re.compile(r"^:?(?:[^:]{0,80}:)?\s*(.*?)\s*(?:\([^()]*\)|,.*)?$", re.DOTALL)
_LEAF = r"\[\[([^\[\]]*)\]\]"
_WITH_BRACKETS = re.compile(r"\[\[((?:[^\[\]]|\[(?!\[)[^\[\]]*\]|\](?!\]))*+)\]\]")

Resolver = Callable[[DocumentId], DocumentId]
"""From a link's target to where it leads in the end: redirects."""


class LinkStep:
    """The step for one site; `resolve` follows redirects. Built once, used for every page."""

    def __init__(self, site: SiteInfo, resolve: Resolver | None = None, namespaces: frozenset[int] = frozenset({0})):
        self._site = site
        self._prefixes = prefixes(site)
        self._resolve = resolve
        self._namespaces = namespaces
        self._case = site.case_of(0)
        trail = link_trail(site.language).pattern
        self._leaf = re.compile(f"{_LEAF}({trail})")
        self._meanings: dict[str, tuple[int, str, str]] = {}

    def __call__(self, text: str, own: DocumentId, gathered: Gathered) -> str:
        """Replace every link of one page.

        Args:
            text: wikitext without templates and tables.
            own: the page's identity; a link to it is plain text.
            gathered: receives the links.
        """

        def leaf(found: re.Match[str]) -> str:
            return self._link(found[1], found[2], own, gathered)

        if "]]" in text:
            text = self._leaf.sub(leaf, text)
        if "//" in text or "mailto:" in text:
            text = _EXTERNAL.sub(_external, text)
        for _ in range(3):
            if "[[" not in text or "]]" not in text:
                break
            text, count = _WITH_BRACKETS.subn(lambda found: self._link(found[1], "", own, gathered), text)
            if not count:
                break
        return text.replace("[[", "").replace("]]", "")

    def _link(self, inside: str, trail: str, own: DocumentId, gathered: Gathered) -> str:
        written, bar, anchor = inside.partition("|")
        kind, title, shown = self._meanings.get(written) or self._read(written)
        if not bar:
            anchor = shown
        elif not anchor:
            anchor = _pipe_trick(written)
        if kind != _TARGET:
            return anchor + trail if kind == _WORDS else trail
        if title == own:
            return anchor + trail
        if not anchor.isprintable():
            if LINK in anchor:
                return anchor + trail
            anchor = anchor.replace(HOLE, "")
        if "''" in anchor:
            anchor = emphasis(anchor)
        anchor = anchor.replace(JOINT, "")
        return gathered.link(anchor + trail, DocumentId(title)) if anchor.strip() else anchor

    def _read(self, written: str) -> tuple[int, str, str]:
        """The part before the bar: (`_TARGET`, identity) or another kind and nothing; as it reads. Remembered."""
        kind, title = self._meaning(written)
        if kind in (FILE, CATEGORY, INTERLANGUAGE):
            kind = _NOTHING
        meaning = kind, title, self._shown(written)
        if len(self._meanings) < 1 << 17 and len(written) < 128:
            self._meanings[written] = meaning
        return meaning

    def _meaning(self, written: str) -> tuple[int, str]:
        title = decode_entities(written) if "&" in written else written
        if "%" in title:
            title = unquote(title)
        title = title.strip(" _\t\n")
        mentioned = title.startswith(":")
        title = title.partition("#")[0].lstrip(": _") if mentioned else title.partition("#")[0]
        namespace = 0
        prefix, colon, _ = title.partition(":")
        if colon:
            named = self._prefixes.get(" ".join(prefix.replace("_", " ").split()).lower())
            if named is not None:
                if named in (FILE, CATEGORY, INTERLANGUAGE) and not mentioned:
                    return named, ""
                namespace = named
        if namespace not in self._namespaces or OPAQUE in title or HOLE in title or "\n" in title or "''" in title:
            return _WORDS, ""
        target = self._site.identity_of(title, namespace) if namespace else document_id(title, self._case)
        too_long = len(target) * 4 > LONGEST_TITLE and len(target.encode()) > LONGEST_TITLE
        if not target or too_long or target in _DOTS or _FORBIDDEN.search(target):
            return _WORDS, ""
        return _TARGET, target if self._resolve is None else self._resolve(target)

    def _shown(self, written: str) -> str:
        """What a link without a bar reads like."""
        shown = written.strip(" _\t\n").replace("_", " ")
        return shown[1:].lstrip() if shown.startswith(":") else shown


_TARGET, _WORDS, _NOTHING = 1000, 1001, 1002


def _pipe_trick(written: str) -> str:
    found = _PIPE_TRICK.match(written.replace("_", " ").strip())
    return (found[1] if found else "") or written


def _external(found: re.Match[str]) -> str:
    return found[2]
