"""Functions compiled to machine code: what a module of loops puts above each of its functions.

numba compiles a function at its first call and keeps the code beside the module (`cache`), so that only the first
run after an installation waits: half a minute for all of gptlab. numba alone takes a second to import, so modules
that use this one are imported where they are called, and `import gptlab.graph` stays light.

Compiled functions assert nothing: pytest rewrites `assert` to code that numba does not know.

numba looks for changes in the file of a function and not in those that it calls. So compiled functions that call each
other stand in one file, or an edit would leave stale code behind.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The same function as machine code; other threads may run meanwhile. Run-time type checks are left out.

    >>> @compiled
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> double(4)
    8
    """
    bare = inspect.unwrap(function)
    has_file = Path(bare.__code__.co_filename).is_file()  # what is typed at a prompt has none to keep code beside
    return cast(F, numba.njit(cache=has_file, nogil=True)(bare))


def plain(array: np.ndarray) -> np.ndarray:
    """A read-only view as numba wants it: code is compiled once, whether an array is mapped, writeable or neither."""
    view: np.ndarray = np.asarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view
