"""What a source raises when its input cannot be used, and the one shape of its message."""


class SourceError(ValueError):
    """Bad input: the message says where, what was found, what was wanted and what to do."""


def source_error(where: object, *, got: str, wanted: str, do: str) -> SourceError:
    """The four parts as one error, so that every source complains alike.

    Args:
        where: the file, folder or field.
        got: what was found there.
        wanted: what would have been right.
        do: what the reader can do about it.

    >>> print(source_error("a.xml", got="an empty file", wanted="a MediaWiki export", do="download it again"))
    a.xml
      got:     an empty file
      wanted:  a MediaWiki export
      do this: download it again
    """
    return SourceError(f"{where}\n  got:     {got}\n  wanted:  {wanted}\n  do this: {do}")
