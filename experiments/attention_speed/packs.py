"""Rows of linked documents to measure on: log-normal lengths with median 150, 0 to 4 links from each document."""

import numpy as np
import torch


def row_of(seq_len: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Document numbers `[1 seq]` and edges `[1 edges 3]`: a link may complete at any token of its document."""
    rng = np.random.default_rng(seed)
    documents = np.zeros(seq_len, np.int32)
    edges = []
    start = document = 0
    while start < seq_len:
        stop = min(seq_len, start + max(8, int(rng.lognormal(np.log(150), 0.8))))
        documents[start:stop] = document
        for target in rng.choice(document, min(document, int(rng.integers(0, 5))), replace=False):
            edges.append((document, int(target), int(rng.integers(start, stop))))
        start, document = stop, document + 1
    linked = np.array(sorted(edges), np.int32).reshape(1, -1, 3)
    return torch.from_numpy(documents)[None], torch.from_numpy(linked)
