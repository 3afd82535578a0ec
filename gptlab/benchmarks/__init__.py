"""Benchmarks: figures from data and a model, each with its standard error, and the leaderboards they go to.

What scores models is imported when it is first asked for, so that whoever only reads a leaderboard does not wait for
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gptlab.benchmarks.leaderboard import add_to_leaderboard, read_leaderboard

if TYPE_CHECKING:
    from gptlab.benchmarks.answers import RestatedAnswer, find_answers
    from gptlab.benchmarks.check import check_data
    from gptlab.benchmarks.held_out import HeldOutLoss
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

_ASKED_FOR = {
    "EdgeScores": "link_specificity",
    "HeldOutLoss": "held_out",
    "LinkAccuracy": "link_accuracy",
    "LinkGain": "link_gain",
    "LinkSpecificity": "link_specificity",
    "RestatedAnswer": "answers",
    "RestatedFacts": "restated",
    "check_data": "check",
    "find_answers": "answers",
}
"""The module of every name that is imported when it is asked for."""


def __getattr__(name: str) -> Any:
    if name in _ASKED_FOR:
        return getattr(importlib.import_module(f"{__name__}.{_ASKED_FOR[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
