"""The `flex` kernel: compiled FlexAttention whose block table is counted, not searched. The default on CUDA.

PyTorch's `create_block_mask` evaluates the mask at every pair of tokens, for each batch (0.1 to 1.2 s at 2 to 8
thousand tokens). Here the pairs seen in each block are counted from the segments: a block with none is left out, one
with all of them needs no mask (*full*), and only the rest (*partial*) evaluates the mask function, which is two
look-ups in small tables. Their sizes depend on the number and the length of rows alone, as long as segments have
`TOKENS_OF_A_SEGMENT` tokens on average, so that a new batch has the shapes of the last one and nothing is compiled
again.
"""

from collections.abc import Callable
from functools import cache

import attrs
import numpy as np
import torch
from jaxtyping import Bool, Int, Int32
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from gptlab.models.attention import Attend
from gptlab.models.mask import MaskSpec
from gptlab.models.plan import Segment, segments_of_row

BLOCK = 128
"""Tokens on a side of a block: FlexAttention's default, and what its kernels are made for."""

LEAST_TABLE = 64
"""Smallest size of the tables of segments and documents."""

TOKENS_OF_A_SEGMENT = 16
"""Tables have room for segments and documents this short; a row with more of them doubles the table, and the kernel
is then compiled once more. 64 KiB of reach for a row of 4 thousand tokens."""

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(batch, head, query, key) indices to whether the query sees the key."""


@attrs.frozen(eq=False)
class BlockTable:
    """A batch's mask, by blocks and for those that are partly seen by tokens.

    Attributes:
        documents: of each token, -1 for padding; all 0 where the mask is causal.
        segments: of each token, numbered within its row.
        reach: which documents besides its own each segment sees.
        full: blocks of queries by keys all of whose pairs are seen.
        partial: those of which some are.
    """

    documents: Int32[np.ndarray, "batch seq"]
    segments: Int32[np.ndarray, "batch seq"]
    reach: Bool[np.ndarray, "batch segments documents"]
    full: Bool[np.ndarray, "batch blocks blocks"]
    partial: Bool[np.ndarray, "batch blocks blocks"]


def block_table(
    documents: Int[np.ndarray, "batch seq"],
    edges: Int[np.ndarray, "batch edges 3"],
    spec: MaskSpec,
    block: int = BLOCK,
) -> BlockTable:
    """Count what is seen.

    >>> table = block_table(np.array([[0, 0, 1, 1]]), np.array([[[1, 0, 2]]]), MaskSpec(), block=2)
    >>> table.full[0].astype(int).tolist(), table.partial[0].astype(int).tolist()
    ([[0, 0], [1, 0]], [[1, 0], [0, 1]])
    """
    if spec.kind == "causal":
        documents = np.where(documents >= 0, 0, -1)
    rows, seq = documents.shape
    found = [segments_of_row(documents[row], edges[row], spec, max(seq, 1)) for row in range(rows)]
    most_segments, most_documents = max(map(len, found), default=0), int(documents.max(initial=0)) + 1
    reach = np.zeros((rows, _table_size(most_segments, seq), _table_size(most_documents, seq)), bool)
    segments = np.zeros((rows, seq), np.int32)
    counts = np.zeros((rows, -(-seq // block), -(-seq // block)), np.int64)
    for row, of_row in enumerate(found):
        for number, segment in enumerate(of_row):
            start, stop = segment.queries
            segments[row, start:stop] = number
            for first, last in segment.keys:
                reach[row, number, documents[row, first] : documents[row, last - 1] + 1] = True
            reach[row, number, documents[row, start]] = False
        counts[row] = _pairs_by_block(of_row, documents[row], block)
    full = counts == block * block
    return BlockTable(documents.astype(np.int32), segments, reach, full, (counts > 0) & ~full)


def _table_size(needed: int, seq: int) -> int:
    """A power of two: the same for all rows of that length, or larger where they need more."""
    room = max(needed, LEAST_TABLE, seq // TOKENS_OF_A_SEGMENT)
    return 1 << (room - 1).bit_length()


def _pairs_by_block(
    segments: list[Segment], documents: Int[np.ndarray, "seq"], block: int
) -> Int[np.ndarray, "blocks blocks"]:
    """Pairs seen in each block: every segment's rectangle, without the half of its own square that is to come."""
    blocks = -(-len(documents) // block)
    edges = np.arange(blocks) * block

    def overlap(spans: list[tuple[int, int]]) -> Int[np.ndarray, "spans blocks"]:
        bounds = np.array(spans, np.int64).reshape(-1, 2)
        found: Int[np.ndarray, "spans blocks"] = np.clip(
            np.minimum(bounds[:, 1:], edges + block) - np.maximum(bounds[:, :1], edges), 0, None
        )
        return found

    pairs = [(segment.queries, span) for segment in segments for span in segment.keys]
    queries = overlap([segment.queries for segment in segments])
    counts = overlap([span for span, _ in pairs]).T @ overlap([span for _, span in pairs])
    counts -= np.triu(queries.T @ queries, 1) + np.diag((queries * (queries - 1) // 2).sum(axis=0))
    padding = np.bincount(np.flatnonzero(documents < 0) // block, minlength=blocks)  # each sees itself alone
    return np.asarray(counts + np.diag(padding))


def mask_function(table: BlockTable, device: torch.device) -> MaskFunction:
    """The mask by look-ups; the same function runs compiled within the kernel, and interpreted on a CPU."""
    documents, segments, reach = (
        torch.from_numpy(array).to(device) for array in (table.documents, table.segments, table.reach)
    )

    def is_seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        own, other = documents[batch, query], documents[batch, key]
        of_own = (own == other) & (key <= query)
        linked = reach[batch, segments[batch, query], other.clamp(min=0)]
        return (query == key) | ((own >= 0) & (other >= 0) & (of_own | linked))

    return is_seen


def block_mask(table: BlockTable, device: torch.device) -> BlockMask:
    """FlexAttention's own record of it."""
    partial, full = (_listed(kind, device) for kind in (table.partial, table.full))
    seq = table.documents.shape[1]
    is_seen = mask_function(table, device)
    return BlockMask.from_kv_blocks(
        partial[0],
        partial[1],
        full[0],
        full[1],
        BLOCK_SIZE=BLOCK,
        # torch counts its parameters, which the run-time checks of tests hide
        mask_mod=lambda batch, head, query, key: is_seen(batch, head, query, key),  # noqa: PLW0108
        seq_lengths=(seq, seq),
    )


def _listed(kind: Bool[np.ndarray, "batch blocks blocks"], device: torch.device) -> tuple[Tensor, Tensor]:
    """How many blocks of each row, and which; the others follow them."""
    shown = torch.from_numpy(kind)[:, None].to(device).int()
    return shown.sum(dim=-1).int(), shown.argsort(dim=-1, descending=True, stable=True).int()


@cache
def _compiled() -> Callable[..., Tensor]:
    compiled: Callable[..., Tensor] = torch.compile(flex_attention, dynamic=False)
    return compiled


def flex_attention_along_links(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Attend:
    """FlexAttention under the mask; compiled when first used. CUDA only: it has no backward pass on a CPU."""
    table = block_table(documents.cpu().numpy(), edges.cpu().numpy(), spec)
    mask = block_mask(table, documents.device)

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        has_groups = queries.shape[1] != keys.shape[1]
        return _compiled()(queries, keys, values, block_mask=mask, enable_gqa=has_groups)

    return attend
