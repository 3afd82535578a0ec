"""Training by gradients: a loop that fits on a page, around it what makes it safe to stop at any moment.

Step k is a pure function of (weights and optimiser after step k - 1, configuration, k): its batches are items
`k * accumulate ...` of the data source, its learning rate and its random seed are computed from k. So a checkpoint
needs no generator states and no replay of data, and a run that was killed ends with the weights, to the bit, of
one that was not (on the CPU, with as many threads: how many add up a sum decides its last bits). One wait for the
device per step (loss and gradient norm together), before the weights change: a loss that is not finite never
reaches them.
"""

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic

import attrs
import torch

from gptlab.pipeline import pipeline, takes
from gptlab.pipeline.observe import progress, say
from gptlab.pipeline.protocols import SeekableSource, Source
from gptlab.storage import StorageError, from_config, import_from_nested_path, name_of, to_config
from gptlab.training.checkpoint import (
    METRICS,
    Position,
    checkpoint_path,
    checkpoints,
    read_checkpoint,
    remove_old,
    resolve_checkpoint,
    set_aside_after,
    write_checkpoint,
)
from gptlab.training.config import TrainerConfig
from gptlab.training.data import Reader, batch_arrays, refuse_unseekable
from gptlab.training.errors import TrainingError, TrainingStopped
from gptlab.training.evaluation import Evaluate, Hook
from gptlab.training.metrics import MetricsFile
from gptlab.training.optimizers import Optimizers
from gptlab.training.schedule import learning_rate, step_seed
from gptlab.training.signals import StopRequest, stop_on_signal
from gptlab.training.state import M, TrainState

SECONDS_BETWEEN_REPORTS = 0.25


