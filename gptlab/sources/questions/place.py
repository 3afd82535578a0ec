"""Where a data set's file is: where the user says, or in the hub's cache, fetched once at a pinned revision.

Revisions are commits, so that a figure of today and one of next year are of the same rows. Without a network the
error says which file to bring, and where to put it.
"""

import hashlib
from pathlib import Path

import attrs

from gptlab.sources.errors import SourceError
from gptlab.types.errors import FourPartError


@attrs.frozen(kw_only=True)
class Published:
    """One file of a data set on the Hugging Face hub, and where else it is to be had.

    Attributes:
        task: the source that reads it.
        repo: `owner/name`.
        revision: a commit.
        file: its name in the repository.
        elsewhere: how it was first published, in words.
    """

    task: str
    repo: str
    revision: str
    file: str
    elsewhere: str

    def fetched(self) -> Path:
        """The file in the hub library's cache; fetched where it is not there.

        Raises:
            SourceError: it is not to be had.
        """
        # The hub's library, for those who fetch.
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

        from gptlab.storage.hub import download  # noqa: PLC0415

        held = try_to_load_from_cache(self.repo, self.file, revision=self.revision, repo_type="dataset")
        if isinstance(held, str):  # at a commit, so nobody need be asked whether it is still the same
            return Path(held)
        try:
            snapshot = download(self.repo, self.revision, files=(self.file,), kind="dataset")
        except FourPartError as error:
            raise SourceError(
                f"{self.task}: {self.file} of {self.repo}",
                got=f"{error.where}: {error.got}",
                wanted=f"the file at revision {self.revision}, or one of your own",
                do=f"{error.do}\nOr bring it from elsewhere and give its place, {self.task}(path=...): "
                f"https://huggingface.co/datasets/{self.repo}/resolve/{self.revision}/{self.file}\n"
                f"or {self.elsewhere}.",
            ) from error
        return snapshot.directory / self.file


def place_of(path: Path | None, published: Published) -> Path:
    """The file or folder to read: `path`, or else the published one.

    Raises:
        SourceError: there is nothing at `path`, or nothing is to be had.
    """
    if path is None:
        return published.fetched()
    if not path.exists():
        raise SourceError(
            f"{published.task}.path",
            got=f"{path}, where there is nothing",
            wanted=f"{published.file} of {published.repo}, or {published.elsewhere}",
            do="Download it and put it there, or leave path out: it is then fetched from the hub and kept.",
        )
    return path


def content_of(paths: list[Path]) -> str:
    """A hash of what some files hold, wherever they are and whatever they are called."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def content_of_own(path: Path) -> str:
    """What a file of the user's holds, for a fingerprint.

    Raises:
        SourceError: there is no such file.
    """
    if not path.is_file():
        raise SourceError(path, got="no file", wanted="a file of questions", do="Check the path.")
    return content_of([path])
