"""Does a model read what is linked, or does it only profit from having something to read?

The linker of a held-out edge is scored three times with the same weights: after the document that it links to, after
a random document in that one's place, and alone. The loss after the random document minus the loss after the linked
one is the *specificity*: length, position and the mere presence of a context are the same in both, so it can come
from nothing but what the linked document says. A context is never compared with none for that: a model that was never
trained to look across documents may be harmed by any.

For masks that follow links the edge is in the row in both cases, and the loss alone is exactly the loss with this one
edge cut.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.paired import clustered_mean
from gptlab.graph import DocumentTable
from gptlab.packing.collate import stack
from gptlab.pipeline.observe import drop, track
from gptlab.pipeline.protocols import Source
from gptlab.training import TrainableModel, scored
from gptlab.types import Batch, DocumentId, PackedSequence, TokenizedDocument
from gptlab.types.validators import at_least

CONTEXTS = ("linked", "random", "alone")
"""What stands before the linker, in the order of the first axis of `EdgeScores.losses`."""


@attrs.frozen(kw_only=True, eq=False)
class EdgeScores:
    """The tokens after each scored link, back to back.

    Attributes:
        targets: the linked document of each edge, by which edges are clustered.
        edge: which edge a token belongs to.
        distance: of the token from the token that completes the link; the next one is 0.
        losses: nats, by context.
        is_right: whether the token was the model's first choice, by context.
        is_copyable: the token is in the linked document, not before in the linker, and not common.
    """

    targets: tuple[str, ...]
    edge: Int64[np.ndarray, "tokens"]
    distance: Int64[np.ndarray, "tokens"]
    losses: Float32[np.ndarray, "contexts tokens"]
    is_right: Bool[np.ndarray, "contexts tokens"]
    is_copyable: Bool[np.ndarray, "tokens"]


@attrs.frozen(kw_only=True)
class LinkSpecificity:
    """Loss after the linked document, after a random one, and alone, on edges with both ends held out.

    Attributes:
        seq_len: longest row; edges whose two documents do not fit are dropped and counted.
        window: tokens after the link that `near_*` averages over.
        common: how many of the most frequent tokens, counted over the data, are never copyable.
        without: pairs of linker and target that are not scored, as `gptlab.graph.linked_leaks` finds; counted.
        max_edges: drawn at random, with the random documents, by `seed`; None: all.
        batch_size: edges at a time, three rows each.
    """

    seq_len: int = attrs.field(validator=at_least(2))
    window: int = attrs.field(default=32, validator=at_least(1))
    common: int = attrs.field(default=1000, validator=at_least(0))
    without: tuple[tuple[DocumentId, DocumentId], ...] = ()
    max_edges: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    seed: int = attrs.field(default=0, validator=at_least(0))
    batch_size: int = attrs.field(default=8, validator=at_least(1))

    def calculate(self, data: Source[TokenizedDocument], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score the edges between the documents.

        Args:
            data: held-out documents, so that both ends of every edge are held out.
            model: yields `token_losses` and, in evaluation mode, `logits`.

        Returns:
            `edges`, `targets` and `tokens` scored; `specificity`, nats per token of the linker after the link, with
            `specificity_stderr`, clustered by target; `loss_linked`, `loss_random`, `loss_alone`;
            `near_specificity` and the others again over the first `window` tokens, and `copyable_*` over copyable
            tokens, with `copyable_accuracy_linked` and `copyable_accuracy_random`.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
        """
        check_data(self, data, model, self._rows, _stacked)
        return self.figures(self.scores(data, model))

    def figures(self, scores: EdgeScores) -> dict[str, float]:
        """What `calculate` returns, of scores that are already there."""
        figures = {"edges": float(len(scores.targets)), "targets": float(len(set(scores.targets)))}
        everything = np.ones(len(scores.edge), np.bool_)
        for name, chosen in (
            ("", everything),
            ("near_", scores.distance < self.window),
            ("copyable_", scores.is_copyable),
        ):
            figures |= {f"{name}{figure}": value for figure, value in specificity(scores, chosen).items()}
        return figures

    def scores(self, data: Source[TokenizedDocument], model: TrainableModel[Any, Any]) -> EdgeScores:
        """The same token by token, for whoever compares models edge by edge."""
        table = DocumentTable.from_documents(data.get_data_generator())
        edges = list(self._edges(table))
        frequent = self._common(table)
        parts = []
        total = len(edges)
        groups = [edges[first : first + self.batch_size] for first in range(0, total, self.batch_size)]
        batches = (stack([row for edge in group for row in edge.rows(self.seq_len)]) for group in groups)
        for number, (batch, output) in enumerate(
            scored(model, track(batches, "link specificity", total=float(len(groups)), unit="batches"))
        ):
            losses = output.token_losses.float().cpu().numpy()
            best = output.logits.argmax(dim=-1).cpu().numpy()
            for within, edge in enumerate(groups[number]):
                place = slice(3 * within, 3 * within + 3)
                parts.append(_score(edge, batch.tokens[place], losses[place], best[place], frequent))
        return _joined(parts, tuple(edge.target.id for edge in edges))

    def _rows(self, documents: Iterator[TokenizedDocument]) -> Iterator[PackedSequence]:
        """The rows that are scored, for the check of types and axes."""
        for edge in self._edges(DocumentTable.from_documents(documents)):
            yield from edge.rows(self.seq_len)

    def _edges(self, table: DocumentTable) -> Iterator["_Edge"]:
        """The edges to score, each with a random document that the linker does not link to."""
        rng = np.random.default_rng(self.seed)
        graph, sizes = table.graph, np.diff(table.token_offsets)
        linkers = np.repeat(np.arange(len(table)), np.diff(graph.out_offsets))
        order = rng.permutation(len(linkers))
        left_out = set(self.without)
        fits = sizes[linkers[order]] + sizes[graph.out_targets[order]] <= self.seq_len
        drop("edge whose documents do not fit in the row", count=int((~fits).sum()))
        order = order[fits]
        if left_out:
            pairs = [(table.ids[linkers[place]], table.ids[graph.out_targets[place]]) for place in order.tolist()]
            kept = np.array([pair not in left_out for pair in pairs], np.bool_)
            drop("edge that the caller left out", count=int((~kept).sum()))
            order = order[kept]
        for place in order[: self.max_edges].tolist():
            linker, target = int(linkers[place]), int(graph.out_targets[place])
            linked = {linker, *graph.targets(linker).tolist()}
            others = [
                number
                for number in rng.integers(len(table), size=64).tolist()
                if number not in linked and sizes[number] + sizes[linker] <= self.seq_len
            ]
            if not others:
                drop("edge without a random document that fits", example=table.ids[linker])
                continue
            other = min(others[:8], key=lambda number: abs(int(sizes[number]) - int(sizes[target])))
            yield _Edge(
                linker=table[linker],
                target=table[target],
                other=table[other],
                position=int(graph.out_positions[place]),
            )

    def _common(self, table: DocumentTable) -> Int64[np.ndarray, "tokens"]:
        counts = np.bincount(table.tokens)
        return np.argsort(-counts, kind="stable")[: self.common]


