"""What training asks of a model, and what it holds between two steps."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import attrs
import torch
from torch import nn

from gptlab.training.average import Average
from gptlab.training.optimizers import Optimizers
from gptlab.training.ranks import Ranks

A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True, bound="HasLoss")
S = TypeVar("S")  # typing.Self, which the run-time check of tests cannot read


@runtime_checkable
class HasLoss(Protocol):
    """What a model yields for a batch: at least the number to be made small.

    >>> @attrs.frozen
    ... class Output:
    ...     loss: torch.Tensor
    """

    @property
    def loss(self) -> torch.Tensor:
        """A scalar with a gradient."""


@runtime_checkable
class TrainableModel(Protocol[A_contra, B_co]):
    """A model that can be trained by gradients. A complete one:

    >>> @attrs.frozen
    ... class Line:
    ...     network: nn.Module
    ...     def forward(self, items: Iterator[torch.Tensor]) -> Iterator[HasLoss]:
    ...         for item in items:
    ...             yield Output(loss=(self.network(item) - 2 * item).square().mean())
    ...     def copy(self) -> "Line":
    ...         return Line(copy.deepcopy(self.network))
    ...     def save_to_dir(self, directory: Path) -> None:
    ...         save_file(self.network.state_dict(), directory / "weights.safetensors")
    ...     @classmethod
    ...     def load_from_dir(cls, directory: Path) -> "Line":
    ...         network = nn.Linear(1, 1)
    ...         network.load_state_dict(load_file(directory / "weights.safetensors"))
    ...         return cls(network)
    """

    @property
    def network(self) -> nn.Module:
        """Whose parameters are trained."""

    def forward(self, items: Iterator[A_contra], /) -> Iterator[B_co]:
        """One output for each batch, lazily: the loop changes the weights between two yields."""

    def copy(self: S) -> S:
        """The same model with weights of its own."""

    def save_to_dir(self, directory: Path) -> None:
        """Write everything that `load_from_dir` needs; weights to the bit."""

    @classmethod
    def load_from_dir(cls: type[S], directory: Path) -> S:
        """The same model."""


M = TypeVar("M", bound=TrainableModel[Any, Any])


@runtime_checkable
class PlainModels(Protocol[M]):
    """Gives models that can be saved; `gptlab.training.saver.Saver` is one.

    >>> class Itself:
    ...     def plain(self, model: object) -> object:
    ...         return model
    """

    def plain(self, model: M) -> M:
        """The trained model as a whole; every rank must ask."""


@attrs.define(kw_only=True)
class TrainState(Generic[M]):
    """Where a run stands between two steps; hooks read it.

    Attributes:
        model: being trained, in place. Gradients of the step (after clipping) are on its parameters.
        optimizers: with their state.
        steps: in all.
        step: done.
        tokens: read so far, by all ranks (0 where batches have no tokens).
        seconds: spent in steps so far, in this process and those it goes on from.
        loss: of the last step; the mean over what its batches teach.
        figures: of the last step, those of earlier hooks included.
        memory: what hooks remember from step to step, by name: JSON, which checkpoints keep.
        average: the moving average of the weights, where one is kept.
        directory: of the run; None where nothing is written.
        ranks: this process among those of the run.
        saver: its `plain` gives the model as something that can be saved.
    """

    model: M
    optimizers: Optimizers
    steps: int
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = float("nan")
    figures: dict[str, int | float] = attrs.field(factory=dict)
    memory: dict[str, Any] = attrs.field(factory=dict)
    average: Average | None = None
    directory: Path | None = None
    ranks: Ranks = attrs.field(factory=Ranks)
    saver: "PlainModels[M] | None" = None

    def is_due(self, every: int) -> bool:
        """Whether this step is a multiple of `every`, or the last."""
        return self.step % every == 0 or self.step == self.steps

    def stop(self, reason: str) -> None:
        """End the training after this step, for good: going on from its checkpoint ends at once."""
        self.memory["stopped"] = reason

    @property
    def is_stopped(self) -> bool:
        """Whether a hook has ended the training."""
        return "stopped" in self.memory

    def plain(self) -> M:
        """The model as a whole, with the weights that it has now; every rank must ask."""
        return self.model if self.saver is None else self.saver.plain(self.model)

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block `model` has the averaged weights, where an average is kept."""
        return self.average.in_place() if self.average is not None else contextlib.nullcontext()
