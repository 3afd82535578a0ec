"""Writing that follows links: what a completed link leads to is read before the next token is written."""

import codecs
from collections.abc import Callable, Iterator
from typing import Literal

import attrs
import numpy as np
from jaxtyping import Float32

from gptlab.models.context import Context
from gptlab.models.generation.reading import Reading
from gptlab.tokenizers import document_from_prompt, tokenize_document
from gptlab.types import DocumentId, Generation, Prompt, TokenizedDocument, scan_links
from gptlab.types.errors import refusal

Ending = Literal["length", "end_of_text", "stop"]

WriteFirst = Callable[[DocumentId], TokenizedDocument | None]
"""Writes the document that a link leads to and nobody has, or does not."""


@attrs.frozen(kw_only=True)
class Piece:
    """What one step of writing brings, for who reads along.

    Attributes:
        text: characters that are certain: no stop string begins in them, and no character is half there.
        read: documents that were read behind them.
        generation: all of it, with the last piece of a prompt; None before.
    """

    text: str
    read: tuple[DocumentId, ...] = ()
    generation: Generation | None = None


class Writer:
    """One continuation in the making: its context, its text, and the trace of what was read.

    Attributes:
        context: what the model has before it.
        text: the continuation so far, whole characters only.
        ended_by: what ended it; None as long as it goes on.
    """

    def __init__(
        self, prompt: Prompt, reading: Reading, max_seq_len: int, write_first: WriteFirst | None = None
    ) -> None:
        """Tokenize the prompt and read what its links lead to.

        Raises:
            ValueError: prompt and continuation do not fit into `max_seq_len`.
        """
        document = document_from_prompt(prompt.text, prompt.title)
        tokenized = tokenize_document(document, reading.tokenizer)
        room = max_seq_len - len(tokenized.tokens) - prompt.max_new_tokens
        _check(prompt, len(tokenized.tokens) - 1, max_seq_len)
        self.prompt, self.reading, self.write_first = prompt, reading, write_first
        self.context = Context(tokenized, room, reading.evict)
        self.text = ""
        self.ended_by: Literal["length", "end_of_text", "stop"] | None = (
            "length" if prompt.max_new_tokens < 1 else None
        )
        self.read: list[tuple[int, DocumentId]] = []
        self.evicted: list[tuple[int, DocumentId]] = []
        self.missing: dict[DocumentId, None] = {}
        self.written_first: list[DocumentId] = []
        self._rng = np.random.default_rng(prompt.seed)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._base = document.text
        self._links = len(document.links)
        self._new_tokens = 0
        self._told, self._told_read = 0, 0
        for position, target in zip(tokenized.link_positions.tolist(), tokenized.link_targets, strict=True):
            self._follow(position, target)

    def draw(self, logits: Float32[np.ndarray, "vocab"]) -> None:
        """Write the next token, or end.

        Args:
            logits: of that token; those past the tokenizer's vocabulary are not looked at.
        """
        tokenizer = self.reading.tokenizer
        token = self.reading.sampling.draw(logits[: tokenizer.vocab_size], self._rng, self.context.tokens)
        if token == tokenizer.end_of_text:
            self._end("end_of_text")
        else:
            self.add(token)
            if self.ended_by is None and self._new_tokens == self.prompt.max_new_tokens:
                self._end("length")

    def add(self, token: int) -> None:
        """Write one token, and read what the links it completes lead to."""
        self.context.write(token)
        self._new_tokens += 1
        data = self.reading.tokenizer.token_bytes(token)
        before = len(self.text)
        self.text += self._decoder.decode(data)
        if self._stops(before) or b")" not in data:  # nothing else completes a link
            return
        links = scan_links(self._base + self.text)
        for link in links[self._links :]:
            self._follow(len(self.context.tokens) - 1, link.target)
        self._links = len(links)

    def pieces(self) -> Iterator[Piece]:
        """What was not told yet, if anything; the whole with the last one."""
        certain = len(self.text)
        if self.ended_by is None:
            certain -= max((_overlap(self.text, stop) for stop in self.reading.stop), default=0)
        text, read = self.text[self._told : certain], self.read[self._told_read :]
        self._told, self._told_read = max(self._told, certain), len(self.read)
        if text or read or self.ended_by is not None:
            whole = None if self.ended_by is None else self.generation()
            yield Piece(text=text, read=tuple(document for _, document in read), generation=whole)

    def generation(self) -> Generation:
        """What was written and read."""
        return Generation(
            prompt=self.prompt,
            text=self.text,
            read=tuple(self.read),
            missing=tuple(self.missing),
            written_first=tuple(self.written_first),
            evicted=tuple(self.evicted),
            ended_by=self.ended_by or "length",
        )

    def document(self) -> TokenizedDocument:
        """What stands there so far, prompt and continuation, as a document that others can read."""
        end = self.reading.tokenizer.end_of_text
        return TokenizedDocument(
            id=self.context.id,
            title=self.prompt.title,
            tokens=np.array([*self.context.tokens, end], np.uint16 if end < 2**16 else np.uint32),
            link_positions=np.array([position for position, _ in self.context.links], np.int32),
            link_targets=tuple(target for _, target in self.context.links),
        )

    def _stops(self, before: int) -> bool:
        """End before the first stop string, if there is one that ends in what was added."""
        found = [self.text.find(stop, max(0, before - len(stop) + 1)) for stop in self.reading.stop]
        first = min((place for place in found if place >= 0), default=-1)
        if first >= 0:
            self.text = self.text[:first]
            self.ended_by = "stop"
        return first >= 0

    def _end(self, by: Ending) -> None:
        self.text += self._decoder.decode(b"", final=True)  # a character that is cut is shown as U+FFFD
        self.ended_by = by

    def _follow(self, position: int, target: DocumentId) -> None:
        self.context.link(position, target)
        if self.reading.lookup is None or target == self.context.id or target in self.context.documents:
            return
        document = self.reading.lookup(target)
        if document is None:
            self.missing[target] = None
            document = None if self.write_first is None else self.write_first(target)
            if document is None:
                return
            if target not in self.written_first:
                self.written_first.append(target)
        held = len(self.context.evicted)
        if self.context.read(document):
            self.read.append((len(self.text), target))
            self.evicted.extend((len(self.text), gone) for gone in self.context.evicted[held:])


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of the text may be the beginning of the stop string.

    >>> _overlap("a b", "bc"), _overlap("a bc", "bd")
    (1, 0)
    """
    return next((size for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size])), 0)


def _check(prompt: Prompt, tokens: int, max_seq_len: int) -> None:
    where = f"generation from the prompt {prompt.text[:40]!r}"
    if tokens == 0:
        raise refusal(where, got="no tokens", wanted="a text or a title", do="A first word is enough to go on from.")
    if tokens + 1 + prompt.max_new_tokens > max_seq_len:  # one more for end-of-text
        raise refusal(
            where,
            got=f"{tokens} tokens and max_new_tokens={prompt.max_new_tokens}",
            wanted=f"together less than max_seq_len={max_seq_len}, which is all that the model can hold",
            do="Shorten the prompt, or ask for fewer new tokens.",
        )
