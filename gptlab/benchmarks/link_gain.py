"""What links are worth on any corpus: the loss on the tokens after each link, with the edges and without.

It needs no facts, so it is the figure for real Wikipedia. It cannot show that the right document was read, only that
reading linked documents helps; compare it with a model trained on shuffled links for that.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.paired import clustered_mean, score_with_and_without_edges
from gptlab.packing import Collate
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source
from gptlab.training import TrainableModel
from gptlab.types import PackedSequence
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class LinkGain:
    """Mean loss on the first tokens after each kept link, edges visible and cut.

    Attributes:
        tokens: how many tokens after the link are scored; fewer where the document ends before.
        batch_size: rows at a time.
        max_rows: of the data; None: all.
    """

    tokens: int = attrs.field(default=32, validator=at_least(1))
    batch_size: int = attrs.field(default=8, validator=at_least(1))
    max_rows: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))

    def calculate(self, data: Source[PackedSequence], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score the rows twice.

        Args:
            data: held-out rows.
            model: yields `token_losses`.

        Returns:
            `links` and `tokens` scored; `loss` and `loss_cut`, nats for each token; `gain` = `loss_cut - loss`, with
            `gain_stderr`: the larger of the errors clustered by row and by target, since windows of one
            row overlap and links to one target repeat what it says.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
        """
        check_data(self, data, model, Collate(self.batch_size))
        linked: list[float] = []
        cut: list[float] = []
        counts: list[float] = []
        in_row: list[int] = []
        targets: list[str] = []
        rows = itertools.islice(data.get_data_generator(), self.max_rows)
        for pair in score_with_and_without_edges(
            track(rows, "link gain", unit="rows", every=8), model, self.batch_size
        ):
            losses = [output.token_losses.double().cpu().numpy() for output in (pair.linked, pair.cut)]
            for within, row in enumerate(pair.rows):
                for begin, end, target in link_windows(row, self.tokens):
                    learned = pair.batch.targets[within, begin:end] >= 0
                    linked.append(float(losses[0][within, begin:end].sum()))
                    cut.append(float(losses[1][within, begin:end].sum()))
                    counts.append(float(learned.sum()))
                    in_row.append(pair.first_row + within)
                    targets.append(target)
        gains, weights = np.array(cut, np.float64) - np.array(linked, np.float64), np.array(counts, np.float64)
        gain, by_row = clustered_mean(gains, np.array(in_row), weights)
        _, by_target = clustered_mean(gains, np.array(targets), weights)
        total = float(weights.sum())
        return {
            "links": float(len(counts)),
            "tokens": total,
            "loss": sum(linked) / total if total else float("nan"),
            "loss_cut": sum(cut) / total if total else float("nan"),
            "gain": gain,
            "gain_stderr": float(np.maximum(by_row, by_target)),
        }


def link_windows(row: PackedSequence, tokens: int) -> list[tuple[int, int, str]]:
    """For each edge (begin, end, target): positions of the row whose *predictions* follow the completed link.

    The query at the edge's position is the first that sees the target, so it is `begin`. The last token of the
    linker predicts nothing that belongs to it.
    """
    windows = []
    starts = [*row.starts.tolist(), row.length]
    for linker, target, position in row.edges.tolist():
        end = min(position + tokens, starts[linker + 1] - 1)
        if end > position:
            windows.append((position, end, str(row.ids[target])))
    return windows
