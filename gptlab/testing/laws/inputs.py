"""The input of a stage: given, or drawn from what it takes."""

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from gptlab.pipeline.signature import read
from gptlab.testing.example import Example
from gptlab.testing.laws.law import axes_of
from gptlab.testing.streaming import streams

Stage = Callable[[Iterator[Any]], Any]


def inputs_of(example: Example) -> st.SearchStrategy[list[Any]]:
    """The inputs that were given, or ones drawn from what the stage takes."""
    if example.inputs is not None:
        return example.inputs
    return streams(read(example.value).takes, axes=axes_of(example.value))
