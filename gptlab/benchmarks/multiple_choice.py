"""Multiple choice by likelihood: each choice is scored after its context, and the likeliest is the model's answer.

A long choice is less likely than a short one merely because it is long, so there are four accuracies, and which is
meant must be said: of the sum (`acc` of lm-evaluation-harness), per token, per byte (`acc_bytes`) and per character
(`acc_norm`). Lengths are of the choice alone, without its delimiter, as there.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import attrs
import numpy as np
from jaxtyping import Float64

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.continuations import ContinuationRows, EncodeQuestions, exp_or_inf
from gptlab.benchmarks.likelihood import BATCH_TOKENS, QuestionScore, score_questions
from gptlab.pipeline.protocols import Source, Tokenizer
from gptlab.training import TrainableModel, ratio_of_means
from gptlab.types import Question
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

NORMALISATIONS = ("sum", "per_token", "per_byte", "per_character")
"""What a choice's log-likelihood is divided by: nothing, or a length."""


@attrs.frozen(kw_only=True)
class MultipleChoiceLogits:
    """Accuracy of the likeliest choice.

    Attributes:
        tokenizer: the model's.
        max_questions: of the data; None: all.
        batch_tokens: tokens of a batch, padding included, at most.
    """

    tokenizer: Tokenizer
    max_questions: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    batch_tokens: int = attrs.field(default=BATCH_TOKENS, validator=at_least(1))

    def calculate(self, data: Source[Question], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score every choice of every question.

        Args:
            data: questions of two choices at least.
            model: yields `token_losses`.

        Returns:
            `accuracy` (the harness's `acc`), `accuracy_per_token`, `accuracy_per_byte` and `accuracy_per_character`
            (its `acc_norm`), each with its `_stderr`; `chance`; `probability`, the mean share of the right choice
            among the likelihoods of all, which tells small models apart, with its `_stderr`; and `n`.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
            ValueError: a question has one choice.
        """
        scores = self.scores(data, model)
        right = np.array([[chosen(score, by) == score.question.answer for by in NORMALISATIONS] for score in scores])
        right = right.reshape(-1, len(NORMALISATIONS)).astype(np.float64)
        shares = np.array([_share_of_right(score) for score in scores], np.float64)
        figures: dict[str, float] = {}
        for by, column in zip(NORMALISATIONS, right.T, strict=True):
            figures |= mean_figures("accuracy" if by == "sum" else f"accuracy_{by}", column)
        chances = [1 / len(score.question.choices) for score in scores]
        return {
            **figures,
            "chance": float(np.mean(chances)) if chances else math.nan,
            **mean_figures("probability", shares),
            "n": float(len(scores)),
        }

    def scores(self, data: Source[Question], model: TrainableModel[Any, Any]) -> list[QuestionScore]:
        """The likelihoods themselves, question by question; `calculate` makes figures of them.

        Raises:
            ContractError, ValueError: as `calculate`.
        """
        check_data(
            self, data, model, EncodeQuestions(self.tokenizer), ContinuationRows(batch_tokens=self.batch_tokens)
        )
        questions = (_with_choices(each) for each in islice(data.get_data_generator(), self.max_questions))
        return list(score_questions(questions, model, self.tokenizer, batch_tokens=self.batch_tokens))


def _with_choices(question: Question) -> Question:
    if len(question.choices) > 1:
        return question
    raise refusal(
        f"MultipleChoiceLogits, question {question.id or question.context[:40]!r}",
        got="one choice",
        wanted="two or more",
        do="Use CorrectAnswerInTopK for questions whose answer is to be completed.",
    )


def chosen(score: QuestionScore, by: str = "sum") -> int:
    """The model's answer, by one of `NORMALISATIONS`; the first of equals.

    A choice of no length is never the answer where likelihoods are divided by it.
    """
    totals = np.array([choice.total for choice in score.choices])
    texts = score.question.choices
    if by == "sum":
        return int(np.argmax(totals))
    if by == "per_token":
        lengths = np.array([len(choice.log_probs) for choice in score.choices])
    else:
        lengths = np.array([len(text.encode() if by == "per_byte" else text) for text in texts])
    return int(np.argmax(np.where(lengths > 0, totals / np.maximum(lengths, 1), -np.inf)))


def _share_of_right(score: QuestionScore) -> float:
    totals = np.array([choice.total for choice in score.choices])
    shares = np.exp(totals - totals.max())
    return float(shares[score.question.answer] / shares.sum())


def mean_figures(name: str, values: Float64[np.ndarray, "n"]) -> dict[str, float]:
    """A mean and its standard error, values taken for independent.

    Source: Miller, Adding Error Bars to Evals, https://arxiv.org/abs/2411.00640, section 2.1

    >>> mean_figures("accuracy", np.array([0.0, 1.0]))
    {'accuracy': 0.5, 'accuracy_stderr': 0.5}
    """
    mean, stderr = ratio_of_means(values, np.ones(len(values)))
    return {name: mean, f"{name}_stderr": stderr}


@attrs.frozen(kw_only=True)
class CorrectAnswerInTopK:
    """How often the model would find the answer: every token of it is among the `k` likeliest when it is due.

    With `k=1` that is greedy decoding, and the figure of LAMBADA. Nothing but the right choice is scored.

    Attributes:
        tokenizer: the model's.
        k: tokens that are looked at.
        max_questions: of the data; None: all.
        batch_tokens: tokens of a batch, padding included, at most.
    """

    tokenizer: Tokenizer
    k: int = attrs.field(default=1, validator=at_least(1))
    max_questions: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1)))
    batch_tokens: int = attrs.field(default=BATCH_TOKENS, validator=at_least(1))

    def calculate(self, data: Source[Question], model: TrainableModel[Any, Any]) -> Mapping[str, float]:
        """Score the right answer of every question.

        Args:
            data: questions of any number of choices.
            model: yields `token_losses` and `logits`.

        Returns:
            `accuracy` with `accuracy_stderr`; `loss`, nats for a whole answer, with `loss_stderr`; `perplexity`,
            `exp(loss)`, as the harness gives it for LAMBADA; and `n`.

        Raises:
            ContractError: the data do not fit the benchmark or the model; nothing was read.
            ValueError: the model gives no logits.
        """
        check_data(
            self, data, model, EncodeQuestions(self.tokenizer), ContinuationRows(batch_tokens=self.batch_tokens)
        )
        questions = islice(data.get_data_generator(), self.max_questions)
        found = score_questions(questions, model, self.tokenizer, batch_tokens=self.batch_tokens, only_right=True)
        answers = [score.choices[0] for score in found]
        if any(answer.ranks is None for answer in answers):
            raise refusal(
                "CorrectAnswerInTopK.calculate(model)",
                got=f"{type(model).__name__}, which gives no logits",
                wanted="a model whose outputs have them in evaluation mode",
                do="Use MultipleChoiceLogits, which needs losses alone.",
            )
        losses = mean_figures("loss", np.array([-answer.total for answer in answers], np.float64))
        return {
            **mean_figures("accuracy", np.array([answer.is_within(self.k) for answer in answers], np.float64)),
            **losses,
            "perplexity": exp_or_inf(losses["loss"]),
            "n": float(len(answers)),
        }
