"""What may be spent: requests and tokens are reserved before a question is sent, so a limit is never passed.

How many tokens an answer costs is known afterwards, so the most that it can cost is reserved: a token for each byte
of the question and all that the answer may have. What was not needed is given back. While others' reservations are in
flight a question waits for what they give back, before it is told that nothing is left.
"""

import threading


class Spent(Exception):  # noqa: N818 - no error: what is left is counted
    """The budget has no room for another question."""


class Spending:
    """The count of what was spent, shared by all threads of one grading.

    Attributes:
        requests, tokens: spent so far, what is reserved for questions in flight included.
        spent: why no more is asked; empty while there is room.

    >>> spending = Spending(requests=1, tokens=None)
    >>> spending.reserve(100)
    >>> spending.settle(reserved=100, used=60)
    >>> spending.requests, spending.tokens
    (1, 60)
    """

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self.requests = self.tokens = 0
        self.spent = ""
        self._most_requests, self._most_tokens = requests, tokens
        self._in_flight = 0
        self._changed = threading.Condition()

    def reserve(self, tokens: int) -> None:
        """Take one request and so many tokens, once they are free.

        Raises:
            Spent: the limit leaves no room; from then on for every question, so that what is left is left whole.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.spent or not self._lacks(tokens) or not self._in_flight)
            self.spent = self.spent or self._lacks(tokens)
            if self.spent:
                self._changed.notify_all()
                raise Spent(self.spent)
            self.requests += 1
            self.tokens += tokens
            self._in_flight += 1

    def settle(self, *, reserved: int, used: int) -> None:
        """Say what a question that was reserved for has cost."""
        with self._changed:
            self.tokens += used - reserved
            self._in_flight -= 1
            self._changed.notify_all()

    def _lacks(self, tokens: int) -> str:
        """What there is no room for, in words; empty where there is room."""
        if self._most_requests is not None and self.requests + 1 > self._most_requests:
            return f"{self.requests} of {self._most_requests} requests are spent"
        if self._most_tokens is not None and self.tokens + tokens > self._most_tokens:
            spent = f"{self.tokens} of {self._most_tokens} tokens are spent"
            return f"{spent}, and the next question may cost up to {tokens}"
        return ""
