"""`Pack` and `Collate` as machine code, for walks that are numbers and not yet records."""

from typing import Any, NamedTuple

import numpy as np

from gptlab.graph.compiled import compiled

CUT, NO_ROOM = range(2)
CUT_LAST, PAD_REST, FIT_REST = range(3)


class Placed(NamedTuple):
    """Which documents stand where in some rows.

    Attributes:
        documents: of all rows, back to back, in the order in which they stand.
        starts: where each begins in its row.
        lengths: how many tokens each keeps.
        offsets: where the documents of each row begin.
        edges: (linker, target, position in the row), row by row.
        edge_offsets: where the edges of each row begin.
        tokens: per row, tokens before the padding.
        cut: per row, tokens of its documents that are not in it.
        lost: per row, edges that are cut off, and edges to documents without room.
    """

    documents: Any
    starts: Any
    lengths: Any
    offsets: Any
    edges: Any
    edge_offsets: Any
    tokens: Any
    cut: Any
    lost: Any


@compiled
def first_too_long(sizes: Any, offsets: Any, seq_len: int) -> Any:
    """Of each walk that exceeds its row, the place of the document with which it does: the only one that is cut."""
    longs, count = np.empty(len(offsets) - 1, np.int64), 0
    for row in range(len(longs)):
        room = seq_len
        for place in range(offsets[row], offsets[row + 1]):
            room -= sizes[place]
            if room < 0:
                longs[count] = place
                count += 1
                break
    return longs[:count]


@compiled
def keep(rule: int, sizes: Any, least: Any, seq_len: int, kept: Any) -> int:
    """What the `kept` of a policy of `excess` gives for one walk; returns the room that is left."""
    room = seq_len
    kept[: len(sizes)] = 0
    for visit in range(len(sizes)):
        if sizes[visit] > room and visit > 0 and (rule != CUT_LAST or room < least[visit]):
            break
        kept[visit] = min(sizes[visit], room)
        room -= kept[visit]
        if room == 0:
            break
    while rule == FIT_REST:
        best = -1
        for visit in range(len(sizes)):
            if kept[visit] == 0 and 0 < sizes[visit] <= room and (best < 0 or sizes[visit] > sizes[best]):
                best = visit
        if best < 0:
            break
        kept[best] = sizes[best]
        room -= kept[best]
    return room


@compiled
def place_rows(  # noqa: PLR0917 - arrays that the caller has one by one
    found: Any, offsets: Any, order: Any, token_offsets: Any, seq_len: int, rule: int, sizes: Any, least: Any
) -> Placed:
    """What `Pack.row` decides.

    Args:
        found, offsets: the documents of the walks in the order reached.
        order: of the walks, as `order_walks` gives it.
        token_offsets: as in `Documents`.
        seq_len: tokens in a row.
        rule: the policy, one of `CUT_LAST`, `PAD_REST` and `FIT_REST`.
        sizes, least: as in `Excess.kept`, of all walks; `least` only where it is asked for.
    """
    rows = len(offsets) - 1
    placed = Placed(
        np.empty(len(found), np.int32), np.empty(len(found), np.int32), np.empty(len(found), np.int32),
        np.zeros(rows + 1, np.int64), np.empty((order.edge_offsets[rows], 3), np.int32),
        np.zeros(rows + 1, np.int64), np.zeros(rows, np.int32), np.zeros(rows, np.int32),
        np.zeros((rows, 2), np.int64),
    )  # fmt: skip
    most = 1
    for row in range(rows):
        most = max(most, offsets[row + 1] - offsets[row])
    kept, start, number = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    end = edges = 0
    for row in range(rows):
        first, last = offsets[row], offsets[row + 1]
        size = last - first
        placed.tokens[row] = seq_len - keep(rule, sizes[first:last], least[first:last], seq_len, kept)
        at = count = 0
        for place in range(size):
            visit = order.visits[first + place]
            start[place], number[place] = at, count
            if kept[visit] > 0:
                document = found[first + visit]
                placed.documents[end + count] = document
                placed.starts[end + count], placed.lengths[end + count] = at, kept[visit]
                at += kept[visit]
                count += 1
                placed.cut[row] += token_offsets[document + 1] - token_offsets[document] - kept[visit]
        for edge in range(order.edge_offsets[row], order.edge_offsets[row + 1]):
            linker, target, position = order.edges[edge, 0], order.edges[edge, 1], order.edges[edge, 2]
            if position >= kept[order.visits[first + linker]] - 1:  # the last token is end-of-text
                placed.lost[row, CUT] += 1
            elif kept[order.visits[first + target]] == 0:
                placed.lost[row, NO_ROOM] += 1
            else:
                placed.edges[edges, 0], placed.edges[edges, 1] = number[linker], number[target]
                placed.edges[edges, 2] = start[linker] + position
                edges += 1
        end += count
        placed.offsets[row + 1], placed.edge_offsets[row + 1] = end, edges
    return placed


@compiled
def copy_tokens(  # noqa: PLR0917 - arrays that the caller has one by one
    shard: Any, begin: int, end: int, placed: Placed, token_offsets: Any, tokens: Any
) -> None:
    """Copy from one shard, which holds the tokens from number `begin` to `end`, what the rows hold of it.

    The last token of each document in a row is left as it is: end-of-text, whether or not the document is cut.
    """
    for row in range(len(placed.offsets) - 1):
        for index in range(placed.offsets[row], placed.offsets[row + 1]):
            first = token_offsets[placed.documents[index]]
            if begin <= first < end:
                source, goal = first - begin, placed.starts[index]
                for token in range(placed.lengths[index] - 1):
                    tokens[row, goal + token] = shard[source + token]


@compiled
def collate_rows(  # noqa: PLR0917 - arrays that the caller has one by one
    tokens: Any, lengths: Any, end_of_text: int, targets: Any, documents: Any, positions: Any
) -> None:
    """The fields of `Batch` that follow from tokens, as `collate.stack` defines them."""
    for row in range(len(lengths)):
        length, number = lengths[row], 0
        for place in range(tokens.shape[1]):
            is_padding = place >= length
            positions[row, place] = -1 if is_padding else place
            documents[row, place] = -1 if is_padding else number
            is_end = tokens[row, place] == end_of_text
            number += is_end
            targets[row, place] = -1 if is_end or place + 1 >= length else tokens[row, place + 1]


@compiled
def pad_edges(edges: Any, offsets: Any, padded: Any) -> None:
    """One array of all rows' edges, which was filled with -1."""
    for row in range(len(offsets) - 1):
        count = offsets[row + 1] - offsets[row]
        padded[row, :count] = edges[offsets[row] : offsets[row + 1]]
