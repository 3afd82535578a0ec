"""Where in the rows restated answers stand: from characters of a document to tokens of a row.

A pure function of facts, documents, tokenizer and rows. Positions come from counting bytes: the tokens of a document
are its title line, its text and end-of-text, so the bytes before the answer's first byte end in one token of the row.
A fact is kept only where a model that follows links could know it: its edge is in the row and complete before the
answer, and for two hops the second edge as well.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import attrs
import numpy as np

from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Tokenizer
from gptlab.sources.linked_facts import Fact, locate
from gptlab.tokenizers.tokenize import title_line
from gptlab.types import Document, DocumentId, PackedSequence


@attrs.frozen(kw_only=True)
class RestatedAnswer:
    """One restated answer in one row.

    Attributes:
        row: index of the row.
        first: position in the row of the first token that holds a byte of the answer; the model predicts it
            at `first - 1`.
        end: one past the last such token.
        kind: of the fact.
        target: the document that states it.
        choices: how many answers there were to choose from.
        choice_tokens: the distinct first tokens of all of them, as they would be written here; ascending.
        choice_chance: how often the best guess of the first token is right without knowing: the share of the
            choices that begin with the commonest one.
    """

    row: int
    first: int
    end: int
    kind: str
    target: DocumentId
    choices: int
    choice_tokens: tuple[int, ...]
    choice_chance: float


def find_answers(
    facts: Iterable[Fact], documents: Iterable[Document], tokenizer: Tokenizer, rows: Sequence[PackedSequence]
) -> list[RestatedAnswer]:
    """Every restated answer in the rows that its links can tell, in the order of the rows.

    What is left out is counted: `restated answer beyond the row` (the document is cut before it), `restated answer
    without its edge` (the link was dropped, or its target is not in the row), `restated answer not in its document`.

    Args:
        facts: any number; those of documents outside the rows are passed over.
        documents: the linkers, as they were tokenized; others are passed over.
        tokenizer: the rows' own.
        rows: held-out rows; read twice.
    """
    linkers = {identity for row in rows for identity in row.ids}
    by_linker: dict[DocumentId, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.linker in linkers:
            by_linker[fact.linker].append(fact)
    spans = {
        document.id: (document, _byte_spans(by_linker[document.id], document))
        for document in documents
        if document.id in by_linker
    }

    @cache
    def first_token(lead: bytes, choice: str) -> int:
        """The first token of a choice that is written after `lead`."""
        return tokenizer.encode(lead.decode("utf-8", errors="ignore") + choice)[0]

    found = []
    for number, row in enumerate(rows):
        for index, identity in enumerate(row.ids):
            if identity not in spans:
                continue
            for place in _places(row, index, tokenizer, *spans[identity]):
                fact, own = place.fact, int(row.tokens[place.first])
                begun = [own if word == fact.answer else first_token(place.lead, word) for word in fact.choices]
                found.append(
                    RestatedAnswer(
                        row=number,
                        first=place.first,
                        end=place.end,
                        kind=fact.kind,
                        target=fact.target,
                        choices=len(fact.choices),
                        choice_tokens=tuple(sorted(set(begun))),
                        choice_chance=max(Counter(begun).values()) / len(fact.choices),
                    )
                )
    return found


@attrs.frozen
class _Place:
    """A fact's answer in a row; `lead` are the bytes that its first token holds before it (a space, mostly)."""

    fact: Fact
    first: int
    end: int
    lead: bytes


def _byte_spans(facts: Sequence[Fact], document: Document) -> list[tuple[Fact, int, int]]:
    """Each fact with its answer's span in the bytes of the document's text."""
    spans = []
    for fact in facts:
        place = locate(fact, document)
        if place is None:
            drop("restated answer not in its document", example=f"{document.id}: {fact.answer}")
        else:
            start = len(document.text[: place[0]].encode())
            spans.append((fact, start, start + len(document.text[place[0] : place[1]].encode())))
    return spans


def _places(
    row: PackedSequence, index: int, tokenizer: Tokenizer, document: Document, spans: Sequence[tuple[Fact, int, int]]
) -> Iterator[_Place]:
    """The answers of the row's document `index` that are in the row and within reach of its links."""
    begin = int(row.starts[index])
    end = int(row.starts[index + 1]) if index + 1 < len(row.starts) else row.length
    pieces = [tokenizer.token_bytes(token) for token in row.tokens[begin:end].tolist()]
    ends = np.cumsum([len(piece) for piece in pieces])  # ends[i]: bytes of the document up to and with its token i
    text = _text_begin(b"".join(pieces), document)
    for fact, start, stop in spans:
        if text is None or text + stop > ends[-1]:
            drop("restated answer beyond the row", example=f"{document.id}: {fact.answer}")
            continue
        first = int(np.searchsorted(ends, text + start, side="right"))
        last = int(np.searchsorted(ends, text + stop, side="left"))
        if not _is_reachable(row, index, fact, begin + first):
            drop("restated answer without its edge", example=f"{document.id}: {fact.answer}")
            continue
        lead = text + start - (int(ends[first]) - len(pieces[first]))
        yield _Place(fact, begin + first, begin + last + 1, pieces[first][:lead])


def _text_begin(data: bytes, document: Document) -> int | None:
    """Where in the bytes of a document's tokens its text begins, after the title line; None when it is not there.

    The text may be cut at its end. A row that holds a later piece of the document (`Concatenate`) has no beginning.
    """
    title, text = title_line(document.title).encode(), document.text.encode()
    return len(title) if data.startswith(title) and text.startswith(data[len(title) :]) else None


def _is_reachable(row: PackedSequence, index: int, fact: Fact, first: int) -> bool:
    """Whether the linker's edge is complete before the answer, and every further edge of the path is in the row."""
    edges = [(row.ids[target], position) for linker, target, position in row.edges.tolist() if linker == index]
    if not any(target == fact.via and position < first for target, position in edges):
        return False
    if fact.via == fact.target:
        return True
    return any(
        row.ids[linker] == fact.via and row.ids[target] == fact.target for linker, target, _ in row.edges.tolist()
    )
