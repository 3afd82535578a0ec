"""The run-time check: what a part yields is held against its annotation.

The first items of every part, unless told otherwise: `GPTLAB_CHECKS=off|first|all`, or per pipeline. Off is the same
chain of generators as without gptlab; `first` hands over to the part's own iterator after `FIRST` items, so that a
long run pays for a delegation and nothing else (see `experiments/contract_cost`).

beartype decides about types and jaxtyping about array types and dtypes (`examine`, `bind`). Records are opened field
by field, since neither of the two looks inside an attrs class. A function written for the annotation says quickly of
most items that they pass (`accept`), so that a run in which all is right does not even import beartype.
"""

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

from gptlab.pipeline.accept import acceptor
from gptlab.pipeline.axes import AtMost, AxisTable, Claimed
from gptlab.pipeline.bind import Mismatch, Scope
from gptlab.pipeline.chain import Chain
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.examine import examiner
from gptlab.pipeline.hints import without_scope
from gptlab.types.errors import four_parts

Checks = Literal["off", "first", "all"]
"""How much is checked: nothing, the first items of every part, or everything."""

CHECKS: tuple[Checks, ...] = ("off", "first", "all")
FIRST = 3
"""How many items of every part are checked at `first`."""


def effective(checks: Checks | None) -> Checks:
    """A pipeline's own setting, else `GPTLAB_CHECKS`, else `first`.

    Raises:
        ContractError: where the variable holds something else.
    """
    if checks is not None:
        return checks
    wish = os.environ.get("GPTLAB_CHECKS", "first")
    for known in CHECKS:
        if wish == known:
            return known
    raise ContractError(
        four_parts(
            "the environment variable GPTLAB_CHECKS is not understood",
            got=repr(wish),
            wanted=", ".join(CHECKS),
            do="Unset it, or set it to one of these.",
        )
    )


def checked_items(items: Iterator[Any], chain: Chain, position: int, mode: Checks) -> Iterator[Any]:
    """What the part at `position` yields, examined on the way.

    Args:
        items: what it yields.
        chain: the pipeline, for what is known of the axes.
        position: index of the part.
        mode: `off` gives `items` back as they are.

    Raises:
        ContractError: when an item is not what the part's annotation promises.
    """
    return items if mode == "off" else _watch(items, chain, position, FIRST if mode == "first" else None)


def _watch(items: Iterator[Any], chain: Chain, position: int, limit: int | None) -> Iterator[Any]:
    hint, table = chain.faces[position].yields, chain.table
    accept = acceptor(hint, table)
    items = iter(items)
    for number, item in enumerate(islice(items, limit)):
        if not accept(item):
            try:
                scope = Scope(table)
                examiner(hint)(item, scope)
                scope.close()
            except Mismatch as mismatch:
                where = type(item).__name__ if mismatch.path.startswith(".") else ""
                raise _error(chain, position, number, mismatch.at(where)) from None
        yield item
    yield from items


def _error(chain: Chain, position: int, number: int, mismatch: Mismatch) -> ContractError:
    face = chain.faces[position]
    field = f"\n  field   {mismatch.path}" if mismatch.path else ""
    why = f"\n  {mismatch.why[0].upper()}{mismatch.why[1:]}." if mismatch.why else ""
    owners = "".join(f"\n  {_owner(chain, claimed)}" for claimed in _claims(chain.table, mismatch.axis))
    return ContractError(
        f"{face.name} yielded what its annotation does not promise\n"
        f"  where   item {number} of {face.name}, part {position}   {face.where}{field}\n"
        f"  found   {mismatch.found}\n  wanted  {mismatch.wanted}{why}{owners}\n"
        f"  Correct what {face.name} yields, or what it is annotated to yield."
    )


def _claims(table: AxisTable, axis: str) -> tuple[Claimed, ...]:
    return table.claims(axis) if axis else ()


def _owner(chain: Chain, claimed: Claimed) -> str:
    face = chain.faces[claimed.position]
    joint = " " if isinstance(claimed.claim, AtMost) else " = "
    return f"{face.name} has {without_scope(claimed.axis)}{joint}{claimed.claim}   {face.where}"
