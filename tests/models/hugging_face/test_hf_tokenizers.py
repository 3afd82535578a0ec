"""The same ids: ours, those of `tokenizers` and of `AutoTokenizer` from what we write; public tokenizers as ours."""

import bz2
import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.hugging_face import PretrainedTokenizer, family_settings, save_pretrained_dir
from gptlab.models.hugging_face.tokenizer_files import as_byte_level, tokenizer_json
from gptlab.storage import fingerprint, load_from_dir, save_to_dir
from gptlab.testing import check_tokenizer
from gptlab.tokenizers import ByteLevelBPE, ByteTokenizer, Tokenize, document_from_prompt
from gptlab.tokenizers.training import train_ranks

SENTENCES = [
    "The harbour of Lisbon was rebuilt in 1756, as [Pombal](Marquis_of_Pombal) had ordered (and paid for).",
    "Người ta nói rằng thành phố này được xây dựng vào năm 1010, và nó vẫn đẹp.",
    "naïve façades; Ångström's 12,345.678 kilo-watts   of    lightlightlight\n\n\tindented\r\nand crossed out",
    "अनुच्छेद में मात्राएँ हैं। 日本の都市は大きい。 🙂🙃🙂",
] * 4
ALPHABET = tuple(bytes([value]) for value in range(256))

texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from(" ".join(SENTENCES).split(" ")), max_size=12).map(" ".join),
    st.lists(st.sampled_from(["light", "[", "](", ")", " ", "\n", "1010", "Å", "🙂", "a", "the"]), max_size=15).map(
        "".join
    ),
)


@functools.cache
def learned(size: int = 420) -> ByteLevelBPE:
    ranks = train_ranks(SENTENCES, size=size)
    return ByteLevelBPE(ranks=ranks, vocab_size=len(ranks) + 9)  # eight ids stay unused


@functools.cache
def written() -> Path:
    """A model with its tokenizer, saved."""
    import tempfile

    cfg = DagTransformerConfig(
        layers=1, width=8, heads=2, vocab_size=learned().vocab_size, max_seq_len=99, **family_settings("llama")
    )
    directory = Path(tempfile.mkdtemp()) / "model"
    return save_pretrained_dir(DagTransformer.instantiate(cfg), directory, tokenizer=learned())


@functools.cache
def automatic() -> Any:
    return transformers.AutoTokenizer.from_pretrained(written())


@settings(max_examples=300, deadline=None)
@given(texts)
def test_the_ids_are_ours_everywhere(text: str) -> None:
    ids = learned().encode(text)
    raw = tokenizers.Tokenizer.from_file(str(written() / "tokenizer.json"))
    assert raw.encode(text).ids == ids
    assert automatic()(text)["input_ids"] == ids
    assert automatic().decode(ids, skip_special_tokens=True) == text
    assert read_back().encode(text) == ids


@functools.cache
def read_back() -> PretrainedTokenizer:
    return PretrainedTokenizer.from_pretrained_dir(written())


def test_the_special_token_is_the_last_id_and_a_text_that_spells_it_is_a_text() -> None:
    end = learned().end_of_text
    assert automatic().eos_token_id == automatic().pad_token_id == end == len(automatic()) - 1
    assert automatic().model_max_length == 99
    spelled = "so <|endoftext|> is written"
    assert end not in learned().encode(spelled)
    assert automatic()(spelled)["input_ids"] == learned().encode(spelled) == read_back().encode(spelled)
    assert json.loads((written() / "generation_config.json").read_text())["eos_token_id"] == end


def test_the_ranks_beside_it_are_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    ranks = load_tiktoken_bpe(str(written() / "tokenizer" / "ranks.tiktoken"))
    encoding = tiktoken.Encoding("x", pat_str=learned().pattern, mergeable_ranks=ranks, special_tokens={})
    assert encoding.encode(SENTENCES[0]) == learned().encode(SENTENCES[0])
    assert ByteLevelBPE.load_from_dir(written() / "tokenizer") == learned()


def test_the_ids_are_ours_on_a_real_dump(enwiki_sample: Path) -> None:
    """A vocabulary of use, on a megabyte of markup in which nothing is tidy."""
    with bz2.open(enwiki_sample, "rt", encoding="utf-8", errors="ignore") as file:
        text = file.read(1 << 20)
    ranks = train_ranks([text], size=4096)
    tokenizer = ByteLevelBPE(ranks=ranks, vocab_size=len(ranks) + 1)
    theirs = tokenizers.Tokenizer.from_str(tokenizer_json(tokenizer))
    lines = text.splitlines(keepends=True)
    for line, encoding in zip(lines, theirs.encode_batch(lines), strict=True):
        assert encoding.ids == tokenizer.encode(line)


