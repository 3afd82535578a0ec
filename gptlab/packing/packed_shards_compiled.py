"""Rows of shards to rows of a batch, by machine code: what `collate.stack` says of them.

Every loop is over consecutive places and without a condition, so the compiler makes vectors of it. That is possible
because documents are known by where they start, and not only by their end-of-text.

Rows at random are a wait for memory each. So the beginning of every row and story of a batch is read once before
anything is written (`most_edges`): the waits then overlap. And arrays are given by where they lie, so that one call
reads from any number of shards.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from gptlab.graph.compiled import compiled

LENGTH, _, DOCUMENTS, EDGES, _, HEAD = range(6)
TOKENS, STORIES, OFFSETS = range(3)


class Places(NamedTuple):
    """Where the shards of a store lie.

    Attributes:
        shards: the addresses of the tokens, stories and offsets of each; whoever holds this holds the arrays.
        none: no tokens, of the dtype that they have.
        rows, rows_per_shard, seq_len: as in `Summary`.
    """

    shards: Any
    none: Any
    rows: int
    rows_per_shard: int
    seq_len: int


def _to_pointer(typing_context: Any, address: Any) -> Any:
    """An address as a pointer, from which `carray` makes an array: what numba has no function for."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_to_pointer)


@compiled
def _row(places: Places, number: int) -> Any:
    """The tokens and the story of a row, where they lie."""
    shard, row = number // places.rows_per_shard, number % places.rows_per_shard
    tokens = carray(_pointer(places.shards[shard, TOKENS]), (row + 1, places.seq_len), places.none.dtype)
    offsets = carray(_pointer(places.shards[shard, OFFSETS]), row + 2, np.int64)
    stories = carray(_pointer(places.shards[shard, STORIES]), offsets[row + 1], np.int32)
    return tokens[row], stories[offsets[row] :]


@compiled
def most_edges(places: Places, numbers: Any) -> tuple[Any, Any]:
    """The greatest number of edges among some rows, -1 where there is no row or one of them is not there.

    The second number means nothing: a compiler would leave out what is read and comes to nothing.
    """
    most, touched = np.int64(-1), np.int64(0)
    for number in numbers:
        if number < 0 or number >= places.rows:
            return np.int64(-1), touched
    for number in numbers:
        tokens, story = _row(places, number)
        touched += tokens[0]
        most = max(most, np.int64(story[EDGES]))
    return most, touched


@compiled
def fill_batch(places: Places, numbers: Any, block: Any, padded: Any) -> None:
    """Fill a batch with rows.

    Args:
        places: of the shards.
        numbers: of the rows, each of which is there.
        block: tokens, targets, documents and positions of the batch, one behind the other.
        padded: edges of the batch.
    """
    seq_len = block.shape[2]
    for slot in range(len(numbers)):
        source, story = _row(places, numbers[slot])
        length = story[LENGTH]
        copied, targets, documents, positions = block[0, slot], block[1, slot], block[2, slot], block[3, slot]
        for place in range(seq_len):
            copied[place] = source[place]
        for place in range(seq_len - 1):
            targets[place] = copied[place + 1]
        for place in range(seq_len):
            positions[place] = place
        starts, edges = story[HEAD : HEAD + story[DOCUMENTS]], story[HEAD + story[DOCUMENTS] :]
        for number in range(len(starts)):
            end = starts[number + 1] if number + 1 < len(starts) else length
            documents[starts[number] : end] = number
            targets[end - 1] = -1  # of what comes after a document it knows nothing
        targets[length - 1 :] = -1
        positions[length:] = -1
        documents[length:] = -1
        for edge in range(story[EDGES]):
            for column in range(3):
                padded[slot, edge, column] = edges[3 * edge + column]
        padded[slot, story[EDGES] :] = -1
