"""The store as a part of recipes: built once, found again, gone on with, walked over, written by many processes."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from graph_strategies import power_law_corpus

from gptlab.graph import BreadthFirst, DocumentTable, RandomWalk, TraverseLinks
from gptlab.graph.store import DocumentStore, Portion, StoredDocuments, Walks, tokenizer_fingerprint
from gptlab.graph.store.build import build_store
from gptlab.graph.store.parts import PartSize, write_parts
from gptlab.packing import Collate, Pack, PackedRows
from gptlab.pipeline import ContractError, Drops, drop, pipeline, watching
from gptlab.pipeline.protocols import SeekableSource
from gptlab.sources import ArticleFolder, LinkedFactsWiki
from gptlab.storage import fingerprint, is_complete, load_from_dir, save_to_dir
from gptlab.tokenizers import LearnedBPE, Tokenize
from gptlab.types import Document, TokenizedDocument


@attrs.frozen
class Corpus:
    """Linked documents; every reading leaves a line in a journal. It may break off, as a process that is killed does.

    Between documents something is dropped, and once more at the end.
    """

    size: int = 40
    journal: Path = Path("/nonexistent")

    def get_data_generator(self) -> Iterator[TokenizedDocument]:
        if self.journal.parent.exists():
            with self.journal.open("a") as file:
                file.write("read\n")
        for number, document in enumerate(power_law_corpus(self.size, links=3, length=12)):
            if (self.journal.parent / f"break-{number}").exists():
                (self.journal.parent / f"break-{number}").unlink()
                raise KeyboardInterrupt
            drop("nothing of worth", example=f"before {number}")
            yield document
        drop("cut at the end")


def test_documents_are_stored_once_and_found_again_with_the_same_drops(tmp_path):
    corpus, expected = Corpus(journal=tmp_path / "journal"), list(Corpus().get_data_generator())
    with watching(Drops()) as first:
        made = StoredDocuments(corpus, cache=tmp_path / "cache")
        assert list(made.get_data_generator()) == expected
    with watching(Drops()) as second:
        found = StoredDocuments((corpus,), cache=tmp_path / "cache")
        found.pre_cache()
        found.pre_cache()
        assert list(found.get_data_generator(start=30)) == expected[30:]
    assert made == found
    assert fingerprint(made) == fingerprint(attrs.evolve(made, cache=Path("elsewhere"), processes=3))
    assert (tmp_path / "journal").read_text() == "read\n"
    assert first.counts == second.counts == {"nothing of worth": 40, "cut at the end": 1}
    assert first.examples == second.examples
    assert isinstance(found, SeekableSource)
    assert (len(found), found[-1], found[0]) == (40, expected[-1], expected[0])
    with pytest.raises(IndexError):
        found[40]


def test_a_build_that_broke_off_goes_on_and_tells_every_drop_once(tmp_path):
    sources = (Corpus(journal=tmp_path / "journal"), Corpus(size=3))
    for number in (0, 7, 8, 39):
        (tmp_path / f"break-{number}").touch()
    stored = StoredDocuments(sources, cache=tmp_path / "cache")
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt), watching(Drops()):
            build(stored)
        assert not stored.directory.exists()
    with watching(Drops()) as drops:
        build(stored)
    assert drops.counts == {"nothing of worth": 43, "cut at the end": 2, "document with an identity that is taken": 3}
    assert drops.examples["nothing of worth"] == "before 0"
    assert list(stored.get_data_generator()) == list(Corpus().get_data_generator())
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [stored.directory.name]


def build(stored: StoredDocuments) -> None:
    """Build with small parts, so that there is something to go on from."""
    build_store(stored.documents, stored.directory, size=PartSize(tokens=50))


def test_parts_of_other_documents_are_not_taken_over(tmp_path):
    (tmp_path / "break-30").touch()
    with pytest.raises(KeyboardInterrupt):
        DocumentStore.build(Corpus(journal=tmp_path / "journal"), tmp_path / "store", size=PartSize(tokens=50))
    other = Corpus(size=20)
    store = DocumentStore.build(other, tmp_path / "store", size=PartSize(tokens=50))
    assert [store[number] for number in range(20)] == list(other.get_data_generator())


def test_a_store_that_is_gone_or_damaged_is_built_again(tmp_path):
    stored = StoredDocuments(Corpus(), cache=tmp_path)
    first = stored[0]
    (stored.directory / "names.npy").unlink()
    stored.pre_cache()
    assert is_complete(stored.directory, "document-store")
    assert stored[0] == first
    stored.directory.with_name(f"{stored.directory.name}.parts").mkdir()  # as a kill at the very end leaves it
    StoredDocuments(Corpus(), cache=tmp_path).pre_cache()
    assert [path.name for path in tmp_path.iterdir()] == [stored.directory.name]


@pytest.mark.parametrize(
    "traverse", [TraverseLinks(BreadthFirst(), budget=60), TraverseLinks(RandomWalk(), epochs=2)]
)
def test_walks_over_stored_documents_are_those_of_the_stage(tmp_path, traverse):
    stored = StoredDocuments(Corpus(), cache=tmp_path)
    walks = Walks(stored, traverse)
    expected = list(pipeline(Corpus(), traverse).get_data_generator())
    with watching(Drops()) as drops:
        assert list(walks.get_data_generator()) == expected
    assert list(walks.get_data_generator(start=31)) == expected[31:]
    assert len(walks) == len(expected)
    links = sum(count for reason, count in drops.counts.items() if "link" in reason)
    assert links == sum(sum(walk.dropped.values()) for walk in expected) > 0


def test_a_recipe_with_stored_documents(tmp_path):
    """From text to batches, with the vocabulary carried through and rows kept under the whole path's fingerprint."""
    articles = ArticleFolder(LinkedFactsWiki(pages=30, cache=tmp_path), cache=tmp_path)
    tokenizer = LearnedBPE(corpus=articles, vocab_size=300, cache=tmp_path)
    portions = tuple(pipeline(Portion(articles, part, of=2), Tokenize(tokenizer)) for part in range(2))
    stored = StoredDocuments(portions, cache=tmp_path, processes=2)
    rows = PackedRows(pipeline(Walks(stored, TraverseLinks(BreadthFirst(), budget=64)), Pack(64)), cache=tmp_path)
    data = pipeline(rows, Collate(2))
    assert (data.axes()["vocab"], data.axes()["seq"]) == (300, 64)
    assert next(data.get_data_generator()).tokens.shape == (2, 64)
    assert (
        stored.store.summary.tokenizer == tokenizer_fingerprint(tokenizer.table) == tokenizer_fingerprint(tokenizer)
    )
    DocumentStore.open(stored.directory, tokenizer=tokenizer.table)
    expected = list(Tokenize(tokenizer)(articles.get_data_generator()))
    assert list(stored.get_data_generator()) == expected
    table = DocumentTable.from_documents(expected)
    assert stored.store.graph.out_targets.tolist() == table.graph.out_targets.tolist()
    save_to_dir(data, tmp_path / "saved")
    assert load_from_dir(tmp_path / "saved") == data