@st.composite
def made_ranks(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Ranks that no corpus made: joins of earlier tokens over two letters, so that everything overlaps."""
    tokens = [b"a", b"b"]
    for _ in range(draw(st.integers(0, 8))):
        joined = draw(st.sampled_from(tokens)) + draw(st.sampled_from(tokens))
        if joined not in tokens and len(joined) <= 8:
            tokens.append(joined)
    return (*ALPHABET, *tokens[2:])


@settings(max_examples=100, deadline=None)
@given(made_ranks(), st.text("ab", max_size=24))
def test_ranks_of_any_kind_give_the_same_ids_or_are_refused(ranks: tuple[bytes, ...], text: str) -> None:
    tokenizer = ByteLevelBPE(ranks=ranks, vocab_size=300)
    try:
        definition = tokenizer_json(tokenizer)
    except ValueError as error:
        assert "These ranks merge in an order that a list of pairs cannot say" in str(error)
        return
    assert tokenizers.Tokenizer.from_str(definition).encode(text).ids == tokenizer.encode(text)


def test_a_word_that_is_a_token_is_that_token() -> None:
    """As in tiktoken, though no merges lead to it."""
    tokenizer = ByteLevelBPE(ranks=(*ALPHABET, b"catalogue"), vocab_size=258)
    assert tokenizers.Tokenizer.from_str(tokenizer_json(tokenizer)).encode("catalogue").ids == [256]


def test_bytes_are_saved_too_and_strangers_are_refused() -> None:
    definition = tokenizer_json(as_byte_level(ByteTokenizer()))
    assert tokenizers.Tokenizer.from_str(definition).encode("né").ids == [110, 195, 169]

    class Words:
        vocab_size = end_of_text = 1

        def encode(self, text: str) -> list[int]:
            return []

        def token_bytes(self, token: int) -> bytes:
            return b""

    with pytest.raises(ValueError, match="wanted  ByteLevelBPE, LearnedBPE, ByteTokenizer or PretrainedTokenizer"):
        as_byte_level(Words())


# Tokenizers of public models.


def public(directory: Path, **changes: Any) -> Path:
    """As Qwen's and Llama 3's: byte-level with an alphabet in another order, a normaliser and special tokens."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=changes.get("prefix", False), use_regex=False),
        ]
    )
    tokenizer.decoder = changes.get("decoder", decoders.ByteLevel())
    trainer = trainers.BpeTrainer(
        vocab_size=350, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens(["<|end|>", "<|user|>"])
    directory.mkdir()
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>"}}))
    return directory


def test_a_public_tokenizer_keeps_the_laws_and_its_own_ids(tmp_path: Path) -> None:
    tokenizer = PretrainedTokenizer.from_pretrained_dir(public(tmp_path / "public"))
    check_tokenizer(tokenizer)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "public" / "tokenizer.json"))
    for text in SENTENCES:
        assert tokenizer.encode(text) == theirs.encode(text).ids
    assert tokenizer.end_of_text == theirs.token_to_id("<|end|>") == tokenizer.vocab_size - 2
    assert tokenizer.token_bytes(tokenizer.end_of_text) == b""
    assert tokenizer.end_of_text not in tokenizer.encode("<|end|>"), "what a text spells is a text"
    cafe = "cafe\u0301"
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(cafe))) == cafe.encode(), "it is not normalised"


def test_links_are_carried_through_a_public_tokenizer(tmp_path: Path) -> None:
    tokenizer = PretrainedTokenizer.from_pretrained_dir(public(tmp_path / "public"))
    (document,) = Tokenize(tokenizer)(iter([document_from_prompt("see [Ångström](Ångström) once", title="A")]))
    upto = document.tokens[: document.link_positions[0] + 1]
    assert b"".join(map(tokenizer.token_bytes, upto.tolist())).decode().endswith("](Ångström)")


def test_a_public_tokenizer_is_saved_whole_and_with_a_model(tmp_path: Path) -> None:
    tokenizer = PretrainedTokenizer.from_pretrained_dir(public(tmp_path / "public"))
    save_to_dir(tokenizer, tmp_path / "saved")
    again = load_from_dir(tmp_path / "saved")
    assert again == tokenizer and fingerprint(again) == fingerprint(tokenizer)
    cfg = DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=400, **family_settings("qwen3"))
    save_pretrained_dir(DagTransformer.instantiate(cfg), tmp_path / "model", tokenizer=tokenizer)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert loaded(SENTENCES[1])["input_ids"] == tokenizer.encode(SENTENCES[1])
    assert loaded.eos_token_id == tokenizer.end_of_text


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"prefix": True}, "a pre_tokenizer that adds a space, or is not byte-level"),
        ({"decoder": decoders.Metaspace()}, "a decoder of type 'Metaspace'"),
    ],
)
def test_tokens_that_are_not_bytes_are_refused(changes: dict[str, Any], got: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(f"got     {got}\n  wanted  byte-level BPE")):
        PretrainedTokenizer.from_pretrained_dir(public(tmp_path / "public", **changes))


def test_a_tokenizer_without_its_end_or_its_file_is_refused(tmp_path: Path) -> None:
    directory = public(tmp_path / "public")
    assert PretrainedTokenizer.from_pretrained_dir(directory, end_of_text="<|user|>").end_of_text_name == "<|user|>"
    with pytest.raises(ValueError, match="no token '<eot>'"):
        PretrainedTokenizer.from_pretrained_dir(directory, end_of_text="<eot>")
    (directory / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match='Name it: end_of_text="<|endoftext|>"'.replace("|", r"\|")):
        PretrainedTokenizer.from_pretrained_dir(directory)
    for content, got in {"": "0 bytes", "[]": "a tokenizer.json", "{": "a tokenizer.json"}.items():
        (directory / "tokenizer.json").write_text(content)
        with pytest.raises(ValueError, match=got):
            PretrainedTokenizer.from_pretrained_dir(directory, end_of_text="<|end|>")
    (directory / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="no such file"):
        PretrainedTokenizer.from_pretrained_dir(directory)
    with pytest.raises(ValueError, match="wanted  an id below"):
        PretrainedTokenizer(definition=tokenizer_json(as_byte_level(ByteTokenizer())), end_of_text=999)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    cfg = DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=300, **family_settings("llama"))
    with pytest.raises(ValueError, match="wanted  at most the model's vocab_size 300"):
        save_pretrained_dir(DagTransformer.instantiate(cfg), tmp_path / "model", tokenizer=learned())
    assert not (tmp_path / "model").exists()
