"""What is scored: tokens, and the tokens that they follow; cut where lm-evaluation-harness cuts, so figures compare.

Context and continuation are encoded together and cut where the context's own tokens end, since a tokenizer may not
make the same tokens of two parts as of the whole. Spaces that end a context go to the continuation, where tokens
have them. A text without a context follows end-of-text, as the harness has it for models without a token to begin
with; a model that was trained on documents by themselves has never seen that, and is a little worse at the first.

Source: `TemplateLM._encode_pair` and `get_rolling_token_windows`, https://github.com/EleutherAI/lm-evaluation-harness
"""

import math
import re
from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Tokenizer
from gptlab.tokenizers import document_text
from gptlab.types import Batch, Document, Question
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

CUT = "context cut on the left to fit the model"
"""Why tokens of a context are dropped."""


@attrs.frozen(kw_only=True)
class Continuation:
    """Tokens to score, one at least, and those that they follow, one at least."""

    before: tuple[int, ...]
    tokens: tuple[int, ...]

    @property
    def read(self) -> tuple[int, ...]:
        """What a model reads: all but the last, which nothing is predicted from."""
        return self.before + self.tokens[:-1]


@attrs.frozen
class EncodeQuestions:
    """The stage: the choices of each question as continuations, in order.

    Attributes:
        tokenizer: the model's.
        only_right: only the right choice of each.

    >>> from gptlab.tokenizers import ByteTokenizer
    >>> question = Question(context="A or", choices=("B", "C"), answer=0)
    >>> [bytes(each.tokens) for each in EncodeQuestions(ByteTokenizer())(iter([question]))]
    [b' B', b' C']
    """

    tokenizer: Tokenizer
    only_right: bool = False

    def __call__(self, questions: Iterator[Question]) -> Iterator[Continuation]:
        """As many for each question as it has choices, or one."""
        for question in questions:
            for choice in (question.right,) if self.only_right else question.choices:
                yield encode_pair(question.prompt, question.delimiter + choice, self.tokenizer)

    def axes(self) -> Mapping[str, int]:
        """The vocabulary, which an embedding has to hold."""
        return {"vocab": self.tokenizer.vocab_size}


def encode_pair(context: str, continuation: str, tokenizer: Tokenizer) -> Continuation:
    """The tokens of a continuation after its context.

    A tokenizer that makes one token of the end of the context and the beginning of the continuation loses the latter,
    here as in the harness; none does that across a space. Where nothing would be left, the two are encoded apart.

    Raises:
        ValueError: the continuation is empty.

    >>> from gptlab.tokenizers import ByteTokenizer
    >>> encode_pair("It is ", "a", ByteTokenizer()) == encode_pair("It is", " a", ByteTokenizer())
    True
    """
    if not continuation:
        raise refusal("encode_pair", got="an empty continuation", wanted="something to score", do="Leave it out.")
    bare = context.rstrip()
    continuation, context = context[len(bare) :] + continuation, bare
    if not context:
        return Continuation(before=(tokenizer.end_of_text,), tokens=tuple(tokenizer.encode(continuation)))
    before = tokenizer.encode(context)
    tokens = tokenizer.encode(context + continuation)[len(before) :] or tokenizer.encode(continuation)
    return Continuation(before=tuple(before), tokens=tuple(tokens))


@attrs.frozen(kw_only=True)
class RollingWindows:
    """The stage: documents as continuations, such that each token of each is scored once, with all context there is.

    The first window follows end-of-text and scores all that it holds. Each later one is as long as the model allows
    and scores its last `stride` tokens, the last window of a document what is left. With `stride == seq_len` a
    window sees one token of the one before, which is the harness's way; a smaller stride sees more and costs more.

    Attributes:
        tokenizer: the model's.
        seq_len: tokens of a window.
        stride: tokens that a window scores, beyond the first.
        with_titles: the title line is text, as in training.
    """

    tokenizer: Tokenizer
    seq_len: int = attrs.field(validator=at_least(1))
    stride: int = attrs.field(validator=at_least(1))
    with_titles: bool = True

    def __attrs_post_init__(self) -> None:
        if self.stride > self.seq_len:
            raise refusal(
                "RollingWindows.stride",
                got=self.stride,
                wanted=f"at most seq_len {self.seq_len}, or tokens would be passed over",
                do=f"Take {self.seq_len} for the fastest, or less for more context.",
            )

    def __call__(self, documents: Iterator[Document]) -> Iterator[Continuation]:
        """The windows of each document, in order; none for an empty one."""
        for document in documents:
            yield from rolling_windows(
                self.tokenizer.encode(self.text(document)), self.tokenizer.end_of_text, self.seq_len, self.stride
            )

    def text(self, document: Document) -> str:
        """What of a document is scored."""
        return document_text(document) if self.with_titles else document.text

    def axes(self) -> Mapping[str, int]:
        """The vocabulary, which an embedding has to hold."""
        return {"vocab": self.tokenizer.vocab_size}


