"""Questions for benchmarks: the usual ones in their published formats, files of one's own, worked examples."""

from gptlab.sources.questions.exams import Arc, Mmlu
from gptlab.sources.questions.own import FewShot, LinkedFactsQuestions, QuestionFile
from gptlab.sources.questions.short_answers import RestatedQuestions, ShortAnswerFile
from gptlab.sources.questions.tasks import HellaSwag, Lambada, Piqa

__all__ = [
    "Arc",
    "FewShot",
    "HellaSwag",
    "Lambada",
    "LinkedFactsQuestions",
    "Mmlu",
    "Piqa",
    "QuestionFile",
    "RestatedQuestions",
    "ShortAnswerFile",
]
