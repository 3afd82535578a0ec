"""The laws of tokenizers, on text with the nasty parts of Unicode."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from gptlab.testing.errors import broken
from gptlab.testing.example import Example
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, check, search
from gptlab.testing.laws.running import chance, crashing, quietly
from gptlab.testing.laws.saving import saved
from gptlab.testing.text import nasty_text

Find = Callable[[Any, str], str]
"""From (tokenizer, text) to what is wrong, or nothing."""


def texts_of(example: Example) -> st.SearchStrategy[Any]:
    """The texts that were given, or nasty ones."""
    return example.inputs if example.inputs is not None else nasty_text()


def _law(name: str, sentence: str, wanted: str, do: str, find: Find) -> Law:
    """A law that looks at one text at a time."""

    def put(law: Law, example: Example, max_examples: int) -> None:
        def tried(text: str) -> None:
            with crashing(law, example.value, text), quietly():
                wrong = find(example.value, text)
                if wrong:
                    raise broken(law.sentence, example.value, got=wrong, wanted=wanted, items=text, do=do)

        search(texts_of(example), tried, max_examples)

    return Law(name=name, sentence=sentence, check=put)


def _wrong_ids(tokenizer: Any, text: str) -> str:
    ids = tokenizer.encode(text)
    if not isinstance(ids, list) or not all(type(token) is int for token in ids):
        return f"{ids!r:.80}"
    outside = [token for token in ids if not 0 <= token < tokenizer.vocab_size or token == tokenizer.end_of_text]
    if not 0 <= tokenizer.end_of_text < tokenizer.vocab_size:
        return f"end_of_text {tokenizer.end_of_text} in a vocabulary of {tokenizer.vocab_size}"
    return f"the id {outside[0]}" if outside else ""


def _not_there_again(tokenizer: Any, text: str) -> str:
    joined = b"".join(tokenizer.token_bytes(token) for token in tokenizer.encode(text))
    if tokenizer.token_bytes(tokenizer.end_of_text) != b"":
        return f"end-of-text, which stands for {tokenizer.token_bytes(tokenizer.end_of_text)!r}"
    return "" if joined == text.encode() else f"{joined!r:.80} for {text.encode()!r:.80}"


def _differs(tokenizer: Any, text: str) -> str:
    runs = []
    for seed in (1, 2):
        with chance(seed):
            runs.append(tokenizer.encode(text))
    return "" if runs[0] == runs[1] else f"{runs[0]} and then {runs[1]}"


def _arrays_differ(tokenizer: Any, text: str) -> str:
    ids = tokenizer.encode(text)
    lengths = getattr(tokenizer, "token_lengths", None)
    if hasattr(tokenizer, "encode_array") and tokenizer.encode_array(text).tolist() != ids:
        return f"encode_array gives {tokenizer.encode_array(text).tolist()!s:.60}, encode {ids!s:.60}"
    if lengths is not None:
        wrong = [token for token in ids if lengths[token] != len(tokenizer.token_bytes(token))]
        return f"token_lengths says {lengths[wrong[0]]} bytes of id {wrong[0]}" if wrong else ""
    return ""


def refuses(law: Law, example: Example, max_examples: int) -> None:
    """Text that has no UTF-8."""

    def tried(text: str) -> None:
        try:
            ids = example.value.encode(text)
        except ValueError:
            return
        with crashing(law, example.value, ascii(text)):
            joined = b"".join(example.value.token_bytes(token) for token in ids)
        raise broken(
            law.sentence,
            example.value,
            got=f"{joined!r:.80}",
            wanted="UnicodeEncodeError",
            items=ascii(text),
            do="Call text.encode() first, which raises it.",
        )

    search(st.tuples(nasty_text(max_size=4), nasty_text(max_size=4)).map("\ud800".join), tried, max_examples)


def save_and_load(law: Law, example: Example, max_examples: int) -> None:
    """By configuration and by directory: an equal value that encodes the same."""
    tokenizer = example.value
    loaded = saved(law, tokenizer)

    def tried(text: str) -> None:
        for way, twin in loaded:
            if twin.encode(text) != tokenizer.encode(text):
                raise broken(
                    law.sentence,
                    tokenizer,
                    got=f"{twin.encode(text)!s:.60} from {way}",
                    wanted=f"{tokenizer.encode(text)!s:.60}",
                    items=text,
                    do="Save all that encode depends on.",
                )

    if not loaded:
        raise NotApplicable("there is no way to save it")
    search(texts_of(example), tried, max_examples)


TOKENIZER_LAWS = (
    _law(
        "ids",
        "Ids are whole numbers within the vocabulary, and end-of-text is never among them.",
        "ids from 0 to below vocab_size, without end_of_text",
        "Raise vocab_size, or treat the words <|endoftext|> as words.",
        _wrong_ids,
    ),
    _law(
        "round_trip",
        "The bytes of the ids, joined, are the UTF-8 of the text.",
        "the bytes of the text",
        "Neither normalise nor replace anything.",
        _not_there_again,
    ),
    _law(
        "deterministic",
        "The same text gives the same ids, whatever happened before.",
        "the same ids",
        "Draw no chance, and keep no state.",
        _differs,
    ),
    _law(
        "arrays",
        "The array methods say the same as encode and token_bytes.",
        "the same",
        "Make one of them from the other.",
        _arrays_differ,
    ),
    Law(name="refuses", sentence="Text that has no UTF-8 is refused, never altered.", check=refuses),
    Law(
        name="save_and_load",
        sentence="Saved and loaded, it is an equal value that encodes the same.",
        check=save_and_load,
    ),
)


def check_tokenizer(
    tokenizer: Any,
    texts: st.SearchStrategy[Any] | None = None,
    *,
    leave_out: dict[str, str] | None = None,
    max_examples: int = MAX_EXAMPLES,
) -> Held:
    """Put a tokenizer to all laws of tokenizers.

    Args:
        tokenizer: anything with `vocab_size`, `end_of_text`, `encode` and `token_bytes`.
        texts: a strategy of texts; nasty ones when not given.
        leave_out: law to the reason why it does not apply.
        max_examples: texts to try for each law.

    Raises:
        LawBroken: with the shortest text that was found.

    >>> from gptlab.tokenizers import ByteTokenizer
    >>> check_tokenizer(ByteTokenizer()).left_out
    {}
    """
    return check(TOKENIZER_LAWS, Example(tokenizer, inputs=texts, leave_out=leave_out or {}), max_examples)
