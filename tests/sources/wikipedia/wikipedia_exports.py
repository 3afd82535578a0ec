"""Small exports written by the tests themselves."""

from xml.sax.saxutils import escape, quoteattr

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
<siteinfo><sitename>Teapedia</sitename><dbname>teawiki</dbname><case>first-letter</case><namespaces>
<namespace key="0" case="first-letter" /><namespace key="4" case="first-letter">Teapedia</namespace>
<namespace key="14" case="first-letter">Sort</namespace>
<namespace key="100" case="case-sensitive">Portal</namespace></namespaces></siteinfo>
"""


def page(title: str, text: str = "Tea.", *, ns: int | None = 0, redirect: str = "", model: str = "wikitext") -> str:
    """One `<page>` of an export."""
    space = "" if ns is None else f"<ns>{ns}</ns>"
    target = f"<redirect title={quoteattr(redirect)} />" if redirect else ""
    return (
        f"<page><title>{escape(title)}</title>{space}<id>1</id>{target}<revision><id>2</id><contributor><username>"
        f"Ann</username><id>3</id></contributor><comment>x</comment><model>{model}</model>"
        f'<text bytes="1" xml:space="preserve">{escape(text)}</text></revision></page>\n'
    )


def export(*pages: str) -> str:
    """A whole export."""
    return HEAD + "".join(pages) + "</mediawiki>\n"
