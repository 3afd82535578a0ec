"""A directory to a repository: each large file by itself, then one commit for all, so that nobody sees half of it.

Resumable without a record of our own: the hub knows a file by its SHA-256 and does not take it twice, so an upload
that was cut is started again by the same call and sends what is missing. The commit may be repeated too: it is made
on the head that was looked at, and files that are there already make no second commit. Within a file, the hub's own
transfer (Xet) goes on where it stopped; a hub without it begins that file again, hence weights in shards.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from gptlab.pipeline.observe import progress, say
from gptlab.storage.errors import StorageError
from gptlab.storage.hub.files import WEIGHTS, matches, sent_files
from gptlab.storage.hub.patience import Patience, patiently

T = TypeVar("T")


def upload(
    directory: Path,
    repo: str,
    *,
    private: bool = True,
    message: str = "",
    replaces: Iterable[str] = WEIGHTS,
    token: str | None = None,
    patience: Patience | None = None,
) -> str:
    """Send every file of a directory as one commit on `main`; the repository is made where there is none.

    Args:
        directory: what `save_to_dir` or `save_pretrained_dir` wrote. Links, pickles and other files that could run
            code are refused; hidden files stay at home.
        repo: `owner/name`.
        private: of a new repository. One that is public is left alone unless this is False.
        message: of the commit.
        replaces: patterns of files that are removed from the repository where the directory has them not: shards of
            an earlier upload.
        token: with write access; None for the one that `hf auth login` stored, or HF_TOKEN.
        patience: with a busy hub.

    Returns:
        The commit, to be pinned by who loads it.

    Raises:
        StorageError: it cannot be sent; says why and what to do. Starting it again sends only what is missing.
    """
    files, token = sent_files(directory), token or get_token()
    check_repo(repo)
    api = HfApi(token=token)
    sending = _Sending(api=api, repo=repo, files=files, token=token, patience=patience or Patience())
    sending.step(lambda: api.create_repo(repo, private=private, exist_ok=True), "make the repository")
    found = sending.step(lambda: api.model_info(repo), "ask for")
    if private and found.private is False:
        raise StorageError(
            f"hub: upload to {repo}",
            got="a repository that everybody can read",
            wanted="a private one",
            do="Say private=False (--public) if everybody may read it, or choose another name; nothing was sent.",
        )
    sending.send_large_files()
    commit = sending.step(lambda: sending.commit(tuple(replaces), message), "commit to")
    say(f"hub: {repo} is at commit {commit}")
    return commit


def check_repo(repo: str) -> None:
    """Refuse what cannot be a repository's name, before anything is asked."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise StorageError(
            f"hub: the repository {repo!r:.100}", got=str(error), wanted="owner/name", do="Look at its page."
        ) from error


@attrs.frozen(kw_only=True)
class _Sending:
    """One upload: what goes where, and how patiently."""

    api: HfApi
    repo: str
    files: Mapping[str, Path]
    token: str | None = attrs.field(repr=False)
    patience: Patience
    ready: dict[str, CommitOperationAdd] = attrs.field(factory=dict)

    def step(self, call: Callable[[], T], doing: str) -> T:
        """Something to ask of the hub, which may be asked twice."""
        return patiently(call, doing=f"{doing} {self.repo}", token=self.token, patience=self.patience)

    def send_large_files(self) -> None:
        """Those that the hub wants apart from the commit; it says which. Each is safe once it is there."""
        total, done = sum(path.stat().st_size for path in self.files.values()), 0
        progress("upload", done, total, "bytes")
        for name, path in self.files.items():
            self.step(functools.partial(self._send, name, path), f"upload {name} to")
            done += path.stat().st_size
            progress("upload", done, total, "bytes")

    def _send(self, name: str, path: Path) -> None:
        addition = CommitOperationAdd(path_in_repo=name, path_or_fileobj=path)
        self.api.preupload_lfs_files(self.repo, additions=[addition], num_threads=1, free_memory=False)
        self.ready[name] = addition

    def commit(self, replaces: tuple[str, ...], message: str) -> str:
        """All in one commit on the head as it is now; a second call finds that nothing is left to do."""
        head = self.api.model_info(self.repo)
        there = [sibling.rfilename for sibling in head.siblings or ()]
        gone = [name for name in there if matches(name, replaces) and name not in self.files]
        # Those that were just sent serve once. For another attempt they are made anew, for the library asks the hub
        # what is there when it meets a new one, and not again: an answer that was lost makes no second commit.
        additions = [
            self.ready.pop(name)
            if name in self.ready
            else CommitOperationAdd(path_in_repo=name, path_or_fileobj=path)
            for name, path in self.files.items()
        ]
        info = self.api.create_commit(
            self.repo,
            operations=[*additions, *(CommitOperationDelete(path_in_repo=name) for name in gone)],
            commit_message=message or "Upload by gptlab",
            parent_commit=head.sha,
        )
        return str(info.oid)
