"""Whole inputs: lists of items that may follow one another in one stream."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from gptlab.pipeline.axes import Claim
from gptlab.testing.draw import Draw, composite
from gptlab.testing.drawing import bound_variables, record_hints, record_of, scope_arrays, strategy_for
from gptlab.testing.registry import entry_for
from gptlab.testing.sizes import Limits, sizes


@composite
def streams(
    draw: Draw,
    annotation: Any,
    *,
    axes: Mapping[str, Claim] | None = None,
    min_size: int = 0,
    max_size: int = 5,
    limits: Limits = Limits(),
) -> list[Any]:
    """The items of one stream, as a list; shrinks to few and small ones, and to none.

    Named axes have one size throughout the stream, as in rows that are stacked (write `_` for an axis that differs
    from item to item). Documents of one stream link to each other, rows have one length and one vocabulary.

    Args:
        annotation: of one item.
        axes: claims on its axes.
        min_size, max_size: items.
        limits: how large axes and collections may be.
    """
    hint = draw(bound_variables(annotation))
    entry = entry_for(hint)
    if entry is not None and entry.stream is not None:
        items: list[Any] = draw(entry.stream(dict(axes or {}), min_size, max_size))
        return items
    kind = record_of(hint)
    hints = list(record_hints(hint, kind).values()) if kind is not None and entry is None else [hint]
    arrays = scope_arrays(hints) if entry is None else []
    shared = draw(sizes(arrays, axes or {}, {}, limits)).named
    item = strategy_for(hint, axes=axes, limits=limits, shared=shared)
    drawn: list[Any] = draw(st.lists(item, min_size=min_size, max_size=max_size))
    return drawn
