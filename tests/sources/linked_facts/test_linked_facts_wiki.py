"""The wiki through the real reader: every fact is found, stated, unpredictable, and the same on every machine."""

import hashlib
import math
import re
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import attrs
import pytest

from gptlab.pipeline.observe import Drops, watching
from gptlab.sources.errors import SourceError
from gptlab.sources.linked_facts import Fact, LinkedFacts, LinkedFactsWiki, locate
from gptlab.sources.linked_facts.wikitext import written_pages
from gptlab.sources.linked_facts.world import World
from gptlab.types import Document, DocumentId, Link

PAGES = 700


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> LinkedFactsWiki:
    return LinkedFactsWiki(pages=PAGES, seed=3, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def documents(wiki: LinkedFactsWiki) -> dict[DocumentId, Document]:
    return {document.id: document for document in wiki.get_data_generator()}


@pytest.fixture(scope="module")
def facts(wiki: LinkedFactsWiki) -> list[Fact]:
    return list(wiki.facts())


def test_there_are_as_many_documents_as_pages(documents: dict[DocumentId, Document]) -> None:
    assert len(documents) == PAGES
    flags = Counter(flag for document in documents.values() for flag in document.flags)
    assert flags == {"list": len(range(63, PAGES, 64)), "disambiguation": len(range(77, PAGES, 128))}


def test_every_answer_is_located_after_its_link(documents: dict[DocumentId, Document], facts: list[Fact]) -> None:
    for fact in facts:
        document = documents[fact.linker]
        span = locate(fact, document)
        assert span is not None, (fact, document.text)
        start, end = span
        assert document.text[start:end] == fact.answer
        assert not document.text[end : end + 1].isalpha()
        before = [link for link in document.links if link.target == fact.via and link.end <= start]
        assert before and document.text[before[-1].end : start] == fact.context


def test_every_answer_is_stated_in_its_target(documents: dict[DocumentId, Document], facts: list[Fact]) -> None:
    for fact in facts:
        target = documents[fact.target]
        name = target.title.removesuffix(" (river)")
        if fact.kind == "two_key":
            assert (
                f"{name} the" in target.text and f"{fact.context.removeprefix(' the ')}{fact.answer}" in target.text
            )
        else:
            assert target.text.count(f"{name} {fact.answer}") == 3


def test_the_answer_is_written_only_where_a_fact_says_so(
    documents: dict[DocumentId, Document], facts: list[Fact]
) -> None:
    """In the linker, a restated emblem is found nowhere else unless the linker's own or another's is the same."""
    by_linker: dict[DocumentId, list[Fact]] = {}
    for fact in facts:
        by_linker.setdefault(fact.linker, []).append(fact)
    world = World(pages=PAGES, seed=3)
    own = {world.traits(index).title.replace(" ", "_"): world.traits(index).emblem for index in range(PAGES)}
    for linker, restated in by_linker.items():
        emblems = [fact.answer for fact in restated if fact.kind != "two_key"]
        for value in set(emblems):
            expected = emblems.count(value) + (3 if own[linker] == value else 0)
            assert documents[linker].text.count(f" {value}") == expected, documents[linker].text


def test_two_hops_lead_through_the_linked_document(documents: dict[DocumentId, Document], facts: list[Fact]) -> None:
    hops = [fact for fact in facts if fact.kind == "two_hop"]
    assert len(hops) > 50
    for fact in hops:
        assert fact.target in {link.target for link in documents[fact.via].links}
        assert fact.target not in {link.target for link in documents[fact.linker].links}
        assert fact.via != fact.target != fact.linker
        twin = [link for link in documents[fact.via].links if link.target == fact.target]
        assert not documents[fact.via].text[twin[0].end :].startswith(f" {fact.answer}")
    assert all(fact.via == fact.target for fact in facts if fact.kind != "two_hop")


def test_most_facts_are_of_the_easy_kind(facts: list[Fact]) -> None:
    kinds = Counter(fact.kind for fact in facts)
    assert kinds["one_key"] > 1.8 * PAGES
    assert min(kinds["two_key"], kinds["two_hop"]) > 0.1 * PAGES
    assert {len(fact.choices) for fact in facts} == {32, 8}
    assert all(fact.answer in fact.choices for fact in facts)


def test_the_linker_alone_leaves_the_answer_to_chance(
    documents: dict[DocumentId, Document], facts: list[Fact]
) -> None:
    """Guessing from what stands before (the word before the link, or the linker's own emblem) wins nothing."""
    easy = [fact for fact in facts if fact.kind == "one_key"]
    half = len(easy) // 2
    seen: dict[str, Counter[str]] = {}

    def clue(fact: Fact) -> str:
        span = locate(fact, documents[fact.linker])
        assert span is not None
        link = next(link for link in documents[fact.linker].links if link.target == fact.via)
        return " ".join(documents[fact.linker].text[: link.start].split()[-3:])

    for fact in easy[:half]:
        seen.setdefault(clue(fact), Counter())[fact.answer] += 1
    guesses = [(fact, seen[clue(fact)].most_common(1)[0][0]) for fact in easy[half:] if clue(fact) in seen]
    assert len(guesses) > 100
    right = sum(fact.answer == guess for fact, guess in guesses) / len(guesses)
    assert right < 1 / 32 + 5 * math.sqrt(1 / 32 / len(guesses))


def test_prose_is_short_and_longer_on_request(documents: dict[DocumentId, Document], tmp_path: Path) -> None:
    mean = sum(len(document.text.split()) for document in documents.values()) / len(documents)
    assert 35 < mean < 70
    longer = LinkedFactsWiki(pages=40, extra_sentences=10, cache=tmp_path)
    assert sum(len(document.text.split()) for document in longer.get_data_generator()) / 40 > mean + 70


def test_the_reader_takes_the_markup_away(documents: dict[DocumentId, Document]) -> None:
    for document in documents.values():
        for markup in ("{{", "}}", "[[", "]]", "<ref", "<!--", "{|", "'''", "Category:", "Infobox", "Annals", "&"):
            assert markup not in document.text, document.text


def test_links_lead_to_documents_and_redirects_are_resolved(
    wiki: LinkedFactsWiki, documents: dict[DocumentId, Document]
) -> None:
    assert "#REDIRECT [[" in wiki.dump.read_text(encoding="utf-8")
    targets = Counter(link.target for document in documents.values() for link in document.links)
    assert set(targets) <= set(documents)
    assert any(link_text.startswith("[Old ") for link_text in _link_texts(documents))


def _link_texts(documents: dict[DocumentId, Document]) -> list[str]:
    return [document.text[link.start : link.end] for document in documents.values() for link in document.links]


def test_every_form_of_a_link_occurs(wiki: LinkedFactsWiki) -> None:
    wikitext = wiki.dump.read_text(encoding="utf-8")
    for form in (r"\]\]ian ", r"#History\|", r"\[\[Old ", r" \(river\)\|", r"\[\[[a-z]\w+\|", r"\|Upper "):
        assert re.search(form, wikitext), form


def test_the_same_settings_give_the_same_bytes(wiki: LinkedFactsWiki, tmp_path: Path) -> None:
    again = attrs.evolve(wiki, cache=tmp_path)
    again.pre_cache()
    assert again.dump.read_bytes() == wiki.dump.read_bytes()
    assert (again.directory / "facts.jsonl").read_bytes() == (wiki.directory / "facts.jsonl").read_bytes()
    assert again == wiki and again.directory.name == wiki.directory.name
    assert attrs.evolve(wiki, seed=4).directory != wiki.directory


def test_these_are_the_bytes() -> None:
    """On every machine and Python: a change here needs a new edition of the generator."""
    world = World(pages=100, seed=0)
    pages = [page for index in range(100) for page in written_pages(world, index, 1)]
    text = "\n".join(f"{page.title}|{page.redirect}|{page.wikitext}" for page in pages)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "cceaaa9743ef86f9"


def test_a_page_needs_no_other() -> None:
    """Page k of a world is written alone as it is written in its turn, so memory does not grow with the world."""
    world = World(pages=50_000, seed=5)
    in_turn = [list(written_pages(world, index, 0)) for index in range(40_000, 40_010)]
    assert list(written_pages(world, 40_009, 0)) == in_turn[9]


def test_the_export_is_well_formed_and_names_its_schema(wiki: LinkedFactsWiki) -> None:
    root = ElementTree.parse(wiki.dump).getroot()
    space = "{http://www.mediawiki.org/xml/export-0.11/}"
    assert root.tag == f"{space}mediawiki" and root.get("version") == "0.11"
    assert root.findtext(f"{space}siteinfo/{space}case") == "first-letter"
    pages = root.findall(f"{space}page")
    identifiers = [page.findtext(f"{space}id") for page in pages]
    assert len(set(identifiers)) == len(pages) > PAGES
    for page in pages:
        text = page.find(f"{space}revision/{space}text")
        assert text is not None and text.get("bytes") == str(len((text.text or "").encode()))


def test_many_pages_are_written_within_minutes() -> None:
    """200,000 pages within minutes, even with every call checked: 200 a second where 4,000 are usual unchecked."""
    world = World(pages=200_000, seed=0)
    start = time.process_time()
    for index in range(100_000, 100_200):
        list(written_pages(world, index, 0))
    assert time.process_time() - start < 1  # seconds


def test_finished_work_is_found(wiki: LinkedFactsWiki) -> None:
    wiki.pre_cache()
    before = wiki.dump.stat().st_mtime_ns
    wiki.pre_cache()
    assert wiki.dump.stat().st_mtime_ns == before


def test_nothing_is_dropped_without_a_word(wiki: LinkedFactsWiki) -> None:
    with watching(Drops()) as drops:
        list(wiki.get_data_generator())
    assert all("redirect" in reason or "namespace" in reason for reason in drops.counts), drops.counts


@pytest.mark.parametrize("pages", [1, 2, 65])
def test_the_smallest_wikis_are_read(tmp_path: Path, pages: int) -> None:
    wiki = LinkedFactsWiki(pages=pages, cache=tmp_path)
    documents = {document.id: document for document in wiki.get_data_generator()}
    assert len(documents) == pages
    assert all(locate(fact, documents[fact.linker]) for fact in wiki.facts())


@pytest.mark.parametrize(("name", "value"), [("pages", 0), ("pages", -3), ("extra_sentences", -1)])
def test_impossible_settings_are_refused(name: str, value: int) -> None:
    with pytest.raises(
        SourceError, match=rf"LinkedFactsWiki\.{name}\n  got     {value}\n  wanted  a whole number of"
    ):
        LinkedFactsWiki(**{name: value})


def test_locating_needs_the_link_the_context_and_the_linker() -> None:
    fact = Fact(
        linker=DocumentId("A"), target=DocumentId("B"), via=DocumentId("B"), kind="one_key", context=" ",
        answer="heron", choices=("heron", "otter"),
    )  # fmt: skip
    links = (Link(start=0, end=6, target=DocumentId("B")), Link(start=14, end=20, target=DocumentId("B")))
    document = Document(id=DocumentId("A"), title="A", text="[B](B) otter, [B](B) heron", links=links)
    assert locate(fact, document) == (21, 26)
    assert locate(fact, attrs.evolve(document, links=links[:1])) is None
    assert locate(fact, attrs.evolve(document, id=DocumentId("C"))) is None
    assert locate(attrs.evolve(fact, via=DocumentId("C")), document) is None


def test_the_facts_are_a_source_of_their_own(wiki: LinkedFactsWiki, facts: list[Fact]) -> None:
    assert list(LinkedFacts(wiki).get_data_generator()) == facts
