"""The laws of rows: exact length, whole documents but one, every edge where its link is, nothing lost uncounted."""

from collections import Counter

import attrs
import numpy as np
import pytest
from graph_strategies import END, corpora, document, walks
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import BreadthFirst, DocumentTable, TraverseLinks, walk_of
from gptlab.packing import Collate, Concatenate, CutLast, Excess, FitRest, Pack, PadRest, unpack
from gptlab.pipeline import Drops, watching

cutting = st.builds(Pack, st.integers(2, 60), min_document=st.integers(0, 6))
packs = st.builds(
    Pack,
    st.integers(2, 60),
    excess=st.sampled_from([CutLast(), PadRest(), FitRest()]),
    min_document=st.integers(0, 6),
    max_document=st.none() | st.integers(2, 30),
)


@given(walks(), packs)
def test_whatever_the_policy_a_row_is_of_the_walk_in_its_order_root_and_all_and_its_losses_are_counted(walk, pack):
    row = pack.row(walk)
    assert len(row.tokens) == pack.seq_len
    assert set(row.tokens[row.length :].tolist()) <= {END}
    places = {each.id: place for place, each in enumerate(walk.documents)}
    kept = [places[id] for id in row.ids]
    assert kept == sorted(kept)
    assert int(walk.visited.argmin()) in kept
    cut = 0
    for place, piece in zip(kept, unpack(row), strict=True):
        document = walk.documents[place]
        assert piece[-1] == END
        assert np.array_equal(piece[:-1], document.tokens[: len(piece) - 1])
        assert len(piece) <= (pack.max_document or pack.seq_len)
        cut += len(document.tokens) - len(piece)
        is_root = walk.visited[place] == 0
        assert is_root or len(piece) == len(document.tokens) or len(piece) >= pack.least(document.title)
    assert row.cut == cut
    with watching(Drops()) as drops:
        assert list(pack(iter([walk]))) == [row]
    assert drops.counts["token of a document that is cut"] == cut
    assert drops.counts["document without room in the row"] == len(walk.documents) - len(kept)


@given(walks(), st.integers(2, 60), st.none() | st.integers(2, 30))
def test_no_document_is_cut_for_want_of_room_where_the_rest_is_padded_or_fitted(walk, seq_len, cap):
    padded, fitted = (Pack(seq_len, excess=excess, max_document=cap) for excess in (PadRest(), FitRest()))
    lengths = {each.id: min(len(each.tokens), cap or len(each.tokens)) for each in walk.documents}
    root = walk.documents[int(walk.visited.argmin())]
    row, fuller = padded.row(walk), fitted.row(walk)
    for each in (row, fuller):
        for id, piece in zip(each.ids, unpack(each), strict=True):
            assert len(piece) == lengths[id] or (id == root.id and len(piece) == seq_len)
    assert set(row.ids) <= set(fuller.ids)
    for each in walk.documents:  # none is left that would fit
        stays_out = each.id != root.id and lengths[each.id] < min(len(each.tokens), padded.least(each.title))
        assert each.id in fuller.ids or stays_out or lengths[each.id] > seq_len - fuller.length


@given(walks(), cutting)
def test_a_row_is_the_walk_in_its_order_with_at_most_one_document_cut(walk, pack):
    row = pack.row(walk)
    assert len(row.tokens) == pack.seq_len
    assert row.tokens.dtype == walk.documents[0].tokens.dtype
    assert 0 < row.length <= pack.seq_len
    assert set(row.tokens[row.length :].tolist()) <= {END}
    pieces = unpack(row)
    assert len(pieces) == len(row.ids) == len(row.starts)
    assert sum(len(piece) for piece in pieces) == row.length

    places = {each.id: place for place, each in enumerate(walk.documents)}
    kept = [places[id] for id in row.ids]
    assert kept == sorted(kept)  # targets first, as in the walk
    visits = walk.visited[kept]
    assert sorted(visits.tolist()) == list(range(len(kept)))  # the first reached, the root among them
    for place, piece in zip(kept, pieces, strict=True):
        whole = walk.documents[place].tokens
        assert piece[-1] == END
        assert np.array_equal(piece[:-1], whole[: len(piece) - 1])
        if len(piece) < len(whole):  # cut: then it is the last reached and the row is full
            assert walk.visited[place] == max(visits)
            assert row.length == pack.seq_len
            title = len(walk.documents[place].title.encode())
            assert walk.visited[place] == 0 or len(piece) > title + pack.min_document
    if row.length < pack.seq_len and len(kept) < len(places):  # what was left out would have been too short
        left_out = walk.documents[walk.visited.tolist().index(len(kept))]
        room = pack.seq_len - row.length
        assert room < len(left_out.tokens)
        assert room < len(left_out.title.encode()) + pack.min_document + 6


