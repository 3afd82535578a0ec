"""Every kernel against the dense one, and the dense one against a softmax written out."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import SPECS, batches

from gptlab.models import MaskSpec, dense_mask, gathered
from gptlab.models import plan as planning
from gptlab.models.attention import Attend, dense_attention
from gptlab.models.gathered import gathered_attention
from gptlab.models.plan import make_plan
from gptlab.types import Batch


def gathered_apart(documents: torch.Tensor, edges: torch.Tensor, spec: MaskSpec) -> Attend:
    """The kernel with one rectangle per segment and with short ones, so that keys come from several ranges."""
    with mock.patch.multiple(planning, CALL_PAIRS=-1, LONGEST_QUERIES=4):
        return gathered_attention(documents, edges, spec)


def gathered_by_flash(documents: torch.Tensor, edges: torch.Tensor, spec: MaskSpec) -> Attend:
    """The form that keeps no probabilities."""
    attend = gathered_apart(documents, edges, spec)

    def without_keeping(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        with mock.patch.object(gathered, "MOST_KEPT", -1):
            return attend(queries, keys, values)

    return without_keeping


KERNELS = {
    "dense": dense_attention,
    "gathered": gathered_attention,
    "gathered apart": gathered_apart,
    "gathered by flash": gathered_by_flash,
}


def fields(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(batch.documents), torch.from_numpy(batch.edges)


def inputs(batch: Batch, heads: int, key_heads: int, seed: int) -> list[torch.Tensor]:
    rows, seq = batch.tokens.shape
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, heads, seq, 8), (rows, key_heads, seq, 8), (rows, key_heads, seq, 8)]
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


def written_out(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    group = queries.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(group, dim=1), values.repeat_interleave(group, dim=1)
    scores = torch.einsum("bhqs,bhks->bhqk", queries, keys) / queries.shape[-1] ** 0.5
    return torch.softmax(scores.masked_fill(~mask[:, None], -torch.inf), dim=-1) @ values


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches(), heads=st.sampled_from([(1, 1), (4, 4), (4, 2), (2, 1)]), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_outputs_and_gradients_are_those_of_the_definition(
    kernel: str, spec: MaskSpec, batch: Batch, heads: tuple[int, int], seed: int
) -> None:
    documents, edges = fields(batch)
    real = (documents >= 0)[:, None, :, None]
    results = []
    for attend in (
        KERNELS[kernel](documents, edges, spec),
        lambda q, k, v: written_out(q, k, v, dense_mask(documents, edges, spec)),
    ):
        tensors = inputs(batch, *heads, seed)
        out = attend(*tensors)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        results.append([out.detach(), *(tensor.grad for tensor in tensors)])
    for fast, slow in zip(*results, strict=True):
        assert torch.isfinite(fast).all()
        torch.testing.assert_close(fast, slow, atol=5e-6, rtol=1e-4)
    assert torch.equal(results[0][0] * ~real, results[0][0].masked_fill(real, 0))


@pytest.mark.parametrize("kernel", ["gathered", "gathered apart", "gathered by flash"])
@given(batch=batches(), spec=st.sampled_from(SPECS), heads=st.sampled_from([(2, 2), (4, 2)]), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_in_bfloat16_they_are_the_definition_up_to_rounding(
    kernel: str, spec: MaskSpec, batch: Batch, heads: tuple[int, int], seed: int
) -> None:
    """The definition in float32, of the same rounded numbers."""
    documents, edges = fields(batch)
    rounded = [tensor.detach().bfloat16() for tensor in inputs(batch, *heads, seed)]
    results = []
    for attend, dtype in (
        (KERNELS[kernel](documents, edges, spec), torch.bfloat16),
        (dense_attention(documents, edges, spec), torch.float32),
    ):
        tensors = [tensor.to(dtype, copy=True).requires_grad_() for tensor in rounded]
        out = attend(*tensors)
        assert out.dtype == dtype
        (out * torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out)).sum().backward()
        results.append([out.detach(), *(tensor.grad for tensor in tensors)])
    for fast, slow in zip(*results, strict=True):
        assert fast.dtype == torch.bfloat16
        torch.testing.assert_close(fast.float(), slow, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("call_pairs", [0, 20, 10**9])
@pytest.mark.parametrize("longest", [1, 3, 256])
@pytest.mark.parametrize("spec", [MaskSpec("from_link"), MaskSpec("whole_document", ancestors=True)], ids=str)
def test_joining_and_cutting_change_nothing(
    spec: MaskSpec, call_pairs: int, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CALL_PAIRS", call_pairs)
    monkeypatch.setattr(planning, "LONGEST_QUERIES", longest)

    @given(batch=batches())
    @settings(max_examples=12)
    def holds(batch: Batch) -> None:
        documents, edges = fields(batch)
        tensors = inputs(batch, 2, 1, 0)
        fast = gathered_attention(documents, edges, spec)(*tensors)
        torch.testing.assert_close(fast, dense_attention(documents, edges, spec)(*tensors), atol=5e-6, rtol=1e-4)
        assert all(1 <= b.queries[1] - b.queries[0] <= longest for b in make_plan(documents, edges, spec).rectangles)

    holds()


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches())
@settings(max_examples=30)
def test_the_plan_covers_each_real_query_once_and_computes_all_that_is_seen(spec: MaskSpec, batch: Batch) -> None:
    documents, edges = fields(batch)
    plan = make_plan(documents, edges, spec)
    covered = torch.zeros_like(documents)
    seen = torch.eye(documents.shape[1], dtype=torch.bool).repeat(len(documents), 1, 1)
    for block in plan.rectangles:
        rows = slice(*block.queries)
        covered[block.row, rows] += 1
        columns = torch.cat([torch.arange(*span) for span in block.keys])
        shown = torch.zeros(rows.stop - rows.start, len(columns))
        shown[:, len(columns) - block.bias.shape[1] :] = block.bias
        seen[block.row, rows] = False
        seen[block.row, rows.start : rows.stop, columns] = shown == 0
    assert torch.equal(covered, (documents >= 0).int())
    assert torch.equal(seen, dense_mask(documents, edges, spec))
    assert plan.pairs >= int((seen & (documents >= 0)[:, :, None]).sum())
    assert plan.lengths == tuple((documents >= 0).sum(dim=1).tolist())


def test_separate_documents_cost_the_sum_of_their_squares() -> None:
    documents = torch.arange(4).repeat_interleave(100)[None]
    no_edges = torch.zeros(1, 0, 3, dtype=torch.int32)
    plan = make_plan(documents, no_edges, MaskSpec("from_link"))
    assert len(plan.rectangles) == 4
    assert plan.pairs == 4 * 100**2


@pytest.mark.parametrize(("most", "form"), [(2 * 19, "_ProductsBackward"), (2 * 19 - 1, "_FlashBackward")])
def test_the_form_is_chosen_by_what_would_be_kept(most: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "MOST_KEPT", most)
    monkeypatch.setattr(planning, "LONGEST_QUERIES", 3)
    documents, no_edges = torch.zeros(1, 5, dtype=torch.int32), torch.zeros(1, 0, 3, dtype=torch.int32)
    monkeypatch.setattr(planning, "CALL_PAIRS", -1)
    assert make_plan(documents, no_edges, MaskSpec()).pairs == 3 * 3 + 2 * 5
    tensors = [torch.randn(1, 2, 5, 4, requires_grad=True) for _ in range(3)]
    out = gathered_attention(documents, no_edges, MaskSpec())(*tensors)
    assert type(out.grad_fn).__name__ == form


def test_the_gathered_kernel_keeps_nothing_when_no_gradient_is_asked_for() -> None:
    documents, no_edges = torch.zeros(1, 5, dtype=torch.int32), torch.zeros(1, 0, 3, dtype=torch.int32)
    tensors = [torch.randn(1, 2, 5, 4) for _ in range(3)]
    assert gathered_attention(documents, no_edges, MaskSpec())(*tensors).grad_fn is None
