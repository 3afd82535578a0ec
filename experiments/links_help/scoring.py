"""What is measured of each trained arm, on the same held-out documents, edges and rows for all of them."""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch

from experiments.links_help.arm import Corpus, Settings, rows
from gptlab.benchmarks import EdgeScores, HeldOutLoss, LinkSpecificity, RestatedFacts
from gptlab.graph import BreadthFirst, TraverseLinks
from gptlab.models import dense_mask
from gptlab.packing import Collate, Pack
from gptlab.pipeline import pipeline
from gptlab.sources import LinkedFacts
from gptlab.types import Batch, PackedSequence

KINDS = ("one_key", "two_key", "two_hop")


def score(model: Any, data: Corpus, settings: Settings) -> tuple[dict[str, float], EdgeScores]:
    """All figures of one model under its own mask, and the edges one by one.

    Args:
        model: the trained arm.
        data: what it was trained on, for the held-out part.
        settings: of the arm; the rows of recall and the random documents are the same for every arm and seed.
    """
    seq_len = settings.model.max_seq_len
    held_out = data.tokenized("held_out")
    # A vocabulary of 1,024 has no thousand common tokens to leave out: an eighth of it, as of 8,192.
    benchmark = LinkSpecificity(seq_len=seq_len, common=min(1000, settings.model.vocab_size // 8))
    edges = benchmark.scores(held_out, model)
    figures = {f"edge_{name}": value for name, value in benchmark.figures(edges).items()}
    alone = pipeline(held_out, TraverseLinks(BreadthFirst(), budget=1), Pack(seq_len), Collate(settings.batch_size))
    figures |= {f"alone_{name}": value for name, value in HeldOutLoss().calculate(alone, model).items()}
    linked = rows(held_out, "A5", attrs.evolve(settings, seed=0))
    if data.wiki is not None:
        facts = RestatedFacts(facts=LinkedFacts(data.wiki), documents=data.part("held_out"), tokenizer=data.tokenizer)
        linked.pre_cache()
        recall = facts.calculate(linked, model)
        figures |= {name: value for name, value in recall.items() if name.startswith(KINDS)}
    figures["attended"] = attended(model, rows(data.tokenized("train"), settings.arm, settings).get_data_generator())
    return figures, edges


def attended(model: Any, rows: Iterator[PackedSequence], count: int = 256) -> float:
    """Keys that a learned token attends to, its own included, on average over the first rows."""
    pairs = tokens = 0
    for _, batch in zip(range(count), Collate(1)(rows), strict=False):
        last = batch.documents.max()
        is_root = torch.from_numpy(batch.documents == last)
        pairs += int(mask_of(model, batch)[is_root].sum())
        tokens += int(is_root.sum())
    return pairs / tokens


def mask_of(model: Any, batch: Batch) -> torch.Tensor:
    """Who may attend to whom: the definition."""
    return dense_mask(torch.from_numpy(batch.documents), torch.from_numpy(batch.edges), model.cfg.mask)


def per_edge(edges: EdgeScores, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each edge the sum of its losses by context, (3, edges), and how many tokens they are of."""
    count = len(edges.targets)
    sums = np.stack([np.bincount(edges.edge[chosen], row[chosen], minlength=count) for row in edges.losses])
    return sums, np.bincount(edges.edge[chosen], minlength=count)
