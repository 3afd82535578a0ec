"""What a part asks of the sources that it is given: checked by annotation before any work, as a seam is."""

from collections.abc import Callable
from typing import Any

from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.hints import show
from gptlab.pipeline.nearest import stages_between
from gptlab.pipeline.signature import read
from gptlab.pipeline.subtype import fits
from gptlab.types.errors import four_parts


def need_source_of(wanted: Any, source: object, where: str) -> None:
    """Refuse a source whose items are of another type, or do not say of which.

    Args:
        wanted: the type of an item.
        source: a source, a pipeline that begins with one, say.
        where: whose need it is, for the message.

    Raises:
        ContractError: it does not fit, with what would help.

    >>> from collections.abc import Iterator
    >>> class Words:
    ...     def get_data_generator(self) -> Iterator[str]:
    ...         yield "tea"
    >>> need_source_of(str, Words(), "Count.words")
    >>> need_source_of(int, Words(), "Count.words")
    Traceback (most recent call last):
    gptlab.pipeline.errors.ContractError: Count.words
      got     a source of str, Words   ...
      wanted  a source of int
      Give another source, or correct what Words is annotated to yield.
    """
    face = read(source)
    if face.is_source and fits(face.yields, wanted).fits:
        return
    kind = "source" if face.is_source else "stage, which needs items, and then one"
    between = stages_between(show(face.yields), show(wanted)) if face.is_source else ()
    if between:
        do = f"Put {' or '.join(between)} behind it: pipeline(..., {between[0].partition(',')[0]}(...))."
    else:
        do = f"Give another source, or correct what {face.name} is annotated to yield."
    raise ContractError(
        four_parts(
            where,
            got=f"a {kind} of {show(face.yields)}, {face.name}   {face.where}",
            wanted=f"a source of {show(wanted)}",
            do=do,
        )
    )


def source_of(wanted: Any) -> Callable[[Any, Any, Any], None]:
    """An attrs validator for a field that holds a source of such items; see `need_source_of`."""

    def check(instance: object, attribute: Any, value: object) -> None:
        need_source_of(wanted, value, f"{type(instance).__name__}.{attribute.name}")

    return check
