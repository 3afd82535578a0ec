"""How fast do documents come out of a multistream dump, in one process and in two, and in how much memory?

    python experiments/dump_speed/run.py SAMPLE [--megabytes 120] [--folder F] > experiments/dump_speed/result.json

A long dump is made (in `--folder`, where a second run finds it): the sample's pages again and again under new titles,
in bz2 streams of 0.4 MB of XML, which is what a hundred pages of Wikipedia are on average. Then, each in a process of
its own: bz2 alone; the pass that finds redirects; the documents, in one process and in two; and the same on a dump a
hundred times shorter, for memory. Times are by the clock, so the machine should have nothing else to do; give a core
to each process. What the machine itself can give is measured beside it: the documents read by two programs that know
nothing of each other, at once, against one (`machine_two_to_one`). No peers: see wikitext_speed.
"""

import argparse
import bz2
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from gptlab.sources import WikipediaDump
from gptlab.sources.wikipedia.export import Page, read_export
from gptlab.sources.wikipedia.siteinfo import SiteInfo


def head(site: SiteInfo) -> str:
    """The beginning of an export of this wiki."""
    spaces = "".join(
        f'<namespace key="{each.key}" case="{each.case_rule}">{escape(each.name)}</namespace>'
        for each in site.namespaces
    )
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{site.language}">\n'
        f"<siteinfo><sitename>{escape(site.name)}</sitename><dbname>{site.database}</dbname>"
        f"<case>{site.case_rule}</case><namespaces>{spaces}</namespaces></siteinfo>\n"
    )


def written(page: Page, turn: int) -> str:
    """A page as it stands in an export, under a title of its own."""
    leads = f"<redirect title={quoteattr(page.redirect)} />" if page.redirect is not None else ""
    return (
        f"<page><title>{escape(page.title)} {turn}</title><ns>{page.namespace}</ns><id>1</id>{leads}<revision>"
        f"<id>2</id><model>wikitext</model><text>{escape(page.text or '')}</text></revision></page>\n"
    )


STREAM = 400_000
"""Bytes of XML in one bz2 stream: about 100 KB compressed."""


def make_dump(sample: Path, path: Path, size: int) -> int:
    """A multistream dump of at least `size` bytes of XML; gives how many there are."""
    pages = list(read_export(sample))
    total = gathered = 0
    batch: list[str] = []
    with path.open("wb") as file:
        file.write(bz2.compress(head(pages[0][0]).encode()))
        for turn, (_, page) in ((turn, page) for turn in itertools.count() for page in pages):
            batch.append(written(page, turn))
            gathered += len(batch[-1])
            if gathered >= STREAM:
                text = "".join(batch).encode()
                total += len(text)
                batch.clear()
                gathered = 0
                file.write(bz2.compress(text))
                if total >= size:
                    break
        file.write(bz2.compress("".join([*batch, "</mediawiki>\n"]).encode()))
    return total


def measure(path: Path, cache: Path, what: str) -> dict[str, float]:
    """One measurement, made in this process: seconds, and the largest memory of it and of its workers."""
    start = time.perf_counter()
    documents = 0
    if what == "bz2":
        with bz2.open(path) as stream:
            while stream.read(1 << 18):
                pass
    else:
        dump = WikipediaDump(path=path, processes=int(what[-1]), cache=cache)
        if what.startswith("redirects"):
            dump.pre_cache()
        else:
            documents = sum(1 for _ in dump.get_data_generator())
    seconds = time.perf_counter() - start
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "seconds": round(seconds, 3),
        "processor_seconds_of_reader": round(own.ru_utime + own.ru_stime, 3),
        "processor_seconds_of_workers": round(others.ru_utime + others.ru_stime, 3),
        "megabytes_of_reader": round(own.ru_maxrss / 1024),
        "megabytes_of_largest_worker": round(others.ru_maxrss / 1024),
        "documents": documents,
    }


def apart(path: Path, cache: Path, what: str, copies: int = 1) -> dict[str, float]:
    """`measure` in a process of its own, or in several at once: the slowest one's figures."""
    command = [sys.executable, __file__, str(path), "--measure", what, "--cache", str(cache)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(copies)]
    found: list[dict[str, float]] = [json.loads(each.communicate()[0]) for each in started]
    return max(found, key=lambda each: each["seconds"])


def dumps(sample: Path, folder: Path, megabytes: int) -> tuple[Path, Path, int]:
    """A long dump and one a hundred times shorter, made where they are missing; bytes of XML in the long one."""
    long, short, size = (folder / f"{megabytes}{ending}" for ending in ("-long.bz2", "-short.bz2", ".json"))
    if not size.exists():
        make_dump(sample, short, megabytes * 10_000)
        size.write_text(json.dumps(make_dump(sample, long, megabytes * 1_000_000)))
    return long, short, json.loads(size.read_text())


def compare(sample: Path, megabytes: int, kept: Path | None) -> dict[str, object]:
    """All measurements of two dumps, one a hundred times longer."""
    with tempfile.TemporaryDirectory() as folder:
        long, short, size = dumps(sample, kept or Path(folder), megabytes)
        found: dict[str, dict[str, float]] = {}
        for what in ("bz2", "redirects 1", "redirects 2", "documents 1", "documents 2"):
            found[what] = apart(long, Path(folder, what[-1]), what)
        found["two programs at once: documents 1"] = apart(long, Path(folder, "1"), "documents 1", copies=2)
        for each in found.values():
            each["megabytes_per_second"] = round(size / each["seconds"] / 1e6, 2)
        found["short: documents 1"] = apart(short, Path(folder, "s"), "documents 1")
        found["short: documents 2"] = apart(short, Path(folder, "s"), "documents 2")
    seconds = {name: each["seconds"] for name, each in found.items()}
    work = {
        name: each["processor_seconds_of_reader"] + each["processor_seconds_of_workers"]
        for name, each in found.items()
    }
    return {
        "megabytes_of_xml": round(size / 1e6),
        "measured": found,
        "part_of_bz2_alone": round(seconds["bz2"] / seconds["documents 1"], 3),
        "two_processes_to_one": round(seconds["documents 1"] / seconds["documents 2"], 3),
        "two_processes_to_one_by_processor_time": round(2 * work["documents 1"] / work["documents 2"], 3),
        "machine_two_to_one": round(2 * seconds["documents 1"] / seconds["two programs at once: documents 1"], 3),
        "redirects_two_to_one": round(seconds["redirects 1"] / seconds["redirects 2"], 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("dump", type=Path)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--measure", default="")
    parser.add_argument("--cache", type=Path, default=Path())
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.dump, given.cache, given.measure)))
    else:
        print(json.dumps(compare(given.dump, given.megabytes, given.folder), indent=1))
