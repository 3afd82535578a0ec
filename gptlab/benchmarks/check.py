"""Data, benchmark and model are held against each other before the first batch is read, as in a pipeline."""

import typing
from typing import Any

from gptlab.pipeline import need_source_of
from gptlab.pipeline.pipelines import assemble
from gptlab.pipeline.place import name_of


def check_data(benchmark: Any, data: Any, model: Any, *stages: Any) -> None:
    """What `calculate` does first: a benchmark of an hour must not fail in its last minute, nor on the wrong items.

    The type that data must have is read from the annotation of `calculate`; nobody writes it twice.

    Args:
        benchmark: whose `calculate(self, data: Source[...], model)` is called.
        data: what it was given.
        model: has `forward`.
        stages: what the benchmark puts between data and model, such as `Collate`.

    Raises:
        ContractError: the data are of other items than the benchmark reads, or than the model does; or their axes
            do not fit the model's.
    """
    hints = typing.get_type_hints(type(benchmark).calculate)
    wanted = typing.get_args(hints["data"])
    if wanted:
        need_source_of(wanted[0], data, f"{name_of(benchmark)}.calculate(data)")
    assemble((data, *stages, model.forward), None)
