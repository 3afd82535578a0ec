"""Our byte-level BPE as `tokenizer.json`: the same ids in `tokenizers`, `transformers` and vLLM as in tiktoken.

tiktoken merges whatever pair joins to the token of lowest rank; `tokenizers` merges pairs from a list. So every pair
of tokens that joins to a token is listed, in the order of the ranks of what they join to. Where several pairs join
to one token and stand in one word at once, the two could still take different ones first; so what was made is
compared with ours on the tokens themselves, repeated and joined, and refused where an id differs.
"""

import json
from itertools import pairwise
from typing import Any

import tokenizers

from gptlab.pipeline.protocols import Tokenizer
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer, LearnedBPE
from gptlab.tokenizers.training import byte_characters
from gptlab.types.errors import refusal

END_OF_TEXT = "<|endoftext|>"
_MOST_TRIED = 20_000


def as_byte_level(tokenizer: Tokenizer) -> ByteLevelBPE:
    """The ranks of a tokenizer of ours.

    Raises:
        ValueError: it is of another kind.

    >>> as_byte_level(ByteTokenizer()).vocab_size
    257
    """
    if isinstance(tokenizer, LearnedBPE):
        return tokenizer.table
    if isinstance(tokenizer, ByteTokenizer):
        return ByteLevelBPE(ranks=tuple(bytes([byte]) for byte in range(256)), vocab_size=257)
    if isinstance(tokenizer, ByteLevelBPE):
        return tokenizer
    raise refusal(
        "the tokenizer to save",
        got=type(tokenizer).__name__,
        wanted="ByteLevelBPE, LearnedBPE, ByteTokenizer or PretrainedTokenizer",
        do="Leave the tokenizer out, and write its files yourself.",
    )


def tokenizer_json(tokenizer: ByteLevelBPE) -> str:
    """The text of `tokenizer.json`.

    Raises:
        ValueError: the ids would differ from ours.
    """
    character = byte_characters()
    names = ["".join(character[byte] for byte in token) for token in tokenizer.ranks]
    # An id that is never given has a name that no text can spell: a space is written by another character.
    names += [f"unused {token}" for token in range(len(names), tokenizer.end_of_text)]
    definition: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                **{"id": tokenizer.end_of_text, "content": END_OF_TEXT, "special": True},
                **{"single_word": False, "lstrip": False, "rstrip": False, "normalized": False},
            }
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": tokenizer.pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            **{"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None},
            **{"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False},
            "ignore_merges": True,  # a word that is a token is that token, as in tiktoken
            "vocab": {name: token for token, name in enumerate(names)},
            "merges": [[names[left], names[right]] for left, right in _merges(tokenizer.ranks)],
        },
    }
    text = json.dumps(definition, ensure_ascii=False)
    _compare(tokenizer, text)
    return text


def _merges(ranks: tuple[bytes, ...]) -> list[tuple[int, int]]:
    """Every pair of tokens that joins to a token, by the rank of that; the pair that makes it by itself first."""
    rank = {token: place for place, token in enumerate(ranks)}
    merges = []
    for place, token in enumerate(ranks):
        pairs = [
            (rank[token[:cut]], rank[token[cut:]])
            for cut in range(1, len(token))
            if token[:cut] in rank and token[cut:] in rank
        ]
        usual = _last_merge(token, rank, place) if len(pairs) > 1 else None
        merges += sorted(pairs, key=lambda pair: (pair != usual, pair))
    return merges


def _last_merge(token: bytes, rank: dict[bytes, int], below: int) -> tuple[int, int] | None:
    """The two parts that a token is made of when its own bytes are merged by the ranks below it."""
    parts = [token[index : index + 1] for index in range(len(token))]
    while len(parts) > 2:
        joined = [rank.get(left + right, below) for left, right in pairwise(parts)]
        lowest = min(joined)
        if lowest >= below:
            return None
        first = joined.index(lowest)
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return rank[parts[0]], rank[parts[1]]


def _compare(ours: ByteLevelBPE, text: str) -> None:
    """Refuse what does not give our ids for our own tokens, alone, doubled and one after another."""
    theirs = tokenizers.Tokenizer.from_str(text)
    theirs.encode_special_tokens = True
    pieces = [token.decode(errors="ignore") for token in ours.ranks[:_MOST_TRIED]]
    tried = [*pieces, *(piece * 3 for piece in pieces), *(left + right for left, right in pairwise(pieces))]
    for sample, encoding in zip(tried, theirs.encode_batch(tried, add_special_tokens=False), strict=True):
        if encoding.ids != ours.encode(sample):
            raise refusal(
                "tokenizer.json",
                got=f"ids {encoding.ids[:8]} for {sample[:40]!r}",
                wanted=f"ours, {ours.encode(sample)[:8]}",
                do="These ranks merge in an order that a list of pairs cannot say; train a tokenizer anew.",
            )


def tokenizer_config(max_seq_len: int, end_of_text: str = END_OF_TEXT) -> dict[str, Any]:
    """The content of `tokenizer_config.json`: a text that spells the special token is a text, as in ours."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end_of_text,
        "eos_token": end_of_text,
        "pad_token": end_of_text,
        "model_max_length": max_seq_len,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "add_bos_token": False,
        "add_eos_token": False,
    }
