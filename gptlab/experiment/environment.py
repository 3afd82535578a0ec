"""What a run depended on besides its recipe and its settings: the versions, the machine, the state of the code.

`environment.json` and `patch.diff` are written when a run begins and read by people and by `compare`; nothing reads
them to change what a run does. Taking them costs about half a second, most of it git and the list of packages.
"""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import gptlab
from gptlab.experiment.text import size

LARGEST_NEW_FILE = 2**20
"""Bytes up to which a new file that git does not know yet goes into the patch: code does, data does not."""


def environment(folder: Path) -> dict[str, Any]:
    """The facts as JSON.

    Args:
        folder: inside the checkout of the recipe, whose commit is told; anything when there is none.
    """
    return {
        "gptlab": gptlab.__version__,
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cpu": {"model": _cpu_model(), "cores": os.cpu_count(), "usable": _usable_cores()},
        "memory": size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "devices": _devices(),
        "threads": {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ},
        "ranks": int(os.environ.get("WORLD_SIZE", "1")),
        "command": [sys.executable, *sys.orig_argv[1:]],
        "folder": str(Path.cwd()),
        "git": git_state(folder),
        "gptlab_git": own_state(folder),
        "packages": packages(),
    }


def checkout(folder: Path) -> Path:
    """`folder`, or gptlab's own when `folder` is under no version control: a recipe may lie anywhere."""
    return folder if _git(folder, "rev-parse", "HEAD") is not None else own_folder()


def own_folder() -> Path:
    """Where gptlab itself lies, which may be a checkout of its own."""
    return Path(gptlab.__file__).resolve().parent


def own_state(folder: Path) -> dict[str, Any] | None:
    """The state of gptlab's own checkout, where it is another than that of `folder`."""
    mine, yours = git_state(own_folder()), git_state(folder)
    return None if mine is None or (yours is not None and yours["root"] == mine["root"]) else mine


def packages() -> dict[str, str]:
    """Installed packages and their versions, sorted by name."""
    found = {
        dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions() if dist.metadata["Name"]
    }
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and whether anything was changed since; None outside of a checkout or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = (_git(folder, "status", "--porcelain") or "").splitlines()
    return {
        "root": (_git(folder, "rev-parse", "--show-toplevel") or "").rstrip("\n"),
        "commit": commit.strip(),
        "branch": (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "dirty": bool(changed),
        "changed": len(changed),
    }


def patch(folder: Path) -> str:
    """What `git apply` needs to turn the commit into the code that ran: changed files, and new ones that are small.

    Empty when nothing was changed or there is no checkout.
    """
    root = (_git(folder, "rev-parse", "--show-toplevel") or "").rstrip("\n")
    if not root:
        return ""
    top = Path(root)
    parts = [_git(top, "diff", "--binary", "HEAD") or ""]
    for name in (_git(top, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0"):
        if name and (top / name).is_file() and (top / name).stat().st_size <= LARGEST_NEW_FILE:
            parts.append(_git(top, "diff", "--binary", "--no-index", "--", os.devnull, name) or "")
    return "".join(parts)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None when it is missing, too slow or refuses."""
    command = ["git", "-c", "core.quotepath=off", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    is_difference = "--no-index" in arguments and done.returncode == 1
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 or is_difference else None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _devices() -> list[str]:
    """Accelerators that torch sees."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch  # noqa: PLC0415 - two seconds, which `list` and `--help` need not wait

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
