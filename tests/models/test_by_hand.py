"""What is written by hand against autograd over the plain definition, outputs and gradients."""

import pytest
import torch
from agreement import agree
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import batches
from torch import Tensor, nn
from torch.nn import functional

from gptlab.models.by_hand import RmsNorm, crossings, linear_losses, relu_squared, short_conv, split_heads
from gptlab.models.transformer import rotary_angles, rotate
from gptlab.types import Batch

seeds = st.integers(0, 99)


def conv_of_the_definition(x: Tensor, weight: Tensor, documents: Tensor) -> Tensor:
    """Token by token, tap by tap."""
    rows = []
    for row in range(len(x)):
        tokens = []
        for at in range(x.shape[1]):
            out = x[row, at]
            for back in range(min(len(weight), at + 1)):
                if documents[row, at - back] == documents[row, at]:
                    out = out + weight[back, 0] * x[row, at - back]
            tokens.append(out)
        rows.append(torch.stack(tokens))
    return torch.stack(rows)


@given(batch=batches(longest=6), taps=st.integers(1, 6), seed=seeds)
@settings(max_examples=40)
def test_short_conv(batch: Batch, taps: int, seed: int) -> None:
    documents = torch.from_numpy(batch.documents)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*documents.shape, 3, generator=generator)
    weight = torch.randn(taps, 1, 3, generator=generator)
    agree(
        lambda x, weight: short_conv(x, weight, crossings(documents, taps - 1)),
        lambda x, weight: conv_of_the_definition(x, weight, documents),
        x,
        weight,
    )


@given(seed=seeds)
def test_relu_squared(seed: int) -> None:
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed))
    agree(relu_squared, lambda x: functional.relu(x) ** 2, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=seeds, rows=st.integers(1, 4), scale=st.sampled_from([1e-4, 1.0, 1e4]))
@settings(max_examples=20)
def test_rms_norm(dtype: torch.dtype, seed: int, rows: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, rows, 6, generator=generator, dtype=dtype)
    ours, plain = RmsNorm(6, eps=1e-2, dtype=dtype), nn.RMSNorm(6, eps=1e-2, dtype=dtype)
    ours.load_state_dict({"weight": torch.randn(6, generator=generator, dtype=dtype)})
    plain.load_state_dict(ours.state_dict())
    agree(ours, plain, x * scale, atol=1e-5 * max(1, 1 / scale))
    assert ours.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, atol=1e-5, rtol=1e-4)


def test_rms_norm_gives_what_it_gets_in_bfloat16() -> None:
    x, plain = torch.randn(3, 8).bfloat16(), nn.RMSNorm(8, eps=1e-3).bfloat16()
    own = x.clone().requires_grad_()
    out = RmsNorm(8, eps=1e-3).bfloat16()(own)
    out.sum().backward()
    assert (out.dtype, own.grad.dtype) == (torch.bfloat16, torch.bfloat16)
    torch.testing.assert_close(out, plain(x), atol=0.02, rtol=0.02)


def plain_losses(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(x @ weight.T, targets, ignore_index=-1, reduction="none")


@pytest.mark.parametrize("most", [1, 30, 10**6])
@given(targets=st.lists(st.integers(-1, 8), min_size=1, max_size=70), seed=seeds, scale=st.sampled_from([0.1, 30.0]))
@settings(max_examples=25)
def test_linear_losses(most: int, targets: list[int], seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(len(targets), 5, generator=generator), torch.randn(9, 5, generator=generator) * scale
    wanted = torch.tensor(targets)
    agree(
        lambda x, weight: linear_losses(x, weight, wanted, most),
        lambda x, weight: plain_losses(x, weight, wanted),
        x,
        weight,
        atol=1e-4,
    )


def test_losses_stay_finite_and_exact_where_the_target_is_all_but_impossible() -> None:
    x, weight = torch.tensor([[200.0]]), torch.tensor([[1.0], [-1.0]])
    assert linear_losses(x, weight, torch.tensor([1]), 10).item() == 400.0
    assert linear_losses(x, weight, torch.tensor([0]), 10).item() == 0.0


def test_a_second_backward_pass_is_refused_rather_than_wrong() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    loss = linear_losses(x, torch.randn(5, 4), torch.tensor([0, 1, 2]), 100).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_in_autocast_losses_are_those_of_rounded_logits() -> None:
    x, weight = torch.randn(40, 16, requires_grad=True), torch.randn(9, 16, requires_grad=True)
    targets = torch.arange(40) % 9
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = linear_losses(x, weight, targets, 10**6)
    losses.mean().backward()
    assert losses.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    torch.testing.assert_close(losses, plain_losses(x, weight, targets), atol=0.1, rtol=0.05)


@pytest.mark.parametrize("is_normed", [True, False])
@pytest.mark.parametrize("is_turned", [True, False])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (4, 2), (2, 1)])
def test_heads_are_split_normed_and_turned(is_normed: bool, is_turned: bool, heads: int, key_heads: int) -> None:
    torch.manual_seed(heads)
    norms = (nn.RMSNorm(8, eps=1e-3), nn.RMSNorm(8, eps=1e-3))
    for norm in norms:
        nn.init.normal_(norm.weight)
    rotation = rotary_angles(torch.arange(5).repeat(2, 1), 8, 100.0) if is_turned else None

    def plain(qkv: Tensor, *given_: Tensor) -> Tensor:
        weights = given_ or tuple(norm.weight.detach() for norm in norms)
        parts = list(qkv.transpose(1, 2).split([heads, key_heads, key_heads], dim=1))
        for at, weight in enumerate(weights if is_normed else ()):
            parts[at] = functional.rms_norm(parts[at], (8,), weight, 1e-3)
        if rotation is not None:
            parts[:2] = [rotate(part, rotation) for part in parts[:2]]
        return torch.cat(parts, dim=1)

    def by_hand_(qkv: Tensor, *weights: Tensor) -> Tensor:
        return torch.cat(split_heads(qkv, norms if is_normed else None, rotation, heads, key_heads), dim=1)

    agree(by_hand_, plain, torch.randn(2, 5, heads + 2 * key_heads, 8))
    if is_normed:
        qkv = torch.randn(2, 5, heads + 2 * key_heads, 8)
        for norm in norms:
            norm.weight.grad = None
        weights = [norm.weight.detach().clone().requires_grad_() for norm in norms]
        for function, inputs in ((by_hand_, ()), (plain, weights)):
            (function(qkv, *inputs) * torch.arange(8.0)).sum().backward()
        for norm, weight in zip(norms, weights, strict=True):
            torch.testing.assert_close(norm.weight.grad, weight.grad, atol=1e-4, rtol=1e-4)
