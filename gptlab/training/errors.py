"""What goes wrong in training, each error with its four parts: where, got, wanted, do this."""

from pathlib import Path


class TrainingError(ValueError):
    """Training cannot be set up or go on, for a reason that the user can remove.

    >>> print(TrainingError.of("TrainerConfig.steps", got="0", wanted="at least 1", do="Ask for one step or more."))
    TrainerConfig.steps
      got     0
      wanted  at least 1
      Ask for one step or more.
    """

    @classmethod
    def of(cls, where: str, *, got: str, wanted: str, do: str) -> "TrainingError":
        """The one way to write the message.

        Args:
            where: the setting, file or step.
            got: what was found there.
            wanted: what would have been right.
            do: the remedy, as a sentence.
        """
        return cls(f"{where}\n  got     {got}\n  wanted  {wanted}\n  {do}")


class TrainingStopped(KeyboardInterrupt):
    """Training was asked to stop (Ctrl-C, SIGTERM), finished its step and saved itself.

    A `KeyboardInterrupt`, so that code which handles Ctrl-C handles it, and no `except Exception` swallows it.

    Attributes:
        step: steps that are done.
        checkpoint: where training goes on from; None when the trainer has no directory.
    """

    def __init__(self, step: int, checkpoint: Path | None) -> None:
        saved = (
            f'Go on with TorchTrainer.load_checkpoint("{checkpoint}").train().'
            if checkpoint
            else "Nothing was saved: the trainer was given no directory."
        )
        super().__init__(f"stopped after step {step}. {saved}")
        self.step = step
        self.checkpoint = checkpoint
