"""A repository to the disk: listed, then only what is on our list is fetched, at one commit, and hashes are checked.

Files lie in the hub library's own cache, which other programs share. A name of a branch is resolved once, to a
commit, and everything is read at that commit; it is told and returned, so that a run can record and pin it.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import attrs
import huggingface_hub
from huggingface_hub import HfApi, get_token
from huggingface_hub.file_download import repo_folder_name

from gptlab.pipeline.observe import progress, say
from gptlab.storage.directories import write_atomically
from gptlab.storage.errors import StorageError
from gptlab.storage.hub.files import FILES, fetched_names, is_plain_name
from gptlab.storage.hub.patience import Patience, patiently
from gptlab.storage.hub.upload import check_repo

_COMMIT = re.compile(r"[0-9a-f]{40}")

RepoKind = Literal["model", "dataset"]
"""What a repository holds: the hub keeps the two apart, and both may have one name."""


@attrs.frozen(kw_only=True)
class Snapshot:
    """A repository as it was at one commit, on this disk.

    Attributes:
        repo: `owner/name`.
        revision: what was asked for.
        commit: what that was when it was fetched; asking for it gives the same files for ever.
        directory: where the files are, as links into the hub library's cache.
        files: their names.
    """

    repo: str
    revision: str
    commit: str
    directory: Path
    files: tuple[str, ...]


def download(
    repo: str,
    revision: str = "main",
    *,
    files: Iterable[str] = FILES,
    kind: RepoKind = "model",
    token: str | None = None,
    cache: Path | None = None,
    patience: Patience | None = None,
) -> Snapshot:
    """Fetch the files of a repository that match `files`; what is in the cache is not fetched again.

    With HF_HUB_OFFLINE=1 nothing is asked: what the cache has of that revision is used, or one error says that it
    has not.

    Args:
        repo: `owner/name`.
        revision: a branch, a tag or, best, a commit.
        files: patterns.
        kind: what the repository holds.
        token: None for the one that `hf auth login` stored, or HF_TOKEN; public repositories need none.
        cache: folder of the hub library's cache; None for its own choice (HF_HUB_CACHE).
        patience: with a busy hub.

    Raises:
        StorageError: it cannot be fetched, or should not be trusted.
    """
    check_repo(repo)
    if not is_plain_name(revision):
        raise StorageError(
            f"hub: {repo}", got=f"the revision {revision!r:.100}", wanted="a branch, tag or commit", do="Try `main`."
        )
    place = Path(cache if cache is not None else huggingface_hub.constants.HF_HUB_CACHE)
    folder = place / repo_folder_name(repo_id=repo, repo_type=kind)
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return _cached(repo, revision, tuple(files), folder)
    token = token or get_token()
    fetching = _Fetching(
        api=HfApi(token=token), repo=repo, kind=kind, place=place, token=token, patience=patience or Patience()
    )
    commit, names = fetching.listed(revision, tuple(files))
    if not names:
        raise StorageError(
            f"hub: {repo} at {commit[:12]}",
            got="no file of these kinds",
            wanted=", ".join(files),
            do="Look at the files of the repository: it may hold something else, or another form of it.",
        )
    for done, name in enumerate(names):
        progress(f"fetch {repo}", done, len(names), "files")
        fetching.fetch(name, commit)
    progress(f"fetch {repo}", len(names), len(names), "files")
    if commit != revision:
        # The library notes this too, but only when it is asked by the branch's name, file by file.
        write_atomically(folder / "refs" / revision, commit)
        say(f"hub: {repo} at {revision} is commit {commit}; give that as the revision to pin it")
    return Snapshot(
        repo=repo,
        revision=revision,
        commit=commit,
        directory=folder / "snapshots" / commit,
        files=tuple(names),
    )


@attrs.frozen(kw_only=True)
class _Fetching:
    """One download: whom to ask and how patiently."""

    api: HfApi
    repo: str
    kind: RepoKind
    place: Path
    token: str | None = attrs.field(repr=False)
    patience: Patience

    def listed(self, revision: str, patterns: tuple[str, ...]) -> tuple[str, list[str]]:
        """The commit, and the names of the files to fetch."""
        info_of = self.api.model_info if self.kind == "model" else self.api.dataset_info
        info = patiently(
            lambda: info_of(self.repo, revision=revision),
            doing=f"ask for {self.repo} at {revision}",
            token=self.token,
            patience=self.patience,
        )
        commit = str(info.sha)
        if not _COMMIT.fullmatch(commit):
            raise StorageError(
                f"hub: {self.repo}",
                got=f"the commit {commit!r:.60}",
                wanted="40 hexadecimal digits",
                do="Look at HF_ENDPOINT: what answers there is no hub.",
            )
        names = [sibling.rfilename for sibling in info.siblings or ()]
        return commit, fetched_names(names, patterns, f"hub: {self.repo} at {commit[:12]}")

    def fetch(self, name: str, commit: str) -> None:
        """One file into the cache; a damaged one is removed, and fetched once more."""
        for is_last in (False, True):
            path = patiently(
                lambda: self.api.hf_hub_download(
                    self.repo, name, revision=commit, cache_dir=self.place, repo_type=self.kind
                ),
                doing=f"fetch {name} of {self.repo}",
                token=self.token,
                patience=self.patience,
            )
            fault = damage(Path(path))
            if fault is None:
                return
            Path(path).resolve().unlink(missing_ok=True)
            Path(path).unlink(missing_ok=True)
            if is_last:
                raise fault


def damage(path: Path) -> StorageError | None:
    """What is wrong with a file of the cache, whose name there is the hash of what it should hold.

    Git's own hash (SHA-1 with a header) for small files, SHA-256 for large ones. Where the cache holds no links, or
    another kind of name, there is nothing to compare with.
    """
    wanted = path.readlink().name if path.is_symlink() else ""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", wanted):
        return None
    with path.open("rb") as file:
        if len(wanted) == 64:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            header = f"blob {path.stat().st_size}\0".encode()
            found = hashlib.sha1(header + file.read(), usedforsecurity=False).hexdigest()
    if found == wanted:
        return None
    return StorageError(
        path,
        got=f"content of hash {found[:16]}...",
        wanted=f"the hash {wanted[:16]}... that the hub gave for it",
        do="It was changed on the way or on this disk and is removed; fetch it again.",
    )


def _cached(repo: str, revision: str, patterns: tuple[str, ...], folder: Path) -> Snapshot:
    """What the cache has of a revision, without asking anybody."""
    reference = folder / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    directory = folder / "snapshots" / commit
    names = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    chosen = fetched_names(names, patterns, f"hub: {repo} in the cache") if _COMMIT.fullmatch(commit) else []
    if not chosen:
        raise StorageError(
            f"hub: {repo} at {revision}",
            got="nothing of it in the cache, and offline mode (HF_HUB_OFFLINE)",
            wanted="files that were fetched before",
            do="Unset HF_HUB_OFFLINE, or fetch it once while you are online.",
        )
    for name in chosen:
        if (fault := damage(directory / name)) is not None:
            raise fault
    return Snapshot(repo=repo, revision=revision, commit=commit, directory=directory, files=tuple(chosen))
