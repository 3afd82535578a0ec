"""The laws of models: `forward` and, where the model is ready to write, `inference` are stages; more is asked of it.

Of networks the content is what `save_to_dir` writes: two models are the same when their files are, byte for byte.
"""

import inspect
import tempfile
from pathlib import Path
from typing import Any

import attrs
from hypothesis import strategies as st

from gptlab.pipeline.signature import takes, yields
from gptlab.testing.errors import broken
from gptlab.testing.example import Example
from gptlab.testing.laws import stage
from gptlab.testing.laws.inputs import inputs_of
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, check, search
from gptlab.testing.laws.running import outputs
from gptlab.testing.snapshots import difference, snapshot_list

_TYPE_METHODS = {
    "fwd_input_type": ("forward", takes),
    "fwd_output_type": ("forward", yields),
    "inf_input_type": ("inference", takes),
    "inf_output_type": ("inference", yields),
}


def files_of(model: Any) -> dict[str, bytes]:
    """What a model saves: relative path to content."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_dir(Path(folder))
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
        }


def changed_file(before: dict[str, bytes], after: dict[str, bytes]) -> str:
    """The first file in which two savings differ; empty when there is none."""
    return next((name for name in sorted(before | after) if before.get(name) != after.get(name)), "")


def _forward(example: Example) -> Example:
    return attrs.evolve(example, value=example.value.forward, inputs=inputs_of(_as_forward(example)))


def _as_forward(example: Example) -> Example:
    return attrs.evolve(example, value=example.value.forward)


def type_methods(law: Law, example: Example, max_examples: int) -> None:
    """Each type method against the annotation."""
    model = example.value
    known = {name: pair for name, pair in _TYPE_METHODS.items() if hasattr(model, name)}
    if not known:
        raise NotApplicable("it has no type methods")
    for name, (method, reader) in known.items():
        said, written = getattr(model, name)(), reader(getattr(model, method))
        if said != written:
            raise broken(
                law.sentence,
                model,
                got=f"{name}() is {said}",
                wanted=f"{written}, as {method} is annotated",
                do=f"Return {reader.__name__}(self.{method}).",
            )


def forward_changes_nothing(law: Law, example: Example, max_examples: int) -> None:
    """The files before and after."""
    model = example.value
    before = files_of(model)

    def tried(items: list[Any]) -> None:
        outputs(law, model, model.forward, items)
        if changed := changed_file(before, files_of(model)):
            raise broken(
                law.sentence,
                model,
                got=f"another {changed} after forward",
                wanted="the model as it was",
                items=items,
                do="Leave weights and counts to the trainer.",
            )

    search(inputs_of(_as_forward(example)), tried, max_examples)


def copies(law: Law, example: Example, max_examples: int) -> None:
    """A copy does the same, and what happens to it does not happen to the model."""
    model = example.value
    if not hasattr(model, "copy"):
        raise NotApplicable("it has no copy")
    twin = model.copy()
    before = files_of(model)
    if type(twin) is not type(model) or (changed := changed_file(before, files_of(twin))):
        got = f"a {type(twin).__name__}" if type(twin) is not type(model) else f"another {changed}"
        raise broken(law.sentence, model, got=got, wanted="an equal model", do="Copy all that forward depends on.")
    for weights in getattr(getattr(twin, "network", None), "parameters", list)():
        weights.data.add_(1)
    if changed := changed_file(before, files_of(model)):
        raise broken(
            law.sentence,
            model,
            got=f"another {changed} after the copy's weights changed",
            wanted="a model of its own",
            do="Copy the network deeply.",
        )


def save_and_load(law: Law, example: Example, max_examples: int) -> None:
    """By its own methods: the same files again, and the same outputs."""
    model = example.value
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_dir(Path(folder))
        twin = _loaded(model, Path(folder))
    if changed := changed_file(files_of(model), files_of(twin)):
        raise broken(
            law.sentence,
            model,
            got=f"another {changed} when it is saved again",
            wanted="the same files, byte for byte",
            do="Save all that it is made of.",
        )

    def tried(items: list[Any]) -> None:
        before, after = outputs(law, model, model.forward, items), outputs(law, model, twin.forward, items)
        if before != after:
            raise broken(
                law.sentence,
                model,
                got=difference(snapshot_list(before), snapshot_list(after), "output "),
                wanted="the same outputs",
                items=items,
                do="Save all that forward depends on.",
            )

    search(inputs_of(_as_forward(example)), tried, max_examples)


def _loaded(model: Any, folder: Path) -> Any:
    """By its class; one that asks what it may import is told the packages of itself and of its configuration."""
    load = type(model).load_from_dir
    if "allow" not in inspect.signature(load).parameters:
        return load(folder)
    kinds = (type(model), type(getattr(model, "cfg", model)))
    return load(folder, allow=tuple({kind.__module__.split(".")[0] for kind in kinds}))


def _of_forward(law: Law) -> Law:
    """A law of stages, put to `forward`."""
    return attrs.evolve(law, check=lambda _, example, most: law.check(law, _forward(example), most))


def _of_inference(law: Law) -> Law:
    """A law of stages, put to `inference` of a model that can write."""

    def put(_: Law, example: Example, most: int) -> None:
        if getattr(example.value, "reader", None) is None or not hasattr(example.value, "inference"):
            raise NotApplicable("it was not told how to write: give model.reading(...)")
        law.check(law, attrs.evolve(example, value=example.value.inference, inputs=None), most)

    return attrs.evolve(law, name=f"inference_{law.name}", check=put)


_STAGE = {law.name: law for law in stage.STAGE_LAWS}
_OF_STAGES = ("types", "lazy", "deterministic", "input_untouched", "yields_kept", "chunking", "exceptions", "close")

MODEL_LAWS = (
    *(_of_forward(_STAGE[name]) for name in _OF_STAGES),
    *(_of_inference(_STAGE[name]) for name in ("types", "lazy", "deterministic", "exceptions")),
    Law(name="type_methods", sentence="The type methods say what the annotations say.", check=type_methods),
    Law(
        name="forward_changes_nothing", sentence="Reading leaves the model as it was.", check=forward_changes_nothing
    ),
    Law(name="copies", sentence="A copy is an equal model with numbers of its own.", check=copies),
    Law(name="save_and_load", sentence="Saved and loaded, it is the same model, bit for bit.", check=save_and_load),
)


def check_model(
    model: Any,
    inputs: st.SearchStrategy[list[Any]] | None = None,
    *,
    leave_out: dict[str, str] | None = None,
    max_examples: int = MAX_EXAMPLES,
) -> Held:
    """Put a model to all laws of models.

    Args:
        model: anything with `forward`, `save_to_dir` and `load_from_dir`; laws of `copy`, `inference` and the type
            methods where it has them.
        inputs: of `forward`, as a strategy of lists; drawn from its annotation and the model's axes when not given.
        leave_out: law to the reason why it does not apply.
        max_examples: inputs to try for each law.

    Raises:
        LawBroken: with the smallest input that was found.
    """
    return check(MODEL_LAWS, Example(model, inputs=inputs, leave_out=leave_out or {}), max_examples)
