"""Layouts for few rows: the same products, and the same network around them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.models.generation.few_rows import FewRows, with_few_rows
from gptlab.models.onednn import FEWEST_ROWS, Linear


@given(
    rows=st.integers(1, FEWEST_ROWS + 3),
    inputs=st.integers(1, 20),
    outputs=st.integers(1, 20),
    has_bias=st.booleans(),
)
@settings(max_examples=40)
def test_products_are_those_of_the_layer(rows: int, inputs: int, outputs: int, has_bias: bool) -> None:
    layer = Linear(inputs, outputs, bias=has_bias)
    fast, x = FewRows(layer), torch.randn(1, rows, inputs)
    with torch.inference_mode():
        for _ in range(2):  # laid out, and found so
            torch.testing.assert_close(fast(x), layer(x), atol=1e-5, rtol=1e-5)


def test_other_types_are_left_to_the_layer() -> None:
    layer = Linear(4, 6).double()
    x = torch.randn(1, 1, 4, dtype=torch.float64)
    assert torch.equal(FewRows(layer)(x), layer(x))


def test_the_network_is_left_as_it_was_and_shares_its_weights() -> None:
    network = DagTransformer.instantiate(DagTransformerConfig(layers=1, width=8, heads=2, vocab_size=10)).network
    names = [name for name, _ in network.named_modules()]
    fast = with_few_rows(network)
    assert [name for name, _ in network.named_modules()] == names
    assert isinstance(network.unembedding, Linear)
    assert isinstance(fast.unembedding, FewRows)
    assert fast.unembedding.weight is network.embedding.weight
    assert {id(weight) for weight in fast.parameters()} == {id(weight) for weight in network.parameters()}


@pytest.mark.parametrize("rows", [1, 2])
def test_a_layout_is_made_once(rows: int) -> None:
    layer = Linear(3, 5)
    fast, x = FewRows(layer), torch.randn(1, rows, 3)
    with torch.inference_mode():
        first = fast(x)
        with torch.no_grad():
            layer.weight.zero_()
        assert torch.equal(fast(x), first)
