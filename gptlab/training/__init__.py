"""Trainers: from a model and data to a new model, resumable to the bit."""

from gptlab.training.bpe import BPETrainer
from gptlab.training.checkpoint import latest_checkpoint
from gptlab.training.config import TrainerConfig
from gptlab.training.errors import TrainingError, TrainingStopped
from gptlab.training.evaluation import Evaluate, MeanLoss, mean_loss, ratio_of_means, scored
from gptlab.training.fold import CountingModel, FoldTrainer
from gptlab.training.hooks import EarlyStopping, Hook, KeepBest, Samples, Statistics
from gptlab.training.loss_mask import LossMask, linkers
from gptlab.training.ranks import Ranks, current_ranks, joined
from gptlab.training.replay import Replay, replay
from gptlab.training.schedule import learning_rate
from gptlab.training.speed import Usage, mfu
from gptlab.training.state import HasLoss, TrainableModel, TrainState
from gptlab.training.tensorboard import TensorBoard
from gptlab.training.trainer import TorchTrainer

__all__ = [
    "BPETrainer",
    "CountingModel",
    "EarlyStopping",
    "Evaluate",
    "FoldTrainer",
    "HasLoss",
    "Hook",
    "KeepBest",
    "LossMask",
    "MeanLoss",
    "Ranks",
    "Replay",
    "Samples",
    "Statistics",
    "TensorBoard",
    "TorchTrainer",
    "TrainState",
    "TrainableModel",
    "TrainerConfig",
    "TrainingError",
    "TrainingStopped",
    "Usage",
    "current_ranks",
    "joined",
    "latest_checkpoint",
    "learning_rate",
    "linkers",
    "mean_loss",
    "mfu",
    "ratio_of_means",
    "replay",
    "scored",
]
