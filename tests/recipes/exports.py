"""A little MediaWiki export, for damaging."""

from collections.abc import Iterable
from itertools import pairwise
from xml.sax.saxutils import escape

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Little Wiki</sitename>
    <dbname>littlewiki</dbname>
    <base>https://little.invalid/wiki/Main_Page</base>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="10" case="first-letter">Template</namespace>
    </namespaces>
  </siteinfo>
"""
PAGE = """  <page>
    <title>{title}</title>
    <ns>0</ns>
    <id>{number}</id>
    <revision>
      <id>{number}</id>
      <timestamp>2026-01-01T00:00:00Z</timestamp>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">{text}</text>
    </revision>
  </page>
"""
TOWNS = [f"Town {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWX"]


def town(number: int) -> tuple[str, str]:
    """A page that links to two others."""
    name, near, far = (TOWNS[(number + step) % len(TOWNS)] for step in (0, 1, 5))
    text = f"'''{name}''' is a town by the river, near [[{near}]]. It trades with [[{far}|a far town]]. "
    return name, text + f"There is a market, a mill and a school in {name}. " * 3


TOWN_PAGES = [town(number) for number in range(len(TOWNS))]


def export(pages: Iterable[tuple[str, str]] = TOWN_PAGES) -> str:
    """An export of these titles and wikitexts."""
    body = (
        PAGE.format(number=number, title=escape(title), text=escape(text))
        for number, (title, text) in enumerate(pages, 1)
    )
    return f"{HEAD}{''.join(body)}</mediawiki>\n"


def without_links(text: str) -> str:
    return text.replace("[[", "").replace("]]", "").replace("|", " or ")


def bomb(levels: int = 9) -> str:
    """A billion laughs: each entity is ten of the one before, and a page's text asks for the last."""
    names = "abcdefghijklmnop"[: levels + 1]
    pairs = pairwise(names)
    entities = "".join(f'<!ENTITY {next_} "{f"&{name};" * 10}">' for name, next_ in pairs)
    declared = f'<?xml version="1.0"?>\n<!DOCTYPE mediawiki [<!ENTITY a "ha">{entities}]>\n'
    return declared + export().replace("a market", f"&{names[-1]};")
