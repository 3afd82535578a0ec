"""What is measured of each trained arm, on the same held-out documents, edges and rows for all of them."""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch
from jaxtyping import Float64

from experiments.links_help.analysis import Cell, curve, edge_sums
from experiments.links_help.arm import Corpus, Settings, rows
from experiments.links_help.stages import RewireLinks
from gptlab.benchmarks import LinkSpecificity, RestatedFacts
from gptlab.graph import BreadthFirst, TraverseLinks, linked_leaks
from gptlab.models import dense_mask
from gptlab.packing import Collate, Pack
from gptlab.pipeline import pipeline
from gptlab.sources import LinkedFacts
from gptlab.training import scored
from gptlab.types import Batch, PackedSequence

KINDS = ("one_key", "two_key", "two_hop")


def score(model: Any, data: Corpus, settings: Settings) -> Cell:
    """Measure one model under its own mask.

    Args:
        model: the trained arm.
        data: what it was trained on, for the held-out part.
        settings: of the arm; edges, random documents and rows of recall are the same for every arm and seed.
    """
    seq_len = settings.model.max_seq_len
    held_out = data.tokenized("held_out")
    # A vocabulary of 1,024 has no thousand common tokens to leave out: an eighth of it, as of 8,192.
    copied = linked_leaks(list(data.part("held_out").get_data_generator()))
    benchmark = LinkSpecificity(
        seq_len=seq_len, common=min(1000, settings.model.vocab_size // 8), without=tuple(copied)
    )
    edges = benchmark.scores(held_out, model)
    figures = {**benchmark.figures(edges), "pairs_that_share_13_words": float(len(copied))}
    false = benchmark.figures(benchmark.scores(pipeline(held_out, RewireLinks()), model))
    figures |= {f"false_{name}": false[name] for name in ("edges", "specificity", "specificity_stderr")}
    if data.wiki is not None:
        linked = rows(held_out, "A5", attrs.evolve(settings, seed=0))
        linked.pre_cache()
        facts = RestatedFacts(facts=LinkedFacts(data.wiki), documents=data.part("held_out"), tokenizer=data.tokenizer)
        recall = facts.calculate(linked, model)
        figures |= {name: value for name, value in recall.items() if name.startswith(KINDS)}
    figures["attended"] = attended(model, rows(data.tokenized("train"), settings.arm, settings).get_data_generator())
    alone = pipeline(held_out, TraverseLinks(BreadthFirst(), budget=1), Pack(seq_len), Collate(settings.batch_size))
    losses, counts = document_losses(model, alone.get_data_generator())
    sums, tokens = edge_sums(edges)
    return Cell(
        figures=figures,
        targets=edges.targets,
        sums=sums,
        tokens=tokens,
        curve=curve(edges),
        alone=losses,
        alone_tokens=counts,
    )


def document_losses(
    model: Any, batches: Iterator[Batch]
) -> tuple[Float64[np.ndarray, "rows"], Float64[np.ndarray, "rows"]]:
    """Nats of each row and how many tokens they are of."""
    losses, counts = [], []
    for batch, output in scored(model, batches):
        losses.append(output.token_losses.double().sum(dim=1).cpu().numpy())
        counts.append((batch.targets >= 0).sum(axis=1).astype(np.float64))
    return np.concatenate(losses), np.concatenate(counts)


def attended(model: Any, rows: Iterator[PackedSequence], count: int = 256) -> float:
    """Keys that a learned token attends to, its own included, on average over the first rows."""
    pairs = tokens = 0
    for _, batch in zip(range(count), Collate(1)(rows), strict=False):
        is_root = torch.from_numpy(batch.documents == batch.documents.max())
        mask = dense_mask(torch.from_numpy(batch.documents), torch.from_numpy(batch.edges), model.cfg.mask)
        pairs += int(mask[is_root].sum())
        tokens += int(is_root.sum())
    return pairs / tokens
