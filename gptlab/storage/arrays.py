"""Arrays on disk: `.npy` and safetensors, whose headers must fit the size of the file before they are believed.

A header of a hundred bytes can claim 10 GB. Readers that allocate what a header says are brought down by it, so the
claim is compared with the bytes that are there first, and nothing is allocated for one that does not fit.
"""

import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gptlab.storage.errors import StorageError
from gptlab.storage.jsonfiles import LARGEST, parse_json

_NPY_HEADER = 1 << 14
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
_TRUST = "Do not trust this file; ask for it again, or save it again."


def check_npy(path: Path) -> None:
    """Refuse a `.npy` file whose header does not fit its size, or whose array holds objects, which are pickles.

    Raises:
        StorageError: what it claims and what is there.
    """
    with path.open("rb") as file:
        _check_npy(path, file)


def read_npy(path: Path) -> Any:
    """The array of a `.npy` file, after `check_npy`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npy"
    >>> np.save(path, np.arange(3))
    >>> read_npy(path)
    array([0, 1, 2])
    """
    with path.open("rb") as file:
        _check_npy(path, file)
        file.seek(0)
        return np.load(file, allow_pickle=False)


def _check_npy(path: Path, file: BinaryIO) -> None:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise StorageError(path, got="no regular file", wanted="a .npy file", do=_TRUST)
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"a .npy file of version {version}")
        shape, _, dtype = _READERS[version](file, max_header_size=_NPY_HEADER)
    except (ValueError, TypeError, SyntaxError) as error:
        got = f"no .npy header: {error}"
        raise StorageError(path, got=got[:300], wanted="a .npy file of version 1.0 or 2.0", do=_TRUST) from error
    left = os.fstat(file.fileno()).st_size - file.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise StorageError(
            path, got="an array of objects, which are pickles", wanted="an array of numbers", do=_TRUST
        )
    if claimed != left or min(shape, default=0) < 0:
        got = f"a header of {dtype} {shape}, {claimed:,} bytes, over {left:,} bytes"
        raise StorageError(path, got=got, wanted="a header that fits its file", do=_TRUST)


def check_safetensors(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Refuse a safetensors file that is not exactly what its header says.

    Strict where the format's readers differ: no double names, offsets without gaps or overlaps, to the last byte.
    (https://huggingface.co/docs/safetensors#format)

    Returns:
        Name to (dtype as the format writes it, shape).

    Raises:
        StorageError: what it claims and what is there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(LARGEST, size - 8):
            got = f"a header of {length:,} bytes in a file of {size:,}" if len(start) == 8 else f"{size} bytes"
            raise StorageError(path, got=got, wanted="a safetensors file, with its header in it", do=_TRUST)
        header = parse_json(file.read(length), f"the header of {path}")
    if not isinstance(header, dict):
        raise StorageError(path, got=f"{header!r:.80} for a header", wanted="an object of arrays by name", do=_TRUST)
    found, spans = {}, []
    for name, entry in header.items():
        if name != "__metadata__":
            kind, shape, begin, end = _entry(f"{path}, {name!r:.80}", entry)
            found[name] = (kind, shape)
            spans.append((begin, end))
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise StorageError(path, got=f"a gap or an overlap at byte {at:,}", wanted="arrays end to end", do=_TRUST)
        at = end
    if at != size - 8 - length:
        got = f"a header of {at:,} bytes of arrays over {size - 8 - length:,} bytes"
        raise StorageError(path, got=got, wanted="a header that fits its file", do=_TRUST)
    return found


def _entry(where: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """One array of a header: dtype, shape, first byte, byte after the last."""
    match entry:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [begin, end], **rest} if not rest:
            numbers = [*shape, begin, end]
            are_sizes = all(type(number) is int and number >= 0 for number in numbers)
            if kind in _BITS and are_sizes and math.prod(shape) * _BITS[kind] == 8 * (end - begin):
                return kind, tuple(shape), begin, end
    raise StorageError(where, got=f"{entry!r:.160}", wanted="dtype, shape and offsets that agree", do=_TRUST)