@attrs.frozen(kw_only=True, eq=False)
class _Edge:
    """An edge, and the random document that takes the target's place."""

    linker: TokenizedDocument
    target: TokenizedDocument
    other: TokenizedDocument
    position: int

    def rows(self, seq_len: int) -> list[PackedSequence]:
        """One row for each of `CONTEXTS`."""
        return [_row(before, self.linker, self.position, seq_len) for before in (self.target, self.other, None)]


def _row(before: TokenizedDocument | None, linker: TokenizedDocument, position: int, seq_len: int) -> PackedSequence:
    """`before`, with an edge to it, and the linker; the rest is padding."""
    documents = [linker] if before is None else [before, linker]
    lengths = [len(document.tokens) for document in documents]
    end_of_text = int(linker.tokens[-1])
    tokens = np.full(seq_len, end_of_text, linker.tokens.dtype)
    tokens[: sum(lengths)] = np.concatenate([document.tokens for document in documents])
    edges = [] if before is None else [(1, 0, lengths[0] + position)]
    return PackedSequence(
        tokens=tokens,
        starts=np.array([0, lengths[0]][: len(documents)], np.int32),
        ids=tuple(document.id for document in documents),
        edges=np.array(edges, np.int32).reshape(-1, 3),
        length=sum(lengths),
        end_of_text=end_of_text,
        dropped={},
    )


