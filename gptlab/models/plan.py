"""What to compute, and nothing else: a batch's mask as rectangles of queries by keys, made once for all layers.

Within a segment (a run of tokens of one document where no link completes) every query sees the same other
documents, so its keys are gathered once and one matrix product serves it; what remains masked is the triangle of the
segment itself. A rectangle costs some microseconds whatever its size, so neighbours are joined, with a mask of
their own, where the pairs that this adds cost less than the call it saves. Long segments are cut, so that the
triangle stays small.
"""

from collections.abc import Iterator
from itertools import pairwise

import attrs
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptlab.models.mask import MaskSpec

Range = tuple[int, int]
"""First token and one past the last, within a row."""

CALL_PAIRS = 4000
"""One call costs as much as so many pairs of query and key. Of 500, 1500, 4000 the best at 512 and 2048 tokens, by 2
to 8 % (6 heads of 64, one core, 2026-11-24)."""

LONGEST_QUERIES = 128
"""Longer segments are cut, so that the unseen half of the triangle stays small. 128 beats 256 by 13 % at 512 tokens
and by 8 % at 2048, and 512 by more; at 8192 tokens 128 and 256 are equal."""


@attrs.frozen(eq=False)
class Rectangle:
    """Queries that are computed together, and the keys that any of them sees.

    Attributes:
        row: of the batch.
        queries: a range of tokens.
        keys: ranges of tokens, ascending; the last one ends where the queries do.
        bias: 0 where seen and -inf where not, for the last columns only: those before are seen by all.
    """

    row: int
    queries: Range
    keys: tuple[Range, ...]
    bias: Float[Tensor, "queries columns"]


@attrs.frozen
class Plan:
    """All rectangles of a batch, and for each row where its padding begins."""

    rectangles: tuple[Rectangle, ...]
    lengths: tuple[int, ...]

    @property
    def pairs(self) -> int:
        """Pairs of query and key that are computed; `rows * seq ** 2` is what the dense kernel computes."""
        return sum(_length(block.queries) * sum(map(_length, block.keys)) for block in self.rectangles)


@attrs.frozen
class Segment:
    """A run of tokens that see the same other documents: all of `keys`, but for the triangle of the run itself."""

    queries: Range
    keys: tuple[Range, ...]

    @property
    def pairs(self) -> int:
        """Of query and key, in a rectangle of all."""
        return _length(self.queries) * sum(map(_length, self.keys))


def make_plan(documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec) -> Plan:
    """The rectangles that cover what `dense_mask` says is seen.

    Args:
        documents, edges: as for `dense_mask`.
        spec: `causal` is planned as one long document.

    >>> row = torch.tensor([[0, 0, 0, 1, 1, 2, 2, -1]])
    >>> [(block.queries, block.keys) for block in make_plan(row, torch.tensor([[[2, 0, 6]]]), MaskSpec()).rectangles]
    [((0, 7), ((0, 7),))]
    """
    triangle = torch.full((LONGEST_QUERIES, LONGEST_QUERIES), -torch.inf).triu(1).to(documents.device)
    rectangles: list[Rectangle] = []
    lengths = []
    for row, (numbers, row_edges) in enumerate(zip(documents.cpu().numpy(), edges.cpu().numpy(), strict=True)):
        segments = segments_of_row(numbers, row_edges, spec, LONGEST_QUERIES)
        rectangles.extend(_rectangle(row, group, triangle) for group in _grouped(segments))
        lengths.append(int((numbers >= 0).sum()))
    return Plan(tuple(rectangles), tuple(lengths))


