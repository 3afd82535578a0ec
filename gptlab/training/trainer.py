"""Training by gradients: what is trained on what, from where, and what it goes on from. The loop is in `loop.py`.

A run that was killed ends with the weights, to the bit, of one that was not (on the CPU, with as many threads: how
many add up a sum decides its last bits). Under torchrun the same call trains on all processes, which share every
batch: the loss curve is that of one process, and a checkpoint is gone on from with any number of them.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic

import attrs
import torch

from gptlab.pipeline import pipeline, takes
from gptlab.pipeline.observe import say
from gptlab.pipeline.protocols import SeekableSource, Source
from gptlab.storage import StorageError, from_config, import_from_nested_path, name_of, to_config
from gptlab.training.average import Average
from gptlab.training.checkpoint import (
    METRICS,
    Saved,
    checkpoints,
    read_checkpoint,
    remove_old,
    resolve_checkpoint,
    set_aside_after,
)
from gptlab.training.config import TrainerConfig
from gptlab.training.data import refuse_unseekable
from gptlab.training.errors import TrainingError
from gptlab.training.evaluation import Evaluate
from gptlab.training.heap import freed_memory_kept
from gptlab.training.hooks import EarlyStopping, Hook, KeepBest
from gptlab.training.loop import Loop
from gptlab.training.metrics import MetricsFile
from gptlab.training.optimizers import Optimizers
from gptlab.training.options import check_dtype, checkpointed_blocks, compiled, told
from gptlab.training.parallel import parallelise, part_of, whole
from gptlab.training.ranks import Ranks, joined
from gptlab.training.saver import Saver
from gptlab.training.schedule import rate_function
from gptlab.training.shares import share_of
from gptlab.training.signals import stop_on_signal
from gptlab.training.state import M, TrainState


@attrs.frozen(kw_only=True, eq=False)
class TorchTrainer(Generic[M]):
    """Trains any model that has `network`, `forward`, `copy` and `save_to_dir` (`gptlab.training.TrainableModel`).

    Made by `instantiate`, or by `load_checkpoint`, which makes one that goes on.

    Attributes:
        cfg: what is asked for.
        model: where training begins; never changed. It trains on the device that it is on.
        data_source: batch k is its item k.
        directory: of the run: checkpoints and `metrics.jsonl`. None: nothing is written.
        logger: gets the details that are for the log rather than the console.
        hooks: called after each step, in order.
        resume: the checkpoint that training goes on from.
        allow: packages beside gptlab that `cfg.schedule` may name a function of.
    """

    cfg: TrainerConfig
    model: M
    data_source: SeekableSource[Any] | Source[Any]
    directory: Path | None = None
    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("gptlab.training"))
    hooks: tuple[Hook, ...] = ()
    resume: Path | None = None
    allow: tuple[str, ...] = ()

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
            data_source: of what `model.forward` takes; endless, or long enough for all steps.
            directory: for checkpoints and metrics; must hold no checkpoints yet.
            logger: for details.
            hooks: called after each step.
            held_out: evaluated every `cfg.evaluate_every` steps (an `Evaluate` hook, before the others).

        Raises:
            ContractError: when the data do not fit the model.
            TrainingError: when the directory holds another run, the source cannot be resumed, or `cfg.schedule`
                names no function.
        """
        pipeline(data_source, model.forward)
        if directory is not None:
            _refuse_used(directory)
            refuse_unseekable(data_source)
        allow = (cfg.schedule.partition(".")[0],)  # the caller wrote the name: it is no name from a disk
        rate_function(cfg, allow)
        return cls(
            cfg=cfg,
            model=model,
            data_source=data_source,
            directory=directory,
            logger=logger or logging.getLogger("gptlab.training"),
            hooks=_all_hooks(cfg, hooks, held_out),
            allow=allow,
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
        **changes: Any,
    ) -> "TorchTrainer[M]":
        """A trainer whose `train()` goes on from a checkpoint as if it had never stopped.

        Args:
            path: a run's directory (its newest whole checkpoint is found), or one checkpoint.
            data_source: the one that was trained on; None: made again from the checkpoint, where it is a value
                that `gptlab.storage.to_config` can write.
            logger: for details.
            hooks: as for `instantiate`; they are not saved, what they remember is.
            held_out: as for `instantiate`.
            device: where to go on; None: where the checkpoint was made.
            allow: packages beside gptlab that the checkpoint may name classes and functions of.
            changes: settings of `TrainerConfig` to go on with instead of the saved ones.

        Raises:
            TrainingError: when there is no whole checkpoint, or no data source.
            StorageError: when the named checkpoint is damaged, or names a class that is not allowed.
        """
        found = resolve_checkpoint(Path(path))
        about = read_checkpoint(found).about
        cfg = attrs.evolve(from_config(about["config"]), **changes)
        rate_function(cfg, allow)
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
            hooks=_all_hooks(cfg, hooks, held_out),
            resume=found,
            allow=allow,
        )

    def train_input_type(self) -> Any:
        """What a batch must be: read from the annotation of the model's `forward`."""
        return takes(self.model.forward)

    def train_output_type(self) -> type[Any]:
        """What `train` returns."""
        return type(self.model)

    def train(self) -> M:
        """Train a copy of the model and return it, with the averaged weights where an average is kept.

        Under torchrun every process calls this, and every one gets the model.

        Raises:
            TrainingError: when the loss is not finite or leaps up (weights before it and batch are saved), or the
                data end.
            TrainingStopped: after Ctrl-C or SIGTERM, with a checkpoint saved.
        """
        with joined() as ranks, self._metrics(ranks) as metrics, stop_on_signal() as stop, torch.random.fork_rng():
            model = _with_log_sums(self.model.copy()) if self.cfg.z_loss else self.model.copy()
            check_dtype(self.cfg, next(model.network.parameters()).device)
            with checkpointed_blocks(model.network, self.cfg):
                parallel = parallelise(model.network, self.cfg, ranks)
                compiled(model.network, self.cfg)
                state = self._state(model, ranks)
                saver = Saver(
                    self.directory, self.cfg, self._about(state), metrics, twin=self._twin(ranks), logger=self.logger
                )
                state.saver = saver
                self.logger.info("training on %s", told(self.cfg, model, state.optimizers.device, parallel.name))
                self.logger.info("parameters by group:\n%s", state.optimizers)
                loop = Loop(
                    cfg=self.cfg,
                    hooks=self.hooks,
                    state=state,
                    source=share_of(self.data_source, ranks),
                    whole_source=self.data_source,
                    rate=rate_function(self.cfg, self.allow),
                    parallel=parallel,
                    saver=saver,
                    metrics=metrics,
                    stop=stop,
                )
                model.network.train()
                with freed_memory_kept(state.optimizers.device):
                    try:
                        loop.run()
                    finally:
                        saver.wait()
                return self._trained(state)

    def _state(self, model: M, ranks: Ranks) -> TrainState[M]:
        """Where the run stands: at its beginning, or where the checkpoint says."""
        cfg = self.cfg
        state = TrainState(
            model=model,
            optimizers=Optimizers(model.network, cfg),
            steps=cfg.steps,
            average=Average(model.network, cfg.ema) if cfg.ema is not None else None,
            directory=self.directory,
            ranks=ranks,
        )
        if self.resume is None or self.directory is None:
            return state
        saved = read_checkpoint(self.resume)
        self._restore(state, saved)
        if ranks.is_first:
            remove_old(self.directory, cfg.keep_last)  # a kill may have left one half removed
        say(f"going on from step {state.step}: {self.resume}")
        for name, now in (("threads", torch.get_num_threads()), ("ranks", ranks.world)):
            if saved.about.get(name, now) != now:
                say(f"the checkpoint was made with {saved.about[name]} {name}: results may differ in the last bits")
        return state

    def _restore(self, state: TrainState[M], saved: Saved) -> None:
        state.optimizers.restore(saved.optimizer)
        if state.average is not None:
            for name, tensor in state.average.tensors.items():
                if name in saved.average:  # else it begins at the weights that were saved
                    tensor.copy_(part_of(saved.average[name].to(tensor.device), tensor))
        position = saved.position
        state.step, state.tokens, state.seconds = position.step, position.tokens, position.seconds
        state.memory = saved.about.get("memory", {})

    @contextlib.contextmanager
    def _metrics(self, ranks: Ranks) -> Iterator[MetricsFile | None]:
        """The run's metrics, cut back to where it goes on; the first rank writes them.

        Checkpoints of later steps are set aside before: found by the next life, one would miss its lines.
        """
        if self.directory is None or not ranks.is_first:
            yield None
            return
        length = 0
        if self.resume is not None:
            position = read_checkpoint(self.resume).position
            set_aside_after(self.directory, position.step)
            length = position.metrics_bytes or 0
        with MetricsFile(self.directory / METRICS, length) as metrics:
            yield metrics

    def _twin(self, ranks: Ranks) -> M | None:
        """An equal model for whole copies, where the one at work is parted among ranks or written from a thread."""
        is_parted = ranks.world > 1 and self.cfg.parallel == "fsdp"
        if not is_parted and not (self.cfg.save_in_background and self.directory is not None):
            return None
        twin = self.model.copy()
        twin.network.to("cpu")
        return twin

    def _about(self, state: TrainState[M]) -> dict[str, Any]:
        """What a checkpoint says of the run, beside where it stands."""
        return {
            "data": _config_or_none(self.data_source),
            "model": name_of(type(self.model)),
            "device": state.optimizers.device.type,
            "threads": torch.get_num_threads(),
        }

    @torch.no_grad()
    def _trained(self, state: TrainState[M]) -> M:
        """A model of the class that was given, in its mode, with no trace of how it was trained."""
        trained = self.model.copy()
        weights, learned = dict(trained.network.named_parameters()), state.model.network.state_dict()
        for name, tensor in trained.network.state_dict().items():
            tensor.copy_(whole(learned[name]))
        if state.average is not None:
            for name, tensor in state.average.tensors.items():
                weights[name].copy_(whole(tensor))
        return trained


def _with_log_sums(model: Any) -> Any:
    """A model that gives what a z-loss needs, where it has to be asked; its weights are the same."""
    return model.with_log_sums() if hasattr(model, "with_log_sums") else model


def _refuse_used(directory: Path) -> None:
    if found := checkpoints(directory):
        raise TrainingError(
            str(directory),
            got=f"{len(found)} checkpoints of another run",
            wanted="a directory without checkpoints",
            do=f'Go on with TorchTrainer.load_checkpoint("{directory}"), or name a new directory.',
        )


def _all_hooks(cfg: TrainerConfig, hooks: tuple[Hook, ...], held_out: Source[Any] | None) -> tuple[Hook, ...]:
    """Evaluation first, then what was given, then what looks at their figures."""
    first: list[Hook] = [] if held_out is None else [Evaluate(source=held_out, every=cfg.evaluate_every)]
    last: list[Hook] = []
    if cfg.keep_best:
        last.append(KeepBest())
    if cfg.patience is not None:
        last.append(EarlyStopping(patience=cfg.patience))
    return (*first, *hooks, *last)


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
