"""Trainers: from a model and data to a new model, resumable to the bit."""

from gptlab.training.checkpoint import latest_checkpoint
from gptlab.training.config import TrainerConfig
from gptlab.training.errors import TrainingError, TrainingStopped
from gptlab.training.evaluation import Evaluate, Hook, MeanLoss, mean_loss, ratio_of_means, scored
from gptlab.training.fold import Bigram, CountingModel, FoldTrainer
from gptlab.training.schedule import learning_rate
from gptlab.training.state import HasLoss, TorchModel, TrainState
from gptlab.training.trainer import TorchTrainer

__all__ = [
    "Bigram",
    "CountingModel",
    "Evaluate",
    "FoldTrainer",
    "HasLoss",
    "Hook",
    "MeanLoss",
    "TorchModel",
    "TorchTrainer",
    "TrainState",
    "TrainerConfig",
    "TrainingError",
    "TrainingStopped",
    "latest_checkpoint",
    "learning_rate",
    "mean_loss",
    "ratio_of_means",
    "scored",
]
