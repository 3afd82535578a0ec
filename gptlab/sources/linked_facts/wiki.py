"""The embedded wiki as a source: written once as a dump, then read as any other dump is.

Nothing reads the generator's insides: documents come from `wiki.xml` by `WikipediaDump`, facts from `facts.jsonl`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import track
from gptlab.sources.errors import SourceError
from gptlab.sources.linked_facts.export import write_footer, write_header, write_page
from gptlab.sources.linked_facts.facts import Fact, fact_to_line, read_facts
from gptlab.sources.linked_facts.wikitext import written_pages
from gptlab.sources.linked_facts.words import CLASSES, KINDS
from gptlab.sources.linked_facts.world import World
from gptlab.sources.wikipedia import WikipediaDump
from gptlab.storage import LOCATION, FromMapping, fingerprint, is_complete, new_directory
from gptlab.types import Document
from gptlab.types.validators import at_least

_STORED_AS = "linked-facts"
_EDITION = "edition 1"  # of the generator: raised whenever the same settings come to give other bytes


@attrs.frozen(kw_only=True)
class LinkedFactsWiki:
    """An endless fictional encyclopedia whose pages state random facts and restate those of the pages they link to.

    A model that reads the linked documents can know the restated words; one that cannot is at chance. The same
    settings give the same bytes on every machine.

    Attributes:
        pages: how many documents; redirects come on top. Any number: memory does not grow with it.
        seed: another seed, another world.
        extra_sentences: sentences per page beyond the short prose of about ninety tokens.
        cache: where the written dump is kept, and found again.

    >>> LinkedFactsWiki(pages=0)
    Traceback (most recent call last):
    gptlab.sources.errors.SourceError: LinkedFactsWiki.pages
      got     0
      wanted  a whole number of at least 1
      Set pages; the default is 2000.
    """

    pages: int = attrs.field(default=2000, validator=at_least(1, error=SourceError))
    seed: int = 0
    extra_sentences: int = attrs.field(default=0, validator=at_least(0, error=SourceError))
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False)

    def content_fingerprint(self) -> str:
        """The generator's edition, so that nothing made from an older one's pages is taken for this one's."""
        return _EDITION

    @property
    def directory(self) -> Path:
        """Where the dump is, or will be."""
        return self.cache / f"{_STORED_AS}-{fingerprint(self)}"

    @property
    def dump(self) -> Path:
        """The MediaWiki export, once `pre_cache` has written it."""
        return self.directory / "wiki.xml"

    def pre_cache(self) -> None:
        """Write the dump and its facts where they are missing: about 4,000 pages a second on one core."""
        if not is_complete(self.directory, _STORED_AS):
            with new_directory(self.directory, kind=_STORED_AS) as directory:
                self._write(directory)
        self._reader().pre_cache()

    def get_data_generator(self) -> Iterator[Document]:
        """The documents, read from the dump by the reader that every dump goes through."""
        self.pre_cache()
        yield from self._reader().get_data_generator()

    __or__ = then
    initialize = FromMapping()

    def facts(self) -> Iterator[Fact]:
        """All facts that a page restates of a page it links to, in the order of the pages."""
        self.pre_cache()
        yield from read_facts(self.directory / "facts.jsonl")

    def _reader(self) -> WikipediaDump:
        return WikipediaDump(path=self.dump, cache=self.cache)

    def _write(self, directory: Path) -> None:
        world = World(pages=self.pages, seed=self.seed)
        page_id = 0
        with (
            (directory / "wiki.xml").open("w", encoding="utf-8", newline="\n") as dump,
            (directory / "facts.jsonl").open("w", encoding="utf-8", newline="\n") as facts,
        ):
            facts.write(json.dumps(dict(CLASSES)) + "\n")
            write_header(dump)
            for _, _, category in KINDS.values():
                page_id += 1
                title = f"Category:{category}"
                write_page(dump, page_id=page_id, title=title, wikitext=f"{category} of the world.", namespace=14)
            for index in track(range(self.pages), "write wiki", total=self.pages, unit="pages"):
                for page in written_pages(world, index, self.extra_sentences):
                    page_id += 1
                    write_page(
                        dump, page_id=page_id, title=page.title, wikitext=page.wikitext, redirect=page.redirect
                    )
                    facts.writelines(fact_to_line(fact, class_name) for fact, class_name in page.facts)
            write_footer(dump)


@attrs.frozen
class LinkedFacts:
    """The facts of a wiki as a source of their own, for a benchmark.

    Attributes:
        wiki: whose facts they are.

    >>> LinkedFacts(LinkedFactsWiki(pages=10, seed=1)).wiki.pages
    10
    """

    wiki: LinkedFactsWiki

    def get_data_generator(self) -> Iterator[Fact]:
        """Every fact that a page restates of a page it links to, in the order of the pages."""
        yield from self.wiki.facts()

    __or__ = then
    initialize = FromMapping()