def rolling_windows(tokens: list[int], prefix: int, seq_len: int, stride: int) -> Iterator[Continuation]:
    """One text, cut so that each token is scored once.

    >>> [(each.before, each.tokens) for each in rolling_windows([1, 2, 3, 4, 5], 0, seq_len=3, stride=1)]
    [((0,), (1, 2, 3)), ((1, 2, 3), (4,)), ((2, 3, 4), (5,))]
    """
    if not tokens:
        return
    yield Continuation(before=(prefix,), tokens=tuple(tokens[:seq_len]))
    for start in range(seq_len, len(tokens), stride):
        end = min(start + stride, len(tokens))
        yield Continuation(before=tuple(tokens[end - seq_len - 1 : start]), tokens=tuple(tokens[start:end]))


def fitted(continuation: Continuation, seq_len: int | None) -> Continuation:
    """What a model of that row length can read: a context that is too long loses its beginning, and that is counted.

    Raises:
        ValueError: the continuation alone is too long.
    """
    excess = 0 if seq_len is None else len(continuation.read) - seq_len
    if excess <= 0:
        return continuation
    if excess >= len(continuation.before):
        raise refusal(
            "a continuation to score",
            got=f"{len(continuation.tokens)} tokens",
            wanted=f"at most the {seq_len} that the model can read",
            do="Leave the question out, or take a model with a longer max_seq_len.",
        )
    drop(CUT, example=f"{excess} of {len(continuation.before)} tokens")
    return attrs.evolve(continuation, before=continuation.before[excess:])


@attrs.frozen(kw_only=True)
class ContinuationRows:
    """The stage: continuations as batches of padded rows, for any model; each row reads its own context.

    Rows come in the order in which they are given: sort them by length where that saves padding.

    Attributes:
        batch_tokens: of a batch, padding included, at most; one row may be longer.
    """

    batch_tokens: int = attrs.field(default=4096, validator=at_least(1))

    def __call__(self, continuations: Iterator[Continuation]) -> Iterator[Batch]:
        """Targets only where a token of a continuation is predicted."""
        waiting: list[Continuation] = []
        longest = 0
        for continuation in continuations:
            longest = max(longest, len(continuation.read))
            if waiting and longest * (len(waiting) + 1) > self.batch_tokens:
                yield padded(waiting)
                waiting, longest = [], len(continuation.read)
            waiting.append(continuation)
        if waiting:
            yield padded(waiting)


def padded(continuations: list[Continuation]) -> Batch:
    """One row for each, one document to a row; end-of-text before a text is a token as any other."""
    shape = (len(continuations), max(len(each.read) for each in continuations))
    tokens = np.zeros(shape, np.int32)
    targets, documents, positions = (np.full(shape, -1, np.int32) for _ in range(3))
    for row, each in enumerate(continuations):
        length = len(each.read)
        tokens[row, :length] = each.read
        targets[row, length - len(each.tokens) : length] = each.tokens
        documents[row, :length] = 0
        positions[row, :length] = np.arange(length)
    edges = np.zeros((shape[0], 0, 3), np.int32)
    return Batch(tokens=tokens, targets=targets, documents=documents, positions=positions, edges=edges)


def count_words(text: str) -> int:
    r"""Words as lm-evaluation-harness counts them for `word_perplexity`: parts between runs of white space.

    >>> count_words("two words"), count_words("")
    (2, 1)
    """
    return len(re.split(r"\s+", text))


def exp_or_inf(nats: float) -> float:
    """A perplexity; infinite where it is larger than any number.

    >>> exp_or_inf(0.0), exp_or_inf(1e6)
    (1.0, inf)
    """
    return math.inf if nats > 700 else math.exp(nats)
