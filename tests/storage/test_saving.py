"""Saving and loading: everything comes back equal, and nothing that a stranger wrote runs or leads outside."""

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, UInt16

from gptlab.storage import (
    StorageError,
    fingerprint,
    load_from_dir,
    new_directory,
    save_to_dir,
    to_config,
    verify,
)
from gptlab.types import DocumentId, TokenizedDocument

HERE = (__name__,)


@attrs.frozen
class Weights:
    """Saves itself, as models and ranks do."""

    numbers: bytes

    def save_to_dir(self, directory: Path) -> None:
        (directory / "numbers.bin").write_bytes(self.numbers)

    @classmethod
    def load_from_dir(cls, directory: Path) -> "Weights":
        return cls((directory / "numbers.bin").read_bytes())

    def run(self, items: Iterator[int]) -> Iterator[int]:
        return items


@attrs.frozen
class Chain:
    parts: tuple[Any, ...] = ()
    table: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Plain:
    """Takes the library's function as its method."""

    size: int = 1
    save_to_dir = save_to_dir


@attrs.frozen
class Arrays:
    small: Float32[np.ndarray, "n"] = attrs.field(eq=attrs.cmp_using(eq=np.array_equal))
    free: Any = attrs.field(eq=attrs.cmp_using(eq=np.array_equal))


def content(path: Path) -> dict[str, Any]:
    return json.loads((path / "config.json").read_text())


def rewrite(path: Path, value: Any) -> None:
    (path / "config.json").write_text(json.dumps({"format": 1, "gptlab": "0.1.0", "value": value}))


weights = st.builds(Weights, st.binary(max_size=9))
leaves = st.one_of(st.integers(0, 9), st.text("ab", max_size=2), weights, st.builds(Plain, st.integers(0, 9)))
values = st.recursive(
    leaves,
    lambda inner: st.builds(
        Chain,
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["x", "y z", "ü"]), inner, max_size=2),
    ),
    max_leaves=8,
)


@given(values)
def test_everything_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    directory = tmp_path_factory.mktemp("saved") / "new" / "value"
    save_to_dir(value, directory)
    verify(directory, "saved")
    back = load_from_dir(directory, allow=HERE)
    assert back == value and type(back) is type(value)


def test_parts_that_save_themselves_lie_under_the_names_of_their_fields(tmp_path: Path) -> None:
    value = Chain(parts=(1, Weights(b"a").run), table={"model": Weights(b"b")})
    save_to_dir(value, tmp_path / "a")
    files = sorted(path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*.bin"))
    assert files == ["parts/1/of/numbers.bin", "table/model/numbers.bin"]
    assert content(tmp_path / "a")["value"]["table"]["model"] == {
        "class": f"{__name__}.Weights",
        "saved": "table/model",
    }
    back = load_from_dir(tmp_path / "a", allow=HERE)
    assert back.parts[1].__self__ == Weights(b"a") and list(back.parts[1](iter([1]))) == [1]


def test_a_value_that_saves_itself_can_be_the_whole(tmp_path: Path) -> None:
    save_to_dir(Weights(b"abc"), tmp_path / "a")
    assert load_from_dir(tmp_path / "a", allow=HERE) == Weights(b"abc")
    with pytest.raises(StorageError, match="this one needs files"):
        to_config(Weights(b"abc"))
    with pytest.raises(StorageError, match="may not be called from a file"):
        load_from_dir(tmp_path / "a")


def test_the_function_may_be_taken_as_a_method(tmp_path: Path) -> None:
    Plain(5).save_to_dir(tmp_path / "a")
    assert load_from_dir(tmp_path / "a", allow=HERE) == Plain(5) and to_config(Plain(5))["size"] == 5


def test_an_unfinished_directory_is_written_into_and_a_saved_one_is_not(tmp_path: Path) -> None:
    with new_directory(tmp_path / "run", kind="run") as directory:
        save_to_dir(Plain(2), directory)
        (directory / "part").mkdir()
        save_to_dir(Plain(3), directory / "part")
    assert load_from_dir(tmp_path / "run" / "part", allow=HERE) == Plain(3)
    with pytest.raises(StorageError, match=r"got     a directory that holds a saved value"):
        save_to_dir(Plain(4), tmp_path / "run" / "part")
    assert load_from_dir(tmp_path / "run" / "part", allow=HERE) == Plain(3)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="an attrs value"):
        save_to_dir(Chain((Weights(b"a"), object())), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


arrays = st.sampled_from(["<f4", "<i8", "|b1", "<u2", "<c8"]).flatmap(
    lambda dtype: st.lists(st.integers(0, 3), max_size=3).map(lambda shape: np.ones(shape, dtype))
)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=5), arrays)
def test_arrays_come_back_with_type_and_shape(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], free: np.ndarray
) -> None:
    value = Arrays(np.array(numbers, np.float32), free)
    directory = tmp_path_factory.mktemp("arrays") / "a"
    save_to_dir(value, directory)
    back = load_from_dir(directory, allow=HERE)
    assert np.array_equal(back.small, value.small) and np.array_equal(back.free, free)
    assert back.free.dtype == free.dtype and back.free.shape == free.shape
    assert fingerprint(back) == fingerprint(value)


