"""`WikipediaDownload`: from the name of a wiki to its documents, by way of verified files on disk.

The value says what is wanted; what "the newest" was is decided once, noted beside the files, and stays so until
another date is asked for. One connection by default and two at most: https://dumps.wikimedia.org limits them by
address, and blocks who evades that.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import say
from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.download.choice import available, choose
from gptlab.sources.wikipedia.download.client import Client
from gptlab.sources.wikipedia.download.contact import is_contact, known_contact
from gptlab.sources.wikipedia.download.fetching import fetch_all
from gptlab.sources.wikipedia.download.kept import (
    alone,
    fitting_layouts,
    is_there,
    keep,
    kept_releases,
    missing,
    need_room,
)
from gptlab.sources.wikipedia.download.layouts import COMPACT, DASHED
from gptlab.sources.wikipedia.download.release import Layout, Release, is_date
from gptlab.sources.wikipedia.dump import EDITION, WikipediaDump
from gptlab.storage import LOCATION, FromMapping
from gptlab.types import Document
from gptlab.types.validators import at_least, satisfies

ORIGIN = "https://dumps.wikimedia.org"
MOST_CONNECTIONS = 2


def _is_wiki(name: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_]{1,62}", name) is not None


def _is_date(date: str | None) -> bool:
    return date in (None, "latest") or any(is_date(date or "", form) for form in (COMPACT, DASHED))


def _is_address(address: str) -> bool:
    return re.fullmatch(r"https?://[A-Za-z0-9.\-_\[\]:]+(?:/[!-~]*)?", address) is not None


@attrs.frozen(kw_only=True)
class WikipediaDownload:
    """The documents of a wiki, downloaded when they are first needed.

    Attributes:
        wiki: the name of its database: simplewiki, enwiki, viwiki, frwiktionary...
        date: `20261101` or, of the content file exports, `2026-11-01`. None is the dump that is on disk or, where
            none is, the newest complete one; "latest" asks the origin each time whether there is a newer one.
        layout: "multistream" or "content", see `layouts`; None tries them in this order.
        namespaces, templates: as of `WikipediaDump`.
        contact: how Wikimedia can reach you. Needed once, then kept beside the dumps.
        mirrors: base addresses that are asked for the bytes first; hashes always come from the origin.
        origin: the address below which the layouts begin.
        connections: downloads at a time, 1 or 2.
        attempts, backoff: how often a thing that fails is asked for, and the seconds of the first pause; each
            further one is twice as long, and as long as the server asks for.
        patience: seconds of silence after which a connection is given up.
        cache: where the dumps are kept, in `wikipedia/<wiki>/<date>/`, and what is made of them.

    What a file is called on disk says what it is: under its own name it is whole and has the hash that the origin
    publishes; as `.part` it is what a broken-off run has fetched, and the next one goes on behind it.

    >>> WikipediaDownload(wiki="simplewiki", date="20261101").folder.as_posix()
    '.gptlab/cache/wikipedia/simplewiki'
    """

    # Who asks whom for which date is not what the documents are: that is in the hashes of the files.
    wiki: str = attrs.field(
        metadata=LOCATION,
        validator=satisfies(
            _is_wiki,
            "the name of a wiki's database",
            "Write it like simplewiki, enwiki or zh_yuewiki.",
            error=SourceError,
        ),
    )
    date: str | None = attrs.field(
        default=None,
        metadata=LOCATION,
        validator=satisfies(
            _is_date,
            "a day as 20261101 or 2026-11-01, latest, or None",
            "See which there are with: python -m gptlab.sources.wikipedia.download WIKI --list",
            error=SourceError,
        ),
    )
    layout: Layout | None = attrs.field(default=None, metadata=LOCATION)
    namespaces: frozenset[int] = frozenset({0})
    templates: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    contact: str | None = attrs.field(
        default=None,
        metadata=LOCATION,
        eq=False,
        validator=attrs.validators.optional(
            satisfies(
                is_contact,
                "an address of mail, a web page, or User:Name on a wiki",
                "Write it like you@university.edu.",
                error=SourceError,
            )
        ),
    )
    mirrors: tuple[str, ...] = attrs.field(
        default=(),
        metadata=LOCATION,
        eq=False,
        validator=satisfies(
            lambda mirrors: all(map(_is_address, mirrors)),
            "addresses that begin with http:// or https://",
            "Write them like https://mirror.example.org/wikimedia/dumps.",
            error=SourceError,
        ),
    )
    origin: str = attrs.field(
        default=ORIGIN,
        metadata=LOCATION,
        validator=satisfies(_is_address, "an address that begins with http:// or https://", error=SourceError),
    )
    connections: int = attrs.field(
        default=1,
        metadata=LOCATION,
        eq=False,
        validator=at_least(1, "Wikimedia blocks whoever opens more.", at_most=MOST_CONNECTIONS, error=SourceError),
    )
    attempts: int = attrs.field(default=8, metadata=LOCATION, eq=False, validator=at_least(1, error=SourceError))
    backoff: float = attrs.field(default=1.0, metadata=LOCATION, eq=False, validator=at_least(0.0, error=SourceError))
    patience: float = attrs.field(
        default=60.0, metadata=LOCATION, eq=False, validator=at_least(0.01, error=SourceError)
    )
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a date written in the other layout's way."""
        if self.layout is not None and self.date not in (None, "latest"):
            [fitting] = fitting_layouts(None, self.date)
            if fitting != self.layout:
                do = f"Write the date in the way of {self.layout}, or leave the layout out."
                raise SourceError(
                    "WikipediaDownload.date", got=repr(self.date), wanted=f"a date of {self.layout}", do=do
                )

    @property
    def folder(self) -> Path:
        """Where the wiki's dumps are kept, one folder for each date."""
        return self.cache / "wikipedia" / self.wiki

    @functools.cached_property
    def release(self) -> Release:
        """The dump that this value means. Asks the origin where the disk does not tell, and notes the answer.

        Raises:
            SourceError: there is none such, the origin does not answer, or it has not been told who asks.
        """
        if kept := self._kept():
            return kept
        with alone(self.folder.parent):
            if kept := self._kept():  # another process may have asked while this one waited
                return kept
            date = None if self.date == "latest" else self.date
            ask, measure = _questions(self._client(), self.origin)
            layouts = fitting_layouts(self.layout, self.date)
            release = choose(ask, measure, self.wiki, date, layouts, origin=self.origin)
            keep(release, self.folder / release.date)
        return release

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files with pages, in the order of their pages. They are there after `pre_cache`."""
        folder = self.folder / self.release.date
        return tuple(folder / file.name for file in self.release.files if not file.is_index)

    def dates(self) -> list[tuple[Layout, str]]:
        """Every date that the origin lists, newest first in each layout; the newest may be unfinished.

        Raises:
            SourceError: the origin does not answer, or has not been told who asks.
        """
        ask, _ = _questions(self._client(), self.origin)
        return list(available(ask, self.wiki, fitting_layouts(self.layout, self.date)))

    def content_fingerprint(self) -> str:
        """What the origin says that the files hold: their hashes.

        Raises:
            SourceError: as of `release`; no file need be there yet.
        """
        told = " ".join([EDITION, *(file.digest for file in self.release.files if not file.is_index)])
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def pre_cache(self) -> None:
        """Bring all files onto the disk, whole and verified; at once and without asking anybody, when they are there.

        Raises:
            SourceError: a file cannot be had as it should be, or the disk has no room for it.
            StorageError: the disk fails.
        """
        release = self.release
        folder = self.folder / release.date
        if is_there(release, folder):
            return
        with alone(self.folder.parent):
            files = missing(release, folder)
            if files:
                need_room(files, folder)
                task = f"download {self.wiki} {release.date}"
                say(f"{task}: {len(files)} of {len(release.files)} files from {self.origin}")
                servers = [*self.mirrors, self.origin]
                fetch_all(files, folder, servers, self._client(), connections=self.connections, task=task)

    def get_data_generator(self) -> Iterator[Document]:
        """The documents, in the order of the dump; downloads it where it is not there.

        Raises:
            SourceError: as of `pre_cache` and of `WikipediaDump`.
        """
        self.pre_cache()
        yield from self.dump().get_data_generator()

    __or__ = then
    initialize = FromMapping()

    def dump(self) -> WikipediaDump:
        """The source that reads the files; they are there after `pre_cache`."""
        first, *more = self.paths
        return WikipediaDump(
            path=first, more=tuple(more), namespaces=self.namespaces, templates=self.templates, cache=self.cache
        )

    def _kept(self) -> Release | None:
        """What an earlier run has chosen, if it will do."""
        layouts = () if self.date == "latest" else fitting_layouts(self.layout, self.date)
        return next((each for each in kept_releases(self.folder, layouts) if self.date in (None, each.date)), None)

    def _client(self) -> Client:
        return Client(
            contact=known_contact(self.contact, self.folder.parent),
            attempts=self.attempts,
            backoff=self.backoff,
            patience=self.patience,
        )


def _questions(client: Client, origin: str) -> tuple[Callable[[str], str | None], Callable[[str], int | None]]:
    base = origin.rstrip("/")
    return lambda path: client.text(f"{base}/{path}"), lambda path: client.size(f"{base}/{path}")
