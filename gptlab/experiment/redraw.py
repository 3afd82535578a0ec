"""Hook: the loss curve drawn anew at each evaluation, so that whoever looks at a long run sees it as it is."""

from collections.abc import Mapping
from typing import Any

import attrs

from gptlab.experiment.plot_losses import plot_losses
from gptlab.experiment.run_directory import RunDirectory
from gptlab.training import TrainState


@attrs.frozen
class Redraw:
    """Draw the metrics of a run into its `plots/loss.png`.

    Args:
        run: whose metrics, as far as they are written: all steps before the one at hand.
        every: steps.
    """

    run: RunDirectory
    every: int = attrs.field(kw_only=True)

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Draw where it is due; the picture of the last step is drawn when the run ends."""
        if state.ranks.is_first and 1 < state.step < state.steps and state.is_due(self.every):
            plot_losses(self.run.metrics, self.run.plots / "loss.png")
        return {}
