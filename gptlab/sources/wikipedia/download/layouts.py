"""The two ways in which Wikimedia lays out its dumps, read from what the origin publishes and never assumed.

multistream   `<wiki>/<YYYYMMDD>/`: `dumpstatus.json` says which job is done and how large its files are,
              `<wiki>-<YYYYMMDD>-sha1sums.txt` what they must hash to. The articles are one multistream .bz2 with its
              index or, where a large wiki's parts are not joined, several of each.
content       `other/mediawiki_content_current/<wiki>/<YYYY-MM-DD>/xml/bzip2/`: shards by page number with all
              namespaces and no index; `SHA256SUMS` names them, `_SUCCESS` says that all are there.

Both are functions of two questions, "what text is at this path" and "how large is this file", so they know nothing of
HTTP. Layouts as published in November 2026. `latest/` is used to find out a date and for nothing else: what it holds
changes under a download that is resumed.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.download.release import (
    Ask,
    Incomplete,
    Layout,
    Measure,
    Release,
    RemoteFile,
    dates_in,
    hashes,
    is_date,
)

COMPACT, DASHED = "%Y%m%d", "%Y-%m-%d"
_JOBS = ("articlesmultistreamdumprecombine", "articlesmultistreamdump")
"""The first joins the parts of the second, for large wikis; small ones have the second alone, in one file."""
_MULTISTREAM = re.compile(
    r"pages-articles-multistream(?P<index>-index)?(?P<part>\d*)\.(?:xml|txt)(?:-p\d+p\d+)?\.bz2"
)
_SHARD = re.compile(r"p(?P<first>\d+)p\d+\.xml\.bz2")


def multistream_dates(ask: Ask, wiki: str) -> list[str]:
    """Every date in the wiki's folder, newest first; where the folder is not listed, the date of `latest/`."""
    dates = dates_in(ask(f"{wiki}/"), r"\d{8}", COMPACT)
    if not dates:
        sums = ask(f"{wiki}/latest/{wiki}-latest-sha1sums.txt") or ""
        found = re.findall(rf"\b{wiki}-(\d{{8}})-pages-articles-multistream\.xml\.bz2\b", sums)
        dates = sorted({date for date in found if is_date(date, COMPACT)}, reverse=True)
    return dates


def multistream_release(ask: Ask, measure: Measure, wiki: str, date: str) -> Release:
    """The articles of a dated dump, and their index.

    Raises:
        Incomplete: there is no such dump, or its articles are not finished.
        SourceError: its status or its hashes cannot be read, or contradict each other.
    """
    folder, prefix = f"{wiki}/{date}", f"{wiki}-{date}-"
    listed = _finished_files(ask, f"{folder}/dumpstatus.json")
    named = {name: info for name, info in listed.items() if _part(name, prefix)}
    if not any(not _part(name, prefix)["index"] for name in named):  # type: ignore[index]
        raise Incomplete("its status names no file with articles")
    path = f"{folder}/{prefix}sha1sums.txt"
    text = ask(path)
    if text is None:
        raise Incomplete(f"there is no {prefix}sha1sums.txt beside it")
    sums = hashes(text, "sha1", prefix, path)
    files = []
    for name in sorted(named, key=lambda name: _part_order(name, prefix)):
        if name not in sums:
            raise Incomplete(f"{prefix}sha1sums.txt has no hash of {name}")
        info, is_index = named[name], bool(_part(name, prefix)["index"])  # type: ignore[index]
        if info.get("sha1", sums[name]) != sums[name]:
            do = "The origin contradicts itself: try again later, or give the date of another dump."
            got, wanted = f"sha1 {info['sha1']} in dumpstatus.json", f"{sums[name]}, as in {prefix}sha1sums.txt"
            raise SourceError(f"{folder}/{name}", got=got, wanted=wanted, do=do)
        size = info.get("size")
        known = size if isinstance(size, int) and size > 0 else measure(f"{folder}/{name}")
        files.append(
            RemoteFile(path=f"{folder}/{name}", algorithm="sha1", digest=sums[name], size=known, is_index=is_index)
        )
    return Release(wiki=wiki, date=date, layout="multistream", files=tuple(files))


