"""From prompts to text: a batch at once, or one piece by piece; and what is missing first."""

from collections.abc import Iterator, Sequence
from zlib import crc32

import attrs

from gptlab.models.context import LEAST_TOKENS
from gptlab.models.generation.next_logits import NextLogits
from gptlab.models.generation.reading import Reading, WriteMissing
from gptlab.models.generation.writer import Piece, Writer
from gptlab.tokenizers.tokenize import title_line
from gptlab.types import DocumentId, Generation, Prompt, TokenizedDocument


def write(prompts: Sequence[Prompt], next_logits: NextLogits, reading: Reading, max_seq_len: int) -> list[Generation]:
    """Continue some prompts at once, of any lengths; each as if it were alone, with a seed of its own.

    Args:
        prompts: their links are followed before the first token is written.
        next_logits: the model.
        reading: tokenizer, documents, sampling.
        max_seq_len: the most tokens that one of them holds at once: prompt, continuation and what is read.

    Raises:
        ValueError: a prompt and its continuation do not fit into `max_seq_len`.
    """
    writers = [_writer(prompt, next_logits, reading, max_seq_len) for prompt in prompts]
    while going_on := [writer for writer in writers if writer.ended_by is None]:
        logits = next_logits([writer.context for writer in going_on])
        for writer, of_writer in zip(going_on, logits, strict=True):
            writer.draw(of_writer)
    return [writer.generation() for writer in writers]


def stream(prompt: Prompt, next_logits: NextLogits, reading: Reading, max_seq_len: int) -> Iterator[Piece]:
    """Continue one prompt, and give what is written as it comes; `write` of the same prompt gives the same text."""
    writer = _writer(prompt, next_logits, reading, max_seq_len)
    yield from writer.pieces()
    while writer.ended_by is None:
        writer.draw(next_logits([writer.context])[0])
        yield from writer.pieces()


def _writer(prompt: Prompt, next_logits: NextLogits, reading: Reading, max_seq_len: int) -> Writer:
    if reading.write_missing is None:
        return Writer(prompt, reading, max_seq_len)
    first = _WriteFirst(next_logits.apart(), reading, reading.write_missing, max_seq_len, prompt.seed)
    return Writer(prompt, reading, max_seq_len, first)


@attrs.frozen
class _WriteFirst:
    """Writes what is missing for one prompt, and for what it writes itself, as deep as `limits` allow.

    Attributes:
        started: all that was begun for the prompt; what is not in `written` is still being written.
    """

    next_logits: NextLogits
    reading: Reading
    limits: WriteMissing
    max_seq_len: int
    seed: int
    depth: int = 1
    started: set[DocumentId] = attrs.field(factory=set)
    written: dict[DocumentId, TokenizedDocument] = attrs.field(factory=dict)

    def __call__(self, target: DocumentId) -> TokenizedDocument | None:
        """The document, or None where the budget is spent, or where it is being written already."""
        if target in self.started or len(self.started) == self.limits.documents:
            return self.written.get(target)
        title = target.replace("_", " ")
        room = self.max_seq_len - len(self.reading.tokenizer.encode(title_line(title))) - 1
        if room < LEAST_TOKENS:
            return None
        self.started.add(target)
        prompt = Prompt(
            text="",
            title=title,
            max_new_tokens=min(self.limits.max_new_tokens, room),
            seed=self.seed ^ crc32(target.encode("utf-8", "surrogatepass")),
        )
        deeper = attrs.evolve(self, next_logits=self.next_logits.apart(), depth=self.depth + 1)
        writer = Writer(prompt, self.reading, self.max_seq_len, deeper if self.depth < self.limits.depth else None)
        while writer.ended_by is None:
            writer.draw(self.next_logits([writer.context])[0])
        self.written[target] = writer.document()
        return self.written[target]
