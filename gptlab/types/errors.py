"""The four parts of every error: where, what was got, what was wanted, what to do. One function owns the format.

Each floor keeps an exception of its own, so that a caller can catch what it can handle; all of them are made here, so
that no message forgets a part, and all cross the border of a process, which exceptions with keyword arguments do not
by themselves.
"""


def four_parts(where: object, *, got: object, wanted: object, do: object) -> str:
    """The text of an error; further lines of a part are indented below its first.

    Args:
        where: the file, field, stage or step.
        got: what was found there.
        wanted: what would have been right.
        do: the remedy, as a sentence.

    >>> print(four_parts("a.xml", got="an empty file", wanted="a MediaWiki export", do="Download it again."))
    a.xml
      got     an empty file
      wanted  a MediaWiki export
      Download it again.
    """
    got, wanted = (str(part).replace("\n", "\n" + " " * 10) for part in (got, wanted))
    do = str(do).replace("\n", "\n  ")
    return f"{where}\n  got     {got}\n  wanted  {wanted}\n  {do}"


class FourPartError(ValueError):
    """Something that its user can put right; a floor's own exception is a subclass with a docstring and no more.

    Attributes:
        where, got, wanted, do: the parts, for code that shows them in another way.

    >>> raise FourPartError("Pack.seq_len", got=0, wanted="at least 2 tokens", do="Try seq_len=2048.")
    Traceback (most recent call last):
    gptlab.types.errors.FourPartError: Pack.seq_len
      got     0
      wanted  at least 2 tokens
      Try seq_len=2048.
    """

    def __init__(self, where: object, *, got: object, wanted: object, do: object) -> None:
        self.where, self.got, self.wanted, self.do = str(where), str(got), str(wanted), str(do)
        super().__init__(four_parts(where, got=got, wanted=wanted, do=do))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost on the way out of a worker process.
        return _rebuild, (type(self), self.where, self.got, self.wanted, self.do)


def _rebuild(kind: type[FourPartError], where: str, got: str, wanted: str, do: str) -> FourPartError:
    return kind(where, got=got, wanted=wanted, do=do)


def refusal(where: object, *, got: object, wanted: object, do: object) -> ValueError:
    """The error of a floor that has no exception of its own, because nobody needs to tell it from another.

    >>> print(refusal("Config.heads", got=5, wanted="a divisor of width 128", do="Try heads=4."))
    Config.heads
      got     5
      wanted  a divisor of width 128
      Try heads=4.
    """
    return FourPartError(where, got=got, wanted=wanted, do=do)
