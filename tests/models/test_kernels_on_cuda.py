"""The two CUDA kernels on a CPU: mask function interpreted, block table and varlen plan held to the dense mask."""

import inspect
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import SPECS, batches
from torch import Tensor
from torch.nn.attention import varlen as torch_varlen

from gptlab.models import MaskSpec, dense_mask, flex, varlen
from gptlab.models.attention import dense_attention
from gptlab.models.flex import block_mask, block_table, flex_attention_along_links, mask_function
from gptlab.models.kernels import kernel_for
from gptlab.models.varlen import call_varlen_attn, varlen_attention, varlen_plan
from gptlab.types import Batch

CPU = torch.device("cpu")


def dense(batch: Batch, spec: MaskSpec) -> Tensor:
    return dense_mask(torch.from_numpy(batch.documents), torch.from_numpy(batch.edges), spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches())
@settings(max_examples=25)
def test_the_mask_function_interpreted_is_the_dense_mask(spec: MaskSpec, batch: Batch) -> None:
    is_seen = mask_function(block_table(batch.documents, batch.edges, spec), CPU)
    rows, seq = batch.tokens.shape
    index = torch.arange(seq)
    found = is_seen(torch.arange(rows)[:, None, None], torch.tensor(0), index[:, None], index)
    assert torch.equal(found, dense(batch, spec))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches(), block=st.integers(1, 9))
@settings(max_examples=25)
def test_blocks_are_full_partial_or_left_out_as_the_dense_mask_has_them(
    spec: MaskSpec, batch: Batch, block: int
) -> None:
    table = block_table(batch.documents, batch.edges, spec, block)
    seq = batch.tokens.shape[1]
    blocks = -(-seq // block)
    padded = torch.zeros(len(batch.tokens), blocks * block, blocks * block, dtype=torch.bool)
    padded[:, :seq, :seq] = dense(batch, spec)
    seen = padded.unflatten(2, (blocks, block)).unflatten(1, (blocks, block)).transpose(2, 3).flatten(3)
    assert table.full.tolist() == seen.all(dim=-1).tolist()
    assert table.partial.tolist() == (seen.any(dim=-1) & ~seen.all(dim=-1)).tolist()


@given(batch=batches(longest=100))
@settings(max_examples=6, deadline=None)
def test_block_mask_is_the_one_that_torch_finds_by_looking_at_every_pair(batch: Batch) -> None:
    table = block_table(batch.documents, batch.edges, MaskSpec())
    ours = block_mask(table, CPU)
    rows, seq = batch.tokens.shape
    theirs = torch.nn.attention.flex_attention.create_block_mask(
        ours.mask_mod, rows, None, seq, seq, device="cpu", BLOCK_SIZE=flex.BLOCK
    )
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    assert torch.equal(ours.kv_num_blocks, theirs.kv_num_blocks)
    assert theirs.full_kv_num_blocks is not None
    assert torch.equal(ours.full_kv_num_blocks, theirs.full_kv_num_blocks)
    assert ours.seq_lengths == theirs.seq_lengths == (seq, seq)


def flex_interpreted(query: Tensor, key: Tensor, value: Tensor, *, block_mask: Any, enable_gqa: bool) -> Tensor:
    """What FlexAttention does with a BlockMask: listed blocks alone, the mask function in those that are not full."""
    rows, seq = query.shape[0], query.shape[2]
    index = torch.arange(seq)
    seen = torch.zeros(rows, seq, seq, dtype=torch.bool)
    by_function = block_mask.mask_mod(torch.arange(rows)[:, None, None], torch.tensor(0), index[:, None], index)
    for counts, indices, shown in (
        (block_mask.kv_num_blocks, block_mask.kv_indices, by_function),
        (block_mask.full_kv_num_blocks, block_mask.full_kv_indices, torch.ones_like(by_function)),
    ):
        for row, _, above in np.ndindex(*counts.shape):
            for left in indices[row, 0, above, : counts[row, 0, above]].tolist():
                span = (
                    slice(above * flex.BLOCK, (above + 1) * flex.BLOCK),
                    slice(left * flex.BLOCK, (left + 1) * flex.BLOCK),
                )
                seen[row][span] = shown[row][span]
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=seen[:, None], enable_gqa=enable_gqa
    )


