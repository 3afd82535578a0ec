"""What a stranger may put into a directory, and the four parts with which each is refused."""

import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

import gptlab.storage.inspection as inspection
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.storage import (
    StorageError,
    check_npy,
    check_safetensors,
    import_from_nested_path,
    inspect_directory,
    load_from_dir,
    save_to_dir,
)

TINY = DagTransformerConfig(layers=1, width=8, heads=1, vocab_size=16, max_seq_len=8)


class Bomb:
    """What a pickle can do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def tensors(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(dtype: str = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


TEN_GB = 10 * 2**30


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved model without its manifest, which a stranger would have written to fit."""
    monkeypatch.chdir(tmp_path)
    save_to_dir(DagTransformer.instantiate(TINY), tmp_path / "saved")
    (tmp_path / "saved" / "manifest.json").unlink()
    return tmp_path / "saved"


def write(data: bytes, name: str = "model.safetensors") -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(data)

    return harm


def link(name: str, to: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(to)

    return harm


def torch_file(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pytorch_model.bin.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))


HARMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link out": (link("extra.json", "/etc/passwd"), "a symbolic link"),
    "a link instead of weights": (link("model.safetensors", "/etc/hostname"), "a symbolic link"),
    "a link to a folder": (link("more", "/etc"), "a symbolic link"),
    "a pickle": (write(pickle.dumps(Bomb()), "optimizer.pkl"), "a pickle, which runs code when it is read"),
    "a pickle in disguise": (write(pickle.dumps(Bomb()), "model.safetensors"), "a pickle, which runs code"),
    "a torch file": (torch_file, "a pickle, which runs code when it is read"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "a device, a pipe or a socket"),
    "10 GB of safetensors": (
        write(tensors({"a": entry(shape=[TEN_GB // 4], offsets=[0, TEN_GB])}, b"1234")),
        "a header of 10,737,418,240 bytes of arrays over 4 bytes",
    ),
    "a header of 10 GB": (write(tensors({}, length=TEN_GB)), "a header of 10,737,418,240 bytes in a file of 10"),
    "a nested header": (write(tensors(b"[" * 100_000)), "values nested deeper than 64"),
    "the same array twice": (
        write(tensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' + b'"a":{"dtype":"F32"}}', b"1234")),
        "the key 'a' twice",
    ),
    "10 GB of npy": (
        write(
            b"\x93NUMPY\x01\x00\x46\x00"
            + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1342177280,), }".ljust(69)
            + b"\n12345678",
            "tokens.npy",
        ),
        "a header of float64 (1342177280,), 10,737,418,240 bytes, over 8 bytes",
    ),
    "objects in npy": (
        lambda folder: np.save(folder / "x.npy", np.array([Bomb()])),
        "an array of objects, which are pickles",
    ),
    "deep JSON": (write(b'{"a":' * 90_000 + b"1" + b"}" * 90_000, "extra.json"), "values nested deeper than 64"),
    "a huge number": (write(b"9" * 100_000, "extra.json"), "a number of 100000 digits"),
    "an endless number": (write(b"1e999", "extra.json"), "the number 1e999, which is beyond 64 bits"),
    "no number": (write(b'{"a": NaN}', "extra.json"), "the number NaN, which JSON does not have"),
    "a key twice": (write(b'{"a": 1, "a": 2}', "extra.json"), "the key 'a' twice"),
    "a huge file": (
        lambda folder: os.truncate(_made(folder / "extra.json"), 20 * 2**30),
        "more than 16,777,216 bytes",
    ),
    "a manifest that leads out": (
        write(
            b'{"kind":"saved","format":1,"gptlab":"0.1.0","files":{"../../x":{"size":1,"sha256":"0"}}}',
            "manifest.json",
        ),
        "the file name '../../x'",
    ),
}


def _made(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("way", ["inspect_directory", "load_from_dir", "DagTransformer.load_from_dir"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_hostile_directory_is_refused_whatever_loads_it(model: Path, harm: str, way: str) -> None:
    do, got = HARMS[harm]
    do(model / "value")
    readers: dict[str, Callable[[], object]] = {
        "inspect_directory": lambda: inspect_directory(model),
        "load_from_dir": lambda: load_from_dir(model),
        "DagTransformer.load_from_dir": lambda: DagTransformer.load_from_dir(model / "value"),
    }
    with pytest.raises(StorageError) as caught:
        readers[way]()
    text = str(caught.value)
    assert got in text.replace("\n          ", " ") and "\n  wanted  " in text and text.count("\n") >= 3
    assert not Path("exploded").exists()


def test_an_honest_directory_passes(model: Path) -> None:
    inspect_directory(model)
    assert isinstance(load_from_dir(model), DagTransformer)
    (model / "link").symlink_to(model)
    (model.parent / "alias").symlink_to(model)
    with pytest.raises(StorageError, match="a symbolic link"):
        inspect_directory(model)
    (model / "link").unlink()
    inspect_directory(model.parent / "alias")  # whoever calls chose the directory itself


def test_a_directory_that_is_none_and_one_of_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match=r"got     no such directory\n  wanted  a directory that save_to_dir"):
        inspect_directory(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="got     a file"):
        inspect_directory(tmp_path / "file")
    monkeypatch.setattr(inspection, "MOST_FILES", 3)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(4):
        (folder / str(number)).touch()
    with pytest.raises(StorageError, match="more than 3 files"):
        inspect_directory(folder)


def test_ten_gigabytes_are_not_allocated_to_find_out(model: Path) -> None:
    """In a process that may not have 4 GB, a reader who believed the header would die of it."""
    HARMS["10 GB of safetensors"][0](model / "value")
    HARMS["10 GB of npy"][0](model / "value")
    code = (
        "import resource, sys; from pathlib import Path; from gptlab.storage import StorageError, inspect_directory\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({4 * 2**30}, {4 * 2**30}))\n"
        "try: inspect_directory(Path(sys.argv[1]))\n"
        "except StorageError as error: print(error.got)\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], env=env, capture_output=True, text=True, check=True
    )
    assert "10,737,418,240 bytes" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 4 * 2**30  # the limit was the child's alone


names = st.text(st.characters(blacklist_categories=("Cs",)), max_size=5).filter(lambda name: name != "__metadata__")


@given(
    st.dictionaries(
        names,
        st.tuples(st.sampled_from(["<f4", "<f2", "u1", "<i8", "?"]), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
    )
)
def test_what_the_library_writes_is_accepted_with_its_names_and_shapes(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, tuple[str, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "a.safetensors"
    path.write_bytes(save({name: np.zeros(shape, kind) for name, (kind, shape) in shapes.items()}))
    found = check_safetensors(path)
    assert {name: list(shape) for name, (_, shape) in found.items()} == {n: s for n, (_, s) in shapes.items()}


@given(st.data())
def test_whatever_is_accepted_the_library_reads(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Changed headers: either refused, or the reader of safetensors takes them too and finds the same."""
    path = tmp_path_factory.mktemp("tensors") / "a.safetensors"
    good = save({"a": np.arange(4, dtype=np.float32), "b": np.zeros((2, 3), np.int64)})
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(32, 126))
    path.write_bytes(bytes(changed))
    try:
        found = check_safetensors(path)
    except StorageError as error:
        assert "\n  wanted  " in str(error)
    else:
        assert {name: array.shape for name, array in load(bytes(changed)).items()} == {
            name: shape for name, (_, shape) in found.items()
        }


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": 5},
        {"a": entry("F99")},
        {"a": entry(shape=[-1], offsets=[0, -4])},
        {"a": entry(shape=[True])},
        {"a": entry(offsets=[0, 4, 8])},
        {"a": entry(offsets=[4, 8])},
        {"a": entry(), "b": entry()},
        {"a": {**entry(), "more": 1}},
        {"a": entry(shape=[2])},
        {"a": entry(shape=[2**63, 2**63, 0], offsets=[0, 4])},
    ],
)
def test_headers_that_do_not_agree_with_themselves(tmp_path: Path, header: object) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(tensors(header, b"1234"))
    with pytest.raises(StorageError, match=r"a\.safetensors"):
        check_safetensors(path)


@pytest.mark.parametrize("data", [b"", b"1234567", b"PK\x03\x04"])
def test_files_too_short_for_a_header(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(StorageError, match=f"{len(data)} bytes"):
        check_safetensors(tmp_path / "a.safetensors")
    with pytest.raises(StorageError, match=r"no \.npy header"):
        check_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "name",
    ["os.system", "gptlab.storage.saving.os.system", "../gptlab.x", "/etc/passwd", "builtins.exec", "gptlab.."],
)
def test_names_obey_the_same_rule(model: Path, name: str) -> None:
    config = {"schema": 2, "gptlab": "0.1.0", "value": {"class": name, "saved": "value"}}
    (model / "config.json").write_text(json.dumps(config))
    for refused in (lambda: load_from_dir(model), lambda: import_from_nested_path(name)):
        with pytest.raises(StorageError, match="a name that may not be called from a file"):
            refused()


@pytest.mark.parametrize("path", ["../value", "/etc", "value/../../x", "value/\0", ""])
def test_paths_stay_inside(model: Path, path: str) -> None:
    value = {"class": "gptlab.models.DagTransformer", "saved": path}
    (model / "config.json").write_text(json.dumps({"schema": 2, "gptlab": "0.1.0", "value": value}))
    with pytest.raises(StorageError) as caught:
        load_from_dir(model)
    assert "\n  wanted  " in str(caught.value)
