"""Which Python file is the recipe, and what it says.

The rule is one for every way of starting: the root file is the outermost frame of the calling stack that belongs
neither to Python, nor to an installed package, nor to gptlab. That is the script under `python recipe.py`, the
module under `python -m recipes.x`, the worker's file under torchrun, the test file under pytest. Only a notebook has
no file in its frames; there the notebook's server tells its path, and its code cells are the text. Where nobody
tells it (nbconvert, papermill, a console), the cells that were run are the recipe, as IPython keeps them in `In`.
"""

import difflib
import json
import os
import re
import sys
import sysconfig
from pathlib import Path
from types import FrameType

from gptlab.experiment.errors import ExperimentError
from gptlab.storage.names import main_name

CELLS = "cells of a notebook"
"""The name of a recipe that has no file: the cells as they were run."""
_CELL = re.compile(r"ipykernel_\d+")


def root_recipe(path: Path | None = None) -> tuple[str, Path | None]:
    """The text of the recipe that runs, and its file; no file where it is cells that were run.

    Args:
        path: the file, where it is known.

    Raises:
        ExperimentError: there is neither a file nor a notebook.
    """
    if path is None:
        cells = getattr(sys.modules["__main__"], "In", None)
        try:
            path = root_file()
        except ExperimentError:
            if not (isinstance(cells, list) and hasattr(sys.modules["__main__"], "get_ipython")):
                raise
            return "".join(f"# %%\n{str(cell).rstrip()}\n\n" for cell in cells if str(cell).strip()), None
    return recipe_text(path), path


def root_file() -> Path:
    """The file of the recipe that runs: a .py file, or the .ipynb of the notebook.

    Raises:
        ExperimentError: there is none (`python -c`, an interactive session).
    """
    foreign = _folders_of_python()
    found = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        is_cell = _CELL.fullmatch(path.parent.name)  # a debugger writes cells into files of that name
        if path.suffix == ".py" and not is_cell and path.is_file() and not _is_within(path.resolve(), foreign):
            found = path.resolve()
        frame = frame.f_back
    found = found if found is not None else _notebook()
    if found is not None:
        return found
    raise ExperimentError(
        "the recipe's file",
        got="code that was typed in, or came by `python -c`",
        wanted="a Python file, which is kept with the run",
        do="Put the recipe into a file, or say which file it is with recipe_file=.",
    )


def packages_of(file: Path | None) -> tuple[str, ...]:
    """The top-level package of a recipe's file (of a script by itself: the script), whose classes its runs may name.

    Who loads a run by that file runs the file, and so trusts it; other packages are named by `allow`.

    >>> packages_of(Path("recipes/dagseq_wiki.py")), packages_of(Path("somewhere/alone.py")), packages_of(None)
    (('recipes',), ('alone',), ())
    """
    if file is None:
        return ()
    main = getattr(sys.modules["__main__"], "__file__", None)
    if main and Path(main).resolve() == file.resolve():  # also in a folder that is a package without __init__.py
        return ((main_name() or file.stem).partition(".")[0],)
    top = file.resolve()
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return (top.stem,)


def recipe_text(path: Path) -> str:
    """What is kept as recipe.txt: a Python file as it is, of a notebook the code cells.

    Outputs and numbers of cells are left out: they change whenever a cell is run.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".ipynb":
            return text
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return "".join(f"# %%\n{''.join(cell['source']).rstrip()}\n\n" for cell in cells)
    except OSError as error:
        got, do = error.strerror or str(error), "Name the file that makes the run."
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        got, do = f"{type(error).__name__}: {error}", "Save the file again, as UTF-8."
    raise ExperimentError(f"the recipe {path}", got=got, wanted="a readable Python file or notebook", do=do)


def difference(before: str, after: str, before_name: str, after_name: str, limit: int = 40) -> str:
    """A unified diff, cut after `limit` lines; empty for equal texts.

    >>> print(difference("a\\nb\\n", "a\\nc\\n", "recipe.txt", "now.py"))
    --- recipe.txt
    +++ now.py
    @@ -1,2 +1,2 @@
     a
    -b
    +c
    """
    pairs = (before.splitlines(), after.splitlines())
    lines = list(difflib.unified_diff(*pairs, before_name, after_name, lineterm=""))
    if not lines and before != after:
        return "(they differ in line ends only)"
    more = [f"… {len(lines) - limit} lines more"] if len(lines) > limit else []
    return "\n".join(lines[:limit] + more)


def _folders_of_python() -> tuple[Path, ...]:
    """Where no recipe lies: Python's own folders, those of packages, and gptlab, which may be installed editable."""
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    found = {Path(sysconfig.get_path(name)).resolve() for name in names}
    return (*found, Path(os.__file__).resolve().parent, Path(__file__).resolve().parents[1])


def _is_within(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _notebook() -> Path | None:
    """The notebook's path: Jupyter's server gives it in the environment, VS Code in the namespace of the cells."""
    names = (getattr(sys.modules["__main__"], "__vsc_ipynb_file__", None), os.environ.get("JPY_SESSION_NAME"))
    for name in names:
        if isinstance(name, str) and name.endswith(".ipynb") and Path(name).is_file():
            return Path(name).resolve()
    return None
