"""Bytes as tokens: nothing to learn, nothing to load; the yardstick that the learned ones are tested against."""

import attrs
import numpy as np


@attrs.frozen
class ByteTokenizer:
    """Each byte of the UTF-8 is a token; 256 ends a document.

    >>> tokenizer = ByteTokenizer()
    >>> tokenizer.encode("né"), tokenizer.token_bytes(110), tokenizer.vocab_size
    ([110, 195, 169], b'n', 257)
    """

    @property
    def vocab_size(self) -> int:
        """257: the bytes and end-of-text."""
        return 257

    @property
    def end_of_text(self) -> int:
        """256."""
        return 256

    def encode(self, text: str) -> list[int]:
        """The bytes of the text.

        Raises:
            UnicodeEncodeError: the text holds half a surrogate pair and so is no Unicode.
        """
        return list(text.encode())

    def encode_array(self, text: str) -> np.ndarray:
        """As `encode`, without a Python object per token."""
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint32)

    def token_bytes(self, token: int) -> bytes:
        """The byte; empty for end-of-text."""
        return bytes([token]) if token < 256 else b""

    @property
    def token_lengths(self) -> np.ndarray:
        """How many bytes each id stands for."""
        return _LENGTHS


_LENGTHS = np.append(np.ones(256, np.int64), 0)
