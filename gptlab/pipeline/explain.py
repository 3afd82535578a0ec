"""What a construction error says: where, what was got, what was wanted, and what to do.

Nothing here runs until something is wrong, so it may read files to find lines and to look for stages that help.
"""

import itertools
import typing
from collections.abc import Sequence
from typing import Any

from gptlab.pipeline.axes import AtMost, AxisConflict, AxisTable, Claimed
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.hints import is_array, is_union, show
from gptlab.pipeline.nearest import stages_between
from gptlab.pipeline.signature import Face
from gptlab.pipeline.subtype import fits
from gptlab.pipeline.verdict import Answer, Known, Verdict


def _rows(lines: Sequence[tuple[int, str, str, str]]) -> str:
    """Numbered lines in columns: position, name, what it says, where."""
    wide = max(len(line[1]) for line in lines), max(len(line[2]) for line in lines)
    return "\n".join(
        f"  {position}  {name:<{wide[0]}}  {said:<{wide[1]}}   {where}" for position, name, said, where in lines
    )


def seam_error(faces: Sequence[Face], position: int, verdict: Verdict, table: AxisTable) -> ContractError:
    """The part at `position` does not take what the one before yields, or one cannot tell."""
    before, after = faces[position - 1], faces[position]
    sure = verdict.answer is Answer.NO
    title = f"{after.name} cannot follow {before.name}"
    rows = _rows(
        [
            (position - 1, before.name, f"yields {show(before.yields)}", before.where),
            (position, after.name, f"takes  {show(after.takes)}", after.where),
        ]
    )
    plain = verdict.reason == f"{show(before.yields)} is not {show(after.takes)}"
    reason = "" if plain else f"\n  {_sentence(verdict.reason)}"
    if not sure:
        title = f"cannot tell whether {title.replace(' cannot', ' can')}"
    remedy = _remedy(faces, position, table) if sure else _annotate(before, after)
    return ContractError(f"{title}\n{rows}{reason}{_owners(verdict.reason, faces, table)}\n  {remedy}")


def _sentence(text: str) -> str:
    """A reason as a line of its own; names at its beginning keep their case."""
    words = ("axis", "axes", "dtype", "type variable", "parameter", "element", "result")
    return f"{text[0].upper()}{text[1:]}." if text.startswith(words) else f"{text}."


def _owners(reason: str, faces: Sequence[Face], table: AxisTable) -> str:
    """Who fixed the axes that a reason speaks of."""
    words = set(reason.replace(",", " ").replace(";", " ").split())
    lines = [
        (claimed.position, faces[claimed.position].name, _claim(claimed), faces[claimed.position].where)
        for name in sorted(table.names() & words)
        for claimed in table.claims(name)
    ]
    return "\n" + _rows(sorted(lines)) if lines else ""


def _claim(claimed: Claimed) -> str:
    joint = " " if isinstance(claimed.claim, AtMost) else " = "
    return f"has {claimed.axis}{joint}{claimed.claim}"


def _annotate(before: Face, after: Face) -> str:
    """Which annotation to write, when one cannot tell."""
    known = Known()
    left, right = fits(before.yields, object, known), fits(int, after.takes, known)
    if left.answer is Answer.CANNOT_TELL:
        return f"Annotate what {before.name} yields with the type of an item: Iterator[...]."
    if right.answer is Answer.CANNOT_TELL:
        return f"Annotate what {after.name} takes with the type of an item: Iterator[...]."
    return f"Make the two annotations say the same, {before.name}'s as narrow as {after.name}'s."