def segments_of_row(
    documents: Int[np.ndarray, "seq"], edges: Int[np.ndarray, "edges 3"], spec: MaskSpec, longest: int
) -> list[Segment]:
    """The segments of one row, in order; none longer than `longest`, and none for padding.

    >>> row, link = np.array([0, 0, 1, 1, -1]), np.array([[1, 0, 3]])
    >>> [(segment.queries, segment.keys) for segment in segments_of_row(row, link, MaskSpec(), 9)]
    [((0, 2), ((0, 2),)), ((2, 3), ((2, 3),)), ((3, 4), ((0, 4),))]
    """
    bounds = bounds_of_row(documents, spec)
    return list(_segments(bounds, [tuple(map(int, edge)) for edge in edges if edge[0] >= 0], spec, longest))


def bounds_of_row(documents: Int[np.ndarray, "seq"], spec: MaskSpec) -> list[int]:
    """Where each document starts, and where the last one ends; the kind `causal` takes all for one."""
    length = int((documents >= 0).sum())
    first = np.flatnonzero(np.diff(documents[:length], prepend=-1))[: 1 if spec.kind == "causal" else None]
    return [int(start) for start in first] + [length]


def _segments(bounds: list[int], edges: list[tuple[int, ...]], spec: MaskSpec, longest: int) -> Iterator[Segment]:
    """Every document cut where what it sees changes, and where it gets long."""
    links: dict[int, list[tuple[int, int]]] = {}
    for linker, target, position in edges if spec.follows_links else []:
        links.setdefault(linker, []).append((position if spec.kind == "from_link" else 0, target))
    reached: dict[int, set[int]] = {}  # by document: all that it comes to, targets before linkers
    for document, (start, stop) in enumerate(pairwise(bounds)):
        opened = sorted(links.get(document, []))
        brings = {
            target: {target} | (reached.get(target, set()) if spec.ancestors else set()) for _, target in opened
        }
        reached[document] = set().union(*brings.values())
        seen: set[int] = set()
        at = start
        while at < stop:
            while opened and opened[0][0] <= at:
                seen |= brings[opened.pop(0)[1]]
            end = min(stop, at + longest, *(position for position, _ in opened[:1]))
            keys = [(bounds[number], bounds[number + 1]) for number in sorted(seen)] + [(start, end)]
            yield Segment((at, end), _merged(keys))
            at = end


def _merged(ranges: list[Range]) -> tuple[Range, ...]:
    """The union of ranges, sorted by their starts, as few ranges that do not touch."""
    merged: list[Range] = []
    for start, stop in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return tuple(merged)


def _grouped(segments: list[Segment]) -> Iterator[list[Segment]]:
    """Neighbours that are cheaper in one call, from the left."""
    group: list[Segment] = []
    joined: Segment | None = None
    for segment in segments:
        if joined is not None:
            both = _join(joined, segment)
            if _length(both.queries) <= LONGEST_QUERIES and both.pairs <= joined.pairs + segment.pairs + CALL_PAIRS:
                group.append(segment)
                joined = both
                continue
            yield group
        group, joined = [segment], segment
    if group:
        yield group


def _join(left: Segment, right: Segment) -> Segment:
    return Segment((left.queries[0], right.queries[1]), _merged(sorted(left.keys + right.keys)))


def _rectangle(row: int, group: list[Segment], triangle: Float[Tensor, "longest longest"]) -> Rectangle:
    count = group[-1].queries[1] - group[0].queries[0]
    if len(group) == 1:
        return Rectangle(row, group[0].queries, group[0].keys, triangle[:count, :count])
    keys = _merged(sorted(span for segment in group for span in segment.keys))
    columns = np.concatenate([np.arange(*span) for span in keys])
    bias = np.full((count, len(columns)), -np.inf, np.float32)
    top = group[0].queries[0]
    for segment in group:
        rows = slice(segment.queries[0] - top, segment.queries[1] - top)
        for start, stop in segment.keys:
            left = int(np.searchsorted(columns, start))
            bias[rows, left : left + stop - start] = 0.0
    own = columns[None, :] > np.arange(top, top + count)[:, None]
    bias[own] = -np.inf
    return Rectangle(row, (top, top + count), keys, torch.from_numpy(bias).to(triangle.device))


def _length(span: Range) -> int:
    return span[1] - span[0]
