"""Models that say what they are told to, and questions for them."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from gptlab.types import Generation, Prompt, ShortAnswer


@attrs.frozen
class Questions:
    """A source of questions."""

    items: tuple[ShortAnswer, ...]

    def get_data_generator(self) -> Iterator[ShortAnswer]:
        yield from self.items


class Says:
    """Answers each prompt with what stands beside it, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers, self.asked = answers, list[Prompt]()

    def inference(self, prompts: Iterator[Prompt]) -> Iterator[Generation]:
        for prompt in prompts:
            self.asked.append(prompt)
            yield Generation(prompt=prompt, text=self.answers[prompt.text])


def numbered(count: int, answers: Sequence[str] = ()) -> tuple[Questions, Says]:
    """Questions `q0`, `q1`, ... and a model that answers `a0`, `a1`, ..., or what is given."""
    said = answers or [f"a{number}" for number in range(count)]
    questions = Questions(tuple(ShortAnswer(prompt=f"q{number}", answers=("x",)) for number in range(count)))
    return questions, Says({f"q{number}": each for number, each in enumerate(said)})
