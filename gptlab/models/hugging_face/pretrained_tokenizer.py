"""The tokenizer of a public model, as one of ours: whoever trains it further on linked documents needs its ids.

Byte-level BPE only (GPT-2, Llama 3, Qwen, and what `save_pretrained_dir` writes): there each token stands for bytes,
so that a link's end is found in the tokens. A normaliser is not applied (Qwen's composes Unicode, which most text is
already): text would no longer be what its links were found in.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import tokenizers

from gptlab.models.hugging_face.arrays import plain_file
from gptlab.storage import read_json, write_atomically
from gptlab.storage.hub import download
from gptlab.tokenizers.training import byte_characters
from gptlab.types.errors import refusal

DEFINITION, CONFIG = "tokenizer.json", "tokenizer_config.json"
_LARGEST = 64 << 20


@attrs.frozen(kw_only=True)
class PretrainedTokenizer:
    """A byte-level BPE tokenizer from its `tokenizer.json`.

    Attributes:
        definition: the text of that file.
        end_of_text: the id that closes a document.
    """

    definition: str = attrs.field(repr=lambda text: f"<{len(text):,} characters>")
    end_of_text: int

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.end_of_text < self.vocab_size:
            raise refusal(
                "PretrainedTokenizer.end_of_text",
                got=self.end_of_text,
                wanted=f"an id below {self.vocab_size}",
                do="Give the id of the token that ends a text, as `<|endoftext|>`.",
            )

    @classmethod
    def from_pretrained_dir(cls, directory: Path, *, end_of_text: str | None = None) -> "PretrainedTokenizer":
        """The tokenizer of a checkpoint.

        Args:
            directory: with `tokenizer.json`.
            end_of_text: the token that closes a document; None for what `tokenizer_config.json` or `config.json`
                names as `eos_token`.

        Raises:
            ValueError: it is no byte-level BPE, or has no such token.
        """
        text = _limited(plain_file(directory, DEFINITION))
        # First any id, to learn the table; then the one that is meant.
        vocabulary = _built(text, directory).get_vocab(with_added_tokens=True)
        name = end_of_text if end_of_text is not None else _named_end(directory)
        if name not in vocabulary:
            raise refusal(
                directory / DEFINITION,
                got=f"no token {name!r}",
                wanted="the token that ends a text",
                do='Name it, as end_of_text="<|endoftext|>".',
            )
        return cls(definition=text, end_of_text=vocabulary[name])

    @classmethod
    def load_from_cloud(
        cls, repo: str, revision: str = "main", *, end_of_text: str | None = None, **downloading: Any
    ) -> "PretrainedTokenizer":
        """The tokenizer of a hub's repository.

        Args:
            repo: `owner/name`.
            revision: a branch, a tag or, best, a commit.
            end_of_text: as in `from_pretrained_dir`.
            downloading: of `gptlab.storage.hub.download`: `token`, `cache`, `patience`.

        Raises:
            ValueError: not to be had, or no byte-level BPE.
        """
        snapshot = download(repo, revision, files=(DEFINITION, CONFIG), **downloading)
        return cls.from_pretrained_dir(snapshot.directory, end_of_text=end_of_text)

    @functools.cached_property
    def _encoder(self) -> tokenizers.Tokenizer:
        return _built(self.definition, "PretrainedTokenizer.definition")

    @functools.cached_property
    def _bytes(self) -> tuple[bytes, ...]:
        """What each id stands for; special ones stand for nothing."""
        byte_of = {character: byte for byte, character in byte_characters().items()}
        special = {token for token, added in self._encoder.get_added_tokens_decoder().items() if added.special}
        table = [b""] * self.vocab_size
        for name, token in self._encoder.get_vocab(with_added_tokens=True).items():
            if token not in special and all(character in byte_of for character in name):
                table[token] = bytes(byte_of[character] for character in name)
        return tuple(table)

    @property
    def end_of_text_name(self) -> str:
        """How the token that closes a document is written."""
        return str(self._encoder.id_to_token(self.end_of_text))

    @functools.cached_property
    def vocab_size(self) -> int:
        """One more than the largest id. A model's own is often larger, for a round number."""
        return 1 + max(self._encoder.get_vocab(with_added_tokens=True).values())

    @functools.cached_property
    def token_lengths(self) -> np.ndarray:
        """How many bytes each id stands for."""
        return np.array([len(token) for token in self._bytes], np.int64)

    def encode(self, text: str) -> list[int]:
        """The ids of the text; names of special tokens in it are words, and none are added.

        Raises:
            UnicodeEncodeError: the text holds half a surrogate pair and so is no Unicode.
        """
        text.encode()
        ids: list[int] = self._encoder.encode(text, add_special_tokens=False).ids
        return ids

    def encode_array(self, text: str) -> np.ndarray:
        """As `encode`."""
        return np.array(self.encode(text), np.uint32)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of an id; none for special ones."""
        return self._bytes[token] if 0 <= token < self.vocab_size else b""

    def content_fingerprint(self) -> str:
        """What `gptlab.storage.fingerprint` takes in."""
        return hashlib.sha256(f"{self.end_of_text} {self.definition}".encode()).hexdigest()

    def save_to_dir(self, directory: Path) -> None:
        """Write `tokenizer.json`, and beside it which token ends a text."""
        write_atomically(directory / DEFINITION, self.definition)
        write_atomically(directory / CONFIG, json.dumps({"eos_token": self.end_of_text_name}))

    @classmethod
    def load_from_dir(cls, directory: Path) -> "PretrainedTokenizer":
        """What `save_to_dir` wrote; any checkpoint's folder will do."""
        return cls.from_pretrained_dir(directory)


