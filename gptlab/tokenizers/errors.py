"""The error of this floor, in four parts: where, what was got, what was wanted, what to do."""


class TokenizerError(ValueError):
    """A tokenizer that cannot be made, or that breaks its contract.

    >>> print(TokenizerError("ByteLevelBPE", got="vocab_size 100", wanted="at least 257", do="Ask for more."))
    ByteLevelBPE
      got     vocab_size 100
      wanted  at least 257
      Ask for more.
    """

    def __init__(self, where: str, *, got: str, wanted: str, do: str) -> None:
        super().__init__(f"{where}\n  got     {got}\n  wanted  {wanted}\n  {do}")
