"""What a model writes to each question, for benchmarks that read answers and not logits."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from gptlab.benchmarks.paired import clustered_mean
from gptlab.types import Generation, Prompt, ShortAnswer


@runtime_checkable
class WritingModel(Protocol):
    """A model that continues prompts, one generation for each, in order. A complete one:

    >>> class Parrot:
    ...     def inference(self, prompts: Iterator[Prompt]) -> Iterator[Generation]:
    ...         for prompt in prompts:
    ...             yield Generation(prompt=prompt, text=prompt.text)
    """

    def inference(self, prompts: Iterator[Prompt], /) -> Iterator[Generation]:
        """What it writes; how tokens are drawn, and how many prompts at a time, is the model's own."""


def written(
    questions: Iterator[ShortAnswer], model: WritingModel, max_new_tokens: int, stop: Sequence[str] = ()
) -> Iterator[tuple[ShortAnswer, str]]:
    """Each question with the text that the model writes to it, up to the first stop string.

    Lazy: no more questions are read than the model asks for at once.

    Args:
        questions: in the order in which they are answered.
        model: as it is; a model that draws tokens gives other texts for other seeds, so question `k` has seed `k`.
        max_new_tokens: of each answer.
        stop: strings before which an answer ends, wherever the model itself ended.
    """
    asked, to_answer = itertools.tee(questions)
    prompts = (
        Prompt(text=each.prompt, title=each.title, max_new_tokens=max_new_tokens, seed=seed)
        for seed, each in enumerate(to_answer)
    )
    for question, generation in zip(asked, model.inference(prompts), strict=True):
        yield question, until(generation.text, stop)


def as_prompts(questions: Iterator[ShortAnswer]) -> Iterator[Prompt]:
    """The stage that stands between questions and a model, where their types are held against each other."""
    for question in questions:
        yield Prompt(text=question.prompt, title=question.title)


def until(text: str, stop: Sequence[str]) -> str:
    """The text before the first of the stop strings; all of it where there is none.

    >>> until(" a heron.\\nQ: next", ["\\n", "."])
    ' a heron'
    """
    return text[: min((place for each in stop if (place := text.find(each)) >= 0), default=len(text))]


def mean_over_questions(values: Sequence[float], questions: Sequence[ShortAnswer]) -> tuple[float, float]:
    """The mean and its standard error, questions of one cluster being no independent ones; NaN over nothing.

    >>> one, other = ShortAnswer(prompt="a"), ShortAnswer(prompt="b")
    >>> mean_over_questions([1.0, 0.0], [one, other])
    (0.5, 0.5)
    """
    clusters = np.array([each.cluster or f"\0{number}" for number, each in enumerate(questions)], dtype=np.str_)
    return clustered_mean(np.array(values, np.float64), clusters)
