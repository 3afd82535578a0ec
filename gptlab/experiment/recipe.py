"""What a recipe returns: everything a run needs, as one value that is checked when it is made.

A recipe is a Python file with a function from settings to a `Recipe`. Nothing in it has read a file yet: parts that
need work first have `pre_cache`, and `gptlab.experiment.runner` does it.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs

from gptlab.pipeline import SourcePipeline, pipeline
from gptlab.pipeline.pipelines import pre_cache
from gptlab.pipeline.protocols import Benchmark, SeekableSource, Source
from gptlab.training import Hook, TrainerConfig
from gptlab.types import Generation, PackedSequence

B = TypeVar("B")
B_contra = TypeVar("B_contra", contravariant=True)


@attrs.frozen(kw_only=True, eq=False)
class Evaluation:
    """A benchmark and the data it is calculated on, under the name that tables show.

    Attributes:
        name: a few words.
        benchmark: computes the figures.
        data: made by `pre_cache` before training, so that nothing is waited for afterwards.
    """

    name: str
    benchmark: Benchmark[Any, Any]
    data: Source[Any]


class Writing(Protocol):
    """Samples of the trained model. A complete one:

    >>> class Greeting:
    ...     def write(self, model: Any) -> list[Generation]:
    ...         return list(model.inference(iter([Prompt(text="Hello")])))
    """

    def write(self, model: Any) -> list[Generation]:
        """What the model writes."""


class Trainable(Protocol[B_contra]):
    """What is trained, as far as a recipe can be checked: batches go in. A complete one:

    >>> class Twice:
    ...     def forward(self, batches: Iterator[int]) -> Iterator[int]:
    ...         return (2 * batch for batch in batches)
    """

    def forward(self, batches: Iterator[B_contra], /) -> Iterator[Any]:
        """One output with a `loss` for each batch."""


def nothing() -> dict[str, Any]:
    """What a recipe keeps beside its model, and shows, that says nothing else."""
    return {}


@attrs.frozen
class KeepTokenizer:
    """Keep the table of a tokenizer that is learned: the `keep` of a recipe, as a value that can be saved.

    Attributes:
        tokenizer: has a `table` once it is learned.
    """

    tokenizer: Any

    def __call__(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.table}


@attrs.frozen
class Folders:
    """Where prepared parts are: the `places` of a recipe, as a value that can be saved.

    Attributes:
        parts: by name what has a `directory`.
    """

    parts: Mapping[str, Any]

    def __call__(self) -> dict[str, Path]:
        return {name: part.directory for name, part in self.parts.items()}


@attrs.frozen(kw_only=True, eq=False)
class Recipe(Generic[B]):
    """Data, model and trainer, and what is done with the model at the end.

    Making one checks that the data fit the model: types, axes and dtypes, before a file is opened. It is a value like
    its parts, so `save_to_dir` keeps it whole where `keep` and `places` are values or functions with a name.

    Attributes:
        data: training batches, seekable and as a rule endless (`Shuffled`).
        model: fresh, with `forward` from a batch to something with a `loss`.
        trainer: how it is trained.
        held_out: batches for the loss while training; None for no such figure.
        evaluations: benchmarks of the trained model.
        writing: samples at the end, of models that write.
        picture: rows, the first of which with a link is drawn with its mask.
        keep: gives what is saved beside the model (a tokenizer's table), by the name of its folder; called when all
            is prepared.
        places: what else a person may want to look at, by name.
        hooks: of the trainer, after the evaluation of `held_out`: samples, statistics, TensorBoard, your own.

    Raises:
        ContractError: the data do not fit the model.
    """

    data: SeekableSource[B]
    model: Trainable[B]
    trainer: TrainerConfig
    held_out: Source[B] | None = None
    evaluations: tuple[Evaluation, ...] = ()
    writing: Writing | None = None
    picture: Source[PackedSequence] | None = None
    keep: Callable[[], Mapping[str, Any]] = nothing
    places: Callable[[], Mapping[str, Path]] = nothing
    hooks: tuple[Hook, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.held_out is not None:
            pipeline(self.held_out, self.model.forward)
        self.chain  # noqa: B018 - composing is checking

    @property
    def chain(self) -> SourcePipeline[Any]:
        """The whole of it, source first and model last."""
        return pipeline(self.data, self.model.forward)

    @property
    def pipelines(self) -> list[SourcePipeline[Any]]:
        """Every pipeline on the way from the source to the model, in reading order: rows that are kept on disk
        come from a pipeline of their own."""
        found = [self.chain]
        held = [self.chain.parts[0]]
        while held:
            part = held.pop()
            if isinstance(part, SourcePipeline):
                found.insert(0, part)
                held.append(part.parts[0])
            elif isinstance(part, tuple):
                held += part
            elif attrs.has(type(part)):
                held += [getattr(part, field.name) for field in attrs.fields(type(part))]
        return found

    def pre_cache(self) -> None:
        """Do all that is done once, in the order in which it is needed."""
        self.chain.pre_cache()
        for source in (self.held_out, self.picture, *(evaluation.data for evaluation in self.evaluations)):
            pre_cache(source)
