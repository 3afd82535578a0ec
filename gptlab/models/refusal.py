"""The four parts of every error of this floor: where, got, wanted, what to do. In one place, so none forgets one."""


def refusal(where: str, *, got: object, wanted: str, remedy: str) -> ValueError:
    """The error to raise for something a user can put right.

    >>> print(refusal("Config.heads", got=5, wanted="a divisor of width 128", remedy="Try heads=4."))
    Config.heads
      got     5
      wanted  a divisor of width 128
      Try heads=4.
    """
    return ValueError(f"{where}\n  got     {got}\n  wanted  {wanted}\n  {remedy}")
