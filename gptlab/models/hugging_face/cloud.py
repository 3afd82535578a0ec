"""A model to a hub and from one; the saving and the sending are steps of their own."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from gptlab.models.dag_transformer import DagTransformer
from gptlab.models.hugging_face.reading import from_pretrained_dir
from gptlab.models.hugging_face.writing import save_pretrained_dir
from gptlab.pipeline.protocols import Tokenizer
from gptlab.storage.hub import Patience, download, upload

FILES = (
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*.json", "tokenizer/*.tiktoken", "tokenizer/*.json"),
)
"""What is fetched of a checkpoint; other forms of its weights, and code, are left where they are."""


def save_to_cloud(
    model: DagTransformer,
    repo: str,
    tokenizer: Tokenizer | None = None,
    *,
    directory: Path | None = None,
    private: bool = True,
    message: str = "",
    token: str | None = None,
    patience: Patience | None = None,
    **saving: Any,
) -> str:
    """Save as a Hugging Face repository, and upload that.

    Args:
        model: of settings that a family can hold: see `family_settings`.
        repo: `owner/name`; made, and private, where there is none.
        tokenizer: the one it was trained with.
        directory: where it is saved first, and stays; None for a temporary one. Given one that `save_pretrained_dir`
            wrote, `gptlab.storage.hub.upload` is all that is left to do.
        private, message, token, patience: of `gptlab.storage.hub.upload`.
        saving: of `save_pretrained_dir`: `run`, `card`, `family`, `dtype`, `shard_bytes`.

    Returns:
        The commit.

    Raises:
        ValueError: it cannot be saved so, or not be sent; says why. What was sent is not sent again.
    """
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model"
        save_pretrained_dir(model, directory, tokenizer=tokenizer, **saving)
        return upload(directory, repo, private=private, message=message, token=token, patience=patience)


def load_from_cloud(
    repo: str,
    revision: str = "main",
    *,
    token: str | None = None,
    cache: Path | None = None,
    patience: Patience | None = None,
    **settings: Any,
) -> DagTransformer:
    """The model of a hub's repository; `gptlab.storage.hub.download` gives its files, for the tokenizer too.

    Args:
        repo: `owner/name`.
        revision: a branch, a tag or, best, a commit; which commit it was is told.
        token, cache, patience: of `gptlab.storage.hub.download`.
        settings: of `from_pretrained_dir`, such as `mask`.

    Raises:
        ValueError: not to be had, not to be trusted, or not to be held by a `DagTransformer`.
    """
    snapshot = download(repo, revision, files=FILES, token=token, cache=cache, patience=patience)
    return from_pretrained_dir(snapshot.directory, **settings)
