"""A pipeline reads stored documents without the table in between, and many walks by machine code: the same rows."""

import attrs
import pytest

from gptlab.graph import BreadthFirst, RandomWalk, Split, StoredDocuments, TraverseLinks, Walks
from gptlab.packing import Collate, Pack, PackedWalks, pack
from gptlab.pipeline import Drops, pipeline, watching
from gptlab.sources import ArticleFolder, LinkedFactsWiki
from gptlab.tokenizers import ByteTokenizer, Tokenize


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> StoredDocuments:
    cache = tmp_path_factory.mktemp("cache")
    wiki = ArticleFolder(LinkedFactsWiki(pages=40, cache=cache), cache=cache)
    documents = StoredDocuments(pipeline(wiki, Tokenize(ByteTokenizer())), cache=cache)
    documents.pre_cache()
    return documents


TRAVERSALS = (
    TraverseLinks(BreadthFirst(), seed=3, budget=900),
    TraverseLinks(RandomWalk(), budget=500, epochs=2, roots=Split("held_out", 0.3)),
)


@pytest.mark.parametrize("least", [0, 10**9], ids=["by_machine_code", "one_by_one"])
@pytest.mark.parametrize("traverse", TRAVERSALS, ids=["breadth_first", "random_walk"])
def test_rows_batches_and_drops_are_those_of_the_stages(stored, traverse, least, monkeypatch):
    monkeypatch.setattr(pack, "MANY_WALKS", least)
    for stages in ((Pack(700),), (Pack(700), Collate(3))):
        found = {}
        for checks in ("off", "all"):  # all: every seam is checked, so nothing is joined
            chain = pipeline(stored, traverse, *stages, checks=checks)
            with watching(Drops()) as drops:
                found[checks] = (list(chain.get_data_generator()), dict(drops.counts))
        assert len(found["all"][0]) > 5 and found["off"] == found["all"]
        assert (
            list(pipeline(stored, traverse, *stages, checks="off").get_data_generator(start=4)) == found["all"][0][4:]
        )


def test_only_stored_documents_and_many_of_them_are_joined(stored, monkeypatch):
    traverse = TRAVERSALS[0]
    assert traverse.joined(stored) == Walks(stored, traverse)
    assert traverse.joined(stored.documents[0]) is None
    assert Pack(64).joined(Walks(stored, traverse)) is None and Pack(64).joined(stored) is None
    monkeypatch.setattr(pack, "MANY_WALKS", len(stored))
    assert Pack(64).joined(Walks(stored, traverse)) == PackedWalks(stored, traverse, Pack(64))
    assert Pack(64).joined(Walks(stored, attrs.evolve(traverse, roots=Split("held_out", 0.5)))) is None


def test_a_pipeline_joins_its_parts_once(stored, monkeypatch):
    made, joined = [], Pack.joined
    monkeypatch.setattr(Pack, "joined", lambda pack, source: made.append(source) or joined(pack, source))
    monkeypatch.setattr(pack, "MANY_WALKS", 0)
    chain = pipeline(stored, TRAVERSALS[0], Pack(700), checks="off")
    assert [next(chain.get_data_generator(start)).length for start in (0, 5, 0)] == [700] * 3
    assert len(made) == 1
    assert chain == pipeline(stored, TRAVERSALS[0], Pack(700))


def test_no_table_of_all_documents_is_made(stored, monkeypatch):
    def refuse(*_):
        raise AssertionError("all documents were read into memory")

    monkeypatch.setattr("gptlab.graph.traverse.DocumentTable.from_documents", refuse)
    assert next(pipeline(stored, TRAVERSALS[0], Pack(700), checks="off").get_data_generator()).length == 700
    with pytest.raises(AssertionError, match="into memory"):
        next(pipeline(stored, TRAVERSALS[0], Pack(700), checks="all").get_data_generator())