@given(walks(), packs)
def test_every_link_is_an_edge_of_the_row_or_counted(walk, pack):
    row = pack.row(walk)
    links = sum(len(each.link_targets) for each in walk.documents)
    assert links == len(row.edges) + sum(row.dropped.values())
    assert {reason: row.dropped[reason] for reason in walk.dropped} == dict(walk.dropped)
    assert set(row.dropped) <= {*walk.dropped, "cut", "no room"}

    expected = Counter()
    lengths = dict(zip(row.ids, map(len, unpack(row)), strict=True))
    for linker, target, position in walk.edges.tolist():
        if position >= lengths.get(walk.documents[linker].id, 0) - 1:
            expected["cut"] += 1
        elif walk.documents[target].id not in lengths:
            expected["no room"] += 1
    assert Counter({key: row.dropped[key] for key in ("cut", "no room") if key in row.dropped}) == expected


@given(walks(), packs)
def test_an_edge_of_the_row_is_an_edge_of_the_walk(walk, pack):
    row = pack.row(walk)
    places = {each.id: place for place, each in enumerate(walk.documents)}
    ends = [*row.starts[1:].tolist(), row.length]
    known = set(map(tuple, walk.edges.tolist()))
    for linker, target, position in row.edges.tolist():
        assert target < linker
        assert row.starts[linker] <= position < ends[linker] - 1
        moved = (places[row.ids[linker]], places[row.ids[target]], position - int(row.starts[linker]))
        assert moved in known
    assert row.edges.tolist() == sorted(row.edges.tolist())


@given(walks(), packs)
def test_packing_is_pure(walk, pack):
    before = [each.tokens.copy() for each in walk.documents]
    first, second = pack.row(walk), pack.row(walk)
    assert first == second
    assert not np.shares_memory(first.tokens, second.tokens)
    assert not any(np.shares_memory(first.tokens, each.tokens) for each in walk.documents)
    assert all(np.array_equal(each.tokens, kept) for each, kept in zip(walk.documents, before, strict=True))


def a_walk(reached=(0, 1, 2)):
    documents = [
        document("Root", [1, 2, 3, 4], [(1, "Near"), (3, "Far")], title="R"),
        document("Near", [5, 6, 7], [(2, "Far")], title="N"),
        document("Far", [8, 8, 8, 8], title="F"),
    ]
    return walk_of(DocumentTable.from_documents(documents), list(reached))


def test_a_row_written_out():
    row = Pack(16, min_document=0).row(a_walk())
    assert row.tokens.tolist() == [8, 8, 8, 8, 9, 5, 6, 7, 9, 1, 2, 3, 4, 9, 9, 9]
    assert row.starts.tolist() == [0, 5, 9]
    assert row.ids == ("Far", "Near", "Root")
    assert row.edges.tolist() == [[1, 0, 7], [2, 0, 12], [2, 1, 10]]
    assert (row.length, row.end_of_text, dict(row.dropped)) == (14, 9, {})


def test_the_last_reached_is_cut_and_keeps_end_of_text():
    documents = [document("Root", [1, 2], [(1, "Near")]), document("Near", [5] * 30, title="N")]
    row = Pack(20, min_document=4).row(walk_of(DocumentTable.from_documents(documents), [0, 1]))
    assert [piece.tolist() for piece in unpack(row)] == [[5] * 16 + [9], [1, 2, 9]]
    assert row.edges.tolist() == [[1, 0, 18]]


def test_a_piece_that_would_be_its_title_and_little_more_is_left_out_and_counted():
    with watching(Drops()) as drops:
        (row,) = Pack(12, min_document=3)(iter([a_walk()]))
    assert row.ids == ("Near", "Root")
    assert row.length == 9
    assert row.edges.tolist() == [[1, 0, 5]]
    assert row.dropped == {"no room": 2}
    assert drops.counts == {"link to a document without room in the row": 2, "document without room in the row": 1}


def test_each_policy_loses_something_else():
    walk = a_walk()  # of 5, 4 and 5 tokens, in the order reached
    for excess in (CutLast(), PadRest()):
        row = Pack(13, excess=excess, min_document=0).row(walk)
        assert (row.ids, row.length, row.cut) == (("Near", "Root"), 9, 0)  # four tokens of Far are hardly its title
    far_first = a_walk([0, 2, 1])
    for excess, ids, length in ((PadRest(), ("Root",), 5), (FitRest(), ("Near", "Root"), 9)):
        row = Pack(9, excess=excess).row(far_first)
        assert (row.ids, row.length, row.cut) == (ids, length, 0)
    capped = Pack(16, min_document=0, max_document=4).row(walk)  # of Far hardly more than its title would be left
    assert [(id, len(piece)) for id, piece in zip(capped.ids, unpack(capped), strict=True)] == [
        ("Near", 4),
        ("Root", 4),
    ]
    assert (capped.cut, dict(capped.dropped)) == (1, {"cut": 1, "no room": 1})


@attrs.frozen
class RootOnly:
    """A policy of the user's own."""

    more: int = 0

    def kept(self, sizes, least, seq_len):
        return np.minimum(sizes, seq_len) * (np.arange(len(sizes)) == 0) + self.more


