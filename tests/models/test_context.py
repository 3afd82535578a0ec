"""The context of a writing model is a training row: the training path packs it to the same distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.graph import DocumentTable, walk_of
from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.models.context import LEAST_TOKENS, Context, cut, oldest
from gptlab.models.generation import Cached, Library
from gptlab.packing.collate import stack
from gptlab.packing.pack import Pack
from gptlab.pipeline.observe import Drops, watching
from gptlab.types import Batch, DocumentId, TokenizedDocument

END = 0
NAMES = [DocumentId(name) for name in ("Ash", "Birch", "Cedar", "Date", "Elm", "Fir")]
OWN = DocumentId("Written")


def document(id: DocumentId, tokens: list[int], links: list[tuple[int, DocumentId]]) -> TokenizedDocument:
    return TokenizedDocument(
        id=id,
        title="",
        tokens=np.array([*tokens, END], np.uint16),
        link_positions=np.array([position for position, _ in links], np.int32),
        link_targets=tuple(target for _, target in links),
    )


@st.composite
def documents(draw: st.DrawFn, id: DocumentId, longest: int = 20) -> TokenizedDocument:
    tokens = draw(st.lists(st.integers(1, 10), min_size=1, max_size=longest))
    links = draw(st.lists(st.tuples(st.integers(0, len(tokens) - 1), st.sampled_from(NAMES)), max_size=5))
    return document(id, tokens, sorted(links))


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    """What any sequence of writing, linking and reading may leave, cycles between documents included."""
    context = Context(document(OWN, draw(st.lists(st.integers(1, 10), min_size=1, max_size=5)), []), room=60)
    for _ in range(draw(st.integers(0, 12))):
        context.write(draw(st.integers(1, 10)))
        if draw(st.booleans()):
            target = draw(st.sampled_from(NAMES))
            context.link(len(context.tokens) - 1, target)
            if target not in context.documents and draw(st.booleans()):
                assert context.read(draw(documents(target)))
    return context


def training_batch(context: Context, seq_len: int) -> tuple[Batch, int]:
    """The same documents by the training path, and where the written document's last token stands."""
    own = document(OWN, context.tokens, context.links)
    table = DocumentTable.from_documents([own, *context.documents.values()])
    row = Pack(seq_len).row(walk_of(table, list(range(len(table)))))
    assert row.ids[-1] == OWN
    return stack([row]), row.length - 2  # the last token is end-of-text


@pytest.mark.parametrize(
    "spec", [MaskSpec("from_link"), MaskSpec("whole_document", ancestors=True), MaskSpec("causal")], ids=str
)
@given(context=contexts())
@settings(max_examples=30)
def test_the_training_path_gives_the_same_next_token_distribution(spec: MaskSpec, context: Context) -> None:
    cfg = DagTransformerConfig(layers=2, width=16, heads=2, vocab_size=11, max_seq_len=128, mask=spec)
    model = DagTransformer.instantiate(cfg)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    batch, last = training_batch(context, seq_len=100)
    trained, written = (next(model.forward(iter([each]))).logits for each in (batch, context.batch()))
    assert trained is not None
    assert written is not None
    torch.testing.assert_close(written[0, -1].softmax(-1), trained[0, last].softmax(-1), atol=1e-4, rtol=1e-4)
    cached = torch.from_numpy(Cached(Library(model.network))([context])[0])
    torch.testing.assert_close(cached.softmax(-1), trained[0, last].softmax(-1), atol=1e-4, rtol=1e-4)


@given(context=contexts())
def test_every_field_is_the_training_rows(context: Context) -> None:
    wanted, last = training_batch(context, seq_len=100)
    found = context.batch()
    assert np.array_equal(found.tokens[0], wanted.tokens[0, : last + 1])
    assert np.array_equal(found.documents[0], wanted.documents[0, : last + 1])
    assert np.array_equal(found.positions[0], wanted.positions[0, : last + 1])
    assert np.array_equal(found.edges, wanted.edges)


@given(context=contexts())
def test_what_is_read_stays_within_its_room_and_what_was_linked_longest_ago_goes_first(context: Context) -> None:
    assert sum(len(each.tokens) for each in context.documents.values()) <= context.room
    by_last_link = sorted(context.documents, key=lambda id: max(at for at, target in context.links if target == id))
    newest = document(DocumentId("Newest"), [1] * 50, [])
    assert context.read(newest)
    stays = by_last_link[len(by_last_link) + 1 - len(context.documents) :]
    assert set(context.documents) == {*stays, "Newest"}


@given(context=contexts())
def test_the_oldest_goes_first_where_that_is_the_policy(context: Context) -> None:
    context.evict = oldest
    before = list(context.documents)
    assert context.read(document(DocumentId("Newest"), [1] * 50, []))
    assert list(context.documents) == [*before[len(before) + 1 - len(context.documents) :], "Newest"]


@pytest.mark.parametrize(("room", "held"), [(25, ["Ash", "Birch"]), (24, ["Birch"])])
def test_the_oldest_goes_as_soon_as_one_token_is_too_many(room: int, held: list[str]) -> None:
    context = Context(document(OWN, [1], []), room=room)
    for name, length in zip(NAMES, (10, 13), strict=False):  # and end-of-text each
        context.read(document(name, [1] * length, []))
    assert list(context.documents) == held


def test_a_document_too_long_is_cut_as_pack_cuts_it() -> None:
    context = Context(document(OWN, [1], []), room=LEAST_TOKENS)
    long = document(NAMES[0], list(range(1, 40)), [(13, NAMES[1]), (LEAST_TOKENS - 1, NAMES[2])])
    assert context.read(long)
    held = context.documents[NAMES[0]]
    assert held.tokens.tolist() == [*range(1, LEAST_TOKENS), END]
    assert held.link_targets == (NAMES[1],)
    assert len(context.documents) == 1
    assert cut(long, 40) == long


def test_without_room_nothing_is_read_and_that_is_told() -> None:
    context = Context(document(OWN, [1], []), room=LEAST_TOKENS - 1)
    with watching(Drops()) as drops:
        assert not context.read(document(NAMES[0], [1] * 40, []))
    assert drops.counts == {"linked document without room in the context": 1}
    assert drops.examples == {"linked document without room in the context": NAMES[0]}
    assert context.documents == {}
