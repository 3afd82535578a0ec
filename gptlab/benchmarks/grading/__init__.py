"""A judge behind an endpoint: asked within a budget, checked strictly, remembered on disk."""

from gptlab.benchmarks.grading.asking import Asking
from gptlab.benchmarks.grading.errors import GradingError
from gptlab.benchmarks.grading.judge import Judge
from gptlab.benchmarks.grading.verdicts import Form, Reply, Verdict

__all__ = ["Asking", "Form", "GradingError", "Judge", "Reply", "Verdict"]
