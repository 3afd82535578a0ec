"""Parts of runs that are used again and again have a name: `load_saved("english")`, from any recipe beside `saved/`.

A run directory stays out of git, weights and all. What is worth keeping is copied to `saved/`, which git-lfs tracks:
`saved/.gitattributes` sends its arrays and weights through git-lfs, so that git holds pointers. As long as git-lfs
is missing, git would take the files themselves; `saved/.gitignore` keeps them out until it is there.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.run_directory import RunDirectory
from gptlab.storage import inspect_directory, is_complete, load_from_dir, new_directory, pretty_json, write_atomically
from gptlab.storage.saving import KIND

SAVED = Path("saved")
ORIGIN = "origin.json"
_NAME = re.compile(r"[\w-]{1,100}")
_LARGE = ("*.safetensors", "*.npy", "*.tiktoken", "*.bin")
_ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in _LARGE)
_IGNORED = "# git-lfs is not installed: without it git would hold the files themselves.\n" + "".join(
    f"{pattern}\n" for pattern in _LARGE
)


@attrs.frozen(kw_only=True)
class Reused:
    """What was copied.

    Attributes:
        path: where it is now.
        note: what a person should know about git.
    """

    path: Path
    note: str


def reuse_part(run: RunDirectory, module: str, name: str, *, saved: Path = SAVED, replace: bool = False) -> Reused:
    """Copy a saved part of a run to `saved/NAME`.

    Args:
        run: the run.
        module: the folder in it that `save_to_dir` wrote: `model`, `tokenizer`.
        name: what it is called from now on.
        saved: the folder of all of them.
        replace: take the place of one that has the name.

    Raises:
        ExperimentError: there is no such part, or the name is taken or cannot be a folder.
    """
    source, target = run.path / module, saved / name
    parts = sorted(path.name for path in run.path.iterdir() if is_complete(path, KIND))
    if module not in parts:
        raise ExperimentError(
            f"{module} of the run {run.path}",
            got="no saved part of that name",
            wanted=f"one of {', '.join(parts)}" if parts else "a run that came to its end",
            do=f"Name one of these, or go on with the run: --resume {run.path}",
        )
    if _NAME.fullmatch(name) is None:
        raise ExperimentError("NAME", got=repr(name), wanted="letters, digits, _ and -", do="Choose another name.")
    if target.exists() and not replace:
        raise ExperimentError(
            str(target), got="a saved part of that name", wanted="a free name", do="Choose another, or say --replace."
        )
    inspect_directory(source)
    with new_directory(target, kind=KIND, replace=replace) as folder:
        for path in sorted(source.iterdir()):
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            elif path.name != "manifest.json":
                shutil.copy2(path, folder / path.name)
        origin = {"run": run.name, "part": module, "git": run.environment.get("git")}
        (folder / ORIGIN).write_text(pretty_json(origin), encoding="utf-8")
    return Reused(path=target, note=track_by_lfs(saved))


def track_by_lfs(saved: Path) -> str:
    """Have git-lfs track what is in the folder, or keep it out of git where there is no git-lfs; what was done."""
    write_atomically(saved / ".gitattributes", _ATTRIBUTES)
    if has_lfs():
        (saved / ".gitignore").unlink(missing_ok=True)
        return f"git-lfs tracks its arrays and weights ({saved}/.gitattributes)."
    write_atomically(saved / ".gitignore", _IGNORED)
    return (
        f"git-lfs is not installed, so arrays and weights in {saved}/ are kept out of git ({saved}/.gitignore). "
        "Install it (git lfs install) and run this again with --replace."
    )


def has_lfs() -> bool:
    """Whether git can run git-lfs."""
    try:
        return subprocess.run(["git", "lfs", "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def load_saved(name: str, *, saved: Path = SAVED, allow: tuple[str, ...] = ()) -> Any:
    """The part that is called `name`, bit for bit as the run saved it.

    Args:
        name: as it was given to `reuse_part`.
        saved: the folder of all of them.
        allow: packages beside gptlab whose classes it may hold.

    Raises:
        ExperimentError: there is none of that name, or git-lfs has not fetched it.
        StorageError: it is damaged, or of classes that are not allowed.
    """
    target = saved / name
    if not is_complete(target, KIND):
        is_pointer = any(_is_pointer(path) for path in target.rglob("*")) if target.is_dir() else False
        known = sorted(path.name for path in saved.iterdir() if is_complete(path, KIND)) if saved.is_dir() else []
        raise ExperimentError(
            f"the saved part {target}",
            got="pointers of git-lfs in place of files" if is_pointer else "no such part",
            wanted=f"one of {', '.join(known)}" if known else "a part that was saved",
            do="Fetch it: git lfs pull"
            if is_pointer
            else f"Save it: python -m gptlab.experiment.reuse RUN MODULE {name}",
        )
    return load_from_dir(target, allow=allow)


def _is_pointer(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(40).startswith(b"version https://git-lfs.github.com/spec/")
