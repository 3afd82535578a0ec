"""The laws of trainers. Training is dear, so it is done a few times with the trainer's own few steps."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from gptlab.pipeline import takes, yields
from gptlab.testing.errors import broken
from gptlab.testing.example import Example
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, check
from gptlab.testing.laws.model import changed_file, files_of
from gptlab.testing.laws.running import chance, crashing, quietly


class StoppedError(RuntimeError):
    """What the data raise where the law stops a run."""


@attrs.frozen(eq=False)
class Stopping:
    """A source that fails at item `at`, as when a machine goes down.

    Attributes:
        source: what is read until then.
        at: index of the item that never comes.
    """

    source: Any
    at: int

    def get_data_generator(self, start: int = 0) -> Iterator[Any]:
        """The source's items from `start` on, until `at`."""
        for number, item in enumerate(self.source.get_data_generator(start=start), start):
            if number >= self.at:
                raise StoppedError(f"stopped by the kit at item {number}")
            yield item

    def item_types(self) -> tuple[Any, Any]:
        """The source's own."""
        return None, yields(self.source)

    def axes(self) -> Any:
        """The source's own."""
        return self.source.axes() if hasattr(self.source, "axes") else {}


def train(law: Law, trainer: Any) -> Any:
    """Train, and tell a failure as the trainer's."""
    with crashing(law, trainer, None), quietly():
        return trainer.train()


def types(law: Law, example: Example, most: int) -> None:
    """`train_input_type` and `train_output_type` against the model."""
    trainer = example.value
    trained = train(law, trainer)
    found = []
    if hasattr(trainer, "train_output_type") and not isinstance(trained, trainer.train_output_type()):
        found.append((f"a {type(trained).__name__}", f"{trainer.train_output_type()}"))
    if hasattr(trainer, "train_input_type") and hasattr(getattr(trainer, "model", None), "forward"):
        said, wanted = trainer.train_input_type(), takes(trainer.model.forward)
        if said != wanted:
            found.append((f"train_input_type() {said}", f"{wanted}, which the model's forward takes"))
    if type(trained) is not type(getattr(trainer, "model", trained)):
        found.append((f"a {type(trained).__name__}", "a model of the class that was given"))
    for got, wanted in found:
        raise broken(law.sentence, trainer, got=got, wanted=str(wanted), do="Return takes(self.model.forward).")


def leaves_the_model(law: Law, example: Example, most: int) -> None:
    """The given model's files before and after."""
    trainer = example.value
    if not hasattr(trainer, "model"):
        raise NotApplicable("it has no field model, so there is none to leave alone")
    before = files_of(trainer.model)
    trained = train(law, trainer)
    if trained is trainer.model or (changed := changed_file(before, files_of(trainer.model))):
        got = "the very model that was given" if trained is trainer.model else f"another {changed} in the model"
        raise broken(law.sentence, trainer, got=got, wanted="a trained copy", do="Train self.model.copy().")


def deterministic(law: Law, example: Example, most: int) -> None:
    """Twice, with other global random states."""
    results = []
    for seed in (1, 2):
        with chance(seed):
            results.append(files_of(train(law, example.value)))
    if changed := changed_file(*results):
        raise broken(
            law.sentence,
            example.value,
            got=f"another {changed} the second time",
            wanted="the same model, byte for byte",
            do="Seed every step by the trainer's own seed and the step's number.",
        )


def resume(law: Law, example: Example, most: int) -> None:
    """Stopped at several batches, and gone on from the checkpoint that was left."""
    trainer = example.value
    if not hasattr(trainer, "load_checkpoint") or not attrs.has(type(trainer)) or not hasattr(trainer, "directory"):
        raise NotApplicable("it has no load_checkpoint, or no directory to keep checkpoints in")
    with tempfile.TemporaryDirectory() as folder:
        whole = files_of(train(law, attrs.evolve(trainer, directory=Path(folder) / "whole")))
        resumed = 0
        for at in range(1, 9):
            directory = Path(folder) / f"stopped-{at}"
            stopping = attrs.evolve(trainer, directory=directory, data_source=Stopping(trainer.data_source, at))
            try:
                with quietly():
                    stopping.train()
                break  # it needs no more batches than that
            except StoppedError:
                if not any(directory.rglob("*.safetensors")):
                    continue  # no checkpoint yet: it begins anew
            resumed += 1
            with crashing(law, trainer, None), quietly():
                again = type(trainer).load_checkpoint(directory, data_source=trainer.data_source)
                result = files_of(again.train())
            shutil.rmtree(directory)
            if changed := changed_file(whole, result):
                raise broken(
                    law.sentence,
                    trainer,
                    got=f"another {changed} when stopped at batch {at}",
                    wanted="the same model as without the stop, byte for byte",
                    do="Save all that the next step depends on: optimiser, step, random states, place in the data.",
                )
    if not resumed:
        raise NotApplicable("it wrote no checkpoint within its first batches: give it a smaller checkpoint_every")


TRAINER_LAWS = tuple(
    Law(name=name, sentence=sentence, check=function)
    for name, sentence, function in (
        ("types", "It takes what its model takes, and returns a model of the same class.", types),
        ("leaves_the_model", "The model that was given is left as it was.", leaves_the_model),
        ("deterministic", "The same trainer makes the same model, whatever happened before.", deterministic),
        ("resume", "Stopped anywhere and gone on with, it ends as if it had never stopped.", resume),
    )
)


def check_trainer(trainer: Any, *, leave_out: dict[str, str] | None = None, max_examples: int = MAX_EXAMPLES) -> Held:
    """Put a trainer to all laws of trainers.

    Args:
        trainer: anything with `train`; give it few steps, and a small `checkpoint_every`.
        leave_out: law to the reason why it does not apply.
        max_examples: not used, for there is nothing to draw.

    Raises:
        LawBroken: it breaks one.
    """
    return check(TRAINER_LAWS, Example(trainer, leave_out=leave_out or {}), max_examples)
