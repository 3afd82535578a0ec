"""What is wrong with a configuration: cattrs' nested groups of errors as one, with the path of its field."""

from collections.abc import Iterator

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from gptlab.storage.errors import StorageError
from gptlab.storage.names import name_of, nearest
from gptlab.types.errors import FourPartError


class RefusedError(ValueError):
    """One value that does not fit; its path is added on the way up."""

    def __init__(self, got: str, wanted: str, do: str = "Correct the value, or remove it for the default.") -> None:
        super().__init__(got, wanted, do)
        self.got, self.wanted, self.do = got, wanted, do


def explained(error: BaseException, where: str) -> StorageError:
    """The one fault to tell a person of.

    Args:
        error: what the converter raised.
        where: the path of the whole.
    """
    causes = list(_causes(error, (where,)))
    # A misspelled field is unknown, and another is missing for it: the first says more.
    path, cause = next((each for each in causes if isinstance(each[1], ForbiddenExtraKeysError)), causes[0])
    return _explained(".".join(path), cause)


def _causes(error: BaseException, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], BaseException]]:
    """The faults inside cattrs' groups, each with the path to it."""
    if not isinstance(error, BaseValidationError):
        if isinstance(error, ForbiddenExtraKeysError):
            path = (*path, sorted(error.extra_fields)[0])
        yield path, error
        return
    for inner in error.exceptions:
        steps = [
            note.name if isinstance(note, AttributeValidationNote) else str(note.index)
            for note in getattr(inner, "__notes__", [])
            if isinstance(note, AttributeValidationNote | IterableValidationNote)
        ]
        yield from _causes(inner, (*path, *steps[:1]))


def _explained(where: str, error: BaseException) -> StorageError:
    if isinstance(error, ForbiddenExtraKeysError):
        name = sorted(error.extra_fields)[0]
        known = [field.alias for field in attrs.fields(error.cl) if field.init]
        return StorageError(
            where, got="an unknown field", wanted=f"a field of {name_of(error.cl)}", do=nearest(name, known)
        )
    if isinstance(error, KeyError):
        return StorageError(where, got="nothing", wanted="a value: the field has no default", do="Add it.")
    if isinstance(error, RefusedError):
        return StorageError(where, got=error.got, wanted=error.wanted, do=error.do)
    if isinstance(error, FourPartError):
        return StorageError(where, got=f"{error.where}: {error.got}", wanted=error.wanted, do=error.do)
    do = "Correct the value, or remove it for the default."
    return StorageError(where, got=str(error), wanted="a value that its class accepts", do=do)
