"""Data, benchmark and model are held against each other before the first batch is read, as in a pipeline."""

import typing
from typing import Any, Literal

from gptlab.pipeline import ContractError, need_source_of
from gptlab.pipeline.pipelines import assemble
from gptlab.pipeline.place import name_of
from gptlab.types.errors import four_parts


def check_data(
    benchmark: Any, data: Any, model: Any, *stages: Any, method: Literal["forward", "inference"] = "forward"
) -> None:
    """What `calculate` does first: a benchmark of an hour must not fail in its last minute, nor on the wrong items.

    The type that data must have is read from the annotation of `calculate`; nobody writes it twice.

    Args:
        benchmark: whose `calculate(self, data: Source[...], model)` is called.
        data: what it was given.
        model: has `method`.
        stages: what the benchmark puts between data and model, such as `Collate`.
        method: what the benchmark calls of the model.

    Raises:
        ContractError: the data are of other items than the benchmark reads, or than the model does; or their axes
            do not fit the model's; or the model has no such method.
    """
    hints = typing.get_type_hints(type(benchmark).calculate)
    wanted = typing.get_args(hints["data"])
    if wanted:
        need_source_of(wanted[0], data, f"{name_of(benchmark)}.calculate(data)")
    step = getattr(model, method, None)
    if step is None:
        raise ContractError(
            four_parts(
                f"{name_of(benchmark)}.calculate(model)",
                got=f"{name_of(model)}, which has no {method}",
                wanted=f"a model with {method}",
                do=f"Give a model that has it, or take a benchmark that does not call {method}.",
            )
        )
    assemble((data, *stages, step), None)