def test_a_policy_of_the_users_own_is_asked_and_watched():
    assert isinstance(RootOnly(), Excess)
    assert Pack(16, excess=RootOnly()).row(a_walk()).ids == ("Root",)
    with pytest.raises(ValueError) as error:
        Pack(16, excess=RootOnly(more=1)).row(a_walk())
    assert str(error.value) == (
        "RootOnly.kept, in the walk from 'Root'\n"
        "  got     [6, 1, 1] of [5, 4, 5] tokens, for a row of 16\n"
        "  wanted  some of the first, of each no more than it has, and together no more than the row holds\n"
        "  Return an array as long as the documents, 0 for those that are left out."
    )
    for wrong in (lambda sizes: sizes[:1], lambda sizes: sizes, lambda sizes: sizes * 0, lambda sizes: -sizes):
        with pytest.raises(ValueError, match=r"Asked\.kept, in the walk from 'Root'"):
            Pack(9, excess=Asked(wrong)).row(a_walk())


@attrs.frozen
class Asked:
    """A policy that is wrong in a way of the test's."""

    wrong: object

    def kept(self, sizes, least, seq_len):
        return self.wrong(sizes)


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError) as error:
        Pack(9, excess="cut")
    assert str(error.value) == "Pack.excess\n  got     'cut'\n  wanted  an Excess\n  Try CutLast() or FitRest()."
    with pytest.raises(ValueError, match=r"Pack.max_document\n  got     1\n  wanted  a whole number of at least 2"):
        Pack(9, max_document=1)


def test_the_links_of_a_document_left_out_are_counted():
    row = Pack(6, min_document=3).row(a_walk())
    assert row.ids == ("Root",)
    assert row.dropped == {"cut": 1, "no room": 2}


def test_a_root_that_is_too_long_is_cut_at_its_end():
    with watching(Drops()) as drops:
        (row,) = Pack(4)(iter([a_walk()]))
    assert row.tokens.tolist() == [1, 2, 3, 9]
    assert row.dropped == {"cut": 2, "no room": 1}
    assert drops.counts["link cut off with its linker"] == 2


@given(corpora(), st.integers(2, 40))
def test_whole_chain_makes_one_row_per_document(documents, seq_len):
    walked = TraverseLinks(BreadthFirst(), budget=seq_len)(iter(documents))
    rows = list(Pack(seq_len, min_document=0)(walked))
    assert len(rows) == len(documents)
    assert sum(len(batch.tokens) for batch in Collate(3)(iter(rows))) == len(documents)


def test_one_walk_is_read_per_row():
    read = []

    def some():
        for number in range(5):
            read.append(number)
            yield a_walk()

    rows = Pack(8)(some())
    assert read == []
    next(rows)
    assert read == [0]


@pytest.mark.parametrize("stage", [Pack, Concatenate])
@pytest.mark.parametrize("value", [1, -3, 2.0, True])
def test_a_length_that_holds_nothing_is_refused(stage, value):
    with pytest.raises(ValueError, match=rf"{stage.__name__}.seq_len\n  got     {value}\n  wanted  a whole number"):
        stage(value)


def test_documents_of_two_tokenizers_are_refused():
    walk = a_walk()
    odd = document("Odd", [1])
    odd.tokens[-1] = 7
    with pytest.raises(
        ValueError, match="Pack, in the walk from 'Root'\n  got     documents that end with different"
    ):
        Pack(9).row(attrs.evolve(walk, documents=(odd, *walk.documents[1:])))


@given(corpora(min_size=0), st.integers(2, 20))
def test_concatenated_rows_are_the_documents_back_to_back(documents, seq_len):
    rows = list(Concatenate(seq_len)(iter(documents)))
    stream = [token for each in documents for token in each.tokens.tolist()]
    assert [token for row in rows for token in row.tokens[: row.length].tolist()] == stream
    assert all(len(row.tokens) == seq_len for row in rows)
    assert all(row.length == seq_len for row in rows[:-1])
    boundaries = np.cumsum([0, *(len(each.tokens) for each in documents)]).tolist()
    for number, row in enumerate(rows):
        assert row.starts[0] == 0
        here = [at - number * seq_len for at in boundaries[:-1]]
        assert [at for at in row.starts.tolist() if at] == [at for at in here if 0 < at < seq_len]
        assert len(row.edges) == 0 and row.end_of_text == END
        for start, id in zip(row.starts.tolist(), row.ids, strict=True):
            at = number * seq_len + start
            assert id == documents[int(np.searchsorted(boundaries, at, side="right")) - 1].id


def test_concatenate_reads_no_more_than_a_row_needs():
    read = []

    def some():
        for number in range(9):
            read.append(number)
            yield document(f"D{number}", [1, 2])

    rows = Concatenate(5)(some())
    next(rows)
    assert read == [0, 1]


def test_concatenate_refuses_another_end_of_text():
    odd = document("Odd", [1])
    odd.tokens[-1] = 7
    with pytest.raises(ValueError) as error:
        list(Concatenate(9)(iter([document("Even", [1]), odd])))
    assert str(error.value) == (
        "Concatenate, at document 'Odd'\n"
        "  got     a last token of 7\n"
        "  wanted  end-of-text as the last token, 9 as before\n"
        "  Tokenize all documents with one tokenizer."
    )
