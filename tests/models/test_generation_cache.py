"""The cache against the definition: after any step, of any context, the same logits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.models import DagTransformer, DagTransformerConfig, MaskSpec
from gptlab.models.context import Context
from gptlab.models.generation import Cached, Library, WholeContext
from gptlab.models.transformer import Transformer
from gptlab.types import DocumentId, TokenizedDocument

END = 0
NAMES = [DocumentId(name) for name in ("Ash", "Birch", "Cedar", "Date")]
MASKS = (
    MaskSpec("causal"),
    MaskSpec("document"),
    MaskSpec("from_link"),
    MaskSpec("whole_document"),
    MaskSpec("from_link", ancestors=True),
    MaskSpec("whole_document", ancestors=True),
)
SHAPES: dict[str, dict[str, object]] = {
    "in the row": {},
    "in documents": {"positions_within": "document"},
    "learned": {"position_kind": "learned", "norm": "layer", "qk_norm": False, "mlp": "gelu", "short_conv": 0},
    "learned in documents": {"position_kind": "learned", "positions_within": "document", "qkv_bias": True},
    "grouped": {"heads": 4, "kv_heads": 2, "mlp": "swiglu", "short_conv": 3, "tied_embeddings": False},
    "capped": {"soft_cap": 3.0, "head_dim": 6, "dropout": 0.5, "short_conv": 1, "embedding_norm": False},
}


def network(spec: MaskSpec = MaskSpec(), **changes: object) -> Transformer:
    cfg = DagTransformerConfig(
        **({"layers": 2, "width": 16, "heads": 2, "vocab_size": 11, "max_seq_len": 200, "mask": spec} | changes)
    )
    made = DagTransformer.instantiate(cfg).network
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return made


def document(id: DocumentId, tokens: list[int], links: list[tuple[int, DocumentId]]) -> TokenizedDocument:
    return TokenizedDocument(
        id=id,
        title="",
        tokens=np.array([*tokens, END], np.uint16),
        link_positions=np.array([position for position, _ in links], np.int32),
        link_targets=tuple(target for _, target in links),
    )


@st.composite
def documents(draw: st.DrawFn, id: DocumentId) -> TokenizedDocument:
    tokens = draw(st.lists(st.integers(1, 10), min_size=1, max_size=12))
    links = draw(st.lists(st.tuples(st.integers(0, len(tokens) - 1), st.sampled_from(NAMES)), max_size=3))
    return document(id, tokens, sorted(links))


def stores() -> st.SearchStrategy[dict[DocumentId, TokenizedDocument]]:
    return st.fixed_dictionaries({id: documents(id) for id in NAMES})


steps = st.lists(st.tuples(st.integers(1, 10), st.none() | st.sampled_from(NAMES), st.booleans()), max_size=10)
"""Tokens, each with the target of the link that it completes, if any, and whether the target is read."""


def begun(tokens: list[int], room: int = 25) -> Context:
    """With so little room that documents often make room for others."""
    return Context(document(DocumentId("Written"), tokens, []), room=room)


def take(
    context: Context, step: tuple[int, DocumentId | None, bool], store: dict[DocumentId, TokenizedDocument]
) -> None:
    token, target, is_read = step
    context.write(token)
    if target is not None:
        context.link(len(context.tokens) - 1, target)
        if is_read and target not in context.documents:
            assert context.read(store[target])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spec", MASKS, ids=str)
@given(store=stores(), prompt=st.lists(st.integers(1, 10), min_size=1, max_size=8), steps=steps)
@settings(max_examples=4)
def test_cached_logits_are_the_uncached_ones_after_every_step(
    spec: MaskSpec, shape: str, store: dict, prompt: list[int], steps: list
) -> None:
    made = network(spec, **SHAPES[shape])
    cached, whole = Cached(Library(made)), WholeContext(made)
    context = begun(prompt)
    np.testing.assert_allclose(cached([context]), whole([context]), atol=1e-5, rtol=1e-5)
    for step in steps:
        take(context, step, store)
        np.testing.assert_allclose(cached([context]), whole([context]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spec", MASKS[:4], ids=str)
@given(store=stores(), scripts=st.lists(st.tuples(st.integers(0, 5), steps), min_size=1, max_size=3))
@settings(max_examples=4)
def test_rows_of_a_batch_are_each_as_if_alone_and_may_come_and_go(spec: MaskSpec, store: dict, scripts: list) -> None:
    made = network(spec)
    cached, whole = Cached(Library(made)), WholeContext(made)
    rows = [(begun([1 + number, 2, 3]), starts, list(steps)) for number, (starts, steps) in enumerate(scripts)]
    for moment in range(12):
        present = [(context, left) for context, starts, left in rows if starts <= moment and (left or moment < 6)]
        for context, left in present:
            if left:
                take(context, left.pop(0), store)
        contexts = [context for context, _ in present]
        if contexts:
            np.testing.assert_allclose(cached(contexts), whole(contexts), atol=1e-5, rtol=1e-5)


def test_asked_twice_it_answers_twice_the_same() -> None:
    made = network()
    cached, context = Cached(Library(made)), begun([4, 5, 6])
    take(context, (7, NAMES[0], True), {NAMES[0]: document(NAMES[0], [1, 2], [])})
    first = cached([context])
    np.testing.assert_allclose(cached([context]), first, atol=1e-6)


def linking(count: int) -> Context:
    """A document of `count` links to one other, which is read."""
    context = begun([3])
    for _ in range(count):
        take(context, (4, NAMES[0], True), {NAMES[0]: document(NAMES[0], [1, 2, 3, 4, 5], [])})
    return context


@pytest.mark.parametrize("shape", ["in the row", "in documents"])
def test_a_document_linked_ten_times_is_encoded_once(shape: str) -> None:
    """Ten times in one text, and by ten texts at once, and by the next that comes."""
    library = Library(network(MaskSpec(), **SHAPES[shape]))
    Cached(library)([linking(10)])
    assert library.encodings == 1
    Cached(library)([linking(1 + number) for number in range(10)])
    assert library.encodings == 1


def test_a_link_completed_under_from_link_computes_nothing_again() -> None:
    cached = Cached(Library(network(MaskSpec("from_link"))))
    context = begun([1, 2, 3])
    store = {name: document(name, [5, 6, 7], []) for name in NAMES}
    cached([context])
    for target in (NAMES[0], NAMES[1], NAMES[0]):
        take(context, (4, target, True), store)
        cached([context])
    assert cached.computed == len(context.tokens)


def test_under_whole_document_a_link_computes_the_linker_again() -> None:
    cached = Cached(Library(network(MaskSpec("whole_document"))))
    context = begun([1, 2, 3])
    cached([context])
    take(context, (4, NAMES[0], True), {NAMES[0]: document(NAMES[0], [5, 6, 7], [])})
    cached([context])
    assert cached.computed == 3 + 4


def test_documents_used_longest_ago_leave_the_library() -> None:
    library = Library(network(), most_tokens=10)
    for name in (*NAMES[:3], NAMES[0]):
        context = begun([3])
        take(context, (4, name, True), {name: document(name, [1, 2, 3], [])})
        Cached(library)([context])
    assert library.encodings == 4  # of two documents of four tokens there is room, so the first is gone


def test_equal_texts_of_two_documents_are_two_documents() -> None:
    """With positions within documents nothing but their names tells them apart, and both are seen."""
    made = network(MaskSpec("from_link"), positions_within="document")
    cached, whole, context = Cached(Library(made)), WholeContext(made), begun([3])
    store = {name: document(name, [5, 6, 7], []) for name in NAMES}
    context.write(4)
    for name in NAMES[:2]:
        context.link(1, name)
        context.read(store[name])
    np.testing.assert_allclose(cached([context]), whole([context]), atol=1e-5)
