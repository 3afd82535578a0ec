"""A trainer without gradients: every batch is shown to the model once, and the model counts.

It keeps the contract honest (a trainer is not torch in disguise): `gptlab.models.NGram`, which every language model
must beat, is trained by it.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import attrs

from gptlab.pipeline import pipeline, takes, track
from gptlab.pipeline.protocols import Source

S = TypeVar("S")


@runtime_checkable
class CountingModel(Protocol):
    """A model that learns by looking; `gptlab.models.NGram` is one. A complete one:

    >>> class Seen:
    ...     def __init__(self, numbers: frozenset[int] = frozenset()) -> None:
    ...         self.numbers = numbers
    ...     def learn(self, batch: int) -> None:
    ...         self.numbers = self.numbers | {batch}
    ...     def forward(self, items: Iterator[int]) -> Iterator[bool]:
    ...         return (item in self.numbers for item in items)
    ...     def copy(self) -> "Seen":
    ...         return Seen(self.numbers)
    ...     def save_to_dir(self, directory: Path) -> None:
    ...         (directory / "seen.txt").write_text(" ".join(map(str, self.numbers)))
    """

    def learn(self, batch: Any) -> None:
        """Take one batch in."""

    def forward(self, items: Any) -> Iterator[Any]:
        """Score batches, as any model does."""

    def copy(self: S) -> S:
        """The same model with numbers of its own."""

    def save_to_dir(self, directory: Path) -> None:
        """Write everything that `load_from_dir` needs."""


C = TypeVar("C", bound=CountingModel)


@attrs.frozen(kw_only=True, eq=False)
class FoldTrainer(Generic[C]):
    """Shows each batch to a copy of the model.

    Attributes:
        model: where training begins; never changed.
        data_source: of what the model's `forward` takes.
        batches: how many are shown; None: all there are.
    """

    model: C
    data_source: Source[Any]
    batches: int | None = None

    @classmethod
    def instantiate(cls, batches: int | None, model: C, data_source: Source[Any]) -> "FoldTrainer[C]":
        """A trainer whose data are known to fit the model.

        Raises:
            ContractError: when they do not.
        """
        pipeline(data_source, model.forward)
        return cls(model=model, data_source=data_source, batches=batches)

    def train_input_type(self) -> Any:
        """What a batch must be."""
        return takes(self.model.forward)

    def train_output_type(self) -> type[Any]:
        """What `train` returns."""
        return type(self.model)

    def train(self) -> C:
        """Train a copy of the model and return it."""
        model = self.model.copy()
        batches = itertools.islice(self.data_source.get_data_generator(), self.batches)
        total = None if self.batches is None else float(self.batches)
        for batch in track(batches, "train", total=total, unit="batches", every=8):
            model.learn(batch)
        return model