@attrs.frozen(kw_only=True, eq=False)
class TorchTrainer(Generic[M]):
    """Trains any model that has `network`, `forward`, `copy` and `save_to_dir` (`gptlab.training.TorchModel`).

    Made by `instantiate`, or by `load_checkpoint`, which makes one that goes on.

    Attributes:
        cfg: what is asked for.
        model: where training begins; never changed.
        data_source: batch k is its item k.
        directory: of the run: checkpoints and `metrics.jsonl`. None: nothing is written.
        logger: gets the details that are for the log rather than the console.
        hooks: called after each step, in order.
        resume: the checkpoint that training goes on from.
    """

    cfg: TrainerConfig
    model: M
    data_source: SeekableSource[Any] | Source[Any]
    directory: Path | None = None
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("gptlab.training"))
    hooks: tuple[Hook, ...] = ()
    resume: Path | None = None

    @classmethod
    def instantiate(
        cls,
        cfg: TrainerConfig,
        model: M,
        data_source: SeekableSource[Any] | Source[Any],
        *,
        directory: Path | None = None,
        logger: logging.Logger | None = None,
        hooks: tuple[Hook, ...] = (),
        held_out: Source[Any] | None = None,
    ) -> "TorchTrainer[M]":
        """A trainer that begins at step 0, with types and axes of data and model checked.

        Args:
            cfg: what is asked for.
            model: where training begins.
            data_source: of what `model.forward` takes; endless, or long enough for `steps * accumulate` batches.
            directory: for checkpoints and metrics; must hold no checkpoints yet.
            logger: for details.
            hooks: called after each step.
            held_out: evaluated every `cfg.evaluate_every` steps (an `Evaluate` hook, before the others).

        Raises:
            ContractError: when the data do not fit the model.
            TrainingError: when the directory holds another run, or the source cannot be resumed.
        """
        pipeline(data_source, model.forward)
        if directory is not None:
            _refuse_used(directory)
            refuse_unseekable(data_source)
        return cls(
            cfg=cfg,
            model=model,
            data_source=data_source,
            directory=directory,
            logger=logger or logging.getLogger("gptlab.training"),
            hooks=_with_evaluation(cfg, hooks, held_out),
        )

    @classmethod
    def load_checkpoint(
        cls,
        path: Path | str,
        *,
        data_source: SeekableSource[Any] | None = None,
        logger: logging.Logger | None = None,
        hooks: tuple[Hook, ...] = (),
        held_out: Source[Any] | None = None,
        device: str | None = None,
        allow: tuple[str, ...] = (),
    ) -> "TorchTrainer[M]":
        """A trainer whose `train()` goes on from a checkpoint as if it had never stopped.

        Args:
            path: a run's directory (its newest whole checkpoint is found), or one checkpoint.
            data_source: the one that was trained on; None: made again from the checkpoint, where it is a value
                that `gptlab.storage.to_config` can write.
            logger: for details.
            hooks: as for `instantiate`; they are not saved.
            held_out: as for `instantiate`.
            device: where to go on; None: where the checkpoint was made.
            allow: packages beside gptlab that the checkpoint may name classes of.

        Raises:
            TrainingError: when there is no whole checkpoint, or no data source.
            StorageError: when the named checkpoint is damaged, or names a class that is not allowed.
        """
        found = resolve_checkpoint(Path(path))
        _, about, _ = read_checkpoint(found)
        cfg = from_config(about["config"])
        model = import_from_nested_path(about["model"], allow=allow).load_from_dir(found / "model")
        model.network.to(device or about["device"])
        source = data_source if data_source is not None else _saved_source(about, found, allow)
        pipeline(source, model.forward)
        return cls(
            cfg=cfg,
            model=model,
            data_source=source,
            directory=found.parent.parent,
            logger=logger or logging.getLogger("gptlab.training"),
            hooks=_with_evaluation(cfg, hooks, held_out),
            resume=found,
        )

    def train_input_type(self) -> Any:
        """What a batch must be: read from the annotation of the model's `forward`."""
        return takes(self.model.forward)

    def train_output_type(self) -> type[Any]:
        """What `train` returns."""
        return type(self.model)

    def train(self) -> M:
        """Train a copy of the model and return it.

        Raises:
            TrainingError: when the loss is not finite (weights before it and batch are saved), or the data end.
            TrainingStopped: after Ctrl-C or SIGTERM, with a checkpoint saved.
        """
        model = self.model.copy()
        state = TrainState(model=model, optimizers=Optimizers(model.network, self.cfg), steps=self.cfg.steps)
        self.logger.info("parameters by group: %s", state.optimizers)
        metrics_bytes = 0
        if self.resume is not None and self.directory is not None:
            position, about, tensors = read_checkpoint(self.resume)
            state.optimizers.restore(tensors)
            state.step, state.tokens, state.seconds = position.step, position.tokens, position.seconds
            metrics_bytes = position.metrics_bytes or 0
            set_aside_after(self.directory, state.step)
            remove_old(self.directory, self.cfg.keep_last)  # a kill may have left one half removed
            say(f"going on from step {state.step}: {self.resume}")
            if about["threads"] != torch.get_num_threads():
                say(f"the checkpoint was made with {about['threads']} threads: results may differ in the last bits")
        model.network.train()
        file = MetricsFile(self.directory / METRICS, metrics_bytes) if self.directory else contextlib.nullcontext()
        with file as metrics, stop_on_signal() as stop, torch.random.fork_rng():
            self._loop(state, metrics, stop)
        model.network.train(self.model.network.training)
        return model

    def _loop(self, state: TrainState[M], metrics: MetricsFile | None, stop: StopRequest) -> None:
        """The loop: all that happens to the weights happens here."""
        cfg = self.cfg
        batches = Reader(self.data_source, state.step * cfg.accumulate, cfg.accumulate)
        outputs = state.model.forward(batches)
        reported = -math.inf
        while state.step < cfg.steps:
            began = time.perf_counter()
            torch.manual_seed(step_seed(cfg.seed, state.step))
            loss, grad_norm = self._gradients(state, outputs)
            if not (math.isfinite(loss) and math.isfinite(grad_norm)):
                raise self._not_finite(state, batches, metrics, loss, grad_norm)
            rate = learning_rate(cfg, state.step)
            state.optimizers.step(rate)
            now = time.perf_counter()
            state.step, state.loss = state.step + 1, loss
            tokens, state.tokens = batches.tokens, state.tokens + batches.tokens
            batches.tokens = 0
            state.seconds += now - began
            figures: dict[str, int | float] = {
                "step": state.step,
                "loss": loss,
                "learning_rate": rate,
                "grad_norm": grad_norm,
                "tokens_per_second": tokens / (now - began),
                "seconds": state.seconds,
            }
            with self._autocast(state):
                for hook in self.hooks:
                    figures |= hook.after_step(state)
            if metrics is not None:
                metrics.append(figures)
            if now - reported >= SECONDS_BETWEEN_REPORTS or state.step == cfg.steps:
                reported = now
                progress("train", float(state.step), float(cfg.steps), "steps")
            checkpoint = self._save(state, metrics) if state.is_due(cfg.checkpoint_every) or stop.asked else None
            if stop.asked:
                raise TrainingStopped(state.step, checkpoint, stop.signal)

    def _gradients(self, state: TrainState[M], outputs: Iterator[Any]) -> tuple[float, float]:
        """The mean loss of the step's batches and the norm of its gradients, which are left on the parameters."""
        accumulate = self.cfg.accumulate
        total = torch.zeros((), device=state.optimizers.parameters[0].device)
        for _ in range(accumulate):
            with self._autocast(state):
                output = next(outputs, None)
            if output is None:
                raise TrainingError(
                    f"the data source of TorchTrainer, at step {state.step + 1}",
                    got="no further batch",
                    wanted=f"{self.cfg.steps} steps of {accumulate} batches",
                    do="Give an endless source (gptlab.packing.Shuffled), or ask for fewer steps.",
                )
            (output.loss / accumulate).backward()
            total += output.loss.detach()
        clip = self.cfg.clip if self.cfg.clip is not None else math.inf
        norm = torch.nn.utils.clip_grad_norm_(state.optimizers.parameters, clip)
        loss, grad_norm = torch.stack((total / accumulate, norm.to(total.dtype))).tolist()
        return loss, grad_norm

    def _autocast(self, state: TrainState[M]) -> AbstractContextManager[Any]:
        device = state.optimizers.parameters[0].device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.cfg.dtype == "bfloat16")

    def _save(self, state: TrainState[M], metrics: MetricsFile | None) -> Path | None:
        """A checkpoint of this step, where the run has a directory; then the oldest go."""
        if self.directory is None:
            return None
        began = time.perf_counter()
        path = self._write(checkpoint_path(self.directory, state.step), state, metrics, {})
        remove_old(self.directory, self.cfg.keep_last)
        self.logger.info("saved %s in %.2f s", path, time.perf_counter() - began)
        return path

    def _write(
        self,
        path: Path,
        state: TrainState[M],
        metrics: MetricsFile | None,
        extra: Mapping[str, Mapping[str, torch.Tensor]],
    ) -> Path:
        return write_checkpoint(
            path,
            model=state.model,
            optimizer=state.optimizers.tensors(),
            position=Position(
                step=state.step,
                tokens=state.tokens,
                seconds=state.seconds,
                metrics_bytes=metrics.sync() if metrics else None,
            ),
            about={
                "config": to_config(self.cfg),
                "data": _config_or_none(self.data_source),
                "model": name_of(type(state.model)),
                "device": str(state.optimizers.parameters[0].device),
                "threads": torch.get_num_threads(),
            },
            extra=extra,
        )

    def _not_finite(
        self, state: TrainState[M], batches: Reader, metrics: MetricsFile | None, loss: float, grad_norm: float
    ) -> TrainingError:
        """Save what is needed to see it happen again, and say how."""
        do = "Give the trainer a directory, and the weights and the batch are saved for replay."
        if self.directory is not None:
            extra = {f"batch-{number}": batch_arrays(batch) for number, batch in enumerate(batches.last)}
            failed = self.directory / "failed" / f"step-{state.step + 1:08d}"
            self._write(failed, state, metrics, extra)
            do = (
                f'TorchTrainer.load_checkpoint("{failed}").train() does this step again, from the weights before it; '
                "its batches lie beside them (batch-*.safetensors). Lower learning_rate or clip, or look at them."
            )
        return TrainingError(
            f"step {state.step + 1}", got=f"loss {loss}, gradient norm {grad_norm}", wanted="finite numbers", do=do
        )


def _refuse_used(directory: Path) -> None:
    if found := checkpoints(directory):
        raise TrainingError(
            str(directory),
            got=f"{len(found)} checkpoints of another run",
            wanted="a directory without checkpoints",
            do=f'Go on with TorchTrainer.load_checkpoint("{directory}"), or name a new directory.',
        )


def _with_evaluation(cfg: TrainerConfig, hooks: tuple[Hook, ...], held_out: Source[Any] | None) -> tuple[Hook, ...]:
    return hooks if held_out is None else (Evaluate(source=held_out, every=cfg.evaluate_every), *hooks)


def _config_or_none(value: object) -> Any:
    try:
        return to_config(value)
    except StorageError:
        return None  # a source of the user's own: `load_checkpoint` asks for it


def _saved_source(about: Mapping[str, Any], path: Path, allow: tuple[str, ...]) -> Any:
    if about["data"] is None:
        raise TrainingError(
            str(path),
            got="a checkpoint whose data source could not be written as a configuration",
            wanted="the data source",
            do="Call TorchTrainer.load_checkpoint(path, data_source=...) with the one that was trained on.",
        )
    return from_config(about["data"], allow=allow)
