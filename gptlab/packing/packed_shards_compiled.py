"""Rows of shards to rows of a batch, by machine code: what `collate.stack` says of them.

Every loop is over consecutive places and without a condition, so the compiler makes vectors of it. That is possible
because documents are known by where they start, and not only by their end-of-text.

Rows at random are a wait for memory each. So the beginning of every row and story of a batch is read once before
anything is written: the waits then overlap. And arrays are given by where they lie, so that one call reads from any
number of shards.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

from gptlab.graph.compiled import compiled

LENGTH, _, DOCUMENTS, EDGES, _, HEAD = range(6)  # of a story; numba would not see it change in another file
TOKENS, STORIES, OFFSETS = range(3)


def _to_pointer(typing_context: Any, address: Any) -> Any:
    """An address as a pointer, from which `carray` makes an array: what numba has no function for."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_to_pointer)


@compiled
def are_below(size: int, numbers: Any) -> bool:
    """Whether there are numbers, and all of them are from 0 to `size - 1`."""
    for number in numbers:
        if number < 0 or number >= size:
            return False
    return len(numbers) > 0


@compiled
def _fill_row(  # noqa: PLR0917 - arrays that the caller has one by one
    source: Any, story: Any, tokens: Any, targets: Any, documents: Any, positions: Any, padded: Any
) -> None:
    seq_len, length, count = len(source), story[LENGTH], story[DOCUMENTS]
    for place in range(seq_len):
        tokens[place] = source[place]
    for place in range(seq_len - 1):
        targets[place] = tokens[place + 1]
    for place in range(seq_len):
        positions[place] = place
    starts, edges = story[HEAD : HEAD + count], story[HEAD + count :]
    for number in range(count):
        end = starts[number + 1] if number + 1 < count else length
        documents[starts[number] : end] = number
        targets[end - 1] = -1  # of what comes after a document it knows nothing
    targets[length - 1 :] = -1
    positions[length:] = -1
    documents[length:] = -1
    for edge in range(story[EDGES]):
        for column in range(3):
            padded[edge, column] = edges[3 * edge + column]
    padded[story[EDGES] :] = -1


@compiled
def read_batch(shards: Any, none: Any, rows_per_shard: int, seq_len: int, numbers: Any) -> tuple[Any, Any, Any]:
    """Some rows as a batch.

    Args:
        shards: the addresses of the tokens, stories and offsets of each shard; whoever calls holds the arrays.
        none: no tokens, of the dtype that they have.
        rows_per_shard, seq_len: as in `Summary`.
        numbers: of the rows, each of which is there.

    Returns:
        Tokens, targets, documents and positions of the batch, one behind the other; its edges; and a number that
        means nothing: a compiler would leave out what is read and comes to nothing.
    """
    places = np.empty((len(numbers), 2), np.int64)
    most, touched = np.int64(0), np.int64(0)
    for slot in range(len(numbers)):
        shard = numbers[slot] // rows_per_shard
        row = numbers[slot] - shard * rows_per_shard
        offsets = carray(_pointer(shards[shard, OFFSETS]), row + 2, np.int64)
        places[slot, TOKENS] = shards[shard, TOKENS] + row * seq_len * none.itemsize
        places[slot, STORIES] = shards[shard, STORIES] + offsets[row] * 4
        touched += carray(_pointer(places[slot, TOKENS]), seq_len, none.dtype)[0]
        most = max(most, np.int64(carray(_pointer(places[slot, STORIES]), HEAD, np.int32)[EDGES]))
    block = np.empty((4, len(numbers), seq_len), np.int32)
    padded = np.empty((len(numbers), most, 3), np.int32)
    for slot in range(len(numbers)):
        source = carray(_pointer(places[slot, TOKENS]), seq_len, none.dtype)
        head = carray(_pointer(places[slot, STORIES]), HEAD, np.int32)
        story = carray(_pointer(places[slot, STORIES]), HEAD + head[DOCUMENTS] + 3 * head[EDGES], np.int32)
        _fill_row(source, story, block[0, slot], block[1, slot], block[2, slot], block[3, slot], padded[slot])
    return block, padded, touched
