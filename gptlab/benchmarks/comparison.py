"""Which of two models writes better, by a judge that reads each pair of answers in both orders.

A judge that prefers what it reads first, or last, is found out so (https://arxiv.org/abs/2306.05685, section 3.3): a
pair is won when both orders say so, and how far the judge leans is a figure of its own.
"""

import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.grading import Asking, Form, Judge, Verdict
from gptlab.benchmarks.grading.judged import counts, is_rubric, messages, tell
from gptlab.benchmarks.written import WritingModel, as_prompts, mean_over_questions, written
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source
from gptlab.types import ShortAnswer
from gptlab.types.validators import at_least

Outcome = Literal["win", "loss", "tie"]
_BETTER = Form("better", ("first", "second", "tie"))
_POINTS = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_OUTCOMES: Mapping[str, Outcome] = {"wins": "win", "losses": "loss", "ties": "tie"}
_LEANING: Mapping[Any, int] = {"first": 1, "tie": 0, "second": -1}


@attrs.frozen(kw_only=True)
class Preference:
    """Two answers, and what the judge says when one or the other stands first.

    Attributes:
        answer: of the model.
        baseline: of the other.
        verdicts: with the model's answer first, and with it second; none where the answers are equal.
    """

    question: ShortAnswer
    answer: str
    baseline: str
    verdicts: tuple[Verdict, ...] = ()

    @property
    def outcome(self) -> Outcome | None:
        """For the model; a tie unless both orders agree; None where a verdict is missing.

        >>> first, second = (Verdict(choice=each, reason="") for each in ("first", "second"))
        >>> pair = Preference(question=ShortAnswer(prompt="?"), answer="a", baseline="b", verdicts=(first, second))
        >>> pair.outcome, attrs.evolve(pair, verdicts=(first, first)).outcome
        ('win', 'tie')
        """
        said = tuple(verdict.choice for verdict in self.verdicts)
        if None in said:
            return None
        outcomes: Mapping[Any, Outcome] = {("first", "second"): "win", ("second", "first"): "loss"}
        return outcomes.get(said, "tie")

    @property
    def is_agreed(self) -> bool:
        """Whether the judge says the same in both orders."""
        return self.outcome != "tie" or all(verdict.choice == "tie" for verdict in self.verdicts)


@attrs.frozen(kw_only=True, eq=False)
class LLMComparison:
    """Which of two models writes the better answers, each pair judged in both orders.

    Attributes:
        judge: who is asked, twice for each pair, and what may be spent.
        rubric: what makes one answer better, for the judge.
        baseline: the model that is compared with.
        max_new_tokens, stop: of each answer.
    """

    judge: Judge
    rubric: str = attrs.field(validator=is_rubric)
    baseline: WritingModel
    max_new_tokens: int = attrs.field(default=256, validator=at_least(1))
    stop: tuple[str, ...] = ()

    def calculate(self, data: Source[ShortAnswer], model: WritingModel) -> Mapping[str, float]:
        """Let both models answer, and the judge compare. Equal answers are a tie that nobody is asked about.

        Args:
            data: questions.
            model: has `inference`, as the baseline has.

        Returns:
            `win_rate`, wins and half of the ties over judged pairs, with `win_rate_stderr`: above 0.5 the model is
            better than the baseline; `wins`, `losses`, `ties`, shares of the judged pairs; `agreement`, the share of
            the pairs put to the judge on which both orders agree; `position_bias` with `position_bias_stderr`: how
            much oftener the answer that stands first is preferred than the other, from -1 to 1; `n`, judged pairs;
            `ungraded`, `unasked`: pairs without a verdict, and those of them that the budget had no room for.

        Raises:
            ContractError: the data do not fit the benchmark, or a model does not write.
            GradingError: the endpoint cannot be asked. What it had answered is kept.
        """
        pairs = self.preferences(data, model)
        judged = [pair for pair in pairs if pair.outcome is not None]
        questions = [pair.question for pair in judged]
        outcomes = Counter(pair.outcome for pair in judged)
        rate, stderr = mean_over_questions([_POINTS[str(pair.outcome)] for pair in judged], questions)
        asked = [pair for pair in judged if pair.verdicts]
        leanings = [sum(_LEANING[verdict.choice] for verdict in pair.verdicts) / 2 for pair in asked]
        bias, bias_stderr = mean_over_questions(leanings, [pair.question for pair in asked])
        agreed = [float(pair.is_agreed) for pair in asked]
        shares = {name: outcomes[each] / len(judged) if judged else float("nan") for name, each in _OUTCOMES.items()}
        return {
            "win_rate": rate,
            "win_rate_stderr": stderr,
            **shares,
            "agreement": mean_over_questions(agreed, [pair.question for pair in asked])[0],
            "position_bias": bias,
            "position_bias_stderr": bias_stderr,
            **counts([pair.verdicts for pair in pairs]),
        }

    def preferences(self, data: Source[ShortAnswer], model: WritingModel) -> list[Preference]:
        """The same pair by pair, with the judge's reasons."""
        for each in (model, self.baseline):
            check_data(self, data, each, as_prompts, method="inference")
        asking = Asking(self.judge)
        answers = zip(
            *(
                written(data.get_data_generator(), each, self.max_new_tokens, self.stop)
                for each in (model, self.baseline)
            ),
            strict=True,
        )
        compared = ((question, answer, other) for (question, answer), (_, other) in answers)
        judged = track(
            asking.map(functools.partial(self._compare, asking), compared), "compare", unit="pairs", every=8
        )
        pairs = list(judged)
        tell(self.judge, asking, [(pair.question, pair.verdicts) for pair in pairs])
        return pairs

    def _compare(self, asking: Asking, answered: tuple[ShortAnswer, str, str]) -> Preference:
        question, answer, other = answered
        if answer.split() == other.split():
            return Preference(question=question, answer=answer, baseline=other)
        verdicts = tuple(
            asking.verdict(messages(self.rubric, _BETTER, question, {"first": first, "second": second}), _BETTER)
            for first, second in ((answer, other), (other, answer))
        )
        return Preference(question=question, answer=answer, baseline=other, verdicts=verdicts)
