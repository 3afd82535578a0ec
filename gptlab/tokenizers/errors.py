"""The error of this floor."""

from gptlab.types.errors import FourPartError


class TokenizerError(FourPartError):
    """A tokenizer that cannot be made, or that breaks its contract."""