def _limited(path: Path) -> str:
    data = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    if not data:
        raise refusal(
            path, got=f"{path.stat().st_size:,} bytes", wanted=f"1 to {_LARGEST:,}", do="Do not trust this file."
        )
    return data.decode(errors="replace")


def _built(text: str, where: object) -> tokenizers.Tokenizer:
    """The encoder, where it is one whose tokens are bytes."""
    try:
        definition = json.loads(text)
        encoder = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise refusal(where, got=str(error)[:200], wanted="a tokenizer.json", do="Fetch it again.") from error
    wrong = _not_byte_level(definition)
    if wrong:
        raise refusal(
            where,
            got=wrong,
            wanted="byte-level BPE (as GPT-2, Llama 3 or Qwen), without added spaces",
            do="Choose a checkpoint with such a tokenizer: links are found by the bytes of the tokens.",
        )
    encoder.no_truncation()
    encoder.no_padding()
    encoder.normalizer = None
    encoder.encode_special_tokens = True
    return encoder


def _not_byte_level(definition: Any) -> str:
    """What stands in the way, in words; empty where nothing does."""
    model, decoder = definition.get("model") or {}, definition.get("decoder") or {}
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or model.get("unk_token"):
        return f"a model of type {model.get('type')!r} with fallbacks"
    if decoder.get("type") != "ByteLevel":
        return f"a decoder of type {decoder.get('type')!r}"
    outer = definition.get("pre_tokenizer") or {}
    steps = outer.get("pretokenizers", [outer])
    if any(step.get("add_prefix_space") for step in steps) or not any(
        step.get("type") == "ByteLevel" for step in steps
    ):
        return "a pre_tokenizer that adds a space, or is not byte-level"
    return ""


def _named_end(directory: Path) -> str:
    """The name of the token that ends a text, as a checkpoint says it."""
    path = directory / CONFIG
    said = read_json(plain_file(directory, CONFIG)).get("eos_token") if path.exists() else None
    name = said.get("content") if isinstance(said, dict) else said
    if not isinstance(name, str):
        raise refusal(
            path, got="no eos_token", wanted="the token that ends a text", do='Name it: end_of_text="<|endoftext|>".'
        )
    return name
