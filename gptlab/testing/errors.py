"""What the kit raises: a law that is broken, and an annotation that it cannot draw from."""

from typing import Any

from gptlab.pipeline.place import location, name_of


class LawBroken(AssertionError):  # noqa: N818  (reads as what happened)
    """A part breaks a law; the message shows the law in one sentence and the smallest input that was found."""


class CannotDraw(TypeError):  # noqa: N818
    """There is no strategy for an annotation; the message says what to give instead."""


def cannot_draw(what: str, *, got: str, do: str, wanted: str = "an annotation that says what to draw") -> CannotDraw:
    """The error in four parts."""
    return CannotDraw(f"no strategy for {what}\n  got     {got}\n  wanted  {wanted}\n  {do}")


def broken(law: str, part: Any, *, got: str, wanted: str, items: Any = None, do: str = "") -> LawBroken:
    """The error of a law.

    Args:
        law: the law, one sentence.
        part: who breaks it.
        got: what happened.
        wanted: what the law wants here.
        items: the input, where there is one.
        do: how to mend it.
    """
    lines = [f"{name_of(part)} breaks a law: {law}", f"  where   {location(part)}"]
    lines += [f"  got     {got}", f"  wanted  {wanted}"]
    if items is not None:
        lines.append(f"  input   {shown(items)}")
    return LawBroken("\n".join([*lines, *([f"  {do}"] if do else [])]))


def shown(value: Any, width: int = 1200) -> str:
    """A value as a person reads it, cut where it is long.

    >>> shown([1, 2])
    '[1, 2]'
    """
    try:
        text = repr(value)
    except (RuntimeError, NotImplementedError, TypeError):  # tensors of dtypes that torch cannot print
        text = f"<{type(value).__name__} that has no repr>"
    return text if len(text) <= width else f"{text[:width]} ... ({len(text):,} characters)"
