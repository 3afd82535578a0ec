"""Fictional names: page k's name is a pure function of (seed, k, pages), unique in the world, made of syllables.

The syllables are consonant-vowel-consonant with varied ends, so that a byte-level BPE learns whole syllables before
pairs across them: a name is two or three tokens and its last token is the same in prose, in an anchor and in a
target. A seeded permutation of the whole name space (a Feistel network over the indices) gives uniqueness
without a table of the names that are taken.
"""

_SYLLABLES = (
    "bex bol bur cas cob cul dag dem dov fal fim fus gan gep gor hab hik hul jad jem jot kab kev kiz lam lep lor lun "
    "mad mek mol nas nev nim pag pev pom ral rez rik sav sed sol tag tem tiv tul vad ves vog wam wek wil yab yon yur "
    "zam zed zig bram dral grun trev plon"
)
SYLLABLES = tuple(_SYLLABLES.split())
_ROUNDS = 4
_64_BITS = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """64 bits that depend on all the numbers: splitmix64's finaliser, chained. The same on every machine.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & _64_BITS
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _64_BITS
        state ^= state >> 31
    return state


def permuted(index: int, size: int, seed: int) -> int:
    """Where a seeded permutation of `range(size)` sends `index`, in constant memory.

    A balanced Feistel network permutes the next power of four; indices that leave the range walk on until they
    are back in it (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"): four steps at most on average.

    >>> sorted(permuted(index, 10, seed=3) for index in range(10)) == list(range(10))
    True
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (mix(seed, turn, right) & mask)
        index = (left << half) | right
        if index < size:
            return index


def fictional_name(index: int, pages: int, seed: int) -> str:
    """The name of page `index` in a world of `pages`: two syllables, or more where the world needs them.

    >>> fictional_name(0, 2000, seed=0) != fictional_name(1, 2000, seed=0)
    True
    """
    count = 2
    while len(SYLLABLES) ** count < pages:
        count += 1
    number = permuted(index, len(SYLLABLES) ** count, seed)
    syllables = []
    for _ in range(count):
        number, digit = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[digit])
    return "".join(syllables).capitalize()
