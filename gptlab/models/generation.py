"""Writing that follows links: what a completed link leads to is read before the next token is written.

Correct first: the whole context is encoded again for every token, since a document that is read moves everything
after it. At the size of the models that a CPU trains (under a million parameters, rows of a few hundred tokens) a
token costs some milliseconds.
"""

from collections.abc import Callable

import attrs
import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from gptlab.models.context import Context
from gptlab.models.sampling import Sampling
from gptlab.models.tensors import batch_tensors
from gptlab.pipeline.protocols import Tokenizer
from gptlab.tokenizers import document_from_prompt, tokenize_document
from gptlab.types import DocumentId, Generation, Prompt, TokenizedDocument, scan_links
from gptlab.types.errors import refusal

Lookup = Callable[[DocumentId], TokenizedDocument | None]
"""The document with an identity, or None: `DocumentTable.get`, say."""


@attrs.frozen(kw_only=True, eq=False)
class Reading:
    """What a model needs besides its weights to write: a tokenizer, where documents are found, how tokens are drawn.

    Attributes:
        tokenizer: the one the model was trained with.
        lookup: where the targets of links are found; None: links are text, and nothing is read.
        sampling: how the next token is drawn.
    """

    tokenizer: Tokenizer
    lookup: Lookup | None = None
    sampling: Sampling = attrs.field(factory=Sampling)


def write(prompt: Prompt, network: nn.Module, reading: Reading, max_seq_len: int) -> Generation:
    """Continue one prompt. Equal for equal arguments.

    Args:
        prompt: its links are followed before the first token is written.
        network: called as `Transformer` is.
        reading: tokenizer, documents, sampling.
        max_seq_len: the most tokens held at once: prompt, continuation and what is read.

    Raises:
        ValueError: prompt and continuation do not fit into `max_seq_len`.
    """
    writer = Writer(prompt, reading, max_seq_len)
    rng = np.random.default_rng(prompt.seed)
    for _ in range(prompt.max_new_tokens):
        logits = next_logits(network, writer.context)[: reading.tokenizer.vocab_size]
        token = reading.sampling.draw(logits, rng)
        if token == reading.tokenizer.end_of_text:
            break
        writer.add(token)
    return writer.generation()


class Writer:
    """One continuation in the making: its context, its text, and the trace of what was read."""

    def __init__(self, prompt: Prompt, reading: Reading, max_seq_len: int) -> None:
        """Tokenize the prompt and read what its links lead to."""
        document = document_from_prompt(prompt.text, prompt.title)
        tokenized = tokenize_document(document, reading.tokenizer)
        room = max_seq_len - len(tokenized.tokens) - prompt.max_new_tokens
        _check(prompt, len(tokenized.tokens) - 1, max_seq_len)
        self.prompt, self.reading = prompt, reading
        self.context = Context(tokenized, room)
        self.written = b""
        self.base = document.text
        self.links = len(document.links)
        self.read: list[tuple[int, DocumentId]] = []
        self.missing: dict[DocumentId, None] = {}
        for position, target in zip(tokenized.link_positions.tolist(), tokenized.link_targets, strict=True):
            self._follow(position, target)

    @property
    def text(self) -> str:
        """The continuation so far; bytes that are no character yet are shown as U+FFFD."""
        return self.written.decode("utf-8", errors="replace")

    def add(self, token: int) -> None:
        """Write one token, and read what the links it completes lead to."""
        self.context.write(token)
        data = self.reading.tokenizer.token_bytes(token)
        self.written += data
        if b")" not in data:  # nothing else completes a link
            return
        links = scan_links(self.base + self.text)
        for link in links[self.links :]:
            self._follow(len(self.context.tokens) - 1, link.target)
        self.links = len(links)

    def generation(self) -> Generation:
        """What was written and read."""
        return Generation(prompt=self.prompt, text=self.text, read=tuple(self.read), missing=tuple(self.missing))

    def _follow(self, position: int, target: DocumentId) -> None:
        self.context.link(position, target)
        if self.reading.lookup is None or target == self.context.id or target in self.context.documents:
            return
        document = self.reading.lookup(target)
        if document is None:
            self.missing[target] = None
        elif self.context.read(document):
            self.read.append((len(self.text), target))


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


@torch.no_grad()
def next_logits(network: nn.Module, context: Context) -> Float32[np.ndarray, "vocab"]:
    """Logits of the token after the context's last, in evaluation mode."""
    was_training = network.training
    network.eval()
    fields = batch_tensors(context.batch(), next(network.parameters()).device)
    logits, *_ = network(**{name: field for name, field in fields.items() if name != "targets"})
    network.train(was_training)
    last: Float32[np.ndarray, "vocab"] = logits[0, -1].float().cpu().numpy()
    return last
