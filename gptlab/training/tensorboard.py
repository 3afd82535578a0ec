"""Hook: the figures of a run for TensorBoard, as an extra. `metrics.jsonl` is written with or without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from gptlab.training.errors import TrainingError
from gptlab.training.state import TrainState
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class TensorBoard:
    """Hook: write the figures of the hooks before it, and the step's own, where TensorBoard finds them.

    Look at them with `tensorboard --logdir experiments`. Put it last: it writes what is there when its turn comes.

    Attributes:
        directory: of the event files; `tensorboard/` in the run's when None.
        every: steps; figures that are not there at every step (evaluations) are written whenever they are.
    """

    directory: Path | None = None
    every: int = attrs.field(default=10, validator=at_least(1))
    _open: list[Any] = attrs.field(factory=list, init=False, repr=False, eq=False)

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Write what is due.

        Raises:
            TrainingError: TensorBoard is not installed, or the run has no directory and none was given.
        """
        often = {"loss", "grad_norm", "learning_rate", "tokens_per_second", "data_seconds", "z_loss"}
        names = [name for name in state.figures if name not in ("step", "seconds")]
        due = names if state.is_due(self.every) else [name for name in names if name not in often]
        if not due or not state.ranks.is_first:
            return {}
        if not self._open:
            self._open.append(_writer(self._place(state), state.step))
        for name in due:
            self._open[0].add_scalar(name, state.figures[name], state.step)
        self._open[0].flush()
        return {}

    def _place(self, state: TrainState[Any]) -> Path:
        if self.directory is not None:
            return self.directory
        if state.directory is None:
            raise TrainingError(
                "TensorBoard.directory",
                got="None, in a run that has no directory",
                wanted="a folder for the event files",
                do="Give TensorBoard(directory=...), or give the trainer a directory.",
            )
        return state.directory / "tensorboard"


def _writer(place: Path, step: int) -> Any:
    """An open event file; what an interrupted run wrote for later steps is marked as undone."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra, imported where it is needed
    except ImportError as error:
        raise TrainingError(
            "gptlab.training.TensorBoard",
            got="TensorBoard is not installed",
            wanted="the package `tensorboard`",
            do="pip install 'gptlab[tensorboard]', or leave the hook out: metrics.jsonl has the same figures.",
        ) from error
    return SummaryWriter(str(place), purge_step=step)
