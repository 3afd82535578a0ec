"""Train byte-level BPE with Hugging Face `tokenizers`, and hand the merges to tiktoken as ranks.

Ids follow the order of learning: 0 to 255 are the bytes by value, then each merge. The trainer counts words in
parallel and breaks ties by id, so the same texts give the same ranks on any number of cores.
"""

from collections.abc import Iterable

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from gptlab.tokenizers.pattern import PATTERN


def train_ranks(texts: Iterable[str], *, size: int, pattern: str = PATTERN) -> tuple[bytes, ...]:
    """The ranks learned from some texts: 256 bytes and merges, `size` in all, fewer where the texts give no more.

    A pair seen once only is not merged: it would be a name from one document.

    Args:
        texts: read once, one at a time.
        size: how many tokens, 256 or more.
        pattern: how text is cut into words.

    >>> train_ranks(["banana bandana"] * 3, size=258)[256:]
    (b'an', b'ban')
    """
    trained = train_tokenizer(texts, size=size, pattern=pattern)
    alphabet = {character: byte for byte, character in byte_characters().items()}
    by_id = sorted(trained.get_vocab(with_added_tokens=False).items(), key=lambda entry: entry[1])
    learned = [bytes(alphabet[character] for character in token) for token, _ in by_id]
    return (*(bytes([byte]) for byte in range(256)), *(token for token in learned if len(token) > 1))


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
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def byte_characters() -> dict[int, str]:
    """The printable character by which byte-level BPE writes each byte.

    Source: `bytes_to_unicode` of GPT-2 (https://github.com/openai/gpt-2/blob/master/src/encoder.py).

    >>> byte_characters()[ord(" ")], byte_characters()[ord("a")]
    ('Ġ', 'a')
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
