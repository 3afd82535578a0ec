"""`save_to_cloud` and `load_from_cloud` for anything that `save_to_dir` saves: a recipe, a tokenizer, a pipeline."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gptlab.storage.hub.download import Snapshot, download
from gptlab.storage.hub.patience import Patience
from gptlab.storage.hub.upload import upload
from gptlab.storage.inspection import inspect_directory
from gptlab.storage.saving import load_from_dir, save_to_dir


def save_to_cloud(
    value: Any,
    repo: str,
    *,
    directory: Path | None = None,
    private: bool = True,
    message: str = "",
    token: str | None = None,
    patience: Patience | None = None,
) -> str:
    """Save a value to a new directory and upload that; the two steps are `save_to_dir` and `upload`.

    Args:
        value: whatever `save_to_dir` saves.
        repo: `owner/name`.
        directory: where it is saved first, and stays; None for a temporary one.
        private, message, token, patience: of `upload`.

    Returns:
        The commit.

    Raises:
        StorageError: it cannot be saved or sent. Large files that were sent are not sent again by the next attempt.
    """
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "saved"
        save_to_dir(value, directory)
        return upload(directory, repo, private=private, message=message, token=token, patience=patience)


def load_from_cloud(
    repo: str,
    revision: str = "main",
    *,
    allow: tuple[str, ...] = (),
    token: str | None = None,
    cache: Path | None = None,
    patience: Patience | None = None,
) -> Any:
    """The value that `save_to_cloud` sent.

    A repository is a stranger's: its configuration can name classes of gptlab and of packages that `allow` names,
    and nothing else; arrays and weights come as .npy and safetensors; every file is checked against its hash, and
    the whole is looked at (`inspect_directory`) before any of it is read.

    Args:
        repo: `owner/name`.
        revision: a branch, a tag or, best, a commit.
        allow: packages beside gptlab whose classes and functions may be named.
        token, cache, patience: of `download`.

    Raises:
        StorageError: not to be had, damaged, hostile, or of classes that are not allowed.
    """
    snapshot = download(repo, revision, token=token, cache=cache, patience=patience)
    with plain_copy(snapshot) as directory:
        inspect_directory(directory)  # all of it, before anything of it is read
        return load_from_dir(directory, allow=allow)


@contextlib.contextmanager
def plain_copy(snapshot: Snapshot) -> Iterator[Path]:
    """The files of a snapshot as plain files, for as long as the block runs: links are refused when loading.

    They are hard links to the cache's files, so nothing is copied, where the disk has such links.
    """
    with tempfile.TemporaryDirectory(dir=_writable(snapshot.directory.parent.parent)) as temporary:
        for name in snapshot.files:
            source, target = (snapshot.directory / name).resolve(), Path(temporary) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
        yield Path(temporary)


def _writable(folder: Path) -> Path | None:
    """The folder, so that links stay on one disk; None (the system's own) where the cache is read-only."""
    return folder if os.access(folder, os.W_OK) else None
