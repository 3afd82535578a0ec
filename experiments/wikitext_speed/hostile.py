"""Is the time linear on a page of ten megabytes that is nothing but one piece of markup, again and again?

    python experiments/wikitext_speed/hostile.py > experiments/wikitext_speed/hostile.json

Each piece fills a page of 5 MB and one of 10 MB; times are processor time, the best of two. `ratio` is 2 where the
time is linear. Pieces that open what is never closed, or close what was never opened, are to take under a second:
nothing of them is a document. Whole constructs are work that a real page may ask for; they are told beside them.
"""

import json
import time

from gptlab.sources.wikipedia import Converter, SiteInfo

BROKEN = [
    "[[", "]]", "[[a|", "[[File:a|", "[", "](", "{{", "}}", "{{{", "{{a|", "{{lang|a|", "<ref>", "<ref ", "</ref>",
    "<!--", "<nowiki>", "<math>", "<table>", "<sup>1", "<", "|\n", "{|\n", "|-\n", "!", "*\n", "#\n", ":\n", "=",
    "==", "''", "'", "&", "&#", "__A", "-{", "(", "\\", "\n", " ", "http://", "[http://a ", "\x05", "\ud800",
]  # fmt: skip
WHOLE = ["[[a]]", "[[a|b]]c", "{{a}} ", "{{lang|fr|a}}", "<ref>a</ref> ", "<ref/>", "<br>", "* a\n", "= a =\n",
         "''a'' ", "a\n\n", "&amp;", "<math>x</math>", "{|\n|}\n", "{{convert|1|km}}"]  # fmt: skip
MEGABYTES = 10


def seconds(convert: Converter, piece: str, megabytes: float) -> float:
    """Processor time for a page of one piece, the better of two."""
    page = piece * (int(megabytes * 1_000_000) // len(piece))
    best = 1e9
    for _ in range(2):
        start = time.process_time()
        convert(page)
        best = min(best, time.process_time() - start)
    return best


def measure(pieces: list[str]) -> dict[str, dict[str, float]]:
    """Seconds for ten megabytes of each piece, and to how many times those for half of it."""
    convert = Converter(SiteInfo())
    found = {}
    for piece in pieces:
        half, whole = seconds(convert, piece, MEGABYTES / 2), seconds(convert, piece, MEGABYTES)
        found[ascii(piece)[1:-1]] = {"seconds": round(whole, 2), "ratio": round(whole / half, 2)}
    return found


if __name__ == "__main__":
    broken, whole = measure(BROKEN), measure(WHOLE)
    slow = sorted((each["seconds"], piece) for piece, each in broken.items() if each["seconds"] >= 1)
    found = {"megabytes": MEGABYTES, "broken": broken, "whole": whole, "broken_over_a_second": slow}
    print(json.dumps(found, indent=1))
