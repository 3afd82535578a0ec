"""What a module tells the kit about a value that it cannot make, or cannot feed, by itself."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st


@attrs.frozen
class Example:
    """A value to be put to its laws, with what they need beyond its annotations.

    Attributes:
        value: a stage, source, model, tokenizer, trainer or benchmark.
        inputs: its input, as a strategy of *lists* of items; made from its annotation when not given.
        model: for a benchmark, what it scores.
        data: for a benchmark, its data: a source; made from its annotation when not given.
        name: shown in place of its class.
        reads_ahead: items that a stage may read before it needs them (one that prefetches).
        leave_out: law to the reason why it does not apply here; shown as a skipped test.

    >>> Example(len, name="len").name
    'len'
    """

    value: Any
    inputs: st.SearchStrategy[list[Any]] | None = None
    model: Any = None
    data: Any = None
    name: str = ""
    reads_ahead: int = 0
    leave_out: dict[str, str] = attrs.Factory(dict)


@attrs.frozen(eq=False)
class Items:
    """A source from a list, of a type that is said where it is made.

    Attributes:
        items: what it yields.
        kind: the annotation of one item.

    >>> list(Items([1, 2], int).get_data_generator(start=1))
    [2]
    """

    items: Sequence[Any]
    kind: Any

    def get_data_generator(self, start: int = 0) -> Iterator[Any]:
        """The items from `start` on."""
        yield from self.items[start:]

    def item_types(self) -> tuple[Any, Any]:
        """(`None`, the type of one item)."""
        return None, self.kind
