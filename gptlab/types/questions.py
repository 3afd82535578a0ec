"""What a benchmark asks: a context, what may follow it, and which of it is right."""

import attrs

from gptlab.types.errors import refusal


@attrs.frozen(kw_only=True)
class Question:
    """One question with its choices, as text.

    What a model scores is `delimiter + choice` after `prompt`, as in lm-evaluation-harness, so that figures compare.

    Attributes:
        context: the question as it is asked, up to where an answer begins.
        choices: the answers to choose from; one alone where the answer is to be completed (LAMBADA).
        answer: index of the right one.
        delimiter: what stands between the context and a choice.
        preamble: what stands before everything, examples included.
        group: what it belongs to, such as MMLU's subject: examples are taken from the same.
        id: as its source calls it; may be empty.

    >>> Question(context="Question: Which of them flies?\\nAnswer:", choices=("otter", "heron"), answer=1).right
    'heron'
    """

    context: str
    choices: tuple[str, ...]
    answer: int
    delimiter: str = " "
    preamble: str = ""
    group: str = ""
    id: str = ""

    def __attrs_post_init__(self) -> None:
        where = f"Question {self.id or self.context[:40]!r}"
        if not 0 <= self.answer < len(self.choices):
            raise refusal(
                where,
                got=f"answer {self.answer} of {len(self.choices)} choices",
                wanted="the index of one of them, from 0 on",
                do="Look at how the row numbers its answers.",
            )
        if not all(self.delimiter + choice for choice in self.choices):
            raise refusal(
                where,
                got="an empty choice and no delimiter",
                wanted="something to score for each choice",
                do="Leave the choice out, or give a delimiter.",
            )

    @property
    def prompt(self) -> str:
        """All that is read before a choice."""
        return self.preamble + self.context

    @property
    def right(self) -> str:
        """The text of the right choice."""
        return self.choices[self.answer]
