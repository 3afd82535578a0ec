"""Seeded orders that are the same on every machine and with every release of numpy.

`numpy.random` may change its streams between releases (NEP 19), and a resumed run must not meet another order.
So an order is a sort by a hash of fixed arithmetic: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014). 6,000 documents cost 0.3 ms, 7 million about a second.
"""

import numpy as np
from jaxtyping import Int64, UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def seeded_permutation(size: int, seed: int, epoch: int) -> Int64[np.ndarray, "size"]:
    """The numbers below `size` in an order drawn by `seed` and `epoch`.

    Args:
        size: how many.
        seed: of the whole run, 0 or more.
        epoch: which time through, 0 or more; each has an order of its own.

    >>> seeded_permutation(5, seed=1, epoch=0).tolist()
    [0, 2, 1, 3, 4]
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        key = _mix(_mix(np.array([seed], np.uint64) + _GOLDEN) + np.uint64(epoch))
        hashes = _mix(key + np.arange(size, dtype=np.uint64) * _GOLDEN)
    return np.argsort(hashes, kind="stable").astype(np.int64)


def _mix(value: UInt64[np.ndarray, "size"]) -> UInt64[np.ndarray, "size"]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, "size"] = value ^ (value >> np.uint64(31))
    return mixed
