"""All chance of a walk: a stream that is found by (seed, k) alone, the same in Python and in compiled code.

Philox (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is seeded by a key and
needs no mixing of entropy, and numpy promises that its raw stream never changes (NEP 19). Of numpy's methods only
`random()` is used, because the others may change between releases: whole numbers and orders are made from it here.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def chance_of(seed: int, k: int) -> np.random.Generator:
    """The stream of walk `k`.

    >>> chance_of(3, 4).random() == chance_of(3, 4).random() != chance_of(3, 5).random()
    True
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed, k], np.uint64)))


def below(rng: np.random.Generator, size: int) -> int:
    """A whole number from 0 to `size - 1`; for sizes below 2**31 one is as likely as another to 2**-22."""
    return int(rng.random() * size)


def shuffled(rng: np.random.Generator, values: Sequence[T]) -> list[T]:
    """The values in random order (Fisher and Yates, from the front).

    >>> shuffled(chance_of(1, 0), "abcd")
    ['b', 'd', 'c', 'a']
    """
    order = list(values)
    for place in range(len(order) - 1):
        other = place + below(rng, len(order) - place)
        order[place], order[other] = order[other], order[place]
    return order
