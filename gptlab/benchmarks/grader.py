"""What a model writes, judged by another model: by a rubric, on a scale.

An answer without a verdict is no bad answer: it is left out of the mean, counted by why there is none, and shown.
"""

import functools
from collections.abc import Mapping
from typing import cast

import attrs

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.grading import Asking, Form, GradingError, Judge, Verdict
from gptlab.benchmarks.grading.judged import counts, is_rubric, messages, tell
from gptlab.benchmarks.written import WritingModel, as_prompts, mean_over_questions, written
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source
from gptlab.types import ShortAnswer
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class Grade:
    """One answer, and what the judge says about it."""

    question: ShortAnswer
    answer: str
    verdict: Verdict


@attrs.frozen(kw_only=True)
class LLMGrader:
    """Scores of a model's answers by a rubric.

    Attributes:
        judge: who is asked, and what may be spent.
        rubric: what makes an answer good, for the judge: "5: right and to the point ... 1: wrong".
        lowest, highest: the scale, whole numbers.
        max_new_tokens, stop: of each answer of the model.

    >>> judge = Judge(url="http://127.0.0.1:8000/v1", model="mine", key_from=None)
    >>> LLMGrader(judge=judge, rubric="5: names the right town. 1: does not.", highest=1)
    Traceback (most recent call last):
    gptlab.benchmarks.grading.errors.GradingError: LLMGrader.highest
      got     1
      wanted  more than lowest, which is 1
      Set highest; the default is 5.
    """

    judge: Judge
    rubric: str = attrs.field(validator=is_rubric)
    lowest: int = 1
    highest: int = 5
    max_new_tokens: int = attrs.field(default=256, validator=at_least(1))
    stop: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise GradingError(
                "LLMGrader.highest",
                got=self.highest,
                wanted=f"more than lowest, which is {self.lowest}",
                do="Set highest; the default is 5.",
            )

    def calculate(self, data: Source[ShortAnswer], model: WritingModel) -> Mapping[str, float]:
        """Let the model answer, and the judge grade.

        Args:
            data: questions; accepted answers, where a question has them, are shown to the judge.
            model: has `inference`. Where it draws tokens at random, other draws are other answers, and paid for.

        Returns:
            `score`, the mean over graded answers, with `score_stderr`; `n`, graded answers; `ungraded`, of which no
            verdict came; `unasked`, for which the budget had no room.

        Raises:
            ContractError: the data do not fit the benchmark, or the model does not write.
            GradingError: the endpoint cannot be asked. What it had answered is kept.
        """
        grades = self.grades(data, model)
        graded = [grade for grade in grades if grade.verdict.choice is not None]
        scores = [float(cast(int, grade.verdict.choice)) for grade in graded]
        score, stderr = mean_over_questions(scores, [grade.question for grade in graded])
        return {"score": score, "score_stderr": stderr, **counts([[grade.verdict] for grade in grades])}

    def grades(self, data: Source[ShortAnswer], model: WritingModel) -> list[Grade]:
        """The same answer by answer, with the judge's reasons."""
        check_data(self, data, model, as_prompts, method="inference")
        asking = Asking(self.judge)
        answers = written(data.get_data_generator(), model, self.max_new_tokens, self.stop)
        graded = track(asking.map(functools.partial(self._grade, asking), answers), "grade", unit="answers", every=8)
        grades = list(graded)
        tell(self.judge, asking, [(grade.question, [grade.verdict]) for grade in grades])
        return grades

    def _grade(self, asking: Asking, answered: tuple[ShortAnswer, str]) -> Grade:
        question, answer = answered
        form = Form("score", tuple(range(self.lowest, self.highest + 1)))
        verdict = asking.verdict(messages(self.rubric, form, question, {"answer": answer}), form)
        return Grade(question=question, answer=answer, verdict=verdict)
