"""Types that have strategies of their own, because well typed is not yet valid: the library's records, and a user's.

Models' records are found by name, so that nobody imports torch who does not draw them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from hypothesis import strategies as st

from gptlab.pipeline.axes import AtMost, Claim
from gptlab.testing import corpora, text

Axes = Mapping[str, Claim]
Strategy = st.SearchStrategy[Any]


@attrs.frozen
class Entry:
    """How one type is drawn.

    Attributes:
        one: from the axes that a part claims, one value.
        stream: from these axes and the least and the greatest length, a list that may be a stage's input: where the
            values of one stream depend on each other. None: drawn one by one.
    """

    one: Callable[[Axes], Strategy]
    stream: Callable[[Axes, int, int], Strategy] | None = None


_OWN: dict[Any, Entry] = {}


def register(kind: Any, one: Strategy, stream: Callable[[int, int], Strategy] | None = None) -> None:
    """Draw values of `kind` from a strategy from now on, wherever its annotation appears.

    Args:
        kind: a class or a `NewType`.
        one: a single value.
        stream: from the least and the greatest length, a list of values that belong together.

    >>> from gptlab.testing import strategy_for
    >>> class Even(int): ...
    >>> register(Even, st.integers(0, 9).map(lambda half: Even(2 * half)))
    >>> strategy_for(list[Even])
    strategy_for(list[Even])
    """
    own_stream = stream
    _OWN[kind] = Entry(
        lambda axes: one, None if own_stream is None else lambda axes, least, most: own_stream(least, most)
    )


def entry_for(kind: Any) -> Entry | None:
    """The entry of a type: a user's before the library's."""
    try:
        own = _OWN.get(kind)
    except TypeError:  # what cannot be hashed was never registered
        return None
    if own is not None:
        return own
    return _LIBRARY.get(f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}")


def bound_of(axes: Axes, name: str, otherwise: int) -> int:
    """The greatest size that a claim allows."""
    claim = axes.get(name, otherwise)
    return claim.size if isinstance(claim, AtMost) else claim


def _size(axes: Axes, name: str) -> int | None:
    claim = axes.get(name)
    return claim if isinstance(claim, int) else None


def _vocab(axes: Axes) -> int:
    claim = axes.get("vocab", corpora.VOCAB_SIZE)
    return min(claim.size, corpora.VOCAB_SIZE) if isinstance(claim, AtMost) else claim


def _document(axes: Axes) -> Strategy:
    return corpora.documents()


def _corpus(axes: Axes, least: int, most: int) -> Strategy:
    return corpora.linked_corpora(least, most)


def _tokenized(axes: Axes) -> Strategy:
    return corpora.tokenized_documents(vocab_size=_vocab(axes))


def _tokenized_corpus(axes: Axes, least: int, most: int) -> Strategy:
    return corpora.tokenized_corpora(least, most, vocab_size=_vocab(axes))


def _walk(axes: Axes) -> Strategy:
    return corpora.walks(vocab_size=_vocab(axes))


def _walks(axes: Axes, least: int, most: int) -> Strategy:
    return corpora.walk_streams(least, most, vocab_size=_vocab(axes))


def _row(axes: Axes) -> Strategy:
    return _rows(axes, 1, 1).map(lambda rows: rows[0])


def _rows(axes: Axes, least: int, most: int) -> Strategy:
    longest = min(24, bound_of(axes, "seq", 24))
    return corpora.row_streams(least, most, _size(axes, "seq"), _vocab(axes), longest)


def _batch(axes: Axes) -> Strategy:
    longest = min(24, bound_of(axes, "seq", 24))
    return corpora.batches(_size(axes, "seq"), _size(axes, "batch"), _vocab(axes), longest)


def _prompt(axes: Axes) -> Strategy:
    return corpora.prompts()


def _document_id(axes: Axes) -> Strategy:
    return text.document_ids()


_LIBRARY: Mapping[str, Entry] = {
    "gptlab.types.identity.DocumentId": Entry(_document_id),
    "gptlab.types.records.Document": Entry(_document, _corpus),
    "gptlab.types.records.TokenizedDocument": Entry(_tokenized, _tokenized_corpus),
    "gptlab.types.records.Walk": Entry(_walk, _walks),
    "gptlab.types.records.PackedSequence": Entry(_row, _rows),
    "gptlab.types.records.Batch": Entry(_batch),
    "gptlab.types.records.Prompt": Entry(_prompt),
}