def test_what_is_no_source_of_tokenized_documents_is_refused():
    with pytest.raises(ContractError) as error:
        StoredDocuments(LinkedFactsWiki(pages=3))
    assert "StoredDocuments.documents\n  got     a source of Document, LinkedFactsWiki" in str(error.value)
    assert "Put Tokenize behind it" in str(error.value)
    with pytest.raises(ValueError, match="got     no source\n  wanted  a source of TokenizedDocument, or several"):
        StoredDocuments(())
    with pytest.raises(ContractError):
        pipeline(StoredDocuments(Corpus()), Pack(64))


@attrs.frozen
class Numbered:
    """Documents by number."""

    size: int

    def __len__(self) -> int:
        return self.size

    def get_data_generator(self, start: int = 0) -> Iterator[Document]:
        for number in range(start, self.size):
            yield Document(id=f"D{number}", title="", text="")


@pytest.mark.parametrize(("size", "of"), [(10, 3), (2, 5), (0, 2), (7, 1)])
def test_portions_are_all_documents_in_order(size, of):
    portions = [Portion(Numbered(size), part, of=of) for part in range(of)]
    runs = [list(portion.get_data_generator()) for portion in portions]
    assert [each for run in runs for each in run] == list(Numbered(size).get_data_generator())
    assert max(map(len, runs)) - min(map(len, runs)) <= 1
    for portion, run in zip(portions, runs, strict=True):
        assert list(portion.get_data_generator(start=1)) == run[1:]
        assert list(portion.get_data_generator(start=9)) == run[9:]


def test_a_portion_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"Portion\.part\n  got     2\n  wanted  below of=2\n  Parts count from 0"):
        Portion(Numbered(3), 2, of=2)
    with pytest.raises(ValueError, match="wanted  a source with a length and a start\n  Put an ArticleFolder behind"):
        Portion(Corpus(), 0, of=2)


def test_parts_that_are_found_are_not_written_again(tmp_path):
    size = PartSize(tokens=60)
    first = write_parts(Corpus(journal=tmp_path / "journal"), tmp_path / "parts", size=size)
    stamps = [path.stat().st_mtime_ns for path in first]
    with watching(Drops()) as drops:
        again = write_parts(Corpus(journal=tmp_path / "journal"), tmp_path / "parts", size=size)
    assert (again, [path.stat().st_mtime_ns for path in again]) == (first, stamps)
    assert (tmp_path / "journal").read_text() == "read\n"
    assert drops.counts == {"nothing of worth": 40, "cut at the end": 1}
