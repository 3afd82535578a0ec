"""Five stages as users write them: they compose, the run-time check passes them, and so do the laws."""

from collections.abc import Iterator
from typing import Any, TypeVar

import attrs
import numpy as np
import pytest
import torch
from jaxtyping import Float32, Int64
from torch import nn

from gptlab.pipeline import ContractError, pipeline
from gptlab.testing import check_stage
from gptlab.testing.laws import STAGE_LAWS

T = TypeVar("T")


def letters(words: Iterator[str]) -> Iterator[Int64[np.ndarray, "letters"]]:
    """A function."""
    for word in words:
        yield np.array([ord(letter) % 32 for letter in word], np.int64)


@attrs.frozen
class Every:
    """An attrs value, generic: it takes every nth item of whatever comes."""

    nth: int = 2

    def __call__(self, items: Iterator[T]) -> Iterator[T]:
        for number, item in enumerate(items):
            if number % self.nth == 0:
                yield item


@attrs.frozen
class PadTo:
    """An attrs value on bare jaxtyping arrays, with a size of its own in the axes."""

    width: int = 6

    def __call__(self, rows: Iterator[Int64[np.ndarray, "n"]]) -> Iterator[Int64[torch.Tensor, "{self.width}"]]:
        for row in rows:
            padded = torch.zeros(self.width, dtype=torch.int64)
            padded[: len(row)] = torch.from_numpy(row[: self.width].copy())
            yield padded


class Embed(nn.Module):
    """A torch module's method."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(32, 3, generator=generator))

    def rows(self, ids: Iterator[Int64[torch.Tensor, "seq"]]) -> Iterator[Float32[torch.Tensor, "seq 3"]]:
        for row in ids:
            yield self.table[row % 32].detach()


def total(rows: Iterator[Float32[torch.Tensor, "seq width"]]) -> Iterator[float]:
    """A function from torch to plain numbers."""
    for row in rows:
        yield float(row.double().sum())


STAGES: list[Any] = [letters, Every(), PadTo(), Embed().rows, total]


@pytest.mark.parametrize("stage", STAGES, ids=["function", "generic", "arrays", "module", "to numbers"])
def test_each_obeys_the_laws(stage: Any) -> None:
    held = check_stage(stage, max_examples=10)
    assert set(held.laws) | set(held.left_out) == {law.name for law in STAGE_LAWS}
    assert len(held.laws) >= 8


def test_they_compose() -> None:
    chain = pipeline(*STAGES).checked("all")
    assert len(list(chain(iter(["abc", "skipped", "de"])))) == 2
    check_stage(
        chain, max_examples=5, leave_out={"save_and_load": "it holds a module, which no configuration writes"}
    )


def test_in_another_order_they_do_not() -> None:
    with pytest.raises(ContractError, match="cannot follow"):
        pipeline(letters, Embed().rows)
