"""Tokenize: links arrive at the token that completes them, whatever stands around; laws of the stage."""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.observe import Drops, watching
from gptlab.tokenizers import (
    LINK_MARKS,
    ByteLevelBPE,
    ByteTokenizer,
    Tokenize,
    TokenizerError,
    decode_tokens,
    document_from_prompt,
    document_text,
    token_dtype,
    tokenize_document,
)
from gptlab.tokenizers.training import train_ranks
from gptlab.types import Document, DocumentId, Link, document_id, render_link
from gptlab.types.links import escape_prose

PROSE = "The quiet mill stands beside the river (an old one) and turns. Cối xay đứng bên sông. 川のそば [sic]. "
BPE = ByteLevelBPE(
    ranks=train_ranks([PROSE + f"[mill {n}](Mill_{n}) [x](X)" for n in range(30)], size=330), vocab_size=331
)


@attrs.frozen
class Letters:
    """A stranger's tokenizer: only the four members of the Protocol, ids for whole characters."""

    vocab_size: int = 0x110000 + 1
    end_of_text: int = 0x110000

    def encode(self, text: str) -> list[int]:
        text.encode()
        return [ord(character) for character in text]

    def token_bytes(self, token: int) -> bytes:
        return chr(token).encode() if token < 0x110000 else b""


TOKENIZERS = [ByteTokenizer(), BPE, Letters()]

