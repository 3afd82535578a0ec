"""Byte-level BPE: two engines with equal ids, exact round trips, link marks alone."""

import base64
import itertools
import pickle
import random
import time
import unicodedata
from pathlib import Path
from typing import Any

import attrs
import pytest
import regex
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from gptlab.storage import StorageError, describe, fingerprint, load_from_dir, save_to_dir
from gptlab.tokenizers import LINK_MARKS, PATTERN, ByteLevelBPE, ByteTokenizer, TokenizerError, decode_tokens
from gptlab.tokenizers.training import byte_characters, train_ranks, train_tokenizer

# Sentences of our own, in several scripts, with the marks that the notation is made of.
TEXTS = [
    f"# The {thing}\n\nThe {thing} of [Harbour {number}](Harbour_{number}) isn't the [{thing}]({thing}_(river)), "
    f"it's {number * 7919} years old.\n\n    def {thing}(x):\n        return x[{number}]  # (why?)\n\n"
    f"Cây cầu số {number} bắc qua sông, được xây năm {1000 + number}. "
    f"Мост № {number} стоит. 橋は{number}本あります。 पुल {number} है।"
    for number, thing in enumerate(["bridge", "lighthouse", "mill", "orchard", "bridge", "mill"] * 5)
]
SIZE = 440
TRAINED = train_tokenizer(TEXTS, size=SIZE)
RANKS = train_ranks(TEXTS, size=SIZE)
BPE = ByteLevelBPE(ranks=RANKS, vocab_size=SIZE + 1)

# Characters that every engine's tables know; newer ones may be a letter for one and unassigned for the other.
assigned = st.characters(exclude_categories=("Cs", "Cn", "Co"))
known = st.text(st.sampled_from(sorted({character for text in TEXTS for character in text})))
nasty = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "](",
            ")",
            "(",
            "\\",
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "'s",
            "'",
            "a",
            "Ab",
            "é",
            "e\u0301",
            "12345",
            "文",
            "\u00a0",
            "\u2028",
            "\x85",
            "\x00",
            "!",
            "<|endoftext|>",
            "🙂",
            "\u200d",
            "क्ष",
        ]
    )
).map("".join)
texts = st.one_of(st.text(assigned), known, nasty, st.sampled_from(TEXTS))


def ids_in_ranks(text: str) -> list[int]:
    """What the training library makes of a text, in our ids."""
    byte_of = {character: byte for byte, character in byte_characters().items()}
    rank = {token: index for index, token in enumerate(RANKS)}
    return [rank[bytes(byte_of[character] for character in token)] for token in TRAINED.encode(text).tokens]


@given(texts)
def test_tiktoken_and_tokenizers_give_equal_ids(text: str) -> None:
    assert BPE.encode(text) == ids_in_ranks(text)


@given(texts)
def test_bytes_come_back_and_ids_stay_in_bounds(text: str) -> None:
    ids = BPE.encode(text)
    assert b"".join(map(BPE.token_bytes, ids)) == text.encode() and decode_tokens(ids, BPE) == text
    assert all(0 <= token < BPE.end_of_text for token in ids)
    assert BPE.encode_array(text).tolist() == ids
    assert [BPE.token_lengths[token] for token in ids] == [len(BPE.token_bytes(token)) for token in ids]


@given(texts)
def test_link_marks_are_tokens_of_their_own(text: str) -> None:
    """So a scan for three ids finds every link, and no token hides half of one."""
    for token in BPE.encode(text):
        piece = BPE.token_bytes(token)
        if any(mark in piece for mark in (b"[", b"]", b")")):
            assert piece in (b"[", b"]", b"](", b")")


@given(texts)
def test_the_pattern_cuts_everywhere_and_loses_nothing(text: str) -> None:
    """A third engine, Python's `regex`, reads the pattern the same way."""
    words = regex.findall(PATTERN, text)
    assert "".join(words) == text
    assert BPE.encode(text) == [token for word in words for token in BPE.encode(word)]
    for word in words:
        assert word in ("[", "]", "](", ")") or not set("[])") & set(word)