@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@given(batch=batches(longest=40))
@settings(max_examples=6, deadline=None)
def test_flex_interpreted_gives_outputs_and_gradients_of_the_definition(heads: tuple[int, int], batch: Batch) -> None:
    documents, edges = torch.from_numpy(batch.documents), torch.from_numpy(batch.edges)
    results = []
    for kernel in (flex_attention_along_links, dense_attention):
        own = [tensor.requires_grad_() for tensor in tensors(batch, *heads)]
        with mock.patch.object(flex, "_compiled", lambda: flex_interpreted), mock.patch.object(flex, "BLOCK", 16):
            table = block_table(batch.documents, batch.edges, MaskSpec(), 16)
            with mock.patch.object(flex, "block_table", mock.Mock(return_value=table)):
                out = kernel(documents, edges, MaskSpec())(*own)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        results.append([out.detach(), *(tensor.grad for tensor in own)])
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)


@given(data=st.data())
@settings(max_examples=10)
def test_no_batch_of_the_same_size_makes_the_compiler_see_another_shape(data: st.DataObject) -> None:
    """Of every tensor that goes into the kernel: those of the block mask, and those that its mask function reads."""
    rows, seq = data.draw(st.integers(1, 2)), data.draw(st.sampled_from([1, 130, 1024, 2048]))
    seen = set()
    for _ in range(4):
        documents, edges = data.draw(packed(rows, seq))
        table = block_table(documents, edges, data.draw(st.sampled_from(SPECS)))
        mask = block_mask(table, CPU)
        read = inspect.getclosurevars(inspect.unwrap(mask_function(table, CPU))).nonlocals.values()
        given_ = [part for part in (*mask.as_tuple(), *read) if isinstance(part, Tensor)]
        assert len(given_) == 8 + 3
        seen.add(tuple((part.shape, part.stride(), part.dtype) for part in given_))
    assert len(seen) == 1


