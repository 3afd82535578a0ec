"""Parts of runs with a name: copied whole, loaded by name, kept out of git until git-lfs can take them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from clones import git

import gptlab.experiment.saved_parts as module
from gptlab.experiment import ExperimentError, RunDirectory, load_saved, reuse_part
from gptlab.experiment.reuse import main
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.storage import StorageError, save_to_dir, verify
from gptlab.tokenizers import ByteLevelBPE

TINY = DagTransformerConfig(layers=1, width=8, heads=1, vocab_size=300, max_seq_len=8)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "r.py"
    recipe.write_text("x = 1\n")
    run = RunDirectory.create(tmp_path / "experiments", recipe, {})
    save_to_dir(DagTransformer.instantiate(TINY, seed=3), run.path / "model")
    save_to_dir(ByteLevelBPE(ranks=tuple(bytes([n]) for n in range(256)), vocab_size=257), run.path / "tokenizer")
    return run


def test_a_part_is_copied_and_loaded_by_name(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["last", "model", "small"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("saved/small\n") and "gptlab.experiment.load_saved('small')" in out
    model = load_saved("small")
    assert isinstance(model, DagTransformer)
    weights = "value/model.safetensors"
    assert Path("saved/small", weights).read_bytes() == (run.path / "model" / weights).read_bytes()
    verify(Path("saved/small"), "saved")
    assert f'"run": "{run.name}"' in Path("saved/small/origin.json").read_text()
    reuse_part(run, "tokenizer", "bytes-1")
    assert isinstance(load_saved("bytes-1"), ByteLevelBPE)


def test_what_is_not_there_and_names_that_are_taken(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    reuse_part(run, "model", "small")
    with pytest.raises(ExperimentError, match=r"no saved part of that name\n  wanted  one of model, tokenizer"):
        reuse_part(run, "weights", "x")
    with pytest.raises(ExperimentError, match=r"got     a saved part of that name\n  wanted  a free name"):
        reuse_part(run, "model", "small")
    reuse_part(run, "tokenizer", "small", replace=True)
    assert isinstance(load_saved("small"), ByteLevelBPE)
    for name in ("../up", "a/b", "", ".", "a b"):
        with pytest.raises(ExperimentError, match="wanted  letters, digits, _ and -"):
            reuse_part(run, "model", name)
    assert main(["last", "model", "small"]) == 2 and "say --replace" in capsys.readouterr().err
    with pytest.raises(ExperimentError, match=r"got     no such part\n  wanted  one of small"):
        load_saved("large")
    with pytest.raises(ExperimentError, match="wanted  a part that was saved"):
        load_saved("large", saved=Path("nowhere"))


def test_a_hostile_run_is_not_copied(run: RunDirectory) -> None:
    (run.path / "model" / "more").symlink_to("/etc")
    with pytest.raises(StorageError, match="a symbolic link"):
        reuse_part(run, "model", "small")
    assert not Path("saved/small").exists()


def test_without_git_lfs_weights_stay_out_of_git_and_it_is_said(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_lfs", lambda: False)
    note = reuse_part(run, "model", "small").note
    assert note.startswith("git-lfs is not installed, so arrays and weights in saved/ are kept out of git")
    git(Path(), "init", "-q")
    git(Path(), "add", "saved")
    tracked = git(Path(), "ls-files").splitlines()
    assert "saved/small/config.json" in tracked and "saved/.gitattributes" in tracked
    assert not any(name.endswith(".safetensors") for name in tracked)
    monkeypatch.setattr(module, "has_lfs", lambda: True)
    note = reuse_part(run, "model", "small", replace=True).note
    assert note == "git-lfs tracks its arrays and weights (saved/.gitattributes)."
    assert not Path("saved/.gitignore").exists()


LFS = """#!/bin/sh
# Stands for git-lfs: `clean` makes a pointer, as it does.
case "$1" in
version) echo git-lfs/3 ;;
clean) cat > /dev/null; printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:0\\nsize 1\\n' ;;
esac
"""


def test_with_git_lfs_git_holds_pointers_and_one_that_is_not_fetched_is_named(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git-lfs"
    program.write_text(LFS)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert module.has_lfs() and "git-lfs tracks" in reuse_part(run, "model", "small").note
    git(Path(), "init", "-q")
    git(Path(), "config", "filter.lfs.clean", "git-lfs clean")
    git(Path(), "add", "saved")
    weights = "saved/small/value/model.safetensors"
    pointer = git(Path(), "show", f":{weights}")
    assert pointer.startswith("version https://git-lfs.github.com/spec/v1\n")
    Path(weights).write_text(pointer)  # as in a clone that has not pulled
    with pytest.raises(ExperimentError) as caught:
        load_saved("small")
    assert "got     pointers of git-lfs in place of files" in str(caught.value) and "git lfs pull" in str(
        caught.value
    )


def test_the_program_runs_without_a_warning(run: RunDirectory) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "error", "-m", "gptlab.experiment.reuse", "last", "model", "small"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_weights_are_ignored_by_git_here_and_saved_ones_are_sent_through_lfs() -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("needs the checkout: what its .gitignore and .gitattributes say is tested")
    ignored = git(
        root, "check-ignore", "--no-index", "a/model.safetensors", "x.pt", "experiments/20261124_100000/log.txt"
    )
    assert len(ignored.splitlines()) == 3
    said = git(root, "check-attr", "filter", "saved/a/value/model.safetensors", "saved/a/x.npy")
    assert said.count("filter: lfs") == 2
    done = subprocess.run(["git", "check-ignore", "--no-index", "saved/a/model.safetensors"], cwd=root, check=False)
    assert done.returncode == 1
