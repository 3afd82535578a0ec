"""Arrays for jaxtyping annotations: numpy and torch, every dtype that jaxtyping names and the library has.

Numbers are finite and of moderate size unless asked otherwise: a stage that adds need not survive an overflow.
torch is imported only for an annotation that names it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gptlab.pipeline.hints import show
from gptlab.testing.errors import cannot_draw

_BYTES = ("int2", "int4", "uint2", "uint4")  # torch has them as names for bytes, with hardly an operation
_ANY = ("float32", "int64", "bool", "uint8", "float64", "int32", "int16", "complex64", "uint16", "float16", "uint32")
_LARGEST = 1000.0


def library_of(array_type: Any) -> str:
    """`numpy` or `torch`, whose arrays an annotation asks for.

    Raises:
        CannotDraw: another library.
    """
    if array_type is Any or array_type is np.ndarray:
        return "numpy"
    if getattr(array_type, "__module__", "").split(".")[0] == "torch":
        return "torch"
    raise cannot_draw(
        f"arrays of {show(array_type)}",
        got=show(array_type),
        wanted="np.ndarray or torch.Tensor",
        do="Register a strategy for the record that holds them: gptlab.testing.register(Record, strategy).",
    )


@functools.lru_cache(maxsize=1024)
def dtypes_of(hint: Any) -> tuple[str, ...]:
    """The dtypes of a jaxtyping annotation that its array library has.

    >>> from jaxtyping import Float
    >>> dtypes_of(Float[np.ndarray, "n"])
    ('float32', 'float64', 'float16')
    """
    library = library_of(hint.array_type)
    named = hint.dtypes if isinstance(hint.dtypes, tuple | list) else _ANY
    found = tuple(dtype for dtype in named if dtype != "bool_" and _has(library, dtype))
    if not found:
        raise cannot_draw(
            show(hint),
            got=", ".join(named),
            wanted=f"a dtype that {library} has",
            do="Write another dtype, or another library.",
        )
    found = tuple(dtype for dtype in found if dtype not in _BYTES) or found  # nothing can be done with those
    return tuple(sorted(found, key=lambda dtype: _COMMON.index(dtype) if dtype in _COMMON else len(_COMMON)))


_COMMON = ("float32", "int32", "int64", "float64")  # the first is what shrinking ends with


def _has(library: str, dtype: str) -> bool:
    if library == "torch":
        import torch  # noqa: PLC0415

        return isinstance(getattr(torch, dtype, None), torch.dtype)
    try:
        return bool(np.dtype(dtype))
    except TypeError:
        return False


@functools.lru_cache(maxsize=1024)
def array(
    library: str, dtype: str, shape: tuple[int, ...], below: int | None = None, *, nonfinite: bool = False
) -> st.SearchStrategy[Any]:
    """One array.

    Args:
        library: `numpy` or `torch`.
        dtype: by name.
        shape: of the array.
        below: whole numbers from 0 to below this, where they are ids of a vocabulary.
        nonfinite: whether NaN and infinities may be in it.
    """
    if library == "torch":
        return _tensor(dtype, shape, below, nonfinite=nonfinite)
    return hnp.arrays(np.dtype(dtype), shape, elements=elements(dtype, below, nonfinite=nonfinite))


@functools.lru_cache(maxsize=1024)
def elements(dtype: str, below: int | None = None, *, nonfinite: bool = False) -> st.SearchStrategy[Any]:
    """Numbers that a numpy dtype holds exactly; small ones and the extremes more often."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return st.booleans()
    if kind in "iu":
        limits = np.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        if below is not None:
            return st.integers(0, max(0, min(high, below - 1)))
        return st.integers(max(low, -9), min(high, 9)) | st.integers(low, high)
    width = {"float16": 16, "float32": 32, "complex64": 32}.get(dtype, 64)
    options: Mapping[str, Any] = {"allow_nan": nonfinite, "allow_infinity": nonfinite}
    bounds: Mapping[str, Any] = {} if nonfinite else {"min_value": -_LARGEST, "max_value": _LARGEST}
    floats = st.floats(width=width, allow_subnormal=False, **options, **bounds)  # type: ignore[arg-type]
    if kind == "c":
        return st.sampled_from([0j, 1 + 0j, 1j, -1.5 + 2j]) | st.tuples(floats, floats).map(_complex)
    return st.integers(-9, 9).map(float) | floats


def _complex(parts: tuple[float, float]) -> complex:
    return complex(*parts)


def _tensor(dtype: str, shape: tuple[int, ...], below: int | None, *, nonfinite: bool) -> st.SearchStrategy[Any]:
    import torch  # noqa: PLC0415

    wanted = getattr(torch, dtype)
    if dtype in _BYTES:
        as_bytes: Callable[[Any], Any] = lambda values: torch.from_numpy(values).view(wanted)  # noqa: E731
        return array("numpy", "uint8", shape, 4).map(as_bytes)
    convert: Callable[[Any], Any] = lambda values: torch.from_numpy(values.copy()).to(wanted)  # noqa: E731
    if wanted.is_floating_point and dtype not in ("float16", "float32", "float64"):  # eight bits hold these exactly
        numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 1.5])
        return hnp.arrays(np.float32, shape, elements=numbers).map(convert)
    return hnp.arrays(np.dtype(dtype), shape, elements=elements(dtype, below, nonfinite=nonfinite)).map(convert)
