"""What is done with the pages of a dump: redirects found, or documents made. The same in one process and in many.

A `Task` is a value, so it crosses to another process or machine; `Task.begin` makes the function that works, once
per process, and `do_part` is that function for a part of the dump, from bytes to bytes. What comes back is packed
tightly (links as an array of offsets and one text of targets) and unpacked one document at a time, because the
one reader unpacks what all workers send: 4 % of the work (experiments/dump_speed).
"""

import pickle
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from gptlab.sources.errors import SourceError
from gptlab.sources.wikipedia.export import Page, Reader
from gptlab.sources.wikipedia.pages import flags_of, identity_in, left_out_because
from gptlab.sources.wikipedia.parts import Part, open_part
from gptlab.sources.wikipedia.redirects import Redirects, redirect_of, title_hash
from gptlab.sources.wikipedia.siteinfo import SiteInfo
from gptlab.sources.wikipedia.wikitext import Converter
from gptlab.types import Document, Link


@attrs.define
class Batch:
    """What came of some pages.

    Attributes:
        documents: with whether bytes of the page were damaged; to be gone through once. Empty when redirects are
            wanted.
        left_out: reason to (pages, the first one's title).
        titles: hashes of the identities of all documents, when redirects are wanted.
        redirects: (redirect, target) identities, when they are wanted.
        pages: how many there were.
        last_title: the last one's.
    """

    documents: Iterable[tuple[Document, bool]] = ()
    left_out: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    titles: "array[int]" = attrs.field(factory=lambda: array("Q"))
    redirects: list[tuple[str, str]] = attrs.field(factory=list)
    pages: int = 0
    last_title: str = ""

    def leave_out(self, reason: str, example: str, number: int = 1) -> None:
        """Count pages that are no documents."""
        already, first = self.left_out.get(reason, (0, example))
        self.left_out[reason] = (already + number, first)


Work = Callable[[Iterable[Page]], Batch]


@attrs.frozen(kw_only=True)
class Task:
    """What to do with pages, as a value.

    Attributes:
        path: the dump, for messages only.
        site: the wiki.
        namespaces, templates, options: as of `WikipediaDump`; the options are those of `Converter`.
        table: where the redirects are; None to find them.
    """

    path: str
    site: SiteInfo
    namespaces: frozenset[int]
    templates: Mapping[str, str]
    options: Mapping[str, bool]
    table: str | None

    def begin(self, redirects: Redirects | None = None) -> Work:
        """The function that does it; `redirects` where they are open already."""
        if self.table is None:
            return self._find_redirects
        if redirects is None:
            redirects = Redirects.open(Path(self.table))
        convert = Converter(
            self.site, templates=self.templates, namespaces=self.namespaces, resolve=redirects, **self.options
        )
        return lambda pages: self._make_documents(pages, convert)

    def _make_documents(self, pages: Iterable[Page], convert: Converter) -> Batch:
        documents: list[tuple[Document, bool]] = []
        batch = Batch(documents=documents)
        for page in pages:
            batch.pages += 1
            batch.last_title = page.title
            identity = identity_in(page, self.site, self.namespaces)
            if reason := left_out_because(page, identity):
                batch.leave_out(reason, page.title)
                continue
            wikitext = page.text or ""
            text, links = convert(wikitext, page.title)
            flags = flags_of(page.title, wikitext, self.site.language)
            document = Document(id=identity, title=page.title, text=text, links=links, flags=flags)
            documents.append((document, page.damaged))
        return batch

    def _find_redirects(self, pages: Iterable[Page]) -> Batch:
        batch = Batch()
        for page in pages:
            batch.pages += 1
            batch.last_title = page.title
            identity = identity_in(page, self.site, self.namespaces)
            if not identity:
                continue
            if page.redirect is not None:
                if target := redirect_of(page.redirect, self.site):
                    batch.redirects.append((identity, target))
            elif not left_out_because(page, identity):
                batch.titles.append(title_hash(identity))
        return batch


@attrs.frozen(kw_only=True)
class Done:
    """A part of a dump, worked on.

    Attributes:
        head, tail: the bytes at its ends that belong to pages of its neighbours.
        size: bytes of XML.
        batch: what came of the pages that are whole in it.
        is_cut: whether its compression lacks its end.
        error: what stopped the work after them.
    """

    head: bytes
    tail: bytes
    size: int
    batch: Batch
    is_cut: bool = False
    error: SourceError | None = None


def do_pages(task: Task, work: Work, xml: bytes, where: object) -> tuple[Batch, SourceError | None]:
    """Work on consecutive whole pages as XML; where they are damaged, on those before."""
    reader = Reader(where, task.site)
    try:
        reader.feed(xml)
    except SourceError as error:
        return work(page for _, page in reader.take()), error
    return work(page for _, page in reader.take()), None


def do_part(task: Task, work: Work, part: Part) -> bytes:
    """Work on one part of a dump, on any machine; `read_done` reads what this gives."""
    where = f"{task.path}, in the part that begins at byte {part.start:,} of the file"
    opened = open_part(part, where)
    batch, error = do_pages(task, work, opened.body, where) if opened.body else (Batch(), None)
    documents = [_packed(document, is_damaged) for document, is_damaged in batch.documents]
    size = len(opened.head) + len(opened.body) + len(opened.tail)
    batch.documents = ()
    found = (opened.head, opened.tail, size, batch, opened.is_cut, error or opened.error, documents)
    return pickle.dumps(found, protocol=5)


def read_done(packed: bytes) -> Done:
    """What `do_part` gave."""
    head, tail, size, batch, is_cut, error, documents = pickle.loads(packed)
    batch.documents = map(_unpacked, documents)
    return Done(head=head, tail=tail, size=size, batch=batch, is_cut=is_cut, error=error)


def _packed(document: Document, is_damaged: bool) -> tuple[Any, ...]:
    spans = array("I")
    for link in document.links:
        spans.append(link.start)
        spans.append(link.end)
    targets = "\n".join([link.target for link in document.links])  # identities hold no line ends
    return document.id, document.title, document.text, spans.tobytes(), targets, document.flags, is_damaged


def _unpacked(packed: tuple[Any, ...]) -> tuple[Document, bool]:
    identity, title, text, spans, targets, flags, is_damaged = packed
    places = memoryview(spans).cast("I")
    links = tuple(
        [
            Link(start=start, end=end, target=target)
            for start, end, target in zip(places[::2], places[1::2], targets.split("\n"), strict=True)
        ]
        if spans
        else ()
    )
    return Document(id=identity, title=title, text=text, links=links, flags=flags), is_damaged