def test_links_have_the_three_marks() -> None:
    marks = [BPE.token_bytes(token).decode() for token in BPE.encode("[a](B)")]
    assert marks[0] == LINK_MARKS[0] and LINK_MARKS[1] in marks and marks[-1] == LINK_MARKS[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's the 12345 bridges.", ["It", "'s", " the", " ", "123", "45", " bridges", "."]),
        (
            "see [the  mill](Mill_(river)).",
            ["see", " ", "[", "the", " ", " mill", "](", "Mill", "_(", "river", ")", ")", "."],
        ),
        ("a[0](x) \\[b\\]", ["a", "[", "0", "](", "x", ")", " \\", "[", "b", "\\", "]"]),
        ("e\u0301t\u00e9 क्षत्र", ["e\u0301t\u00e9", " क्षत्र"]),
        ("x  \n\n  y\r\n", ["x", "  \n\n ", " y", "\r\n"]),
    ],
)
def test_words_of_known_texts(text: str, words: list[str]) -> None:
    assert regex.findall(PATTERN, text) == words


@pytest.mark.parametrize("unit", [" ", "a", "=", "\n", " \n", "[a](b) ", "9", "é", "](", "\t", "]", "文", "\r\n  "])
def test_a_hostile_page_costs_time_in_proportion(unit: str) -> None:
    """tiktoken dies of a long run of spaces under the usual pattern; a page of anything is only a page here."""
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    assert b"".join([RANKS[token] for token in BPE.encode(text)]) == text.encode()
    assert time.process_time() - began < 10


def test_training_is_deterministic_and_streams() -> None:
    assert train_ranks(iter(TEXTS), size=SIZE) == RANKS
    assert len(RANKS) == SIZE and RANKS[:256] == tuple(bytes([byte]) for byte in range(256))
    assert len(set(RANKS)) == SIZE


def test_every_learned_token_is_two_lower_ones() -> None:
    """What byte-level BPE is: this is why ranks alone, without the pairs, tell how to merge."""
    rank = {token: index for index, token in enumerate(RANKS)}
    for index, token in enumerate(RANKS[256:], 256):
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        assert any(rank.get(left, index) < index and rank.get(right, index) < index for left, right in cuts)


def test_merges_follow_the_definition() -> None:
    """Against the textbook: join the pair of lowest rank until there is none."""
    rank = {token: index for index, token in enumerate(RANKS)}
    for word in {word for text in TEXTS for word in regex.findall(PATTERN, text)}:
        parts = [bytes([byte]) for byte in word.encode()]
        while True:
            pairs = [
                (rank.get(left + right, SIZE), place) for place, (left, right) in enumerate(itertools.pairwise(parts))
            ]
            best, place = min(pairs, default=(SIZE, 0))
            if best == SIZE:
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        assert BPE.encode(word) == [rank[part] for part in parts]


def test_a_small_corpus_leaves_ids_unused() -> None:
    ranks = train_ranks(["one two three"], size=5000)
    bpe = ByteLevelBPE(ranks=ranks, vocab_size=5001)
    assert 257 <= len(ranks) < 270 and ranks[256] == b"](" and bpe.end_of_text == 5000
    assert bpe.token_bytes(4000) == b"" and bpe.token_bytes(5000) == b"" and bpe.token_lengths[4000] == 0
    assert max(bpe.encode("one two three [x](y)")) < len(ranks)


def test_end_of_text_is_never_encoded() -> None:
    assert BPE.end_of_text not in BPE.encode("<|endoftext|>")
    assert decode_tokens(BPE.encode("<|endoftext|>"), BPE) == "<|endoftext|>"


def test_it_is_a_value(tmp_path: Path) -> None:
    BPE.encode("so that tables are loaded")
    again = ByteLevelBPE(ranks=tuple(RANKS), vocab_size=SIZE + 1)
    assert again == BPE and hash(again) == hash(BPE) and fingerprint(again) == fingerprint(BPE)
    assert pickle.loads(pickle.dumps(BPE)) == BPE and pickle.loads(pickle.dumps(BPE)).encode("mill") == BPE.encode(
        "mill"
    )
    larger = attrs.evolve(BPE, vocab_size=SIZE + 2)
    assert larger != BPE and larger.end_of_text == SIZE + 1 and fingerprint(larger) != fingerprint(BPE)
    other = ByteLevelBPE(ranks=(*RANKS[:-1], b"zzz"), vocab_size=SIZE + 1)
    assert fingerprint(other) != fingerprint(BPE)
    assert repr(BPE) == "ByteLevelBPE(ranks=<440 tokens>, vocab_size=441)"
    assert describe((BPE,))[0]["class"] == "gptlab.tokenizers.ByteLevelBPE"


