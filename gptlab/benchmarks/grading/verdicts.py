"""What a judge must say, as a schema for its server and as a check of what comes: strict, because servers vary.

A reason comes first, so that the choice is made after it. Nothing is repaired: a number in quotes, a further key or
words around the object are a malformed answer, which is asked again.
"""

from typing import Any, Literal

import attrs

from gptlab.storage import StorageError
from gptlab.storage.jsonfiles import parse_json

WhyNot = Literal["", "malformed", "refused", "budget"]


@attrs.frozen(kw_only=True)
class Reply:
    """An answer of the endpoint, as it is kept on disk.

    Attributes:
        text: what the judge wrote.
        ended: why it ended, as the server says: `stop`, `length`.
        tokens: of question and answer; None where the server does not say.
    """

    text: str
    ended: str = ""
    tokens: int | None = None


@attrs.frozen(kw_only=True)
class Verdict:
    """What the judge decided, or why it did not.

    Attributes:
        choice: one of the form's; None where there is no verdict.
        reason: the judge's own words; where there is no verdict, what was wrong.
        why_not: `malformed`: no answer had the form; `refused`: the server does not take this question; `budget`:
            it was not asked.
    """

    choice: int | str | None
    reason: str
    why_not: WhyNot = ""


class Malformed(Exception):  # noqa: N818 - it becomes a question that is asked again
    """An answer that is no verdict, with what is wrong with it."""


@attrs.frozen
class Form:
    """A reason and one of a few choices.

    Attributes:
        name: of the choice.
        choices: all numbers or all words.

    >>> Form("better", ("first", "second")).read(Reply(text='{"reason": "Short.", "better": "second"}')).choice
    'second'
    """

    name: str
    choices: tuple[int | str, ...]

    def schema(self) -> dict[str, Any]:
        """As JSON Schema, within what servers with strict output take: `enum` in place of bounds."""
        kind = "integer" if isinstance(self.choices[0], int) else "string"
        return {
            "type": "object",
            "properties": {"reason": {"type": "string"}, self.name: {"type": kind, "enum": list(self.choices)}},
            "required": ["reason", self.name],
            "additionalProperties": False,
        }

    def words(self) -> str:
        """The same for the judge to read."""
        choices = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in self.choices)
        return f'{{"reason": "why, in a sentence or two", "{self.name}": one of {choices}}}'

    def read(self, reply: Reply) -> Verdict:
        """The verdict in an answer.

        Raises:
            Malformed: it is not of this form.
        """
        if reply.ended == "length":
            raise Malformed("it was cut off; give the judge more max_tokens")
        try:
            found = parse_json(reply.text, "the answer")
        except StorageError as error:
            raise Malformed(f"it is no JSON: {error.got}") from None
        if not isinstance(found, dict) or found.keys() != {"reason", self.name}:
            has = sorted(found) if isinstance(found, dict) else type(found).__name__
            raise Malformed(f"it has {has} where {['reason', self.name]} are asked for")
        reason, choice = found["reason"], found[self.name]
        if not isinstance(reason, str):
            raise Malformed(f"its reason is {reason!r:.40}, which is no text")
        if type(choice) is not type(self.choices[0]) or choice not in self.choices:  # True and 1.0 are no 1
            raise Malformed(f"its {self.name} is {choice!r:.40}, which is none of {list(self.choices)}")
        return Verdict(choice=choice, reason=reason)


def read_reply(data: bytes) -> Reply:
    """The first choice of a chat completion.

    Raises:
        Malformed: the data are no such thing.
    """
    try:
        found = parse_json(data, "the answer")
    except StorageError as error:
        raise Malformed(f"the server's answer is no JSON: {error.got}") from None
    try:
        choice = found["choices"][0]
        text, ended = choice["message"].get("content"), choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise Malformed("the server's answer is no chat completion") from None
    usage = found.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return Reply(
        text=text if isinstance(text, str) else "",
        ended=ended if isinstance(ended, str) else "",
        tokens=tokens if type(tokens) is int and tokens >= 0 else None,
    )
