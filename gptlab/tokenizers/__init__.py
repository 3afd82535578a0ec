"""Text to tokens and back: bytes, byte-level BPE given or learned, and the stage that carries links along."""

from gptlab.tokenizers.byte_level import ByteLevelBPE
from gptlab.tokenizers.bytes import ByteTokenizer
from gptlab.tokenizers.errors import TokenizerError
from gptlab.tokenizers.learned import LearnedBPE
from gptlab.tokenizers.pattern import LINK_MARKS, PATTERN
from gptlab.tokenizers.tokenize import (
    Tokenize,
    decode_tokens,
    document_from_prompt,
    document_text,
    token_dtype,
    tokenize_document,
)
from gptlab.tokenizers.truncate import Truncate

__all__ = [
    "LINK_MARKS",
    "PATTERN",
    "ByteLevelBPE",
    "ByteTokenizer",
    "LearnedBPE",
    "Tokenize",
    "TokenizerError",
    "Truncate",
    "decode_tokens",
    "document_from_prompt",
    "document_text",
    "token_dtype",
    "tokenize_document",
]
