"""Random rows of linked documents, and the mask as three loops in plain Python."""

import numpy as np
from hypothesis import strategies as st

from gptlab.models import MaskSpec
from gptlab.types import Batch

SPECS = [
    MaskSpec("causal"),
    MaskSpec("document"),
    MaskSpec("from_link"),
    MaskSpec("whole_document"),
    MaskSpec("from_link", ancestors=True),
    MaskSpec("whole_document", ancestors=True),
]

Edge = tuple[int, int, int]


@st.composite
def rows(draw: st.DrawFn, longest: int = 12) -> tuple[list[int], list[Edge], int]:
    """Lengths of the documents (one token is enough), edges (none, some, or every pair), padding."""
    lengths = draw(st.lists(st.integers(1, longest), min_size=0, max_size=6))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    edges = []
    every = draw(st.booleans())
    for linker in range(len(lengths)):
        for target in range(linker):
            if every or draw(st.booleans()):
                edges.append((linker, target, draw(st.integers(starts[linker], starts[linker + 1] - 1))))
    return lengths, sorted(edges), draw(st.integers(0 if lengths else 1, 5))


@st.composite
def batches(draw: st.DrawFn, vocab_size: int = 11, longest: int = 12) -> Batch:
    """One to three such rows, filled up to the longest, with random tokens; padding is not a target."""
    drawn = draw(st.lists(rows(longest), min_size=1, max_size=3))
    seq = max(sum(lengths) + padding for lengths, _, padding in drawn)
    most = max(len(edges) for _, edges, _ in drawn)
    documents = np.full((len(drawn), seq), -1, np.int32)
    all_edges = np.full((len(drawn), most, 3), -1, np.int32)
    for row, (lengths, edges, _) in enumerate(drawn):
        documents[row, : sum(lengths)] = np.repeat(np.arange(len(lengths)), lengths)
        all_edges[row, : len(edges)] = np.array(edges, np.int32).reshape(-1, 3)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    tokens = random.integers(0, vocab_size, documents.shape).astype(np.int32)
    targets = np.full_like(tokens, -1)
    same = documents[:, 1:] == documents[:, :-1]
    targets[:, :-1] = np.where(same & (documents[:, 1:] >= 0), tokens[:, 1:], -1)
    positions = np.where(documents >= 0, np.arange(seq), -1).astype(np.int32)
    return Batch(tokens=tokens, targets=targets, documents=documents, positions=positions, edges=all_edges)


def plain_mask(documents: list[int], edges: list[Edge], spec: MaskSpec) -> list[list[bool]]:
    """Query by key by edge, as one would say it."""

    def brings(target: int) -> set[int]:
        found = {target}
        if spec.ancestors:
            for linker, further, _ in edges:
                if linker == target:
                    found |= brings(further)
        return found

    mask = []
    for query, own in enumerate(documents):
        line = []
        for key, other in enumerate(documents):
            sees = query == key
            if own >= 0 and other >= 0:
                sees |= key <= query and (own == other or spec.kind == "causal")
                for linker, target, position in edges if spec.follows_links else []:
                    is_open = linker == own and (query >= position or spec.kind == "whole_document")
                    sees |= is_open and other in brings(target)
            line.append(sees)
        mask.append(line)
    return mask