def test_records_with_arrays_come_back(tmp_path: Path) -> None:
    tokens: UInt16[np.ndarray, "tokens"] = np.arange(5, dtype=np.uint16)
    record = TokenizedDocument(
        id=DocumentId("A"),
        title="A",
        tokens=tokens,
        link_positions=np.array([2], np.int32),
        link_targets=(DocumentId("B"),),
    )
    save_to_dir((record, record), tmp_path / "a")
    assert load_from_dir(tmp_path / "a") == (record, record)


def test_an_array_of_another_type_than_the_field_says_is_refused(tmp_path: Path) -> None:
    save_to_dir(Arrays(np.zeros(3, np.float32), 1), tmp_path / "a")
    (tmp_path / "a" / "manifest.json").unlink()
    for wrong in (np.zeros(3), np.zeros((3, 1), np.float32)):
        np.save(tmp_path / "a" / "small.npy", wrong)
        with pytest.raises(StorageError, match=r"config.json.small\n(.|\n)*an array of type Float32"):
            load_from_dir(tmp_path / "a", allow=HERE)


def test_damage_is_found_before_anything_is_made(tmp_path: Path) -> None:
    save_to_dir(Weights(b"abc"), tmp_path / "a")
    (tmp_path / "a" / "value" / "numbers.bin").write_bytes(b"abd")
    with pytest.raises(StorageError, match="content that has changed"):
        load_from_dir(tmp_path / "a", allow=HERE)


def test_what_is_no_saved_value_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}/config.json\n  got     nothing"):
        load_from_dir(tmp_path)
    for text in ("[]", "{}", '{"format": true, "value": 1}', '{"format": 1}', '{"schema": 0, "value": 1}', "5"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(StorageError, match="no saved value"):
            load_from_dir(tmp_path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def npy(header: bytes, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    "data",
    [
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1250000000,), }\n", b"12345678"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999999999999,), }\n"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n"),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", b"1234567"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", b"123456789"),
        npy(b"__import__('os').mkdir('exploded')\n"),
        npy(b"{" * 5000),
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"PK\x03\x04",
        b"",
        pickle.dumps(Bomb()),
    ],
)
def test_hostile_arrays_are_refused(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_to_dir(Arrays(np.zeros(1, np.float32), np.zeros(1)), tmp_path / "a")
    (tmp_path / "a" / "manifest.json").unlink()
    (tmp_path / "a" / "free.npy").write_bytes(data)
    with pytest.raises(StorageError):
        load_from_dir(tmp_path / "a", allow=HERE)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc", "inner/../../outside", "..", "", ".", "/", "missing", "a\0b"])
@pytest.mark.parametrize("kind", ["saved", "array"])
def test_references_stay_inside(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "numbers.bin").write_bytes(b"secret")
    (tmp_path / "a" / "inner").mkdir(parents=True)
    tag = {"class": f"{__name__}.Weights"} if kind == "saved" else {}
    rewrite(tmp_path / "a", {**tag, kind: name})
    with pytest.raises(StorageError):
        load_from_dir(tmp_path / "a", allow=HERE)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "numbers.bin").write_bytes(b"secret")
    np.save(tmp_path / "outside.npy", np.zeros(1))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "a" / "array.npy").symlink_to(tmp_path / "outside.npy")
    for value in ({"class": f"{__name__}.Weights", "saved": "folder"}, {"array": "array.npy"}):
        rewrite(tmp_path / "a", value)
        with pytest.raises(StorageError, match="a symbolic link"):
            load_from_dir(tmp_path / "a", allow=HERE)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "config.json").symlink_to(tmp_path / "a" / "config.json")
    with pytest.raises(StorageError, match="a symbolic link"):
        load_from_dir(tmp_path / "b", allow=HERE)


def test_a_link_below_a_saved_part_is_not_followed_either(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    save_to_dir(Weights(b"x"), tmp_path / "a")
    (tmp_path / "a" / "manifest.json").unlink()
    (tmp_path / "a" / "value" / "numbers.bin").unlink()
    (tmp_path / "a" / "value" / "numbers.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError, match="a symbolic link"):
        load_from_dir(tmp_path / "a", allow=HERE)


@pytest.mark.parametrize(
    "value",
    [
        {"class": "os.system", "saved": "x"},
        {"class": "gptlab.types.Document", "saved": "x"},
        {"class": f"{__name__}.Plain", "saved": "x"},
        {"saved": "x"},
        {"class": f"{__name__}.Weights", "saved": "x", "more": 1},
        {"array": 5},
        {"function": "os.system"},
        {"class": "builtins.exec", "code": "1"},
    ],
)
def test_hostile_references_are_refused(tmp_path: Path, value: Any) -> None:
    (tmp_path / "x").mkdir()
    rewrite(tmp_path, {"class": f"{__name__}.Chain", "parts": [value]})
    if value == {"saved": "x"} or value == {"array": 5}:  # an ordinary mapping
        assert load_from_dir(tmp_path, allow=HERE) == Chain((value,))
        return
    with pytest.raises(StorageError):
        load_from_dir(tmp_path, allow=HERE)


@pytest.mark.parametrize("key", ["../x", "..", ".", "/etc", "a/b", "a" * 300, "a\0b", ""])
def test_keys_of_mappings_cannot_lead_outside_when_saving(tmp_path: Path, key: str) -> None:
    with pytest.raises(StorageError):
        save_to_dir(Chain(table={key: Weights(b"x")}), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