def content_dates(ask: Ask, wiki: str) -> list[str]:
    """Every date of the content file exports of a wiki, newest first."""
    return dates_in(ask(f"other/mediawiki_content_current/{wiki}/"), r"\d{4}-\d{2}-\d{2}", DASHED)


def content_release(ask: Ask, measure: Measure, wiki: str, date: str) -> Release:
    """All shards of a content file export.

    Raises:
        Incomplete: there is no such export, or it is being written.
        SourceError: its hashes cannot be read, or leave out a file that is there.
    """
    folder, prefix = f"other/mediawiki_content_current/{wiki}/{date}/xml/bzip2", f"{wiki}-{date}-"
    text = ask(f"{folder}/SHA256SUMS")
    if text is None:
        raise Incomplete("there is no SHA256SUMS")
    if ask(f"{folder}/_SUCCESS") is None:
        raise Incomplete("there is no _SUCCESS beside SHA256SUMS")
    sums = hashes(text, "sha256", prefix, f"{folder}/SHA256SUMS")
    local = {name: name.removeprefix(prefix) for name in sums}
    first = {name: int(found["first"]) for name in sums if (found := _SHARD.fullmatch(local[name]))}
    cut = [name for name in sums if name not in first and re.match(r"p\d", local[name])]
    if not first:
        raise Incomplete("its SHA256SUMS names no shard")
    listing = ask(f"{folder}/") or ""
    unlisted = sorted(set(re.findall(rf"\b{prefix}p\d+p\d+\.xml\.bz2\b", listing)) - set(first))
    if cut or unlisted:
        got = f"a name that is cut: {cut[0]}" if cut else f"no hash of {unlisted[0]}"
        do = "The list of hashes is cut off: try again later, or give the date of another dump."
        raise SourceError(f"{folder}/SHA256SUMS", got=got, wanted="a hash of every shard there", do=do)
    return Release(
        wiki=wiki,
        date=date,
        layout="content",
        files=tuple(
            RemoteFile(path=path, algorithm="sha256", digest=sums[name], size=measure(path))
            for name in sorted(first, key=lambda name: (first[name], name))
            for path in [f"{folder}/{name}"]
        ),
    )


@attrs.frozen(kw_only=True)
class LayoutReader:
    """How one layout writes dates, and the functions that read it."""

    form: str
    dates: Callable[[Ask, str], list[str]]
    release: Callable[[Ask, Measure, str, str], Release]


LAYOUTS: Mapping[Layout, LayoutReader] = {
    "multistream": LayoutReader(form=COMPACT, dates=multistream_dates, release=multistream_release),
    "content": LayoutReader(form=DASHED, dates=content_dates, release=content_release),
}


def _finished_files(ask: Ask, path: str) -> Mapping[str, Mapping[str, Any]]:
    """What `dumpstatus.json` tells of the files of the first job that is done."""
    text = ask(path)
    if text is None:
        raise Incomplete("there is no dumpstatus.json")
    try:
        jobs = json.loads(text)["jobs"]
        states = {job: (jobs[job]["status"], jobs[job].get("files") or {}) for job in _JOBS if job in jobs}
        named = {job: {str(name): dict(info) for name, info in files.items()} for job, (_, files) in states.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        do = "Its server is in trouble: try again later, or give the date of another dump."
        raise SourceError(path, got=f"{text[:60]!r}", wanted="a status of jobs, in JSON", do=do) from None
    for job in states:
        if states[job][0] == "done" and named[job]:
            return named[job]
    said = ", ".join(f"{job} is {status}" for job, (status, _) in states.items())
    raise Incomplete(said or "its status names no job of multistream articles")


def _part(name: str, prefix: str) -> re.Match[str] | None:
    return _MULTISTREAM.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None


def _part_order(name: str, prefix: str) -> tuple[bool, int, str]:
    """Articles before indexes, parts by their number: 10 comes after 9."""
    part = _part(name, prefix)
    assert part is not None
    return bool(part["index"]), int(part["part"] or 0), name
