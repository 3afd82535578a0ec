"""Answers that a model writes, held against those that are accepted, word for word.

Two figures, because models that were not taught to stop go on: `exact_match` wants nothing else before the first stop
string, `prefix_match` that what was written begins with an accepted answer (HELM's quasi-prefix exact match,
https://arxiv.org/abs/2211.09110, appendix C).
"""

import re
import string
from collections.abc import Callable, Mapping
from typing import Literal

import attrs

from gptlab.benchmarks.check import check_data
from gptlab.benchmarks.written import WritingModel, as_prompts, mean_over_questions, written
from gptlab.pipeline.observe import track
from gptlab.pipeline.protocols import Source
from gptlab.types import ShortAnswer
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least, one_of, satisfies

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad(text: str) -> str:
    """The normal form of SQuAD: lower case, no ASCII punctuation, no articles of English, single spaces.

    Source: `normalize_answer` of the evaluation script, https://rajpurkar.github.io/SQuAD-explorer/

    >>> squad("The  Heron's nest, an  OLD one.")
    'herons nest old one'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


NORMAL_FORMS: Mapping[str, Callable[[str], str]] = {"squad": squad, "none": str.strip}
"""What `ExactMatch.normal_form` may name; `none` takes away the white space around an answer and nothing else."""


@attrs.frozen(kw_only=True)
class ExactMatch:
    """How often a model writes an accepted answer.

    Attributes:
        normal_form: in which texts are compared: `squad`, or `none`, as they were written.
        stop: strings before which an answer ends. A model that is told them too (`DagTransformer.reading(stop=...)`)
            does not write on for nothing.
        max_new_tokens: of each answer.

    >>> from collections.abc import Iterator
    >>> from gptlab.types import Generation, Prompt
    >>> class Questions:
    ...     def get_data_generator(self) -> Iterator[ShortAnswer]:
    ...         yield ShortAnswer(prompt="Its crest is", answers=("a heron", "an egret"))
    ...         yield ShortAnswer(prompt="Its river is", answers=("the Velm",))
    >>> class SaysHeron:
    ...     def inference(self, prompts: Iterator[Prompt]) -> Iterator[Generation]:
    ...         for prompt in prompts:
    ...             yield Generation(prompt=prompt, text=" the Heron.")
    >>> ExactMatch().calculate(Questions(), SaysHeron())["exact_match"]
    0.5
    """

    normal_form: Literal["squad", "none"] = attrs.field(default="squad", validator=one_of(tuple(NORMAL_FORMS)))
    stop: tuple[str, ...] = attrs.field(
        default=("\n",), validator=satisfies(lambda stop: "" not in stop, "strings of one character at least")
    )
    max_new_tokens: int = attrs.field(default=32, validator=at_least(1))

    def calculate(self, data: Source[ShortAnswer], model: WritingModel) -> Mapping[str, float]:
        """Let the model answer every question.

        Args:
            data: questions, each with one accepted answer at least.
            model: has `inference`; give it the likeliest token always (`Sampling(temperature=0)`), unless what it
                draws is what you want to know about.

        Returns:
            `exact_match` and `prefix_match`, shares of the questions, each with its `_stderr`, clustered where the
            questions say so; `n`, questions.

        Raises:
            ContractError: the data do not fit the benchmark, or the model does not write.
            ValueError: a question has no accepted answer, or one of which the normal form leaves nothing.
        """
        check_data(self, data, model, as_prompts, method="inference")
        questions = list(data.get_data_generator())
        accepted = [self._accepted(question) for question in questions]
        texts = track(
            written(iter(questions), model, self.max_new_tokens, self.stop),
            "exact match",
            total=len(questions),
            unit="questions",
            every=8,
        )
        exact: list[float] = []
        prefix: list[float] = []
        for answers, (_, text) in zip(accepted, texts, strict=True):
            words = NORMAL_FORMS[self.normal_form](text).split()
            exact.append(float(words in answers))
            prefix.append(float(any(words[: len(answer)] == answer for answer in answers)))
        figures = {}
        for name, values in (("exact_match", exact), ("prefix_match", prefix)):
            figures[name], figures[f"{name}_stderr"] = mean_over_questions(values, questions)
        return {**figures, "n": float(len(questions))}

    def _accepted(self, question: ShortAnswer) -> list[list[str]]:
        """The accepted answers as words of the normal form: an answer ends where a word does."""
        answers = [NORMAL_FORMS[self.normal_form](answer).split() for answer in question.answers]
        if not answers or [] in answers:
            raise refusal(
                f"the question {question.prompt[-60:]!r}",
                got=f"the accepted answers {list(question.answers)}",
                wanted=f"one at least, and none that is empty in the normal form {self.normal_form!r}",
                do="Correct the question, or compare as it is written: normal_form='none'.",
            )
        return answers
