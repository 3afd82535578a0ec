"""What a model needs besides its weights to write: a value that says how, made once for any number of prompts."""

from collections.abc import Callable
from typing import Any

import attrs

from gptlab.models.context import Evict, least_recently_linked
from gptlab.models.sampling import Sampling
from gptlab.pipeline.protocols import Tokenizer
from gptlab.types import DocumentId, TokenizedDocument
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least

Lookup = Callable[[DocumentId], TokenizedDocument | None]
"""The document with an identity, or None: the `get` of any `gptlab.graph.Documents`, say."""


@attrs.frozen(kw_only=True)
class WriteMissing:
    """Let the model write what a link leads to where no document is there, and read that.

    What it writes so may link to more that is not there; the limits hold for all that one prompt brings about.

    Attributes:
        depth: of links followed so from the prompt's document: 1 writes what it links to, 2 what that links to.
        documents: how many are written at most.
        max_new_tokens: of each.
    """

    depth: int = attrs.field(default=1, validator=at_least(1, "To write none, leave WriteMissing out."))
    documents: int = attrs.field(default=4, validator=at_least(1, "To write none, leave WriteMissing out."))
    max_new_tokens: int = attrs.field(default=64, validator=at_least(1))


def _check_stops(reading: "Reading", attribute: Any, stops: tuple[str, ...]) -> None:
    if "" in stops:
        raise refusal(
            "Reading.stop",
            got="an empty string",
            wanted="strings of one character at least",
            do="Nothing would be written: every text has it. Leave it out.",
        )


@attrs.frozen(kw_only=True, eq=False)
class Reading:
    """What a model needs besides its weights to write: a tokenizer, where documents are found, how tokens are drawn.

    Attributes:
        tokenizer: the one the model was trained with.
        lookup: where the targets of links are found; None: links are text, and nothing is read.
        sampling: how the next token is drawn.
        stop: strings before which the text ends.
        evict: which document makes room where a new one finds none.
        write_missing: what is done about targets that are not found; None: nothing, they are told.
        batch_size: how many prompts are continued at once.
        is_cached: keep keys and values between tokens; False encodes the whole context for each, which is slower
            and the definition.
    """

    tokenizer: Tokenizer
    lookup: Lookup | None = None
    sampling: Sampling = attrs.field(factory=Sampling)
    stop: tuple[str, ...] = attrs.field(default=(), validator=_check_stops)
    evict: Evict = least_recently_linked
    write_missing: WriteMissing | None = None
    batch_size: int = attrs.field(default=1, validator=at_least(1))
    is_cached: bool = True
