"""The store against the table, which is its definition; what it refuses; and that it is mapped, not loaded."""

import json
import multiprocessing
import pickle
import shutil
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from graph_strategies import document, power_law_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from store_strategies import ABSENT, assert_same, difficult_corpora

from gptlab.graph import BreadthFirst, DocumentTable, TraverseLinks
from gptlab.graph.store import DocumentStore, PartSize, tokenizer_fingerprint, write_parts
from gptlab.graph.store import strings as strings_module
from gptlab.graph.store import titles as titles_module
from gptlab.graph.store.parts import Part
from gptlab.pipeline import Drops, watching
from gptlab.storage import StorageError, tell_drops
from gptlab.tokenizers import ByteTokenizer
from gptlab.types import DocumentId, TokenizedDocument

sizes = st.builds(PartSize, tokens=st.integers(1, 40), links=st.integers(1, 10))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of which every example takes a new name."""
    return tmp_path_factory.mktemp("stores")


def fresh(folder: Path) -> Path:
    return folder / f"store-{len(list(folder.iterdir()))}"


@given(difficult_corpora(), sizes)
def test_a_store_is_the_table_of_its_documents(folder, documents, size):
    with watching(Drops()) as by_table:
        table = DocumentTable.from_documents(documents)
    with watching(Drops()) as by_store:
        store = DocumentStore.build(iter(documents), fresh(folder), size=size)
    assert_same(store, table)
    store.release()  # pages that were let go of are read again
    assert [store[number] for number in range(len(table))] == [table[number] for number in range(len(table))]
    assert (by_store.counts, by_store.examples) == (by_table.counts, by_table.examples)
    summary = store.summary
    assert summary.links == len(table.link_targets) == summary.edges + int(table.no_edge.sum())
    assert (summary.documents, summary.tokens, summary.edges) == (
        len(table),
        len(table.tokens),
        len(table.graph.out_targets),
    )
    assert [summary.missing, summary.self_links, summary.repeats] == table.no_edge.sum(axis=0).tolist()
    assert summary.dtype == (table.tokens.dtype.name if documents else "uint16")
    assert summary.end_of_text == (9 if documents else None)
    store.verify()
    with watching(Drops()) as kept:
        tell_drops(store.directory)
    assert kept.counts == by_table.counts


@pytest.mark.parametrize("bad_hash", [lambda data: 0, lambda data: (len(data) % 2) * ((1 << 64) - 1)])
def test_hashes_that_collide_cost_time_only(folder, monkeypatch, bad_hash):
    """Identities, targets and duplicates are told apart by their bytes, however bad the hash is."""
    monkeypatch.setattr(titles_module, "hash_string", bad_hash)
    for module in ("parts", "strings"):
        monkeypatch.setattr(
            f"gptlab.graph.store.{module}.hash_strings",
            lambda strings: np.array([bad_hash(strings[place]) for place in range(len(strings))], np.uint64),
        )

    @settings(max_examples=25)
    @given(difficult_corpora(), sizes)
    def holds(documents, size):
        store = DocumentStore.build(iter(documents), fresh(folder), size=size)
        assert_same(store, DocumentTable.from_documents(documents))

    holds()
    assert titles_module.hash_string(b"a") in (0, (1 << 64) - 1)
    assert strings_module.hash_string(b"a") not in (0, (1 << 64) - 1)


@settings(max_examples=25)
@given(st.lists(difficult_corpora(max_size=5), max_size=4), sizes)
def test_a_merge_of_parts_is_one_build(folder, corpora, size):
    dtype = np.uint16
    corpora = [[as_dtype(each, dtype) for each in documents] for documents in corpora]
    place = fresh(folder)
    place.mkdir()
    parts = [
        path
        for number, documents in enumerate(corpora)
        for path in write_parts(iter(documents), place / f"from-{number}", size=size)
    ]
    store = DocumentStore.merge(parts, place / "store")
    assert_same(store, DocumentTable.from_documents(each for documents in corpora for each in documents))
    assert all(Part.open(path).summary.tokens < size.tokens + 13 for path in parts)


def as_dtype(document: TokenizedDocument, dtype: type) -> TokenizedDocument:
    return attrs.evolve(document, tokens=document.tokens.astype(dtype))


@settings(max_examples=25)
@given(st.data())
def test_walks_over_a_store_are_walks_over_the_table(folder, data):
    documents = data.draw(difficult_corpora())
    table = DocumentTable.from_documents(documents)
    store = DocumentStore.build(iter(documents), fresh(folder), size=PartSize(tokens=20))
    stage = TraverseLinks(BreadthFirst(), seed=data.draw(st.integers(0, 3)), budget=data.draw(st.integers(1, 40)))
    for k in range(len(table)):
        assert stage.walk(store, k) == stage.walk(table, k)


@pytest.fixture
def store(tmp_path):
    documents = list(power_law_corpus(60, links=4, length=20))
    return DocumentStore.build(documents, tmp_path / "store", tokenizer="f00d", size=PartSize(tokens=300))


def test_there_is_no_document_outside_the_store(store):
    for number in (-1, 60):
        with pytest.raises(IndexError, match=f"document {number} of 60"):
            store[number]
        with pytest.raises(IndexError, match=f"document {number} of 60"):
            store.tokens_of(number)
    with pytest.raises(KeyError):
        store.numbers[ABSENT]
    assert store.ids[-1] == "D59"
    assert store.titles[57:] == ("D57", "D58", "D59")
    assert len(store.token_shards) > 3
    assert repr(store) == (
        f"<DocumentStore of 60 documents, {store.summary.tokens:,} tokens, {store.summary.edges:,} edges>"
    )


def test_a_store_is_sent_as_its_place(store):
    data = pickle.dumps(store)
    assert len(data) < 500
    assert [pickle.loads(data)[number] for number in range(60)] == [store[number] for number in range(60)]


def count_tokens(store: DocumentStore, rank: int) -> int:
    return sum(len(store[number].tokens) for number in range(rank, len(store), 3))


def test_many_processes_read_one_store(store):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        counted = pool.starmap(count_tokens, [(store, rank) for rank in range(3)])
    assert sum(counted) == store.summary.tokens


def refused(directory: Path, **options: object) -> str:
    with pytest.raises(StorageError) as error:
        DocumentStore.open(directory, **options)
    return str(error.value).replace(str(directory), "STORE")


def test_a_store_of_another_tokenizer_is_refused(store, tmp_path):
    assert len(DocumentStore.open(store.directory, tokenizer="f00d")) == 60
    assert refused(store.directory, tokenizer="beef") == (
        "STORE\n"
        "  got     the documents in tokens of f00d\n"
        "  wanted  tokens of beef, the tokenizer that was given\n"
        "  Give the tokenizer that the store was built with, or build a store with this one."
    )
    by_bytes = DocumentStore.build([document("A", [1])], tmp_path / "bytes", tokenizer=ByteTokenizer())
    assert DocumentStore.open(by_bytes.directory, tokenizer=ByteTokenizer()).summary == by_bytes.summary
    assert "tokens of f00d, the" in refused(by_bytes.directory, tokenizer="f00d")
    assert by_bytes.summary.tokenizer == tokenizer_fingerprint(ByteTokenizer())
    unsaid = DocumentStore.build([document("A", [1])], tmp_path / "unsaid")
    assert "in tokens of a tokenizer that was not said" in refused(unsaid.directory, tokenizer="f00d")


def test_a_store_of_another_format_is_refused(store):
    path = store.directory / "store.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 0'))
    assert refused(store.directory) == (
        "STORE\n"
        "  got     a document store of format 0\n"
        "  wanted  format 1, which this version reads\n"
        "  Build the store again with this version; its sources are as they were."
    )


def test_what_is_no_store_is_refused(store, tmp_path):
    assert refused(tmp_path / "absent") == (
        "STORE\n"
        "  got     nothing\n"
        "  wanted  a finished document store\n"
        "  Build the store first: pre_cache() of StoredDocuments, or DocumentStore.build."
    )
    (tmp_path / "other").mkdir()
    assert "a directory without manifest.json" in refused(tmp_path / "other")
    (part,) = write_parts([document("A", [1])], tmp_path / "parts")
    assert "got     a document-part-1\n" in refused(part)


@pytest.mark.parametrize("file", ["out_targets.npy", "tokens-00001.npy", "names.npy", "store.json"])
def test_a_store_that_is_cut_is_refused(store, file):
    path = store.directory / file
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(store.directory) == (
        "STORE\n"
        "  got     a document store with a file that is missing or cut\n"
        "  wanted  a finished document store\n"
        "  Remove the directory and build it again, or restore a copy."
    )
    path.unlink()
    assert "a file that is missing or cut" in refused(store.directory)


def test_a_header_that_lies_is_refused(store):
    path = store.directory / "in_linkers.npy"
    path.write_bytes(b"\x00" + path.read_bytes()[1:])
    assert "in_linkers.npy\n  got     " in refused(store.directory)
    assert "wanted  an array of a document store" in refused(store.directory)


def test_a_changed_byte_is_found_on_demand(store):
    path = store.directory / "tokens-00002.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    again = DocumentStore.open(store.directory)
    with pytest.raises(StorageError, match="tokens-00002") as error:
        again.verify()
    assert "content that has changed" in str(error.value)


def test_a_store_that_is_there_is_replaced_only_when_asked(store):
    before = store.summary
    with pytest.raises(StorageError) as error:
        DocumentStore.build([document("A", [1])], store.directory)
    assert "got     a document store that is there already" in str(error.value)
    assert "say replace=True" in str(error.value)
    assert DocumentStore.open(store.directory).summary == before
    new = DocumentStore.build([document("A", [1])], store.directory, replace=True)
    assert new.ids[:] == ("A",)
    assert store[0].id == "D0"  # who has the old one open reads on
    assert sorted(path.name for path in store.directory.parent.iterdir()) == ["store"]


def test_strangers_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="no document-store of gptlab"):
        DocumentStore.build([document("A", [1])], tmp_path / "mine", replace=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            document("B", [1], dtype=np.uint32),
            "document 'B'\n"
            "  got     uint32 tokens that end with 9\n"
            "  wanted  uint16 tokens that end with 9, as the documents before it have\n"
            "  Tokenize all documents with one tokenizer.",
        ),
        (
            TokenizedDocument(
                id=DocumentId("B"),
                title="B",
                tokens=np.zeros(0, np.uint16),
                link_positions=np.zeros(0, np.int32),
                link_targets=(),
            ),
            "document 'B'\n"
            "  got     no tokens\n"
            "  wanted  tokens that end with end-of-text\n"
            "  Tokenize closes every document; check the stage that made this one.",
        ),
        (
            document("B", [1, 2], [(1, "A"), (0, "A")]),
            "document 'B'\n"
            "  got     2 links at tokens [1, 0]\n"
            "  wanted  one token for each link, ascending, below 3\n"
            "  Check the stage that made the document; Tokenize puts links in the order of the text.",
        ),
        (document("B", [1, 2], [(3, "A")]), "document 'B'\n  got     1 links at tokens [3]"),
        (document("B", [1, 2], [(-1, "A")]), "document 'B'\n  got     1 links at tokens [-1]"),
        (
            TokenizedDocument(
                id=DocumentId("B"),
                title="B",
                tokens=np.array([1, 9], np.uint16),
                link_positions=np.zeros(2, np.int32),
                link_targets=(DocumentId("A"),),
            ),
            "document 'B'\n  got     1 links at tokens [0, 0]",
        ),
    ],
)
def test_documents_that_are_none_are_refused(tmp_path, wrong, message):
    # Another document's last link may stand behind the first one's: only within a document must they ascend.
    good = [document("A", [1, 2, 3], [(2, "C")]), document("C", [1], [(0, "A"), (1, "A")])]
    with pytest.raises(ValueError) as error:
        DocumentStore.build([*good, wrong], tmp_path / "store")
    assert str(error.value).startswith(message)
    assert not (tmp_path / "store").exists()


def test_parts_of_two_tokenizers_do_not_merge(tmp_path):
    one = write_parts([document("A", [1])], tmp_path / "one")
    other = write_parts([document("B", [1], dtype=np.uint32)], tmp_path / "other")
    with pytest.raises(ValueError) as error:
        DocumentStore.merge([*one, *other], tmp_path / "store")
    assert "wanted  uint16 tokens that end with 9, as part-00000 has" in str(error.value)


def test_an_unfinished_part_does_not_merge(tmp_path):
    (part,) = write_parts([document("A", [1])], tmp_path / "one")
    (part / "tokens.npy").unlink()
    with pytest.raises(StorageError, match="no finished part of a document store") as error:
        DocumentStore.merge([part], tmp_path / "store")
    assert "Call write_parts for its documents again; it goes on where it stopped." in str(error.value)


def test_a_store_is_read_without_numpy_headers_of_another_kind(store):
    """Any program that reads `.npy` reads a store; sizes on disk are what the docstring says."""
    sizes = {path.name: path.stat().st_size - 128 for path in store.directory.glob("*.npy")}
    documents, edges, odd = 60, store.summary.edges, store.summary.links - store.summary.edges
    names = sum(len(id) for id in store.ids) + 8
    tokens = sum(size for name, size in sizes.items() if name.startswith("tokens-"))
    assert tokens == 2 * store.summary.tokens
    missing = sizes["missing.npy"] + sizes["missing_offsets.npy"]
    shared = sum(sizes.values()) - tokens - names - missing
    assert shared == 59 * documents + 12 * edges + 12 * odd + 8 * 5
    assert json.loads((store.directory / "store.json").read_text())["edges"] == edges


def test_a_copy_is_a_store(store, tmp_path):
    shutil.copytree(store.directory, tmp_path / "copy")
    copy = DocumentStore.open(tmp_path / "copy")
    copy.verify()
    assert copy.get(DocumentId("D3")) == store.get(DocumentId("D3"))


def resident_file_pages() -> int:
    """Bytes of files that are resident in this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is resident")
def test_pages_that_are_let_go_of_are_not_resident_and_come_back(tmp_path):
    many = np.arange(4_000_000, dtype=np.uint32)
    many[-1] = 9
    only = attrs.evolve(document("A", []), tokens=many)
    store = DocumentStore.build([only], tmp_path / "store")
    assert store[0] == only
    before = resident_file_pages()
    store.release()
    assert before - resident_file_pages() > 15_000_000
    assert store[0] == only
