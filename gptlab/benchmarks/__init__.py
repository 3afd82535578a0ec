"""Benchmarks: figures from data and a model, each with its standard error, and the leaderboards they go to."""

from gptlab.benchmarks.answers import RestatedAnswer, find_answers
from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.held_out import HeldOutLoss
from gptlab.benchmarks.leaderboard import add_to_leaderboard, read_leaderboard
from gptlab.benchmarks.link_accuracy import LinkAccuracy
from gptlab.benchmarks.link_gain import LinkGain
from gptlab.benchmarks.link_specificity import EdgeScores, LinkSpecificity
from gptlab.benchmarks.restated import RestatedFacts

__all__ = [
    "EdgeScores",
    "HeldOutLoss",
    "LinkAccuracy",
    "LinkGain",
    "LinkSpecificity",
    "RestatedAnswer",
    "RestatedFacts",
    "add_to_leaderboard",
    "check_data",
    "find_answers",
    "read_leaderboard",
]
