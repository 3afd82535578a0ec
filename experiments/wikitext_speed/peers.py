"""How fast are other tools at wikitext to text, how many links do they keep, and what do they leave over? In one run.

    python -m venv PEERS; PEERS/bin/pip install wikiextractor mwparserfromhell wikitextparser gensim
    PYTHONPATH=. PEERS/bin/python experiments/wikitext_speed/peers.py DUMP > experiments/wikitext_speed/peers.json

(PEERS also needs this library's own dependencies.) Every tool gets the same pages' wikitext in one process; times are
processor time, the best of `--rounds`. Speeds are of the bytes of wikitext. Links kept are counted by count_links.py
where a tool gives links; left-overs by the same in what it gives as text.

The predecessor's own extractor is not published as a package, so it is not run; the figure of the issue stands in
for it: half of WikiExtractor's speed (1.6 against 3.1 MB/s).
"""

import argparse
import collections
import importlib
import json
import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from count_links import left_overs, linked_titles, prefix_names

from gptlab.sources.wikipedia import Converter
from gptlab.sources.wikipedia.export import read_export

Tool = Callable[[str, str], tuple[str, list[str]]]
"""From a page's wikitext and title to its text and the titles linked to."""
PREDECESSOR_TO_WIKIEXTRACTOR = 1.6 / 3.1
_ANCHOR = re.compile(r'<a href="([^"]*)">')


def title_of(written: str) -> str:
    """A link's target as it is counted."""
    title = " ".join(written.partition("#")[0].replace("_", " ").split()).lstrip(":")
    return (title[:1].upper() + title[1:]).replace(" ", "_")


def wikiextractor() -> Tool:
    """WikiExtractor with links kept, as its HTML; cleaned as its command line does it (`Extractor.extract`)."""
    module: Any = importlib.import_module("wikiextractor.extract")

    def tool(wikitext: str, title: str) -> tuple[str, list[str]]:
        extractor = module.Extractor("1", "1", "", title, [wikitext], keepLinks=True)
        text = "\n".join(extractor.clean_text(wikitext))
        links = [title_of(unquote(unescape(each))) for each in _ANCHOR.findall(unescape(text))]
        return _ANCHOR.sub("", text), links

    return tool


def mwparserfromhell() -> Tool:
    """mwparserfromhell with its C tokenizer."""
    module: Any = importlib.import_module("mwparserfromhell")

    def tool(wikitext: str, title: str) -> tuple[str, list[str]]:
        code = module.parse(wikitext)
        links = [title_of(str(each.title)) for each in code.filter_wikilinks()]
        return str(code.strip_code()), links

    return tool


def wikitextparser() -> Tool:
    """wikitextparser."""
    module: Any = importlib.import_module("wikitextparser")

    def tool(wikitext: str, title: str) -> tuple[str, list[str]]:
        parsed = module.parse(wikitext)
        return parsed.plain_text(), [title_of(each.title) for each in parsed.wikilinks]

    return tool


def gensim() -> Tool:
    """gensim's filter_wiki with its list of links."""
    module: Any = importlib.import_module("gensim.corpora.wikicorpus")

    def tool(wikitext: str, title: str) -> tuple[str, list[str]]:
        links = [title_of(target) for target, _ in module.find_interlinks(wikitext)]
        return module.filter_wiki(wikitext), links

    return tool


def measure(path: Path, rounds: int) -> dict[str, Any]:
    """All tools on one dump."""
    pages = [(site, page) for site, page in read_export(path) if page.namespace == 0 and page.redirect is None]
    names, convert = prefix_names(pages[0][0]), Converter(pages[0][0])

    def own(wikitext: str, title: str) -> tuple[str, list[str]]:
        text, links = convert(wikitext, title)
        return text, [str(link.target) for link in links]

    texts = [(page.text or "", page.title) for _, page in pages]
    wanted = [linked_titles(text, names, title.replace(" ", "_")) for text, title in texts]
    size = sum(len(text.encode()) for text, _ in texts)
    found: dict[str, Any] = {}
    tools = {"gptlab": lambda: own, "WikiExtractor": wikiextractor, "mwparserfromhell": mwparserfromhell,
             "wikitextparser": wikitextparser, "gensim": gensim}  # fmt: skip
    ready = {name: make() for name, make in tools.items()}
    best = dict.fromkeys(ready, 1e9)
    for _ in range(rounds):  # in turn, so that what else the machine does falls on all
        for name, tool in ready.items():
            start = time.process_time()
            given = [tool(text, title) for text, title in texts]
            best[name] = min(best[name], time.process_time() - start)
            kept = sum(
                (here & collections.Counter(links)).total() for here, (_, links) in zip(wanted, given, strict=True)
            )
            left: collections.Counter[str] = collections.Counter()
            for text, _ in given:
                left.update(left_overs(text))
            share = round(kept / sum(each.total() for each in wanted), 4)
            found[name] = {"share_of_links_kept": share, "left_overs": left.total()}
    for name, seconds in best.items():
        found[name]["megabytes_per_second"] = round(size / seconds / 1e6, 2)
    ours = found["gptlab"]["megabytes_per_second"]
    slowest = found["WikiExtractor"]["megabytes_per_second"]
    return {
        "documents": len(pages),
        "megabytes": round(size / 1e6, 2),
        "tools": found,
        "times_wikiextractor": round(ours / slowest, 2),
        "times_predecessor_by_the_issues_ratio": round(ours / (slowest * PREDECESSOR_TO_WIKIEXTRACTOR), 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("dump", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(measure(given.dump, given.rounds), indent=1))
