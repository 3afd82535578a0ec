"""Arrays on disk as `.npy`: written as a stream, mapped for reading.

The header of a `.npy` file leaves room for a longer first axis, so an array can grow at its end and say how long it
is when it is closed. Any program that reads `.npy` reads a store.
"""

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gptlab.storage import StorageError

Dtype = type[np.generic] | np.dtype[Any]
Appender = Mapping[str, "ArrayFile"]


class ArrayFile:
    """A one-dimensional array that grows at its end."""

    def __init__(self, path: Path, dtype: Dtype) -> None:
        self._file = path.open("xb")
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self.size = 0
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        """Write these entries behind the others."""
        self._file.write(array.astype(self._dtype, copy=False).tobytes())
        self.size += array.size

    def close(self) -> None:
        """Write the length into the header."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self._file, header)


@contextlib.contextmanager
def growing_arrays(directory: Path, dtypes: Mapping[str, Dtype]) -> Iterator[Appender]:
    """Arrays of these names, each in its own file, closed when the block ends.

    >>> import tempfile
    >>> directory = Path(tempfile.mkdtemp())
    >>> with growing_arrays(directory, {"squares": np.int32}) as arrays:
    ...     arrays["squares"].append(np.array([0, 1]))
    ...     arrays["squares"].append(np.array([4, 9]))
    >>> map_array(directory, "squares").tolist()
    [0, 1, 4, 9]
    """
    with contextlib.ExitStack() as stack:
        arrays = {}
        for name, dtype in dtypes.items():
            arrays[name] = ArrayFile(directory / f"{name}.npy", dtype)
            stack.callback(arrays[name].close)
        yield arrays


def write_array(directory: Path, name: str, array: np.ndarray) -> None:
    """A whole array at once."""
    np.save(directory / f"{name}.npy", array, allow_pickle=False)


def map_array(directory: Path, name: str) -> Any:
    """An array of `directory`, mapped and read-only: pages are read when they are touched.

    It is a plain array over the mapping, as a slice of `np.memmap` runs Python code of that class.

    Raises:
        StorageError: there is none, or the file is cut or no array.
    """
    path = directory / f"{name}.npy"
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            begins, size = file.tell(), os.fstat(file.fileno()).st_size
            if dtype.hasobject or len(shape) != 1 or size != begins + shape[0] * dtype.itemsize:
                raise ValueError(f"a header of {dtype} {shape} over {size - begins:,} bytes")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(
            path,
            got=str(error),
            wanted="an array of a document store",
            do="Remove the directory and build it again, or restore a copy.",
        ) from error
    return np.frombuffer(mapped, dtype, shape[0], begins)


def release(array: np.ndarray) -> None:
    """Let go of the pages of a mapped array, which count as resident; they stay in the page cache."""
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
