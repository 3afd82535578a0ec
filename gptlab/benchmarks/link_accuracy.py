"""How well links are told from pairs that are none: for models that score pairs of documents."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from gptlab.benchmarks.check import check_data
from gptlab.models import LinkPairs
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source
from gptlab.training import TrainableModel, scored


@attrs.frozen(kw_only=True)
class LinkAccuracy:
    """Accuracy and area under the ROC curve of the scores of pairs.

    >>> LinkAccuracy()
    LinkAccuracy()
    """

    def calculate(self, data: Source[LinkPairs], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score every pair.

        Args:
            data: batches of pairs that the model was not trained on.
            model: yields `scores`, positive for a link.

        Returns:
            `accuracy` with `accuracy_stderr` (pairs taken for independent), `auc`: the chance that a link scores
            higher than a pair that is none, ties counting half (Hanley and McNeil, 1982), and `pairs`.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
        """
        check_data(self, data, model)
        scores: list[float] = []
        labels: list[bool] = []
        for batch, output in scored(
            model, track(data.get_data_generator(), "link accuracy", unit="batches", every=8)
        ):
            scores += output.scores.tolist()
            labels += batch.is_link.tolist()
        score, is_link = np.array(scores), np.array(labels, bool)
        accuracy = float(((score > 0) == is_link).mean()) if scores else math.nan
        return {
            "accuracy": accuracy,
            "accuracy_stderr": math.sqrt(accuracy * (1 - accuracy) / len(scores)) if scores else math.nan,
            "auc": area_under_curve(scores, labels),
            "pairs": float(len(scores)),
        }


def area_under_curve(scores: list[float], labels: list[bool]) -> float:
    """The Mann-Whitney statistic by ranks; NaN when all labels are equal.

    >>> area_under_curve([0.9, 0.2, 0.4, 0.4], [True, False, True, False])
    0.875
    """
    is_link = np.array(labels, bool)
    links, others = int(is_link.sum()), int((~is_link).sum())
    if not links or not others:
        return math.nan
    _, inverse, counts = np.unique(np.array(scores), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1 on
    return float((ranks[inverse][is_link].sum() - links * (links + 1) / 2) / (links * others))