def _remedy(faces: Sequence[Face], position: int, table: AxisTable) -> str:  # noqa: PLR0911  (a table of cases)
    before, after = faces[position - 1], faces[position]
    got, wanted = before.yields, after.takes
    for left, right in ((position - 1, position), (position, position + 1)):
        if _fit_exchanged(faces, left, right, table):
            return f"{faces[left].name} and {faces[right].name} fit the other way round: exchange them."
    if before.part == after.part:
        return f"{after.name} stands twice: leave one out."
    if is_union(got):
        others = [show(member) for member in typing.get_args(got) if not _fits(member, wanted, table)]
        if len(others) < len(typing.get_args(got)):
            return f"Leave out or convert {' and '.join(others)} in a stage between them, or take it in {after.name}."
    missing = f"A stage from {show(got)} to {show(wanted)} is missing."
    for inner, outer, verb in ((got, wanted, "takes apart"), (wanted, got, "collects")):
        items = _items_of(inner)
        if items is not None and _fits(items, outer, table):
            whole = "the items of each" if verb == "takes apart" else "as many items as belong together, as one"
            return f"{missing} Write one that yields {whole} {show(inner)}."
    between = stages_between(show(got), show(wanted))
    if between:
        return f"{missing} gptlab has: {' or '.join(between)}."
    if is_array(got) and (is_array(wanted) or is_union(wanted)):
        return (
            f"Convert the arrays in a stage between them, or correct the annotation of {before.name} or {after.name}."
        )
    return f"{missing} gptlab has none: write one, or correct the annotation of {before.name} or {after.name}."


def _items_of(hint: Any) -> Any:
    """`A` of `list[A]` and of other collections of one kind of item."""
    args = [arg for arg in getattr(hint, "__args__", ()) if arg is not Ellipsis]
    return args[0] if len(args) == 1 and not is_union(hint) and not is_array(hint) else None


def _fits(got: Any, wanted: Any, table: AxisTable) -> bool:
    return fits(got, wanted, Known(size_of=table.size_of, root_of=table.root_of)).fits


def _fit_exchanged(faces: Sequence[Face], left: int, right: int, table: AxisTable) -> bool:
    """Whether two neighbours, exchanged, fit each other and theirs."""
    if right >= len(faces) or faces[left].is_source or faces[right].is_source:
        return False
    order = [*faces[max(left - 1, 0) : left], faces[right], faces[left], *faces[right + 1 : right + 2]]
    return all(_fits(one.yields, other.takes, table) for one, other in itertools.pairwise(order))


def order_error(faces: Sequence[Face], position: int) -> ContractError:
    """A source that does not come first."""
    source, before = faces[position], faces[position - 1]
    rows = _rows(
        [
            (position - 1, before.name, f"yields {show(before.yields)}", before.where),
            (position, source.name, "takes  nothing: it is a source", source.where),
        ]
    )
    remedy = f"A source comes first: pipeline({source.name}(...), ...)."
    return ContractError(f"{source.name} cannot follow {before.name}\n{rows}\n  {remedy}")


def axis_error(faces: Sequence[Face], conflict: AxisConflict) -> ContractError:
    """Two parts claim sizes of one axis that do not agree."""
    one, other = conflict.claims
    axis = one.axis if one.axis == other.axis else f"{one.axis} (called {other.axis} by {faces[other.position].name})"
    rows = _rows(
        [
            (claimed.position, faces[claimed.position].name, _claim(claimed), faces[claimed.position].where)
            for claimed in (one, other)
        ]
    )
    names = [faces[claimed.position].name for claimed in (one, other)]
    bounded = [isinstance(claimed.claim, AtMost) for claimed in (one, other)]
    if any(bounded):
        low, high = (names[0], names[1]) if bounded[1] else (names[1], names[0])
        remedy = f"Make {one.axis} smaller in {low}, or raise the limit of {high}."
    elif one.position == other.position:
        remedy = f"Make axes() and the annotations of {names[0]} say the same."
    else:
        remedy = f"Give {names[0]} and {names[1]} the same {one.axis}."
    return ContractError(f"{names[-1]} does not fit {names[0]}: axis {axis}\n{rows}\n  {remedy}")


def capacity_error(
    faces: Sequence[Face], position: int, hint: Any, narrow: tuple[str, int], claims: Sequence[Claimed]
) -> ContractError:
    """Token ids that do not fit their dtype."""
    face, (name, capacity) = faces[position], narrow
    owner = next(claimed for claimed in claims if isinstance(claimed.claim, int))
    rows = _rows(
        [
            (owner.position, faces[owner.position].name, _claim(owner), faces[owner.position].where),
            (position, face.name, f"has {name} in {show(hint)}", face.where),
        ]
    )
    return ContractError(
        f"{name} of {face.name} cannot hold the vocabulary\n{rows}\n"
        f"  The dtype of {name} holds {capacity} ids, wanted {owner.claim}.\n"
        f"  Use a wider dtype (UInt32), or a vocabulary of at most {capacity}."
    )
