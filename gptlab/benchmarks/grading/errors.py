"""What ends a grading: nothing that was graded is lost, and the same call goes on from there."""

from gptlab.types.errors import FourPartError


class GradingError(FourPartError):
    """An endpoint that cannot be asked, or does not answer."""
