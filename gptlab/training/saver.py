"""When and how a run is saved: in the step's own time, or beside the training from a copy.

In the background a step waits for a copy of weights and optimiser state in main memory, no longer; one thread
writes, hashes and flushes it while the next steps are computed. One checkpoint is written at a time: the next one
waits for it. A checkpoint is reported ("saved ..." in the log), and older ones go, only when it is on disk whole; an
error of the thread is raised at the next save, and at the end of the training at the latest.
"""

import contextvars
import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic

import torch

from gptlab.storage import to_config
from gptlab.training.checkpoint import Position, checkpoint_path, remove_old, write_checkpoint
from gptlab.training.config import TrainerConfig
from gptlab.training.metrics import MetricsFile
from gptlab.training.parallel import whole
from gptlab.training.state import M, TrainState


class Saver(Generic[M]):
    """Writes the checkpoints of one run; its methods are called by every rank, and the first writes.

    Args:
        directory: of the run; None: nothing is ever written.
        cfg: how often, how many, in the background or not.
        about: what `trainer.json` says of the run, beside where it stands.
        metrics: whose length a checkpoint remembers.
        twin: an equal model, for whole copies of the one at work; see `plain`.
        logger: gets a line for each checkpoint that is on disk.
        clock: seconds, ascending.
    """

    def __init__(
        self,
        directory: Path | None,
        cfg: TrainerConfig,
        about: Mapping[str, Any],
        metrics: MetricsFile | None,
        *,
        twin: M | None = None,
        logger: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory, self._cfg, self._metrics, self._clock = directory, cfg, metrics, clock
        self._about = {**about, "config": to_config(cfg)}
        self._saved_at = clock()
        self._twin = twin
        self._logger = logger or logging.getLogger("gptlab.training")
        self._writing: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._held: dict[str, torch.Tensor] = {}

    def is_due(self, state: TrainState[M]) -> bool:
        """Whether a checkpoint is due after this step; all ranks go by the first one's clock."""
        if state.is_due(self._cfg.checkpoint_every) or state.is_stopped:
            return True
        minutes = self._cfg.checkpoint_minutes
        if minutes is None:
            return False
        return state.ranks.any(state.ranks.is_first and self._clock() - self._saved_at >= 60 * minutes)

    def save(self, state: TrainState[M], *, wait: bool = False) -> Path | None:
        """A checkpoint of this step, where the run has a directory; then the oldest go.

        Args:
            state: what is saved.
            wait: be on disk on return, whatever the configuration says: the process is about to end.
        """
        if self._directory is None:
            return None
        self.wait()
        path = checkpoint_path(self._directory, state.step)
        in_background = self._cfg.save_in_background
        write = self._prepared(path, state, copied=in_background)
        self._saved_at = self._clock()
        if not state.ranks.is_first:
            return path
        if in_background:
            context = contextvars.copy_context()
            self._writing = threading.Thread(
                target=context.run, args=(self._write_beside, write, path), name=f"save {path.name}"
            )
            self._writing.start()
            if wait:
                self.wait()
        else:
            self._write_and_tidy(write, path)
        return path

    def save_failed(self, state: TrainState[M], batches: Mapping[str, Mapping[str, torch.Tensor]], kind: str) -> Path:
        """What is needed to see step `state.step + 1` again: everything before it, and its batches."""
        assert self._directory is not None
        self.wait()
        path = self._directory / "failed" / f"step-{state.step + 1:08d}"
        write = self._prepared(path, state, copied=False, extra=batches, about={"batch": kind})
        if state.ranks.is_first:
            write()
        return path

    @torch.no_grad()
    def plain(self, model: M) -> M:
        """The trained model as a whole, on this process alone: a copy where it is parted, or written from a thread.

        Every rank must ask. The copy is good until the next one.
        """
        if self._twin is None:
            return model
        self.wait()
        ours = self._twin.network.state_dict()
        for name, tensor in model.network.state_dict().items():
            ours[name].copy_(whole(tensor))
        return self._twin

    def wait(self) -> None:
        """Be sure that what was begun in the background is on disk.

        Raises:
            StorageError: or whatever else went wrong there.
        """
        if self._writing is not None:
            self._writing.join()
            self._writing = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _prepared(
        self,
        path: Path,
        state: TrainState[M],
        *,
        copied: bool,
        extra: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Callable[[], None]:
        """What writes the checkpoint. Every rank takes part here, where parts of arrays are put together."""
        model = self.plain(state.model)
        tensors = {"optimizer": state.optimizers.tensors(), **(extra or {})}
        if state.average is not None:
            tensors["average"] = {name: whole(tensor) for name, tensor in state.average.tensors.items()}
        if copied:
            tensors = {name: self._copied(name, group) for name, group in tensors.items()}
        position = Position(
            step=state.step,
            tokens=state.tokens,
            seconds=state.seconds,
            metrics_bytes=self._metrics.length() if self._metrics else None,
        )
        told = {**self._about, **(about or {}), "ranks": state.ranks.world, "memory": copy.deepcopy(state.memory)}

        def write() -> None:
            if self._metrics is not None:
                self._metrics.sync()
            write_checkpoint(path, model=model, tensors=tensors, position=position, about=told)

        return write

    def _copied(self, group: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The same numbers in memory that is kept for them: new pages would cost more than the copy."""
        for name, tensor in tensors.items():
            key = f"{group}/{name}"
            if key not in self._held or self._held[key].shape != tensor.shape:
                self._held[key] = torch.empty(tensor.shape, dtype=tensor.dtype)
            self._held[key].copy_(tensor.detach())
        return {name: self._held[f"{group}/{name}"] for name in tensors}

    def _write_and_tidy(self, write: Callable[[], None], path: Path) -> None:
        assert self._directory is not None
        write()
        self._logger.info("saved %s", path)
        remove_old(self._directory, self._cfg.keep_last)

    def _write_beside(self, write: Callable[[], None], path: Path) -> None:
        try:
            self._write_and_tidy(write, path)
        except BaseException as error:  # noqa: BLE001 - the thread that trains raises it
            self._failure = error
