"""The loop: all that happens to the weights happens here.

Step k is a pure function of (weights and optimiser after step k - 1, configuration, k): its batches are those that
follow the ones of all steps before, its learning rate and its random seed are computed from k. So a checkpoint
needs no generator states and no replay of data. One wait for the device per step (loss and gradient norm together),
before the weights change: a loss that is not finite never reaches them.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic

import attrs
import torch

from gptlab.pipeline.observe import note, progress
from gptlab.storage import StorageError, name_of
from gptlab.training.config import TrainerConfig
from gptlab.training.data import Reader, batch_arrays
from gptlab.training.errors import TrainingError, TrainingStopped
from gptlab.training.hooks import Hook
from gptlab.training.metrics import MetricsFile
from gptlab.training.objective import shares, z_loss
from gptlab.training.options import autocast, seed_generators
from gptlab.training.parallel import Parallel
from gptlab.training.saver import Saver
from gptlab.training.schedule import Rate, batches_at, batches_before, step_seed
from gptlab.training.signals import StopRequest
from gptlab.training.spikes import refusal_of, remember
from gptlab.training.state import M, TrainState

SECONDS_BETWEEN_REPORTS = 0.25


@attrs.frozen(kw_only=True, eq=False)
class Loop(Generic[M]):
    """What a run needs, made ready by `TorchTrainer.train`.

    Attributes:
        cfg, hooks: as the trainer's.
        state: where it stands; changed step by step.
        source: this rank's share of the data.
        whole_source: the data as they were given: what is saved of a step that failed.
        rate: the learning rate of a step.
        parallel: how gradients meet those of other ranks.
        saver: writes checkpoints.
        metrics: a line for each step; None where nothing is written.
        stop: set by Ctrl-C and SIGTERM.
    """

    cfg: TrainerConfig
    hooks: tuple[Hook, ...]
    state: TrainState[M]
    source: Any
    whole_source: Any
    rate: Rate
    parallel: Parallel
    saver: Saver[M]
    metrics: MetricsFile | None
    stop: StopRequest

    def run(self) -> None:
        """Train from where the state stands to the end.

        Raises:
            TrainingError: the loss is not finite or leaps up, or the data end.
            TrainingStopped: somebody asked to stop; a checkpoint is saved.
        """
        cfg, state, ranks = self.cfg, self.state, self.state.ranks
        reader = Reader(self.source, batches_before(cfg, state.step))
        outputs = state.model.forward(reader)
        losses: list[float] = state.memory.setdefault("losses", [])
        progress("train", state.step, cfg.steps, "steps")
        reported = time.perf_counter()
        while state.step < cfg.steps and not state.is_stopped:
            began = time.perf_counter()
            seed_generators(state.optimizers.device, step_seed(cfg.seed, state.step, ranks.rank))
            figures = self._gradients(reader, outputs)
            loss, grad_norm, tokens = figures["loss"], figures["grad_norm"], figures.pop("tokens")
            if (wrong := refusal_of(loss, grad_norm, losses, cfg.spike)) is not None:
                raise self._refused(*wrong)
            remember(losses, loss)
            rate = self.rate(cfg, state.step)
            state.optimizers.step(rate)
            state.step, state.loss, state.tokens = state.step + 1, loss, state.tokens + int(tokens)
            if state.average is not None:
                state.average.update(state.step)
            now = time.perf_counter()
            state.seconds += now - began
            figures |= {"learning_rate": rate, "tokens_per_second": tokens / (now - began), "seconds": state.seconds}
            state.figures = {"step": state.step, **figures}
            with autocast(cfg, state.optimizers.device):
                for hook in self.hooks:
                    state.figures |= hook.after_step(state)
            if self.metrics is not None:
                self.metrics.append(state.figures)
            if now - reported >= SECONDS_BETWEEN_REPORTS or state.step == cfg.steps:
                reported = now
                note("train", f"loss {loss:.3f}" + (f", {tokens / (now - began):,.0f} tokens/s" if tokens else ""))
                progress("train", state.step, cfg.steps, "steps")
            is_asked = ranks.any(self.stop.asked)
            checkpoint = self.saver.save(state, wait=is_asked) if is_asked or self.saver.is_due(state) else None
            if is_asked:
                raise TrainingStopped(state.step, checkpoint, self.stop.signal)

    def _gradients(self, reader: Reader, outputs: Iterator[Any]) -> dict[str, int | float]:
        """Leave the gradients of the step's loss on the parameters; its figures, those of all ranks together."""
        cfg, state = self.cfg, self.state
        count = batches_at(cfg, state.step)
        batches = reader.take(count)
        parts = shares(batches, count, state.ranks)
        if not parts:
            raise TrainingError(
                f"the data source of TorchTrainer, at step {state.step + 1}",
                got="no further batch",
                wanted=f"{cfg.steps} steps of {count} batches",
                do="Give an endless source (gptlab.packing.Shuffled), or ask for fewer steps.",
            )
        state.optimizers.forget()
        told = torch.zeros(2, device=state.optimizers.device)  # loss and z loss
        for number, (batch, share) in enumerate(zip(batches, parts, strict=True), 1):
            loss = self._loss_of(batch, share, outputs, told)
            if number < count:
                with self.parallel.holding():
                    torch.autograd.backward(self.parallel.loss(loss))
            else:
                torch.autograd.backward(self.parallel.loss(loss))
        norm = state.optimizers.clip(cfg.clip if cfg.clip is not None else math.inf)
        loss_here, z_here, grad_norm = torch.cat((told, norm.reshape(1).to(told.dtype))).tolist()
        total, z_total, tokens = state.ranks.total(loss_here, z_here, reader.tokens)
        figures: dict[str, int | float] = {"loss": total, "grad_norm": grad_norm, "tokens": tokens}
        return figures | {"data_seconds": reader.waited} | ({"z_loss": z_total} if cfg.z_loss else {})

    def _loss_of(
        self, batch: Any, share: float, outputs: Iterator[Any], told: torch.Tensor
    ) -> Callable[[], torch.Tensor]:
        """What computes this batch's part of the step's loss, and adds it to `told`."""
        cfg, device = self.cfg, self.state.optimizers.device

        def loss() -> torch.Tensor:
            with autocast(cfg, device):
                output = next(outputs)
                objective: torch.Tensor = output.loss
                told[0] += share * output.loss.detach()
                if cfg.z_loss:
                    small = z_loss(output, batch)
                    told[1] += share * small.detach()
                    objective = objective + cfg.z_loss * small
            factor = share * self.state.ranks.world  # the ranks' gradients are averaged
            return objective if factor == 1 else objective * factor

        return loss

    def _refused(self, got: str, wanted: str, help_with: str) -> TrainingError:
        """Save what is needed to see the step happen again, and say how."""
        state = self.state
        do = f"Give the trainer a directory, and the weights and the batch are saved for replay. {help_with}"
        if state.directory is not None:
            reader = Reader(self.whole_source, batches_before(self.cfg, state.step))
            batches = reader.take(batches_at(self.cfg, state.step))
            arrays = {f"batch-{number}": batch_arrays(batch) for number, batch in enumerate(batches)}
            failed = self.saver.save_failed(state, arrays, _name_or_nothing(type(batches[0])))
            roots = {type(part).__module__.partition(".")[0] for part in (state.model, batches[0])} - {"gptlab"}
            allow = f", allow={tuple(sorted(roots))}" if roots else ""
            do = (
                "See it again, from the weights before it, with its batches (batch-*.safetensors beside them):\n"
                f'  from gptlab.training import replay; print(replay("{failed}"{allow}))\n{help_with}'
            )
        return TrainingError(f"step {state.step + 1}", got=got, wanted=wanted, do=do)


def _name_or_nothing(kind: type) -> str:
    try:
        return name_of(kind)
    except StorageError:
        return ""