def test_saving_and_loading(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    BPE.save_to_dir(tmp_path / "plain")
    assert ByteLevelBPE.load_from_dir(tmp_path / "plain") == BPE
    save_to_dir((BPE, ByteTokenizer()), tmp_path / "both")
    assert load_from_dir(tmp_path / "both") == (BPE, ByteTokenizer())
    first = (tmp_path / "plain" / "ranks.tiktoken").read_bytes().splitlines()[97]
    assert first == base64.b64encode(b"a") + b" 97", "the format of tiktoken.load.load_tiktoken_bpe"


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("ranks.tiktoken", lambda data: data[:-200], "got "),
        ("ranks.tiktoken", lambda data: data.replace(b" 300\n", b" 301\n"), "rank b'301' in line 301"),
        ("ranks.tiktoken", lambda data: data.replace(b"\n", b"!\n", 1), "rank b'0!' in line 1"),
        ("ranks.tiktoken", lambda data: b"*** 0\n" + data.partition(b"\n")[2], "a token in base64 and the rank 0"),
        ("ranks.tiktoken", lambda data: data.partition(b"\n")[2], "rank b'1' in line 1"),
        ("config.json", lambda data: data.replace(b"441", b"301"), "at least one more than there are ranks"),
        ("config.json", lambda data: data.replace(b"441", b'"441"'), "vocab_size, pattern and format 1"),
        ("config.json", lambda data: data.replace(b"441", b"true"), "vocab_size, pattern and format 1"),
        ("config.json", lambda data: b"{}", "vocab_size, pattern and format 1"),
        ("config.json", lambda data: b"", "strict JSON"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, edit: Any, message: str) -> None:
    BPE.save_to_dir(tmp_path)
    (tmp_path / name).write_bytes(edit((tmp_path / name).read_bytes()))
    with pytest.raises((StorageError, TokenizerError)) as caught:
        ByteLevelBPE.load_from_dir(tmp_path)
    assert message in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"config.json\n  got     No such file"):
        ByteLevelBPE.load_from_dir(tmp_path)
    BPE.save_to_dir(tmp_path)
    (tmp_path / "ranks.tiktoken").unlink()
    with pytest.raises(StorageError, match=r"ranks.tiktoken\n  got     No such file"):
        ByteLevelBPE.load_from_dir(tmp_path)


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"got     255 tokens without the byte b'\\x00'"):
        ByteLevelBPE(ranks=RANKS[1:256], vocab_size=500)
    with pytest.raises(TokenizerError, match="the same token twice"):
        ByteLevelBPE(ranks=(*RANKS, RANKS[-1]), vocab_size=600)
    with pytest.raises(TokenizerError, match="Ask for 441 or more"):
        ByteLevelBPE(ranks=RANKS, vocab_size=440)
    with pytest.raises(TokenizerError, match="a regular expression of tiktoken"):
        ByteLevelBPE(ranks=RANKS, vocab_size=441, pattern="(").encode("x")


def test_half_a_surrogate_pair_is_no_text() -> None:
    for tokenizer in (BPE, ByteTokenizer()):
        with pytest.raises(UnicodeEncodeError):
            tokenizer.encode("a\ud800")


def test_byte_characters_are_those_of_the_training_library() -> None:
    from tokenizers import pre_tokenizers

    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for byte, character in byte_characters().items():
        if byte < 128:
            assert split.pre_tokenize_str(chr(byte))[0][0] == character
    assert sorted(byte_characters().values()) == sorted(pre_tokenizers.ByteLevel.alphabet())


def test_ids_are_equal_on_long_random_texts() -> None:
    rng = random.Random(5)
    pool = [character for text in TEXTS for character in text]
    for _ in range(20):
        text = "".join(rng.choices(pool, k=5_000))
        assert BPE.encode(text) == ids_in_ranks(text)
    assert unicodedata.unidata_version >= "14" and isinstance(TRAINED.model, models.BPE)
    assert isinstance(TRAINED, tokenizers.Tokenizer)


@given(texts)
def test_bytes_are_bytes(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert bytes(tokenizer.encode(text)) == text.encode() == bytes(tokenizer.encode_array(text).astype("uint8"))
    assert tokenizer.end_of_text == 256 == tokenizer.vocab_size - 1 and tokenizer.token_bytes(256) == b""
    assert [len(tokenizer.token_bytes(token)) for token in range(257)] == tokenizer.token_lengths.tolist()
