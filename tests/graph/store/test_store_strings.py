"""Strings in an array of bytes against the same strings as Python objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_strategies import NAMES

from gptlab.graph.store.arrays import growing_arrays, map_array, write_array
from gptlab.graph.store.strings import (
    PADDING,
    StringIndex,
    Strings,
    are_equal,
    decoded,
    encoded,
    first_of_each,
    hash_string,
    hash_strings,
    packed_texts,
)
from gptlab.storage import StorageError

byte_strings = st.lists(st.binary(max_size=20) | st.sampled_from([b"", b"\0", b"Moon", b"Moon\0", b"x" * 8]))


@given(byte_strings)
def test_all_at_once_is_each_alone(texts):
    strings = Strings.packed(texts)
    assert [strings[place] for place in range(len(strings))] == texts
    assert hash_strings(strings).tolist() == [hash_string(text) for text in texts]


def test_hashes_are_the_same_for_ever():
    """A store is found again by another version: these figures may not change without another format."""
    known = {b"": 0x9E3779B97F4A7C15, b"Moon": 0x67917469BDEB91D6, b"A title of many words": 0x0814BD275AF6B138}
    assert {text: hash_string(text) for text in known} == known


def test_a_million_hashes_differ():
    texts = [b"%d" % number for number in range(200_000)] + [bytes(size) for size in range(100)]
    hashes = hash_strings(Strings.packed(texts))
    assert len(np.unique(hashes)) == len(texts)
    for bit in range(64):  # every bit of the hash is a coin
        assert abs(float((hashes >> np.uint64(bit) & np.uint64(1)).mean()) - 0.5) < 0.01


@given(byte_strings, st.data())
def test_taken_strings_are_those(texts, data):
    strings = Strings.packed(texts)
    numbers = data.draw(st.lists(st.integers(0, len(texts) - 1))) if texts else []
    taken = strings.take(np.array(numbers, np.int64))
    assert [taken[place] for place in range(len(taken))] == [texts[number] for number in numbers]
    assert taken.bytes_used().tobytes() == b"".join(texts[number] for number in numbers)
    assert len(taken.data) == len(taken.bytes_used()) + PADDING
    other = Strings.packed(texts[::-1])
    places = np.arange(len(texts))
    assert are_equal(strings, places, other, places).tolist() == [
        mine == theirs for mine, theirs in zip(texts, texts[::-1], strict=True)
    ]


@given(byte_strings, byte_strings, st.sampled_from([64, 2, 0]))
def test_found_are_those_that_are_there(texts, wanted, bits):
    """With all bits of the hash, with two, and with none."""
    mask = np.uint64((1 << bits) - 1)
    strings = Strings.packed(texts)
    hashes = hash_strings(strings) & mask
    assert first_of_each(strings, hashes).tolist() == [texts.index(text) for text in texts]
    distinct = list(dict.fromkeys(texts))
    index = StringIndex.of(Strings.packed(distinct), hash_strings(Strings.packed(distinct)) & mask)
    asked = Strings.packed(wanted)
    found = index.find(asked, hash_strings(asked) & mask)
    assert found.tolist() == [distinct.index(text) if text in distinct else -1 for text in wanted]


@given(st.lists(NAMES))
def test_texts_are_packed_whatever_they_hold(texts):
    data, lengths = packed_texts(iter(texts))
    assert data.tobytes() == b"".join(map(encoded, texts))
    assert lengths.tolist() == [len(encoded(text)) for text in texts]
    assert [decoded(encoded(text)) for text in texts] == texts


@given(st.lists(st.lists(st.integers(0, 200)), max_size=4))
def test_an_array_grows_at_its_end(tmp_path_factory, pieces):
    directory = tmp_path_factory.mktemp("arrays")
    with growing_arrays(directory, {"small": np.uint8, "large": np.int64}) as arrays:
        for piece in pieces:
            arrays["small"].append(np.array(piece, np.uint8))
            arrays["large"].append(np.array(piece, np.int32))
    for name, dtype in (("small", np.uint8), ("large", np.int64)):
        found = map_array(directory, name)
        assert found.tolist() == [value for piece in pieces for value in piece]
        assert found.dtype == dtype
        assert type(found) is np.ndarray
        assert (directory / f"{name}.npy").stat().st_size == 128 + found.nbytes
        with pytest.raises(ValueError, match="read-only"):
            found[:] = 1


def test_what_is_no_array_is_refused(tmp_path):
    write_array(tmp_path, "cut", np.arange(9))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-1])
    write_array(tmp_path, "pickled", np.arange(9))
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    for name in ("absent", "cut", "pickled"):
        with pytest.raises(StorageError) as error:
            map_array(tmp_path, name)
        assert str(error.value).startswith(f"{tmp_path / name}.npy\n  got     ")
        assert "wanted  an array of a document store\n  Remove the directory and build it again" in str(error.value)