def _stacked(rows: Iterator[PackedSequence]) -> Iterator[Batch]:
    for row in rows:
        yield stack([row])


def _score(
    edge: _Edge,
    tokens: Int32[np.ndarray, "3 seq"],
    losses: Float32[np.ndarray, "3 seq"],
    best: Int64[np.ndarray, "3 seq"],
    common: Int64[np.ndarray, "common"],
) -> EdgeScores:
    """The tokens of one linker after its link. The token at position p is predicted at p - 1."""
    own = edge.linker.tokens.astype(np.int64)
    first, last = edge.position + 1, len(own) - 1  # end-of-text is no text
    begins = [len(edge.target.tokens), len(edge.other.tokens), 0]
    asked = [slice(begin + first - 1, begin + last - 1) for begin in begins]
    text = own[first:last]
    novel = np.array([token not in own[: first + place] for place, token in enumerate(text)], np.bool_)
    return EdgeScores(
        targets=(edge.target.id,),
        edge=np.zeros(len(text), np.int64),
        distance=np.arange(len(text)),
        losses=np.stack([row[place] for row, place in zip(losses, asked, strict=True)]),
        is_right=np.stack([row[place] == text for row, place in zip(best, asked, strict=True)]),
        is_copyable=novel & np.isin(text, edge.target.tokens) & ~np.isin(text, common),
    )


def _joined(parts: list[EdgeScores], targets: tuple[str, ...]) -> EdgeScores:
    sizes = [len(part.edge) for part in parts]
    return EdgeScores(
        targets=targets,
        edge=np.repeat(np.arange(len(parts)), sizes),
        distance=np.concatenate([np.zeros(0, np.int64), *(part.distance for part in parts)]),
        losses=np.concatenate([np.zeros((3, 0), np.float32), *(part.losses for part in parts)], axis=1),
        is_right=np.concatenate([np.zeros((3, 0), np.bool_), *(part.is_right for part in parts)], axis=1),
        is_copyable=np.concatenate([np.zeros(0, np.bool_), *(part.is_copyable for part in parts)]),
    )


def specificity(scores: EdgeScores, chosen: Bool[np.ndarray, "tokens"]) -> dict[str, float]:
    """Figures over some of the tokens, standard errors clustered by target."""
    names = np.array(scores.targets, dtype=np.str_)
    clusters = np.unique(names, return_inverse=True)[1][scores.edge[chosen]]
    losses = scores.losses[:, chosen].astype(np.float64)
    value, stderr = clustered_mean(losses[1] - losses[0], clusters)
    means = losses.mean(axis=1) if losses.shape[1] else np.full(3, np.nan)
    right = scores.is_right[:, chosen]
    rates = right.mean(axis=1) if right.shape[1] else np.full(3, np.nan)
    return {
        "tokens": float(losses.shape[1]),
        "specificity": value,
        "specificity_stderr": stderr,
        **{f"loss_{name}": float(mean) for name, mean in zip(CONTEXTS, means, strict=True)},
        **{f"accuracy_{name}": float(rate) for name, rate in zip(CONTEXTS, rates, strict=True)},
    }
