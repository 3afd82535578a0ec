"""Benchmarks: figures from data and a model, each with its standard error, and the leaderboards they go to.

What scores models is imported when it is first asked for, so that whoever only reads a leaderboard does not wait for
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gptlab.benchmarks.leaderboard import add_to_leaderboard, read_leaderboard
from gptlab.benchmarks.leaderboard_row import LeaderboardRow, rows_of_figures

if TYPE_CHECKING:
    from gptlab.benchmarks.answers import RestatedAnswer, find_answers
    from gptlab.benchmarks.check import check_data
    from gptlab.benchmarks.comparison import LLMComparison, Preference
    from gptlab.benchmarks.exact_match import ExactMatch
    from gptlab.benchmarks.grader import Grade, LLMGrader
    from gptlab.benchmarks.grading import GradingError, Judge
    from gptlab.benchmarks.held_out import HeldOutLoss
    from gptlab.benchmarks.likelihood import QuestionScore, score_questions
    from gptlab.benchmarks.link_accuracy import LinkAccuracy
    from gptlab.benchmarks.link_gain import LinkGain
    from gptlab.benchmarks.link_specificity import EdgeScores, LinkSpecificity
    from gptlab.benchmarks.multiple_choice import CorrectAnswerInTopK, MultipleChoiceLogits
    from gptlab.benchmarks.perplexity import Perplexity
    from gptlab.benchmarks.restated import RestatedFacts

__all__ = [
    "CorrectAnswerInTopK",
    "EdgeScores",
    "ExactMatch",
    "Grade",
    "GradingError",
    "HeldOutLoss",
    "Judge",
    "LLMComparison",
    "LLMGrader",
    "LeaderboardRow",
    "LinkAccuracy",
    "LinkGain",
    "LinkSpecificity",
    "MultipleChoiceLogits",
    "Perplexity",
    "Preference",
    "QuestionScore",
    "RestatedAnswer",
    "RestatedFacts",
    "add_to_leaderboard",
    "check_data",
    "find_answers",
    "read_leaderboard",
    "rows_of_figures",
    "score_questions",
]

_ASKED_FOR = {
    "CorrectAnswerInTopK": "multiple_choice",
    "EdgeScores": "link_specificity",
    "ExactMatch": "exact_match",
    "Grade": "grader",
    "GradingError": "grading",
    "HeldOutLoss": "held_out",
    "Judge": "grading",
    "LLMComparison": "comparison",
    "LLMGrader": "grader",
    "LinkAccuracy": "link_accuracy",
    "LinkGain": "link_gain",
    "LinkSpecificity": "link_specificity",
    "MultipleChoiceLogits": "multiple_choice",
    "Perplexity": "perplexity",
    "Preference": "comparison",
    "QuestionScore": "likelihood",
    "RestatedAnswer": "answers",
    "RestatedFacts": "restated",
    "check_data": "check",
    "find_answers": "answers",
    "score_questions": "likelihood",
}
"""The module of every name that is imported when it is asked for."""


def __getattr__(name: str) -> Any:
    if name in _ASKED_FOR:
        return getattr(importlib.import_module(f"{__name__}.{_ASKED_FOR[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
