"""Rows of a shard to rows of a batch, by machine code: what `collate.stack` says of them.

Every loop is over consecutive places and without a condition, so the compiler makes vectors of it. That is possible
because documents are known by where they start, and not only by their end-of-text.
"""

from typing import Any

from gptlab.graph.compiled import compiled


@compiled
def are_below(size: int, numbers: Any) -> bool:
    """Whether there are numbers, and all of them are from 0 to `size - 1`."""
    for number in numbers:
        if number < 0 or number >= size:
            return False
    return len(numbers) > 0


@compiled
def most_edges(edge_offsets: Any, places: Any) -> int:
    """The greatest number of edges among some rows of a shard."""
    most = 0
    for place in places:
        most = max(most, edge_offsets[place + 1] - edge_offsets[place])
    return most


@compiled
def fill_batch(  # noqa: PLR0917 - arrays that the caller has one by one
    tokens: Any,
    lengths: Any,
    starts: Any,
    document_offsets: Any,
    edges: Any,
    edge_offsets: Any,
    places: Any,
    slots: Any,
    block: Any,
    padded: Any,
) -> None:
    """Fill some rows of a batch from one shard.

    Args:
        tokens, lengths, starts, document_offsets, edges, edge_offsets: as in `Shard`.
        places: which rows of the shard.
        slots: which rows of the batch they become.
        block: tokens, targets, documents and positions of the batch, one behind the other.
        padded: edges of the batch.
    """
    seq_len = tokens.shape[1]
    for index in range(len(places)):
        row, slot = places[index], slots[index]
        source, length = tokens[row], lengths[row]
        copied, targets, documents, positions = block[0, slot], block[1, slot], block[2, slot], block[3, slot]
        for place in range(seq_len):
            copied[place] = source[place]
        for place in range(seq_len - 1):
            targets[place] = source[place + 1]
        for place in range(seq_len):
            positions[place] = place
        first, last = document_offsets[row], document_offsets[row + 1]
        for number in range(last - first):
            begin = starts[first + number]
            end = starts[first + number + 1] if first + number + 1 < last else length
            documents[begin:end] = number
            targets[end - 1] = -1  # of what comes after a document it knows nothing
        targets[length - 1 :] = -1
        positions[length:] = -1
        documents[length:] = -1
        count = edge_offsets[row + 1] - edge_offsets[row]
        for edge in range(count):
            for column in range(3):
                padded[slot, edge, column] = edges[edge_offsets[row] + edge, column]
        padded[slot, count:] = -1
