"""Train byte-level BPE with Hugging Face `tokenizers`, and hand the merges to tiktoken as ranks.

Ids: 0 to 255 are the bytes by value, 256 is `](`, then come the merges in the order of learning. The trainer counts
words in parallel and breaks ties by id, so the same texts give the same ranks on any number of cores.
"""

import contextvars
from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from gptlab.tokenizers.pattern import LINK_MARKS, PATTERN

_MIDDLE = LINK_MARKS[1].encode()


def train_ranks(texts: Iterable[str], *, size: int, pattern: str = PATTERN) -> tuple[bytes, ...]:
    """The ranks learned from some texts: 256 bytes and merges, `size` in all, fewer where the texts give no more.

    A pair seen once only is not merged: it would be a name from one document. `](` is a token even where the texts
    hold no links, so that every tokenizer writes a link with the same three marks; being a word of its own, it takes
    part in no other merge.

    Args:
        texts: read once, one at a time.
        size: how many tokens, 256 or more.
        pattern: how text is cut into words.

    >>> train_ranks(["banana bandana"] * 3, size=259)[256:]
    (b'](', b'an', b'ban')
    """
    trained = train_tokenizer(texts, size=size, pattern=pattern)
    alphabet = {character: byte for byte, character in byte_characters().items()}
    by_id = sorted(trained.get_vocab(with_added_tokens=False).items(), key=lambda entry: entry[1])
    learned = [bytes(alphabet[character] for character in token) for token, _ in by_id]
    merges = [_MIDDLE, *(token for token in learned if len(token) > 1 and token != _MIDDLE)]
    return (*(bytes([byte]) for byte in range(256)), *merges[: size - 256])


def train_tokenizer(texts: Iterable[str], *, size: int, pattern: str = PATTERN) -> tokenizers.Tokenizer:
    """The trained tokenizer as `tokenizers` has it, for those who go on with that library; its ids are its own."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_in_context(texts, contextvars.copy_context()), trainer)
    return tokenizer


def _in_context(texts: Iterable[str], context: contextvars.Context) -> Iterator[str]:
    """The texts, made in the caller's context: the trainer reads from a thread of its own, which has no observer."""
    iterator = iter(texts)
    while (text := context.run(next, iterator, None)) is not None:
        yield text


def byte_characters() -> dict[int, str]:
    """The printable character by which byte-level BPE writes each byte.

    Source: `bytes_to_unicode` of GPT-2 (https://github.com/openai/gpt-2/blob/master/src/encoder.py).

    >>> byte_characters()[ord(" ")], byte_characters()[ord("a")]
    ('Ġ', 'a')
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
