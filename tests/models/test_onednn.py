"""Linear layers by oneDNN against PyTorch's own, outputs and gradients, and when which is taken."""

import pytest
import torch
from agreement import agree
from torch import nn

from gptlab.models import onednn
from gptlab.models.onednn import Linear


@pytest.mark.parametrize("rows", [onednn.FEWEST_ROWS - 1, onednn.FEWEST_ROWS, 70])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("has_onednn", [True, False])
def test_linear(rows: int, bias: bool, has_onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "HAS_ONEDNN", has_onednn and onednn.HAS_ONEDNN)
    torch.manual_seed(rows)
    ours, plain = Linear(12, 7, bias=bias), nn.Linear(12, 7, bias=bias)
    plain.load_state_dict(ours.state_dict())
    agree(ours, plain, torch.randn(2, rows, 12))
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4)


def test_linear_takes_onednn_for_many_rows_of_float32_on_a_cpu_alone() -> None:
    layer = Linear(4, 4)
    name = "_OneDnnLinearBackward" if onednn.HAS_ONEDNN else "ViewBackward0"
    assert type(layer(torch.ones(1, 64, 4)).grad_fn).__name__ == name
    assert type(layer(torch.ones(1, 3, 4)).grad_fn).__name__ != "_OneDnnLinearBackward"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.ones(1, 64, 4)).dtype == torch.bfloat16
    assert layer.double()(torch.ones(1, 64, 4, dtype=torch.float64)).dtype == torch.float64
