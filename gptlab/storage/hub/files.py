"""Which files go to a hub and come from one: an allow list by name, both ways, that holds nothing which could run.

A repository is a stranger's. Names that leave its folder mean that somebody is trying something, so the whole
repository is refused; files that are merely not on the list (code, pickles, pictures) are never fetched.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from gptlab.storage.errors import StorageError

FILES = ("*.json", "*.safetensors", "*.npy", "*.tiktoken", "*.txt", "*.md", "LICENSE")
"""Patterns of what is fetched and sent. JSON, arrays and text: none of them can run code when it is read."""

WEIGHTS = ("model*.safetensors", "model*.safetensors.index.json")
"""What an upload of weights takes the place of: shards of an earlier one would be read along with the new ones."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack")
"""Weights in forms that run code when they are loaded, or that nothing here reads."""

_LONGEST = 255
_MOST = 10_000


def fetched_names(names: Iterable[object], patterns: Iterable[str], where: str) -> list[str]:
    """The names on the list, in order.

    Args:
        names: all that the hub lists for a repository.
        patterns: what to take, as `*.json`; `*` matches folders too.
        where: the repository, for the error.

    Raises:
        StorageError: a name leads out of the repository, or there are weights and all of them are pickles.

    >>> fetched_names(["config.json", "run_me.py", "model.safetensors"], FILES, "owner/name")
    ['config.json', 'model.safetensors']
    """
    listed = list(names)
    if len(listed) > _MOST:
        raise StorageError(
            where,
            got=f"{len(listed):,} files",
            wanted=f"at most {_MOST:,}",
            do="Take a revision or a repository that holds one model.",
        )
    for name in listed:
        if not is_plain_name(name):
            raise StorageError(
                where,
                got=f"a file named {name!r:.100}",
                wanted="names that stay inside the repository",
                do="Do not trust this repository; nothing was fetched.",
            )
    known = [str(name) for name in listed]
    chosen = sorted(name for name in known if matches(name, patterns))
    pickles = [name for name in known if name.endswith(PICKLES)]
    if pickles and not any(name.endswith((".safetensors", ".npy")) for name in chosen):
        raise StorageError(
            where,
            got=f"weights only as {', '.join(pickles[:3])}",
            wanted="safetensors: the other forms can run code when they are loaded",
            do="Look for a revision with safetensors (hubs often have one as a pull request, revision='refs/pr/1').",
        )
    return chosen


def sent_files(directory: Path) -> dict[str, Path]:
    """Name in the repository to path, for every file of a directory.

    Hidden files, and folders of such, stay at home.

    Raises:
        StorageError: it is no directory, is empty, or holds what may not be sent: links and files off the list.
    """
    if not directory.is_dir() or directory.is_symlink():
        raise StorageError(
            directory,
            got="no directory" if not directory.is_dir() else "a link",
            wanted="the directory of a saved value",
            do="Save it first: save_to_dir, or save_pretrained_dir for a Hugging Face repository.",
        )
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        is_hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        if is_hidden or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file() or not matches(name, FILES) or not is_plain_name(name):
            raise StorageError(
                path,
                got="a link or a device" if path.is_symlink() or not path.is_file() else "a file that is never sent",
                wanted=f"files of the kinds {', '.join(FILES)}",
                do="Move it out of the directory; weights are sent as safetensors, never as pickles.",
            )
        found[name] = path
    if not found:
        raise StorageError(directory, got="no files", wanted="a saved value", do="Save into it first.")
    return found


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is on a list of patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_plain_name(name: object) -> bool:
    """Whether a name stays below the folder it is joined to, on any system.

    >>> is_plain_name("tokenizer/ranks.tiktoken"), is_plain_name("../secret"), is_plain_name("C:\\\\autoexec.bat")
    (True, False, False)
    """
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or not name.isprintable():
        return False
    return not ({"", ".", ".."} & set(name.split("/"))) and "\\" not in name and ":" not in name
