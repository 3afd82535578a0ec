"""A run again, from its directory alone: the commit, the patch, the recipe and the command, in a fresh folder.

What is made is a clone at the commit that ran, with the uncommitted changes that ran applied, the recipe as it ran,
and the command line as it was given. gptlab's own code is restored beside it where it was a checkout of its own.
Nothing of the present working trees is touched. The data are not in a run directory; their hashes are, and a
restored run that reads the same bytes gives the same losses, to the bit, on the same kind of machine.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from gptlab import __version__
from gptlab.experiment.data_files import hashed
from gptlab.experiment.environment import own_folder
from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.run_directory import OWN_PATCH, PATCH, RunDirectory
from gptlab.storage import write_atomically

_WRITTEN = ("--cache", "--experiments")
"""Settings that name where a run writes: a restored one writes in its own folder."""


@attrs.frozen(kw_only=True)
class Restored:
    """What a run can be started from again.

    Attributes:
        folder: where to start it.
        recipe: the recipe's file.
        command: program and arguments, for the shell: `cd`, the environment, the program.
        notes: what a person should know that is not as it was.
    """

    folder: Path
    recipe: Path
    command: str
    notes: tuple[str, ...] = ()


def restore(run: RunDirectory, into: Path, *, repositories: Sequence[Path] = ()) -> Restored:
    """Make a folder in which the run starts again.

    Args:
        run: the run's directory; it may have come from another machine.
        into: the folder, which must not exist.
        repositories: clones in which to look for the commit, before those that the run itself names.

    Raises:
        ExperimentError: `into` exists, no clone has the commit, or the patch does not apply.
    """
    if into.exists():
        raise ExperimentError(
            f"restore into {into}", got="something that is there", wanted="a new folder", do="Name another: --into."
        )
    into, facts, notes = into.absolute(), run.environment, list[str]()
    code, own = into / "code", into / "gptlab"
    git, own_git = facts.get("git"), facts.get("gptlab_git")
    if git:
        _clone(git, code, run.path / PATCH, [*repositories, Path(git.get("root", "")), Path.cwd(), own_folder()])
    else:
        code.mkdir(parents=True)
        notes.append("The recipe was under no version control: only its own file is restored.")
    if own_git:
        _clone(own_git, own, run.path / OWN_PATCH, [*repositories, Path(own_git.get("root", "")), own_folder()])
    # Cells, with or without a notebook, are restored as a Python file: what was kept of them is code.
    recipe = code / _below(str(facts.get("recipe", "recipe")), git)
    recipe = recipe if recipe.suffix == ".py" else recipe.with_name(f"{recipe.stem.replace(' ', '_')}.py")
    if not recipe.is_file() or recipe.read_bytes() != (run.path / "recipe.txt").read_bytes():
        write_atomically(recipe, (run.path / "recipe.txt").read_bytes())
    if not own_git and not (code / "gptlab").is_dir() and facts.get("gptlab") != __version__:
        notes.append(f"It ran with gptlab {facts.get('gptlab')}; this is {__version__}.")
    folder = code / _below(str(facts.get("folder", "")), git, missing="")
    folder.mkdir(parents=True, exist_ok=True)
    program = _program(facts, folder, recipe, notes)
    notes += _data_notes(run, folder)
    paths = os.pathsep.join(str(path) for path in (code, own) if path.is_dir())
    command = f"cd {shlex.quote(str(folder))} && PYTHONPATH={shlex.quote(paths)} {shlex.join(program)}"
    return Restored(folder=folder, recipe=recipe, command=command, notes=tuple(notes))


def _clone(git: Mapping[str, Any], target: Path, patch: Path, candidates: Sequence[Path]) -> None:
    """A clone at the run's commit, from the first candidate that has it, with the patch applied."""
    commit = str(git["commit"])
    places = [place for place in candidates if place.is_dir()]
    source = next((place for place in places if _git(place, "cat-file", "-e", f"{commit}^{{commit}}") is None), None)
    if source is None:
        raise ExperimentError(
            f"the commit {commit}",
            got=f"no clone that has it among {', '.join(map(str, places)) or 'none'}",
            wanted="a clone of the repository in which the run was made",
            do="Fetch it there, or name another clone: --repository PATH",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    top = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"], cwd=source, capture_output=True, text=True, check=True
    ).stdout.rstrip("\n")
    steps: list[tuple[Path, tuple[str, ...]]] = [
        (target.parent, ("clone", "--quiet", "--no-checkout", "--", top, str(target))),
        (target, ("checkout", "--quiet", "--detach", commit)),
    ]
    if patch.exists():
        steps.append((target, ("apply", "--whitespace=nowarn", str(patch.absolute()))))
    for folder, arguments in steps:
        if (said := _git(folder, *arguments)) is not None:
            raise ExperimentError(
                f"git {' '.join(arguments[:1])} in {folder}",
                got=said,
                wanted="the code as it ran",
                do="Look at what git says; nothing but this new folder was touched.",
            )


def _git(folder: Path, *arguments: str) -> str | None:
    """Run git; what it says where it fails, None where it does not."""
    # No filters: where git-lfs is missing its pointers are good enough for code.
    command = ["git", "-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"]
    try:
        done = subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        return error.strerror or str(error)
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def _below(path: str, git: Mapping[str, Any] | None, missing: str | None = None) -> str:
    """A path of then as one below the checkout; of what lay elsewhere the name, or `missing`."""
    root = (git or {}).get("root")
    if root and Path(path).is_absolute() and Path(path).is_relative_to(root):
        return str(Path(path).relative_to(root))
    return Path(path).name if missing is None else missing


def _data_notes(run: RunDirectory, folder: Path) -> list[str]:
    """What the run read that is not here, or not the same."""
    notes = list[str]()
    for place, entry in run.data.items():
        if "read by" not in entry:
            continue
        known = f"{entry['read by']} read {place}, {entry['bytes']:,} bytes of SHA-256 {entry['sha256'][:16]}"
        path = next(
            (path for path in (folder / place, Path(run.environment["folder"]) / place) if path.exists()), None
        )
        if path is None:
            notes.append(f"{known}; it is not here.")
        elif hashed(path)["sha256"] != entry["sha256"]:
            notes.append(f"{known}; {path} has other content now.")
    return notes


def _program(facts: Mapping[str, Any], folder: Path, recipe: Path, notes: list[str]) -> list[str]:
    """The command as it was given, with this Python, the restored recipe, and paths of then that are still there."""
    given = [str(part) for part in facts.get("command", [])][1:]
    before = Path(str(facts.get("folder", "")))
    arguments = list[str]()
    for name, part in zip(["", *given], given, strict=False):
        there = before / part
        if part.endswith(".py") and there.name == recipe.name and "-m" not in arguments:
            arguments.append(str(recipe))
        elif (
            part[:1] != "-"
            and name not in _WRITTEN
            and os.sep in part
            and there.exists()
            and not (folder / part).exists()
        ):
            arguments.append(str(there))
            notes.append(f"{part} is read where it was: {there}")
        else:
            arguments.append(part)
    if not given or "-c" in given[:1]:
        arguments = [str(recipe)]
    ranks = int(facts.get("ranks", 1))
    if ranks == 1:
        return [sys.executable, *arguments]
    while arguments and arguments[0] in ("-u", "-X"):
        arguments = arguments[1:]
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks), *arguments]
