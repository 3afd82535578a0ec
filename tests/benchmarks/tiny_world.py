"""A small world of facts, tokenizers, and a model that copies what it sees, for the tests of benchmarks."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import attrs
import numpy as np
import torch
from torch import nn

from gptlab.packing import Pack
from gptlab.sources.linked_facts import Fact
from gptlab.tokenizers.tokenize import tokenize_document
from gptlab.types import Batch, Document, DocumentId, PackedSequence, Walk, scan_links

CHOICES = ("heron", "otter", "lynx", "newt", "stoat", "crane", "finch", "moose")


@attrs.frozen
class Items:
    """A source from a list, of one kind of item."""

    items: Iterable[Any]
    kind: Any

    def item_types(self) -> tuple[None, Any]:
        return None, self.kind

    def get_data_generator(self) -> Iterator[Any]:
        return iter(self.items)


class Bytes:
    vocab_size = 257
    end_of_text = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


class Words:
    """Whole words with the space before them, as byte-level BPE has; everything else byte by byte. Not hashable."""

    __hash__ = None  # type: ignore[assignment]
    end_of_text = 256

    def __init__(self, words: Iterable[str]) -> None:
        self.table = [bytes([b]) for b in range(256)] + [b""] + sorted({f" {word}".encode() for word in words})
        self.ids = {piece: number for number, piece in enumerate(self.table)}
        self.vocab_size = len(self.table)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in re.findall(r" ?\w+|\s|[^\w\s]", text):
            raw = piece.encode()
            ids += [self.ids[raw]] if raw in self.ids else list(raw)
        return ids

    def token_bytes(self, token: int) -> bytes:
        return self.table[token]


def row_of(documents: list[Document], tokenizer: Any, seq_len: int = 512) -> PackedSequence:
    """Documents, targets first, the last one being the root, through the real `Pack`."""
    parts = [tokenize_document(document, tokenizer) for document in documents]
    number = {document.id: index for index, document in enumerate(documents)}
    edges = sorted(
        {
            (linker, number[target]): (linker, number[target], int(position))
            for linker, part in enumerate(parts)
            for target, position in reversed(list(zip(part.link_targets, part.link_positions, strict=True)))
            if target in number and number[target] < linker
        }.values()
    )
    walk = Walk(
        documents=tuple(parts),
        visited=np.arange(len(parts), dtype=np.int32)[::-1].copy(),
        edges=np.array(edges, np.int32).reshape(-1, 3),
        dropped={},
    )
    return next(iter(Pack(seq_len)(iter([walk]))))


def document(title: str, text: str) -> Document:
    return Document(id=DocumentId(title), title=title, text=text, links=scan_links(text))


def fact(linker: str, target: str, answer: str, *, via: str = "", kind: Any = "one_key", context: str) -> Fact:
    return Fact(
        linker=DocumentId(linker),
        target=DocumentId(target),
        via=DocumentId(via or target),
        kind=kind,
        context=context,
        answer=answer,
        choices=CHOICES,
    )


def world(count: int, seed: int = 0) -> tuple[list[list[Document]], list[Fact]]:
    """Rows of a target and its linker, with one fact each; answers drawn evenly from eight."""
    dice = np.random.default_rng(seed)
    rows, facts = [], []
    for number in range(count):
        answer = CHOICES[dice.integers(len(CHOICES))]
        target = document(f"T{number}", f"Naïve folk say that its crest is {answer}. Nothing else is known.")
        linker = document(
            f"L{number}", f"It lies — as all know — by [it](T{number}), and its crest is {answer}, indeed."
        )
        rows.append([target, linker])
        facts.append(fact(f"L{number}", f"T{number}", answer, context=", and its crest is "))
    return rows, facts


@attrs.frozen
class Output:
    loss: torch.Tensor
    token_losses: torch.Tensor
    logits: torch.Tensor


class CopiesWhatItSees:
    """Predicts what followed the last few tokens anywhere it may look; uniform where nothing did.

    It may look at its own document, and at documents that its own links to once the link is complete, or, with
    `ignores_edges`, at everything earlier.
    """

    def __init__(self, vocab_size: int, ignores_edges: bool = False, context: int = 6) -> None:
        self.vocab_size, self.ignores_edges, self.context = vocab_size, ignores_edges, context
        self.network = nn.Linear(1, 1)
        self.batches = 0

    def forward(self, batches: Iterator[Batch]) -> Iterator[Output]:
        for batch in batches:
            self.batches += 1
            logits = torch.zeros(*batch.tokens.shape, self.vocab_size)
            for row in range(len(batch.tokens)):
                self._fill(batch, row, logits[row])
            targets = torch.from_numpy(batch.targets).long()
            losses = nn.functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1, reduction="none")
            yield Output(losses.sum() / (targets >= 0).sum(), losses, logits)

    def _fill(self, batch: Batch, row: int, logits: torch.Tensor) -> None:
        tokens, documents = batch.tokens[row], batch.documents[row]
        for query in range(self.context, len(tokens)):
            own = documents[query]
            if own < 0:
                continue
            seen = {int(t) for linker, t, p in batch.edges[row].tolist() if linker == own and p <= query}
            recent = tokens[query - self.context + 1 : query + 1]
            for at in range(self.context, query):
                visible = self.ignores_edges or documents[at] == own or int(documents[at]) in seen
                if visible and np.array_equal(tokens[at - self.context + 1 : at + 1], recent):
                    logits[query, tokens[at + 1]] = 8.0

    def copy(self) -> Self:
        return self

    def save_to_dir(self, directory: Path) -> None: ...

    @classmethod
    def load_from_dir(cls, directory: Path) -> Self:
        return cls(257)
