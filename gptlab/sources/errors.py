"""What a source raises when its input cannot be used."""

from gptlab.types.errors import FourPartError


class SourceError(FourPartError):
    """Bad input: a file, folder or field that a source cannot read documents from."""