@st.composite
def packed(draw: st.DrawFn, rows: int, seq: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of documents of 32 tokens or more, padding at the end or none, with no links or a few."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    length = draw(st.integers(2 * flex.TOKENS_OF_A_SEGMENT, 200))
    documents = np.full((rows, seq), -1, np.int32)
    edges = np.full((rows, draw(st.integers(0, 5)), 3), -1, np.int32)
    for row in range(rows):
        stop = seq - int(rng.integers(0, seq)) * draw(st.booleans())
        documents[row, :stop] = np.arange(stop) // length
        count = documents[row].max()
        sources = 1 + np.sort(rng.permutation(count)[: edges.shape[1]])
        for number, source in enumerate(sources):
            end = min(stop, (source + 1) * length)
            edges[row, number] = source, rng.integers(0, source), rng.integers(source * length, end)
    return documents, edges


def test_a_row_of_very_many_documents_has_a_larger_table() -> None:
    documents, no_edges = np.arange(130, dtype=np.int32)[None], np.zeros((1, 0, 3), np.int32)
    assert block_table(documents, no_edges, MaskSpec()).reach.shape == (1, 256, 256)
    assert block_table(documents // 2, no_edges, MaskSpec()).reach.shape == (1, 128, 128)
    assert block_table(documents // 3, no_edges, MaskSpec()).reach.shape == (1, 64, 64)


def tensors(batch: Batch, heads: int, key_heads: int) -> list[Tensor]:
    rows, seq = batch.tokens.shape
    generator = torch.Generator().manual_seed(seq)
    return [torch.randn(rows, count, seq, 8, generator=generator) for count in (heads, key_heads, key_heads)]


def interpreted(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """What `torch.nn.attention.varlen.varlen_attn` says it does: causal means aligned at the ends."""
    assert window_size == (-1, 0)
    assert enable_gqa == (query.shape[1] != key.shape[1])
    out = torch.empty_like(query)
    lengths = []
    for start, stop, first, last in zip(cu_seq_q, cu_seq_q[1:], cu_seq_k, cu_seq_k[1:], strict=False):
        rows, columns = int(stop - start), int(last - first)
        lengths.append((rows, columns))
        visible = torch.ones(rows, columns, dtype=torch.bool).tril(columns - rows)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            *(part.transpose(0, 1)[None] for part in (query[start:stop], key[first:last], value[first:last])),
            attn_mask=visible,
            enable_gqa=enable_gqa,
        )
        out[start:stop] = mixed[0].transpose(0, 1)
    assert (max_q, max_k) == (max(n for n, _ in lengths), max(m for _, m in lengths))
    assert int(cu_seq_q[-1]) == len(query)
    assert int(cu_seq_k[-1]) == len(key)
    return out


@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches())
@settings(max_examples=6, deadline=None)
def test_varlen_interpreted_gives_outputs_and_gradients_of_the_definition(
    spec: MaskSpec, heads: tuple[int, int], batch: Batch
) -> None:
    documents, edges = torch.from_numpy(batch.documents), torch.from_numpy(batch.edges)
    results = []
    for kernel in (varlen_attention, dense_attention):
        own = [tensor.bfloat16().requires_grad_() for tensor in tensors(batch, *heads)]

        def in_float32(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Tensor:
            return interpreted(query.float(), key.float(), value.float(), *rest, **named)

        with mock.patch.object(torch_varlen, "varlen_attn", in_float32), knowing("window_size", "enable_gqa"):
            given_ = own if kernel is varlen_attention else [tensor.float() for tensor in own]
            out = kernel(documents, edges, spec)(*given_)
        (out.float() * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        results.append([out.detach().float(), *(tensor.grad.float() for tensor in own)])
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, atol=2e-2, rtol=2e-2)


def knowing(*parameters: str) -> Any:
    """A torch whose function has these parameters."""
    return mock.patch.object(varlen, "_known_parameters", lambda: frozenset(parameters))


@given(batch=batches())
def test_varlen_plan_computes_each_query_once_and_no_pair_outside_the_rectangles_of_documents(batch: Batch) -> None:
    plan = varlen_plan(batch.documents, batch.edges, MaskSpec())
    assert plan.query_ends[-1] == batch.tokens.size
    assert len(plan.key_index) == plan.key_ends[-1]
    queries, keys = np.diff(plan.query_ends), np.diff(plan.key_ends)
    assert (queries <= keys).all()
    computed = int((queries * keys - queries * (queries - 1) // 2).sum())
    assert computed == int(dense(batch, MaskSpec()).sum())


@pytest.mark.parametrize(
    ("parameters", "said", "key_heads"),
    [
        (("is_causal",), {"is_causal": True}, 4),
        (("window_size",), {"window_size": (-1, 0)}, 4),
        (("window_size", "enable_gqa"), {"window_size": (-1, 0), "enable_gqa": True}, 2),
    ],
)
def test_each_torch_is_asked_in_its_own_words(
    parameters: tuple[str, ...], said: dict[str, object], key_heads: int
) -> None:
    calls: list[tuple[tuple[int, ...], dict[str, object]]] = []

    def varlen_attn(query: Tensor, key: Tensor, value: Tensor, *where: object, **named: object) -> Tensor:
        calls.append((tuple(key.shape), named))
        return query

    with mock.patch.object(torch_varlen, "varlen_attn", varlen_attn), knowing(*parameters):
        call_varlen_attn(torch.ones(3, 4, 8), torch.ones(5, 2, 8), torch.ones(5, 2, 8), has_groups=True)
    assert calls == [((5, key_heads, 8), said)]


def test_the_installed_torch_takes_what_is_said() -> None:
    parameters = list(inspect.signature(torch_varlen.varlen_attn).parameters)
    assert parameters[:7] == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
    assert {"window_size", "is_causal"} & set(parameters)


def test_varlen_refuses_float32() -> None:
    documents, no_edges = torch.zeros(1, 3, dtype=torch.int32), torch.zeros(1, 0, 3, dtype=torch.int32)
    with pytest.raises(ValueError, match=r"queries in torch\.float32"):
        varlen_attention(documents, no_edges, MaskSpec())(*[torch.zeros(1, 1, 3, 8) for _ in range(3)])


@pytest.mark.parametrize("name", ["flex", "varlen"])
def test_a_kernel_for_cuda_is_refused_elsewhere_and_not_replaced(name: Any) -> None:
    with pytest.raises(ValueError, match="DagTransformerConfig") as caught:
        kernel_for(name, CPU)
    assert f"got     '{name}' for a model on cpu\n  wanted  a CUDA device" in str(caught.value)
    assert kernel_for(name, torch.device("cuda")) is not kernel_for("gathered", CPU)


def test_auto_is_flex_on_cuda() -> None:
    assert kernel_for("auto", torch.device("cuda")) is flex_attention_along_links
