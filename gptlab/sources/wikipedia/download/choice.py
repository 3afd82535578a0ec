"""Which dump: the one asked for, or the newest that is whole."""

from collections.abc import Iterable, Iterator

from gptlab.pipeline.observe import say
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.download.layouts import LAYOUTS
from gptlab.sources.wikipedia.download.release import Ask, Incomplete, Layout, Measure, Release


def available(ask: Ask, wiki: str, layouts: Iterable[Layout]) -> Iterator[tuple[Layout, str]]:
    """Every date that the origin lists, newest first in each layout; whole or not. Asks for no list in vain."""
    return ((layout, date) for layout in layouts for date in LAYOUTS[layout].dates(ask, wiki))


def choose(
    ask: Ask, measure: Measure, wiki: str, date: str | None, layouts: Iterable[Layout], *, origin: str
) -> Release:
    """The release of `date` or, where none is named, the newest whole one of the first layout that has one.

    Raises:
        SourceError: there is no such wiki, or no such whole dump; the message says what each date lacks.
    """
    where = f"{origin}/{wiki}/"
    if date is not None:
        [layout] = layouts
        try:
            return LAYOUTS[layout].release(_trusting(ask), measure, wiki, date)
        except Incomplete as incomplete:
            others = ", ".join(other for _, other in available(ask, wiki, [layout]))
            do = f"Choose another date: {others}." if others else "Check the name of the wiki: simplewiki, enwiki..."
            raise SourceError(
                f"{wiki} {date}", got=f"no complete dump: {incomplete}", wanted="a finished dump", do=do
            ) from None
    lacking = []
    for layout, candidate in available(ask, wiki, layouts):
        try:
            return LAYOUTS[layout].release(ask, measure, wiki, candidate)
        except Incomplete as incomplete:
            lacking.append(f"{candidate}: {incomplete}")
            say(f"{wiki} {candidate} is not complete: {incomplete}")
    if lacking:
        do = "Try again in some days: a dump of a large wiki takes long to be written."
        raise SourceError(where, got="\n".join(lacking), wanted="a date with a complete dump", do=do)
    do = "Check its name: it is that of the database, such as simplewiki for simple.wikipedia.org."
    raise SourceError(where, got="no dump of any date", wanted="a wiki with dumps", do=do)


def _trusting(ask: Ask) -> Ask:
    """For a date that a person has named: SHA256SUMS is written last, so it may stand for a `_SUCCESS` that is not
    there (the export of 2026-10-01 was published without one)."""

    def asked(path: str) -> str | None:
        text = ask(path)
        if text is None and path.endswith("/_SUCCESS"):
            say(f"{path} is not there; SHA256SUMS is, and the date was asked for by name, so it is taken as complete")
            return ""
        return text

    return asked
