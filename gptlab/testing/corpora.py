"""Corpora, walks, rows and batches that are valid, not only well typed; made by the stages that make the real ones.

A drawn walk went through `walk_of`, a row through `Pack`, a batch through `stack`: what they promise (targets first,
edges sorted, end-of-text last) holds here because it holds there, and nobody writes it twice.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from gptlab.graph import DocumentTable, walk_of
from gptlab.graph.link_graph import FLAGS
from gptlab.packing import Pack
from gptlab.packing.collate import stack
from gptlab.testing.draw import Draw, composite
from gptlab.testing.text import document_ids, nasty_text, titles
from gptlab.types import (
    Batch,
    Document,
    DocumentId,
    Link,
    PackedSequence,
    Prompt,
    TokenizedDocument,
    Walk,
    document_id,
    render_link,
)
from gptlab.types.links import escape_prose

VOCAB_SIZE = 10
"""Of the token strategies: small, so that tokens repeat; the last id is end-of-text, as everywhere."""

_flags = st.frozensets(st.sampled_from(FLAGS))
_few = st.integers(0, 4)


@composite
def documents(
    draw: Draw, title: st.SearchStrategy[str] | None = None, targets: Sequence[DocumentId] = ()
) -> Document:
    """A document whose links are spans of its text: ordered, apart, and what `scan_links` finds there.

    Args:
        title: of the title; any nasty one when not given.
        targets: what links lead to; when empty, to any identity.
    """
    name = draw(title if title is not None else titles())
    target = st.sampled_from(targets) if targets else document_ids()
    text, links = escape_prose(draw(nasty_text())), []
    for _ in range(draw(_few)):
        linked = draw(target)
        link = render_link(draw(nasty_text(max_size=6)), linked)
        links.append(Link(start=len(text), end=len(text) + len(link), target=linked))
        text += link + escape_prose(draw(nasty_text(max_size=20)))
    return Document(id=document_id(name), title=name, text=text, links=tuple(links), flags=draw(_flags))


def document_id_of(link: str) -> DocumentId:
    """The target of one rendered link."""
    from gptlab.types import scan_links  # noqa: PLC0415

    return scan_links(link)[0].target


@composite
def linked_corpora(draw: Draw, min_size: int = 0, max_size: int = 5) -> list[Document]:
    """Documents that link to each other, to themselves, twice to one, and to nothing; no identity twice."""
    names = draw(st.lists(titles(), min_size=min_size, max_size=max_size, unique_by=document_id))
    targets = [*map(document_id, names), DocumentId("Nowhere")]
    return [draw(documents(st.just(name), targets)) for name in names]


@composite
def tokenized_documents(  # noqa: PLR0917  (each is named where it is given)
    draw: Draw,
    id: DocumentId | None = None,
    targets: Sequence[DocumentId] = (),
    vocab_size: int = VOCAB_SIZE,
    dtype: type[np.unsignedinteger] | None = None,
    max_tokens: int = 12,
) -> TokenizedDocument:
    """A document as tokens: end-of-text last and nowhere else, link positions ascending and within.

    Args:
        id: its identity; any when not given.
        targets: what links lead to; when empty, to any identity.
        vocab_size: one more than end-of-text.
        dtype: of the tokens; the narrowest that holds the vocabulary, or the wide one, when not given.
        max_tokens: before end-of-text.
    """
    kind = dtype if dtype is not None else draw(token_dtypes(vocab_size))
    tokens = draw(st.lists(st.integers(0, max(0, vocab_size - 2)), max_size=max_tokens if vocab_size > 1 else 0))
    positions = sorted(draw(st.lists(st.integers(0, len(tokens) - 1), max_size=5))) if tokens else []
    target = st.sampled_from(targets) if targets else document_ids()
    name = id if id is not None else draw(document_ids())
    return TokenizedDocument(
        id=name,
        title=draw(st.just(str(name)) | st.just("")),
        tokens=np.array([*tokens, vocab_size - 1], kind),
        link_positions=np.array(positions, np.int32),
        link_targets=tuple(draw(target) for _ in positions),
        flags=draw(_flags),
    )


def token_dtypes(vocab_size: int) -> st.SearchStrategy[type[np.unsignedinteger]]:
    """The dtypes that hold a vocabulary."""
    kinds: list[type[np.unsignedinteger]] = [np.uint16, np.uint32] if vocab_size <= 1 << 16 else [np.uint32]
    return st.sampled_from(kinds)


@composite
def tokenized_corpora(
    draw: Draw, min_size: int = 0, max_size: int = 5, vocab_size: int = VOCAB_SIZE, max_tokens: int = 12
) -> list[TokenizedDocument]:
    """As `linked_corpora`, in tokens of one vocabulary and one dtype."""
    names = draw(st.lists(document_ids(), min_size=min_size, max_size=max_size, unique=True))
    dtype = draw(token_dtypes(vocab_size))
    targets = [*names, DocumentId("Nowhere")]
    return [draw(tokenized_documents(name, targets, vocab_size, dtype, max_tokens)) for name in names]


@composite
def walks(draw: Draw, max_size: int = 5, vocab_size: int = VOCAB_SIZE, max_tokens: int = 12) -> Walk:
    """A walk over some documents of a corpus, reached in any order."""
    drawn: list[Walk] = draw(
        walk_streams(min_size=1, max_size=1, documents=max_size, vocab_size=vocab_size, max_tokens=max_tokens)
    )
    return drawn[0]


@composite
def walk_streams(  # noqa: PLR0917
    draw: Draw,
    min_size: int = 0,
    max_size: int = 4,
    documents: int = 5,
    vocab_size: int = VOCAB_SIZE,
    max_tokens: int = 12,
) -> list[Walk]:
    """Several walks over one corpus."""
    corpus = draw(tokenized_corpora(1, documents, vocab_size, max_tokens))
    reached = st.lists(st.integers(0, len(corpus) - 1), unique=True, min_size=1)
    orders = draw(st.lists(reached, min_size=min_size, max_size=max_size))
    table = DocumentTable.from_documents(corpus)
    return [walk_of(table, order) for order in orders]


@composite
def packed_sequences(draw: Draw, seq_len: int | None = None, vocab_size: int = VOCAB_SIZE) -> PackedSequence:
    """A training row; `seq_len` is small when not given."""
    drawn: list[PackedSequence] = draw(row_streams(1, 1, seq_len, vocab_size))
    return drawn[0]


@composite
def row_streams(  # noqa: PLR0917
    draw: Draw,
    min_size: int = 0,
    max_size: int = 4,
    seq_len: int | None = None,
    vocab_size: int = VOCAB_SIZE,
    max_seq_len: int = 24,
) -> list[PackedSequence]:
    """Rows of one length, one vocabulary and one dtype: what a batch can be stacked of."""
    length = seq_len if seq_len is not None else draw(st.integers(2, max(2, max_seq_len)))
    drawn = draw(walk_streams(min_size, max_size, vocab_size=vocab_size))
    pack = Pack(length, min_document=draw(st.integers(0, 3)))
    return [pack.row(walk) for walk in drawn]


@composite
def batches(
    draw: Draw,
    seq_len: int | None = None,
    batch_size: int | None = None,
    vocab_size: int = VOCAB_SIZE,
    max_seq_len: int = 24,
) -> Batch:
    """A batch; sizes that are not given are small."""
    low, high = (1, 3) if batch_size is None else (batch_size, batch_size)
    rows = draw(row_streams(low, high, seq_len, vocab_size, max_seq_len))
    return stack(rows)


def prompts() -> st.SearchStrategy[Prompt]:
    """Short prompts that ask for a few tokens."""
    return st.builds(
        Prompt,
        text=nasty_text(max_size=8).map(lambda text: f"a{text[:12]}"),  # a model needs something to go on from
        title=st.just(""),
        max_new_tokens=st.integers(1, 3),
        seed=st.integers(0, 3),
    )
