"""What goes wrong in training."""

from pathlib import Path
from signal import SIGINT

from gptlab.types.errors import FourPartError


class TrainingError(FourPartError):
    """Training cannot be set up or go on, for a reason that the user can remove."""


class TrainingStopped(KeyboardInterrupt):
    """Training was asked to stop (Ctrl-C, SIGTERM), finished its step and saved itself.

    A `KeyboardInterrupt`, so that code which handles Ctrl-C handles it, and no `except Exception` swallows it.

    Attributes:
        step: steps that are done.
        checkpoint: where training goes on from; None when the trainer has no directory.
        signal: the signal that asked; its number and 128 make the program's exit code.
    """

    def __init__(self, step: int, checkpoint: Path | None, signal: int = SIGINT) -> None:
        saved = (
            f'Go on with TorchTrainer.load_checkpoint("{checkpoint}").train().'
            if checkpoint
            else "Nothing was saved: the trainer was given no directory."
        )
        super().__init__(f"Training stopped after step {step}. {saved}")
        self.step = step
        self.checkpoint = checkpoint
        self.signal = signal
