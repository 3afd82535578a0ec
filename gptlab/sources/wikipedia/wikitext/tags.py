"""HTML tags: a few say how prose looks and become wikitext or Markdown, the rest of the known ones just go.

Names that are no HTML stay: `a <b` in a formula and `<stdio.h>` are prose, as they are to MediaWiki.
"""

import re

from gptlab.sources.wikipedia.wikitext.marks import BREAK, JOINT, QUOTE_END, QUOTE_START, joint
from gptlab.sources.wikipedia.wikitext.template_functions import subscript, superscript

_SCRIPT = re.compile(r"<(su[pb])\b[^<>]*>([^<>]{0,40})</\1\s*>", re.IGNORECASE)
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9]*)(?=[\s/>])[^<>]*>")

_BECOMES: dict[str, tuple[str, str]] = {
    "br": (BREAK, BREAK),
    "hr": ("\n\n", "\n\n"),
    "p": ("\n\n", "\n\n"),
    "i": ("''", "''"),
    "em": ("''", "''"),
    "cite": ("", ""),
    "var": ("''", "''"),
    "dfn": ("''", "''"),
    "b": ("'''", "'''"),
    "strong": ("'''", "'''"),
    "q": ('"', '"'),
    "li": ("\n* ", "\n"),
    "ul": ("\n", "\n"),
    "ol": ("\n", "\n"),
    "dl": ("\n", "\n"),
    "dt": ("\n;", "\n"),
    "dd": ("\n:", "\n"),
    "div": ("\n", "\n"),
    "blockquote": (f"\n{QUOTE_START}\n", f"\n{QUOTE_END}\n"),
    "h1": ("\n= ", " =\n"),
    "h2": ("\n== ", " ==\n"),
    "h3": ("\n=== ", " ===\n"),
    "h4": ("\n==== ", " ====\n"),
    "h5": ("\n===== ", " =====\n"),
    "h6": ("\n====== ", " ======\n"),
    "tr": ("\n", ""),
    "td": (" ", " "),
    "th": (" ", " "),
}
_GO_TEXT = """
    a abbr acronym address area article aside audio bdi bdo big body button caption center col colgroup data
    del details dir embed fieldset figcaption figure font footer form frame frameset head header html iframe
    img input ins kbd label legend link main map mark menu meta nav noframes noscript object option param
    picture rb rbc rp rt rtc ruby s samp script section select small source span strike style sub summary sup
    svg table tbody textarea tfoot thead time title track tt u video wbr code nowiki pre math chem ce
    syntaxhighlight ref references gallery timeline imagemap score graph templatedata mapframe maplink
    inputbox categorytree hiero indicator templatestyles includeonly noinclude onlyinclude dynamicpagelist rss
    quiz charinsert phonos poem langconvert translate languages tvar
"""
_INSTEAD = {
    f"{slash}{name}": both[bool(slash)]
    for name, both in (dict.fromkeys(_GO_TEXT.split(), ("", "")) | _BECOMES).items()
    for slash in ("", "/")
}
"""What stands for a tag, by its name, with the slash of one that closes."""


def replace_tags(text: str) -> str:
    """The text with tags replaced by what they mean.

    >>> replace_tags("H<sub>2</sub>O, 10<sup>6</sup>, <b>bold</b>, <span class=x>1<sup>st</sup></span>, <stdio.h>")
    "H₂O, 10⁶, '''bold''', 1st, <stdio.h>"
    """
    if "<su" in text or "<SU" in text:
        text = _SCRIPT.sub(_script, text)
    if "'<" in text or ">'" in text:
        return _TAG.sub(_tag, text)
    return _TAG.sub(_tag_apart, text)


def _script(found: re.Match[str]) -> str:
    inside = found[2].strip()
    if "''" in inside:
        return f"{JOINT}{inside}{JOINT}"
    return superscript(inside) if found[1].lower() == "sup" else subscript(inside)


def _tag(found: re.Match[str]) -> str:
    """What stands for a tag: never nothing between quote marks."""
    return _tag_apart(found) or joint(found.string, found.start(), found.end())


def _tag_apart(found: re.Match[str]) -> str:
    """The same where no tag stands between quote marks."""
    instead = _INSTEAD.get(found[1])
    return _INSTEAD.get(found[1].lower(), found[0]) if instead is None else instead
