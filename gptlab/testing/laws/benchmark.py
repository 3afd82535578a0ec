"""The laws of benchmarks, with data drawn from the annotation of `calculate` or given."""

import typing
from typing import Any

from hypothesis import strategies as st

from gptlab.testing.errors import broken
from gptlab.testing.example import Example, Items
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, axes_of, check, search
from gptlab.testing.laws.model import changed_file, files_of
from gptlab.testing.laws.running import chance, crashing, quietly
from gptlab.testing.laws.saving import saved
from gptlab.testing.snapshots import difference, snapshot
from gptlab.testing.streaming import streams


def item_type(benchmark: Any) -> Any:
    """The type of an item of the data, read from `calculate(self, data: Source[...], model)`."""
    hint = typing.get_type_hints(type(benchmark).calculate, include_extras=True).get("data")
    args = typing.get_args(hint)
    if not args:
        raise NotApplicable("calculate does not say of what its data are: write data: Source[...], or give data=")
    return args[0]


def data_of(example: Example) -> st.SearchStrategy[Any]:
    """The data that were given, or sources of lists that are drawn."""
    if example.model is None:
        raise NotApplicable("there is no model to score: give Example(benchmark, model=...)")
    if example.data is not None:
        return st.just(example.data)
    kind = item_type(example.value)
    inputs = example.inputs
    if inputs is None:
        inputs = streams(kind, axes=axes_of(example.model), min_size=1)
    return inputs.map(lambda items: Items(items, kind))


def figures(law: Law, example: Example, data: Any) -> Any:
    """What it calculates."""
    with crashing(law, example.value, getattr(data, "items", None)), quietly():
        return example.value.calculate(data, example.model)


def named_figures(law: Law, example: Example, most: int) -> None:
    """Names and numbers."""

    def tried(data: Any) -> None:
        found = figures(law, example, data)
        wrong = [f"{name!r}: {value!r}" for name, value in found.items() if type(value) is not float]
        wrong += [f"a name {name!r}" for name in found if not isinstance(name, str)]
        wrong += [
            f"{name} without {name.removesuffix('_stderr')}"
            for name in found
            if str(name).endswith("_stderr") and name.removesuffix("_stderr") not in found
        ]
        wrong += [f"{name} {found[name]}" for name in found if str(name).endswith("_stderr") and found[name] < 0]
        if wrong:
            raise broken(
                law.sentence,
                example.value,
                got=wrong[0],
                wanted="str to float; a standard error `<figure>_stderr` beside its figure, not negative",
                items=getattr(data, "items", None),
                do="Write float(...) around it.",
            )

    search(data_of(example), tried, most)


def deterministic(law: Law, example: Example, most: int) -> None:
    """Twice, with other global random states."""

    def tried(data: Any) -> None:
        runs = []
        for seed in (1, 2):
            with chance(seed):
                runs.append(snapshot(dict(figures(law, example, data))))
        if runs[0] != runs[1]:
            raise broken(
                law.sentence,
                example.value,
                got=difference(runs[0], runs[1], "figures"),
                wanted="the same figures",
                items=getattr(data, "items", None),
                do="Draw chance from a seed of its own.",
            )

    search(data_of(example), tried, most)


def leaves_the_model(law: Law, example: Example, most: int) -> None:
    """The model's files and mode, before and after."""

    def mode() -> Any:
        return getattr(getattr(example.model, "network", None), "training", None)

    def tried(data: Any) -> None:
        before, training = files_of(example.model), mode()
        content = snapshot(getattr(data, "items", None))
        figures(law, example, data)
        changed = changed_file(before, files_of(example.model))
        after = snapshot(getattr(data, "items", None))
        got = f"another {changed} in the model" if changed else ""
        got = got or ("a network in another mode" if mode() != training else "")
        if got or after != content:
            raise broken(
                law.sentence,
                example.value,
                got=got or difference(content, after, "the data"),
                wanted="model and data as they were",
                items=getattr(data, "items", None),
                do="Score with gptlab.training.scored, which puts the mode back.",
            )

    search(data_of(example), tried, most)


def save_and_load(law: Law, example: Example, most: int) -> None:
    """By configuration and by directory: an equal value that calculates the same."""
    loaded = saved(law, example.value)

    def tried(data: Any) -> None:
        before = snapshot(dict(figures(law, example, data)))
        for way, twin in loaded:
            after = snapshot(dict(twin.calculate(data, example.model)))
            if before != after:
                raise broken(
                    law.sentence,
                    example.value,
                    got=difference(before, after, "figures"),
                    wanted=f"the same from {way}",
                    items=getattr(data, "items", None),
                )

    search(data_of(example), tried, most)


BENCHMARK_LAWS = tuple(
    Law(name=name, sentence=sentence, check=function)
    for name, sentence, function in (
        ("figures", "It gives named figures, each standard error beside its figure.", named_figures),
        ("deterministic", "The same data and model give the same figures.", deterministic),
        ("leaves_the_model", "Model and data are left as they were.", leaves_the_model),
        ("save_and_load", "Saved and loaded, it is an equal value that calculates the same.", save_and_load),
    )
)


def check_benchmark(
    benchmark: Any,
    model: Any,
    data: Any = None,
    *,
    leave_out: dict[str, str] | None = None,
    max_examples: int = MAX_EXAMPLES,
) -> Held:
    """Put a benchmark to all laws of benchmarks.

    Args:
        benchmark: anything with `calculate`.
        model: what it scores.
        data: a source; drawn from the annotation `data: Source[...]` and the model's axes when not given.
        leave_out: law to the reason why it does not apply.
        max_examples: data to try for each law.

    Raises:
        LawBroken: with the smallest data that were found.
    """
    example = Example(benchmark, model=model, data=data, leave_out=leave_out or {})
    return check(BENCHMARK_LAWS, example, max_examples)
