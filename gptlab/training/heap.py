"""What a step frees on a CPU stays with the process while it trains, for the next step asks for it again.

glibc gives what is free at the top of its heap, and every block over 32 MiB, back to the system at once, and the
system clears each page that it hands out anew. With 134 MB of logits that was 33,000 page faults and a tenth of each
step; in smaller models it depends on what happens to lie at the top of the heap: none, or 10,000 faults and 16 ms of
a step of 180 (`experiments/trainer_overhead`). The price is memory: holes between blocks stay, 12 % more there.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of glibc's settings. Source: malloc.h of glibc; mallopt(3)."""

_NEVER = -1
_USUAL_TRIM_THRESHOLD, _USUAL_MMAP_MAX = 64 << 20, 65536
"""glibc begins with 128 KiB and goes up to twice the largest block it has seen, 64 MiB at most."""

_CHOSEN = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "GLIBC_TUNABLES",
)
"""Whoever sets one of these has chosen, and is left alone."""


@contextlib.contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[None]:
    """Keep what is freed within, and give it back at the end.

    Args:
        device: where the model is; CUDA has an allocator of PyTorch's own, and nothing is done for it, nor on systems
            without glibc.
    """
    libc = _glibc() if device.type == "cpu" else None
    if libc is None or any(name in os.environ for name in _CHOSEN):
        yield
        return
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _USUAL_TRIM_THRESHOLD)
        libc.mallopt(_MMAP_MAX, _USUAL_MMAP_MAX)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