characters = st.characters(exclude_categories=("Cs",))
pieces = st.one_of(
    st.text(characters, max_size=12),
    st.lists(st.sampled_from(["[", "]", "](", ")", "(", "\\", " ", "\n", "mill", "é", "川", "🙂"]), max_size=6).map(
        "".join
    ),
)
targets = st.text(characters, min_size=1, max_size=12).map(document_id).filter(bool)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document as a source makes it: prose and links, each rendered, its spans carried."""
    text, run, links = "", "", []
    for piece in draw(st.lists(st.one_of(pieces, st.tuples(pieces, targets)), max_size=6)):
        if isinstance(piece, str):
            run += piece
            continue
        text, run = text + escape_prose(run), ""
        link = render_link(*piece)
        links.append(Link(start=len(text), end=len(text) + len(link), target=piece[1]))
        text += link
    title = draw(st.text(characters, max_size=12))
    return Document(id=document_id(title), title=title, text=text + escape_prose(run), links=tuple(links))


def positions_by_decoding(document: Document, tokens: Any, tokenizer: Any) -> list[int]:
    """The definition: decode token by token, and take the first at which the whole link is there."""
    ends = [len(document_text(document)) - len(document.text) + link.end for link in document.links]
    goals = [len(document_text(document)[:end].encode()) for end in ends]
    positions, read, place = [], 0, -1
    for goal in goals:
        while read < goal:
            place += 1
            read += len(tokenizer.token_bytes(int(tokens[place])))
        positions.append(place)
    return positions


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)
@given(documents())
def test_positions_are_those_found_by_decoding(tokenizer: Any, document: Document) -> None:
    tokenized = tokenize_document(document, tokenizer)
    assert tokenized.link_positions.tolist() == positions_by_decoding(document, tokenized.tokens, tokenizer)
    assert tokenized.link_positions.dtype == np.int32
    assert tokenized.link_targets == tuple(link.target for link in document.links)
    for position in tokenized.link_positions:
        assert tokenizer.token_bytes(int(tokenized.tokens[position])) == b")"
    assert decode_tokens(tokenized.tokens, tokenizer) == document_text(document)
    assert tokenized.tokens[-1] == tokenizer.end_of_text
    assert (tokenized.tokens == tokenizer.end_of_text).sum() == 1
    assert (tokenized.id, tokenized.title, tokenized.flags) == (document.id, document.title, document.flags)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: type(tokenizer).__name__)
@given(documents())
def test_a_prompt_of_the_same_text_has_the_same_links(tokenizer: Any, document: Document) -> None:
    prompt = document_from_prompt(document.text, title=document.title)
    assert prompt == document
    assert tokenize_document(prompt, tokenizer) == tokenize_document(document, tokenizer)


@given(documents())
def test_each_link_is_three_marks_in_the_tokens(document: Document) -> None:
    """What a scan of generated tokens relies on: opening, middle and closing marks are single tokens."""
    tokenized = tokenize_document(document, BPE)
    marks = {BPE.encode(mark)[0]: mark for mark in LINK_MARKS}
    assert all(len(BPE.encode(mark)) == 1 for mark in LINK_MARKS)
    for link, position in zip(document.links, tokenized.link_positions, strict=True):
        text = document.text[link.start : link.end].encode()
        read, first = 0, int(position)
        while (read := read + len(BPE.token_bytes(int(tokenized.tokens[first])))) < len(text):
            first -= 1
        assert read == len(text), "a link begins with a token of its own"
        seen = [marks[token] for token in tokenized.tokens[first : position + 1].tolist() if token in marks]
        assert seen[0] == "[" and "](" in seen and seen[-1] == ")"


@given(st.lists(documents(), max_size=4))
def test_the_stage_is_the_function_lazily(items: list[Document]) -> None:
    read = []

    def reading() -> Iterator[Document]:
        for item in items:
            read.append(item)
            yield item

    for number, tokenized in enumerate(Tokenize(BPE)(reading()), 1):
        assert len(read) == number, "reads no more than the next yield needs"
        assert tokenized == tokenize_document(items[number - 1], BPE)
    assert len(read) == len(items)


def test_a_known_document() -> None:
    document = document_from_prompt("see [mill](mill).", title="É")
    tokenized = tokenize_document(document, ByteTokenizer())
    assert bytes(tokenized.tokens[:-1].astype(np.uint8)) == "# É\n\nsee [mill](mill).".encode()
    assert tokenized.link_positions.tolist() == [len("# É\n\nsee [mill](mill)".encode()) - 1]
    assert tokenized.link_targets == ("Mill",) and tokenized.tokens.dtype == np.uint16


def test_without_a_title_there_is_no_heading() -> None:
    assert document_text(document_from_prompt("x")) == "x"
    tokenized = tokenize_document(document_from_prompt(""), ByteTokenizer())
    assert tokenized.tokens.tolist() == [256] and tokenized.link_positions.size == 0


@pytest.mark.parametrize("bad", [{"text": "half \ud800 a pair"}, {"title": "\udfff"}])
def test_what_is_no_unicode_is_dropped_and_counted(bad: dict[str, str]) -> None:
    good = document_from_prompt("whole", title="Good")
    drops = Drops()
    with watching(drops):
        kept = list(Tokenize(BPE)(iter([good, attrs.evolve(good, **bad), good])))
    assert [document.title for document in kept] == ["Good", "Good"]
    assert drops.counts == {"not Unicode text": 1}


@attrs.frozen
class Broken(Letters):
    fault: str = ""

    def encode(self, text: str) -> list[int]:
        ids = [ord(character) for character in text]
        return {"loses": ids[:-1], "large": [*ids, 0x110001], "negative": [-1, *ids]}[self.fault]


@pytest.mark.parametrize(
    ("fault", "got"),
    [
        ("loses", "got     5 bytes\n  wanted  the 6 bytes of the text that was encoded"),
        ("large", "got     ids from 40 to 1114113\n  wanted  ids below 1114113"),
        ("negative", "got     ids from -1 to 97"),
    ],
)
def test_a_tokenizer_that_breaks_its_promise_is_named(fault: str, got: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        tokenize_document(document_from_prompt("[a](B)"), Broken(fault=fault))
    assert str(caught.value).startswith(f"Broken\n  {got}") and "they disagree" in str(caught.value)


def test_a_link_outside_its_text_is_refused() -> None:
    document = Document(
        id=DocumentId("A"), title="A", text="abc", links=(Link(start=1, end=4, target=DocumentId("B")),)
    )
    with pytest.raises(TokenizerError, match="a link that ends at character 4"):
        tokenize_document(document, ByteTokenizer())


def test_the_vocabulary_is_an_axis_and_sets_the_width() -> None:
    assert Tokenize(BPE).axes() == {"vocab": 331}
    assert token_dtype(1 << 16) is np.uint16 and token_dtype((1 << 16) + 1) is np.uint32
    assert tokenize_document(document_from_prompt("🙂"), Letters()).tokens.dtype == np.uint32


def test_many_links_cost_little(benchmark_documents: int = 20_000) -> None:
    text = PROSE + "[mill](Mill) và " * benchmark_documents
    tokenized = tokenize_document(document_from_prompt(text, title="Many"), BPE)
    assert len(tokenized.link_positions) == benchmark_documents
    assert np.all(np.diff(tokenized.link_positions) == np.diff(tokenized.link_positions)[0])
