"""What a source raises when its input cannot be used."""


class SourceError(ValueError):
    """Bad input: the message says where, what was found, what was wanted and what to do."""
