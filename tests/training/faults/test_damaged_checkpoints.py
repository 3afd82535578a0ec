"""Bytes flipped anywhere, files cut, emptied, removed, swapped, put in: damage is named and passed over, not loaded.

One exception, and it is checked: a byte of `manifest.json` that says nothing of the files (white space, the version
that wrote it) may change; what is loaded is then what was saved.
"""

import json
import shutil
from pathlib import Path

import pytest
from faults_found import contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_torch import Counting, TinyModel, same

from gptlab.pipeline import Drops, watching
from gptlab.storage import StorageError
from gptlab.training import TorchTrainer, TrainerConfig, TrainingError, latest_checkpoint
from gptlab.training.checkpoint import checkpoint_path, read_checkpoint

CFG = TrainerConfig(steps=6, learning_rate=0.02, warmup_steps=2, checkpoint_every=2, keep_last=2, ema=0.9)
OLD, NEW = 4, 6
FILES = ["manifest.json", "trainer.json", "optimizer.safetensors", "average.safetensors", "model/weights.safetensors"]
KINDS = ["flip", "cut", "empty", "longer", "remove", "swap", "zeros", "a folder", "a link"]


class Lines(Drops):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=directory).train()
    assert {path.relative_to(checkpoint_path(directory, NEW)).as_posix() for path in _files(directory)} == set(FILES)
    return directory


def _files(directory: Path) -> list[Path]:
    return [path for path in checkpoint_path(directory, NEW).rglob("*") if path.is_file()]


def damage(path: Path, other: Path, kind: str, offset: int, flip: int) -> None:
    """Do it to `path`; `other` is the same file of the older checkpoint."""
    data = bytearray(path.read_bytes())
    at = offset % len(data)
    if kind == "flip":
        data[at] ^= flip
        path.write_bytes(data)
    elif kind in ("cut", "empty"):
        path.write_bytes(data[: at if kind == "cut" else 0])
    elif kind == "longer":
        path.write_bytes(data + bytes(1 + offset % 512))
    elif kind == "zeros":
        path.write_bytes(bytes(len(data)))
    elif kind == "swap":
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
        if kind == "a folder":
            path.mkdir()
        elif kind == "a link":
            path.symlink_to(other)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(FILES),
    kind=st.sampled_from(KINDS),
    offset=st.integers(0, 1 << 20),
    flip=st.integers(1, 255),
)
def test_a_damaged_one_is_named_and_the_one_before_is_used(
    run: Path, tmp_path: Path, file: str, kind: str, offset: int, flip: int
) -> None:
    directory = tmp_path / "run"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(run, directory)
    newest, older = checkpoint_path(directory, NEW), checkpoint_path(directory, OLD)
    damage(newest / file, older / file, kind, offset, flip)
    seen = Lines()
    with watching(seen):
        found = latest_checkpoint(directory)
    if found == newest:
        assert file == "manifest.json" and kind in ("flip", "longer"), (file, kind, offset, flip)
        assert json.loads((newest / file).read_text())["files"] == _listed(run)
        return
    assert found == older
    assert len(seen.lines) == 1
    assert seen.lines[0].startswith(f"checkpoint {newest} is damaged and passed over: {newest}")
    with pytest.raises((StorageError, TrainingError)):
        read_checkpoint(newest)
    assert TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=("tiny_torch",)).resume == older


def _listed(run: Path) -> object:
    return json.loads((checkpoint_path(run, NEW) / "manifest.json").read_text())["files"]


def test_training_goes_on_from_the_older_one_to_the_same_end(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    damage(checkpoint_path(tmp_path / "run", NEW) / "optimizer.safetensors", run, "flip", 300, 4)
    trained = TorchTrainer.load_checkpoint(tmp_path / "run", data_source=Counting(), allow=("tiny_torch",)).train()
    whole = TorchTrainer.load_checkpoint(run, data_source=Counting(), allow=("tiny_torch",)).train()
    assert same(trained, whole)
    ours, theirs = (contents(checkpoint_path(place, NEW)) for place in (tmp_path / "run", run))
    assert all(ours[name] == theirs[name] for name in FILES if name.endswith(".safetensors"))


def test_two_checkpoints_under_each_others_names(run: Path, tmp_path: Path) -> None:
    """Every hash agrees, and yet: the older one would be taken for the newer."""
    directory = tmp_path / "run"
    shutil.copytree(run, directory)
    newest, older = checkpoint_path(directory, NEW), checkpoint_path(directory, OLD)
    newest.rename(tmp_path / "aside")
    older.rename(newest)
    (tmp_path / "aside").rename(older)
    seen = Lines()
    with watching(seen):
        assert latest_checkpoint(directory) is None
    assert seen.lines[0] == (
        f"checkpoint {newest} is damaged and passed over: {newest}\n  got     the checkpoint of step {OLD}\n"
        f"  wanted  that of step {NEW}, as its name says\n  Give it its name back: step-{OLD:08d}."
    )


def test_a_file_that_no_manifest_lists_is_not_loaded(run: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    cfg = TrainerConfig(steps=2, checkpoint_every=2)
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=plain).train()
    shutil.copy(checkpoint_path(run, NEW) / "average.safetensors", checkpoint_path(plain, 2))
    (checkpoint_path(plain, 2) / "model" / "strange").write_text("?")
    assert latest_checkpoint(plain) == checkpoint_path(plain, 2)
    assert read_checkpoint(checkpoint_path(plain, 2)).average == {}


def test_a_manifest_that_leaves_out_a_file_is_not_believed(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = checkpoint_path(tmp_path / "run", NEW) / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"]["optimizer.safetensors"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(StorageError, match=r"no optimizer\.safetensors in the list"):
        read_checkpoint(path.parent)
    assert latest_checkpoint(tmp_path / "run") == checkpoint_path(tmp_path / "run", OLD)


def test_a_file_that_cannot_be_read_is_damage(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector shows when the file is read, not before."""
    real = Path.open

    def broken(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if path == checkpoint_path(run, NEW) / "optimizer.safetensors":
            raise OSError(5, "Input/output error", str(path))
        return real(path, mode, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", broken)
    seen = Lines()
    with watching(seen):
        assert latest_checkpoint(run) == checkpoint_path(run, OLD)
    assert "Input/output error" in seen.lines[0]


def test_with_none_left_there_is_one_clear_error(run: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    shutil.copytree(run, directory)
    (checkpoint_path(directory, NEW) / "manifest.json").unlink()
    (checkpoint_path(directory, OLD) / "trainer.json").write_bytes(b"")
    with pytest.raises(TrainingError) as caught:
        TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=("tiny_torch",))
    assert str(caught.value) == (
        f"{directory}\n  got     2 checkpoints, none of them whole: step-00000006, step-00000004\n"
        "  wanted  a run directory with at least one whole checkpoint\n"
        "  Restore one of them from a copy, or train from the beginning in another directory."
    )
