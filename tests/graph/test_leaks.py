"""Shared runs of words against their definition with tuples."""

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gptlab.graph import DropLeaks, Leak, leaks, linked_leaks
from gptlab.graph.leaks import hashes_of
from gptlab.pipeline import ContractError, Drops, pipeline, watching
from gptlab.types import Document, DocumentId, Link

texts = st.lists(st.sampled_from(["tea", "Tea", "milk", "and", "sugar"]), max_size=12).map(" ".join)
corpus = st.lists(texts, max_size=4)


def named(texts, letter):
    return [Document(id=DocumentId(f"{letter}{n}"), title="", text=text) for n, text in enumerate(texts)]


def runs(text, size):
    words = text.lower().split()
    return {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}


@given(corpus, corpus, st.integers(1, 4))
def test_leaks_are_the_runs_that_both_hold(train, held_out, size):
    train, held_out = named(train, "T"), named(held_out, "H")
    found = {(leak.held_out, leak.train): leak.shared for leak in leaks(iter(train), iter(held_out), size)}
    wanted = {
        (h.id, t.id): shared
        for h in held_out
        for t in train
        if (shared := len(runs(h.text, size) & runs(t.text, size)))
    }
    assert found == wanted


@given(st.lists(st.tuples(texts, st.lists(st.integers(0, 4), max_size=3)), max_size=4), st.integers(1, 3))
def test_linked_leaks_are_the_links_whose_two_ends_share_a_run(pages, size):
    documents = [
        Document(
            id=DocumentId(f"D{number}"),
            title="",
            text="xxx " + text,
            links=tuple(
                Link(start=at, end=at + 1, target=DocumentId(f"D{target}")) for at, target in enumerate(targets)
            ),
        )
        for number, (text, targets) in enumerate(pages)
    ]
    by_id = {document.id: document for document in documents}
    wanted = {
        (document.id, link.target)
        for document in documents
        for link in document.links
        if link.target in by_id
        and link.target != document.id
        and runs(document.text, size) & runs(by_id[link.target].text, size)
    }
    assert linked_leaks(documents, size) == sorted(wanted)


@given(texts, st.integers(1, 4))
def test_equal_runs_have_equal_hashes_and_others_have_others(text, size):
    words = text.lower().split()
    hashes = hashes_of(text, size).tolist()
    assert len(hashes) == max(0, len(words) - size + 1)
    for one, hash_one in enumerate(hashes):
        for other, hash_other in enumerate(hashes):
            assert (hash_one == hash_other) == (words[one : one + size] == words[other : other + size])


class Fixed:
    """A source of given texts."""

    def __init__(self, *texts):
        self.documents = named(texts, "H")

    def get_data_generator(self) -> Iterator[Document]:
        yield from self.documents


COUNTED = " ".join(f"w{number}" for number in range(20))


def test_thirteen_words_in_a_row_are_a_leak_and_twelve_are_none():
    held_out = named([COUNTED], "H")
    copied = named([" ".join(COUNTED.split()[3:16]), " ".join(COUNTED.split()[3:15]), f"So: {COUNTED.upper()}."], "T")
    assert leaks(copied, held_out) == [
        Leak(held_out=DocumentId("H0"), train=DocumentId("T2"), shared=8),
        Leak(held_out=DocumentId("H0"), train=DocumentId("T0"), shared=1),
    ]


def test_documents_that_leak_are_dropped_and_counted():
    train = named([COUNTED, "nothing of the kind", " ".join(COUNTED.split()[:13])], "T")
    with watching(Drops()) as drops:
        kept = list(DropLeaks(Fixed(COUNTED))(iter(train)))
    assert [document.id for document in kept] == ["T1"]
    assert drops.counts == {"shares 13 words in a row with a document held out": 2}
    assert [d.id for d in DropLeaks(Fixed(COUNTED), tolerated=1)(iter(train))] == ["T1", "T2"]
    assert list(DropLeaks(Fixed())(iter(train))) == train
    assert leaks(kept, Fixed(COUNTED).documents) == []


def test_it_is_lazy_in_what_it_filters_and_a_stage():
    def endless():
        while True:
            yield from named(["tea"], "T")

    assert next(DropLeaks(Fixed(COUNTED))(endless())).id == "T0"
    assert len(list(pipeline(Fixed("a"), DropLeaks(Fixed("b"), size=1)).get_data_generator())) == 1


def test_bad_settings_of_leaks_are_refused():
    class Words:
        def get_data_generator(self) -> Iterator[str]:
            yield "tea"

    with pytest.raises(ContractError, match=r"DropLeaks.against\n  got     .*\n  wanted  a source of Document"):
        DropLeaks(Words())
    with pytest.raises(ValueError, match=r"DropLeaks.size\n  got     0\n  wanted  a whole number of at least 1"):
        DropLeaks(Fixed("a"), size=0)
