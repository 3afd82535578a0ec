"""The ranks' area against its definition: a count over all pairs of a link and a pair that is none."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.benchmarks import LinkAccuracy
from gptlab.benchmarks.link_accuracy import area_under_curve
from gptlab.models import LinkPairs, LinkPredictor, LinkPredictorConfig


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans()), min_size=1, max_size=30))
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[float, bool]]) -> None:
    links = [score for score, is_link in rows if is_link]
    others = [score for score, is_link in rows if not is_link]
    found = area_under_curve([score for score, _ in rows], [is_link for _, is_link in rows])
    if not links or not others:
        assert math.isnan(found)
        return
    wins = [(a > b) + 0.5 * (a == b) for a in links for b in others]
    assert found == pytest.approx(sum(wins) / len(wins))


def test_figures_of_a_model_count_every_pair() -> None:
    rng = np.random.default_rng(0)

    class Pairs:
        def get_data_generator(self) -> Iterator[LinkPairs]:
            for size in (4, 2):
                ids = rng.integers(0, 10, (2, size, 3)).astype(np.int32)
                yield LinkPairs(linkers=ids[0], targets=ids[1], is_link=np.arange(size) % 2 == 0)

    figures = LinkAccuracy().calculate(Pairs(), LinkPredictor.instantiate(LinkPredictorConfig(vocab_size=10)))
    assert figures["pairs"] == 6
    assert 0 <= figures["accuracy"] <= 1 and 0 <= figures["auc"] <= 1
