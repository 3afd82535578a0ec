"""Does any wikitext make the parser raise, or carry other links than a scan finds? A search led by coverage.

    python -m venv FUZZ; FUZZ/bin/pip install atheris
    PYTHONPATH=. FUZZ/bin/python experiments/wikitext_fuzz/run.py -max_total_time=180 -max_len=512

Atheris (libFuzzer) sees which branches of the parser an input reaches and keeps what reaches new ones; a dictionary
of markup tells it what to try. It ends with an error and writes the input when a property is broken: the output
must satisfy `scan_links(text) == links`, hold no mark of ours, and come in 2 s at most.
"""

import re
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gptlab.sources.wikipedia.wikitext", "gptlab.types.links"]):
    from gptlab.sources.wikipedia import Converter, SiteInfo
    from gptlab.types import scan_links

MARKUP = """[[ ]] {{ }} {{{ }}} {| |} |- || !! ''' '' <ref> </ref> <ref/> <!-- --> <nowiki> </nowiki> <math> </math>
    <pre> </pre> <code> </code> <br> <table> </table> <td> <tr> <sup> </sup> <blockquote> File: Category:
    http:// &amp; &#91; %5B __TOC__ -{ }- quote| lang|fr| convert|1|km| Infobox|a= ]( \\\\ == * # : ; ----"""
CONVERTERS = (Converter(SiteInfo()), Converter(SiteInfo(language="zh"), infoboxes=True, tables=True))
OURS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def hold(data: bytes) -> None:
    """Put one input to the properties."""
    wikitext = data.decode("utf-8", "surrogateescape")
    for convert in CONVERTERS:
        text, links = convert(wikitext, "Tea")
        assert scan_links(text) == links, "carried links are not those of a scan"
        assert not OURS.search(text), "a mark is left"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder, "markup.dict")
        quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in MARKUP.split())
        dictionary.write_text("".join(f'"{each}"\n' for each in quoted), encoding="utf-8")
        atheris.Setup([*sys.argv, f"-dict={dictionary}", "-timeout=2", "-print_final_stats=1"], hold)
        atheris.Fuzz()
