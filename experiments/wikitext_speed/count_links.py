"""How many prose links does the parser keep, and how much markup does it leave? Counted by another definition.

    python experiments/wikitext_speed/count_links.py DUMP [DUMP ...]

The counter shares no code with the parser. It takes from a page what is not prose, by repeated removal of the
innermost (comments, opaque tags, references, templates, tables), then walks the brackets character by character, and
counts a link where the outermost bracket is no file, category or language link. A link is *kept* when the parser's
document has as many links to the same title. Left-overs are counted outside code and mathematics.
"""

import bz2
import collections
import json
import re
import sys
import time
import unicodedata
import urllib.parse
from html import unescape
from pathlib import Path

from gptlab.sources.wikipedia import Converter, SiteInfo
from gptlab.sources.wikipedia.export import Page, read_export

OPAQUE = """nowiki pre math chem ce syntaxhighlight source gallery timeline imagemap score graph templatedata mapframe
    maplink includeonly ref references hiero"""
FILES = ("file", "image", "category", "hình", "tập tin", "thể loại")
WORDS = """wikt wiktionary s wikisource wp wikiquote q commons w species wikispecies v wikibooks b doi hdl m metawiki
    wikipedia meta mailarchive arxiv wikispot sourceforge special talk template user d c"""
LANGUAGES = """en fr de zh es it he nl ja pl fi sv th ru el no bg da te vi ceb war ar eo eu hu ml pt hi ka arz my nap
    lt be-x-old"""
LEFT_OVERS = {
    "braces": r"\{\{|\}\}|\{\||\|\}",
    "brackets": r"\[\[(?!\[?[^\[\]]*\]\()|(?<!\))\]\]",
    "tags": r"</?(?:ref|br|sup|sub|math|small|code|blockquote|span|gallery|div|nowiki|li|ul|ol|center|poem|s|source"
    r"|big|i|b|u|table|tr|td|th|font|p|hr|tt|cite|references|onlyinclude|includeonly|noinclude|syntaxhighlight|em|strong"
    r"|var)\b[^<>]*>|<!--",
    "entities": r"&(?:[a-zA-Z]{2,10}|#\d+|#x[0-9a-fA-F]+);",
    "quote marks": r"'{2,}",
    "file names": r"\|thumb|\.(?:jpe?g|png|svg|gif|ogg|ogv|webm|tiff?)\b|\[\[?(?:File|Image|Category):",
    "table rows": r"(?m)^\s*(?:\|.*|!.*(?:!!|\|).*)$",
    "empty brackets": r"\(\s*[,;:]\s*|\[\s*\](?!\()|[,;]\s*\)",
    "switches": r"__[A-Z]{3,}__",
}


def prose(wikitext: str) -> str:
    """What is left when everything that is no prose is taken out, innermost first."""
    text = re.sub(r"(?s)<!--.*?(?:-->|\Z)", "", wikitext)
    for tag in OPAQUE.split():
        text = re.sub(rf"(?is)<{tag}(?=[\s/>])[^>]*?(?:/>|>.*?</{tag}\s*>)", " ", text)
    text = re.sub(r"(?is)<code>(?:(?!\[\[).)*?</code>", " ", text)
    for pattern in (r"\{\{\{[^{}]*\}\}\}", r"\{\{(?:[^{}]|\{(?!\{)|\}(?!\}))*\}\}",
                    r"(?m)^[ \t:*#]*\{\|(?:(?!^[ \t:*#]*\{\||^[ \t]*\|\})[\s\S])*?^[ \t]*\|\}",
                    r"(?is)<table\b[^>]*>(?:(?!<table\b).)*?</table>"):  # fmt: skip
        count = 1
        while count:
            text, count = re.subn(pattern, " ", text)
    return text


def linked_titles(wikitext: str, names: dict[str, str], own: str) -> collections.Counter[str]:
    """Titles of the prose links of one page, counted by walking its brackets."""
    text = prose(wikitext)
    found: collections.Counter[str] = collections.Counter()
    stack: list[tuple[int, list[str]]] = []
    index = 0
    while index < len(text) - 1:
        pair = text[index : index + 2]
        if pair == "[[":
            stack.append((index + 2, []))
            index += 2
        elif pair == "]]" and stack:
            start, inner = stack.pop()
            kind, title = meaning(text[start:index], names)
            mine = [] if kind == "gone" else inner or ([title] if kind == "link" and title != own else [])
            if stack:
                stack[-1][1].extend(mine)
            else:
                found.update(mine)
            index += 2
        else:
            index += 1
    for _, inner in stack:
        found.update(inner)
    return found


