"""What happens after each step, by composition: one Protocol, and values that have its one method.

A hook is a frozen value. What it has to remember from step to step it keeps in `state.memory`, which checkpoints
hold, so that a run that goes on does what it would have done. Hooks run in the order in which they are given, on
every rank; one that writes does so on the first, and one that reads weights asks on all.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs
import torch

from gptlab.pipeline.observe import say
from gptlab.storage import new_directory
from gptlab.training.checkpoint import disk_errors_of_tensors
from gptlab.training.state import TrainState
from gptlab.types import Generation
from gptlab.types.validators import at_least

BEST = "best"
"""Folder of a run that holds its best model, as a model of its own in `model/`, and the figure in `best.json`."""


@runtime_checkable
class Hook(Protocol):
    """Something that happens after each step. A complete one, which keeps an eye on the weights:

    >>> @attrs.frozen
    ... class WeightNorm:
    ...     def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
    ...         squares = sum(p.detach().square().sum() for p in state.model.network.parameters())
    ...         return {"weight_norm": float(squares) ** 0.5}
    """

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Figures for the step's line in `metrics.jsonl`; empty when there is nothing to say at this step."""


@attrs.frozen(kw_only=True)
class EarlyStopping:
    """Hook: end the training when a figure has not become lower for some evaluations.

    Attributes:
        patience: evaluations in a row without a new lowest.
        figure: of an earlier hook.
        least: how much lower counts.
    """

    patience: int = attrs.field(validator=at_least(1))
    figure: str = "held_out_loss"
    least: float = 0.0

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Compare, where there is something to compare."""
        if self.figure not in state.figures:
            return {}
        value, memory = state.figures[self.figure], state.memory.setdefault(f"early stopping: {self.figure}", {})
        if value < memory.get("lowest", float("inf")) - self.least:
            memory |= {"lowest": value, "step": state.step, "since": 0}
            return {}
        memory["since"] = memory.get("since", 0) + 1
        if memory["since"] >= self.patience:
            reason = (
                f"{self.figure} has not become lower in {self.patience} evaluations: "
                f"{memory.get('lowest', value):.4f} at step {memory.get('step', state.step)}, now {value:.4f}"
            )
            say(f"training ends at step {state.step} of {state.steps}: {reason}")
            state.stop(reason)
        return {}


@attrs.frozen(kw_only=True)
class KeepBest:
    """Hook: keep the model with the lowest figure in the run's `best/`, beside the last checkpoints.

    Attributes:
        figure: of an earlier hook.
    """

    figure: str = "held_out_loss"

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Save the model where it is the best so far."""
        value = state.figures.get(self.figure)
        memory = state.memory.setdefault(f"best: {self.figure}", {})
        if value is None or not value < memory.get("value", float("inf")):
            return {}
        memory |= {"value": value, "step": state.step}
        if state.directory is None:
            return {}
        with state.averaged():
            model = state.plain()
            if state.ranks.is_first:
                place = state.directory / BEST
                with (
                    new_directory(place, kind="best-model", replace=True) as directory,
                    disk_errors_of_tensors(),
                ):
                    (directory / "model").mkdir()
                    model.save_to_dir(directory / "model")
                    text = json.dumps({"figure": self.figure, **memory}) + "\n"
                    (directory / "best.json").write_text(text, encoding="utf-8")
        return {}


@attrs.frozen(kw_only=True)
class Statistics:
    """Hook: how large gradients and weights are, block by block, and how far a step moves the weights.

    Figures are root mean squares: `grad/<part>` (after clipping) and `weight/<part>`, where a part is what stands
    before the last two names of a parameter (`blocks.0`), so that a block is one figure.

    Attributes:
        every: steps.
    """

    every: int = attrs.field(default=100, validator=at_least(1))

    @torch.no_grad()
    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Read weights and gradients; one wait for the device in all."""
        if not state.is_due(self.every):
            return {}
        sums: dict[str, list[torch.Tensor]] = {}
        sizes: dict[str, int] = {}
        for name, parameter in state.optimizers.named.items():
            part = ".".join(name.split(".")[:2]) if name.count(".") > 1 else name.split(".", maxsplit=1)[0]
            for kind, tensor in (("weight", parameter), ("grad", parameter.grad)):
                if tensor is not None:
                    sums.setdefault(f"{kind}/{part}", []).append(tensor.float().square().sum())
                    sizes[f"{kind}/{part}"] = sizes.get(f"{kind}/{part}", 0) + tensor.numel()
        squares = torch.stack([torch.stack(each).sum() for each in sums.values()]).tolist()
        return {name: (square / sizes[name]) ** 0.5 for name, square in zip(sums, squares, strict=True)}


class Writes(Protocol):
    """Samples of a model. A complete one:

    >>> class Greeting:
    ...     def write(self, model: Any) -> list[Generation]:
    ...         return list(model.inference(iter([Prompt(text="Hello")])))
    """

    def write(self, model: Any) -> list[Generation]:
        """What the model writes."""


@attrs.frozen(kw_only=True)
class Samples:
    """Hook: what the model writes, every so many steps: told, and added to the run's `samples.jsonl`.

    Attributes:
        writing: from a model to texts.
        every: steps.
    """

    writing: Writes
    every: int = attrs.field(default=500, validator=at_least(1))

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Let it write, with dropout off and the average of the weights, where one is kept."""
        if not state.is_due(self.every):
            return {}
        network = state.model.network
        was_training = network.training
        network.eval()
        try:
            with state.averaged(), torch.no_grad():
                written = self.writing.write(state.model)
        finally:
            network.train(was_training)
        for sample in written:
            say(f"step {state.step} writes: {' '.join(sample.text.split())}")
        if state.directory is not None and state.ranks.is_first:
            with (state.directory / "samples.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps({"step": state.step, "text": s.text}) + "\n" for s in written)
        return {}
