"""A moving average of the weights (EMA): smoother than the last ones, and as a rule a better model."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


class Average:
    """The average of a network's parameters over steps.

    After step t (from 1) each average moves towards its weight by `1 - min(decay, (1 + t) / (10 + t))`: short at
    first, so that the initial weights are soon forgotten.

    >>> network = nn.Linear(1, 1, bias=False)
    >>> average = Average(network, decay=0.5)
    >>> _ = network.weight.data.add_(1.0)
    >>> average.update(step=1)
    >>> bool((network.weight - average.tensors["weight"]).item() < 1)
    True
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin at the network's weights."""
        self._parameters = dict(network.named_parameters())
        self._decay = decay
        self.tensors = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step `step`, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        weights = [parameter.detach() for parameter in self._parameters.values()]
        torch._foreach_lerp_(list(self.tensors.values()), weights, 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the network has the averaged weights; afterwards its own, to the bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, parameter in self._parameters.items():
            held = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(held)