def meaning(inside: str, names: dict[str, str]) -> tuple[str, str]:
    """(`link`, title), (`gone`, "") or (`words`, "")."""
    before, bar, after = inside.partition("|")
    target = unescape(before)
    lead = target.strip().startswith(":")
    target = target.strip(" _:\n") if lead else target.strip(" _\n")
    head, colon, _ = target.partition(":")
    if colon:
        kind = names.get(head.replace("_", " ").strip().lower(), "")
        if kind:
            return ("words" if kind == "words" or lead else "gone"), ""
    if "%" in target:
        target = urllib.parse.unquote(target)
    title = " ".join(target.split("#")[0].replace("_", " ").replace("\xa0", " ").split())
    title = "".join(letter for letter in title if letter not in "\u200e\u200f")
    if not title or "\n" in target or re.search(r"[<>\[\]{}|]", title) or (bar and not after.strip()):
        return "words", ""
    first = title[0].upper() if len(title[0].upper()) == 1 else title[0]
    return "link", unicodedata.normalize("NFC", first + title[1:]).replace(" ", "_")


def prefix_names(site: SiteInfo) -> dict[str, str]:
    """Prefixes by what becomes of their links, from the dump's own list and the prefixes seen in the samples."""
    names = {each.name.lower(): "words" for each in site.namespaces if each.name}
    names |= dict.fromkeys(WORDS.split(), "words")
    return names | dict.fromkeys([*FILES, *LANGUAGES.split()], "gone")


def left_overs(text: str) -> dict[str, int]:
    """Pieces of markup in a finished document, by kind."""
    plain = re.sub(r"(?s)```.*?```|``.*?``|`[^`\n]*`|\$\$?[^$\n]+\$\$?", " ", text)
    return {kind: len(re.findall(pattern, plain)) for kind, pattern in LEFT_OVERS.items()}


def measure(path: Path) -> dict[str, object]:
    """All figures for one dump."""
    pages = [(site, page) for site, page in read_export(path) if page.namespace == 0 and page.redirect is None]
    site = pages[0][0]
    names, convert = prefix_names(site), Converter(site)
    wanted = kept = total = 0
    leavings: collections.Counter[str] = collections.Counter()
    lost: list[str] = []
    for _, page in pages:
        own = page.title.replace(" ", "_")
        text, links = convert(page.text or "", page.title)
        here = linked_titles(page.text or "", names, own)
        there = collections.Counter(str(link.target) for link in links)
        wanted += here.total()
        kept += (here & there).total()
        total += len(links)
        lost += [f"{page.title}: {title}" for title in (here - there)]
        leavings.update(left_overs(text))
    best = min(timed(convert, pages) for _ in range(5))
    size = sum(len((page.text or "").encode()) for _, page in pages)
    return {
        "dump": path.name,
        "documents": len(pages),
        "wikitext_bytes": size,
        "megabytes_per_second": round(size / best / 1e6, 2),
        "bz2_megabytes_per_second": decompression_speed(pages),
        "prose_links": wanted,
        "prose_links_kept": kept,
        "share_kept": round(kept / max(1, wanted), 5),
        "links_in_all": total,
        "left_overs": dict(leavings),
        "left_overs_in_all": sum(leavings.values()),
        "lost": lost[:20],
    }


def decompression_speed(pages: list[tuple[SiteInfo, Page]]) -> float:
    """The yardstick of the same run: bz2 of the same text, MB/s."""
    packed = bz2.compress("".join(page.text or "" for _, page in pages).encode())
    start = time.process_time()
    size = len(bz2.decompress(packed))
    return round(size / (time.process_time() - start) / 1e6, 1)


def timed(convert: Converter, pages: list[tuple[SiteInfo, Page]]) -> float:
    start = time.process_time()
    for _, page in pages:
        convert(page.text or "", page.title)
    return time.process_time() - start


if __name__ == "__main__":
    print(json.dumps([measure(Path(name)) for name in sys.argv[1:]], indent=1, ensure_ascii=False))
