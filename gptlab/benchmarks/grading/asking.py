"""A judge at work: many questions at once, each until it is answered, none paid for twice, no limit passed.

A question that is lost or turned away is sent again after a pause; an answer that is no verdict is shown to the judge
with what is wrong and asked for again, a few times. What cannot be mended by either ends the grading with an error:
what was answered is kept, so the same call goes on from there.
"""

import contextlib
import contextvars
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs

from gptlab.benchmarks.grading.connection import Connection, Lost
from gptlab.benchmarks.grading.errors import GradingError
from gptlab.benchmarks.grading.judge import Judge, Message
from gptlab.benchmarks.grading.kept import keep, kept, place_of
from gptlab.benchmarks.grading.spending import Spending, Spent
from gptlab.benchmarks.grading.verdicts import Form, Malformed, Reply, Verdict, read_reply
from gptlab.pipeline.observe import say
from gptlab.sources.wikipedia.download.client import LONGEST_WAIT, Refused, Transient

A = TypeVar("A")
B = TypeVar("B")

_OF_THE_QUESTION = frozenset({400, 413, 422})
"""Statuses by which servers turn one question away, for its length or its content."""


class Asking:
    """What one grading shares: connections, budget, cache, and the wish of a server to be left alone.

    Attributes:
        spending: what was spent so far.
        found: answers that were on disk.
    """

    def __init__(self, judge: Judge) -> None:
        """Read the key; nothing is sent yet.

        Raises:
            GradingError: the key is not where the judge says.
        """
        self.judge = judge
        self.spending = Spending(judge.most_requests, judge.most_tokens)
        self.found = 0
        address = f"{judge.url}/chat/completions"
        self._connection = Connection(url=address, key=judge.key(), timeout=judge.timeout)
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._asked: dict[Path, threading.Lock] = {}
        self._quiet_until = 0.0
        self._has_answered = False

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """`function` of each item, in order, as many at a time as the judge has connections.

        No more items are read than are worked on or waited for. When one fails, or the caller leaves, no further
        question is sent.
        """
        pool = ThreadPoolExecutor(self.judge.connections, thread_name_prefix="judge")
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                # Each in a copy of the context, so that whoever watches is told from the threads too.
                waiting.append(pool.submit(contextvars.copy_context().run, function, item))
                if len(waiting) >= 2 * self.judge.connections:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    def verdict(self, messages: Sequence[Message], form: Form) -> Verdict:
        """What the judge decides, or why it does not.

        Raises:
            GradingError: the endpoint cannot be asked at all.
        """
        conversation, problem = list(messages), ""
        for _ in range(1 + self.judge.asked_again):
            reply = None
            try:
                reply = self._reply(conversation, form.schema())
                return form.read(reply)
            except Malformed as malformed:
                problem = str(malformed)
            except Spent as spent:
                return Verdict(choice=None, reason=str(spent), why_not="budget")
            except Refused as refused:
                if refused.status not in _OF_THE_QUESTION or not self._has_answered:
                    raise self._unasked(refused) from None
                return Verdict(choice=None, reason=str(refused), why_not="refused")
            if reply is not None:
                again = f"That is not the form that is asked for: {problem}. Answer again, with {form.words()} alone."
                said = [{"role": "assistant", "content": reply.text}] if reply.text else []
                conversation = [*conversation, *said, {"role": "user", "content": again}]
        return Verdict(choice=None, reason=problem, why_not="malformed")

    def _reply(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> Reply:
        """The answer from the disk, or from the endpoint, and then on the disk."""
        body = self.judge.body(messages, schema)
        path = place_of(self.judge.cache / "judge", self._connection.url, body)
        with self._alone(path):
            reply = kept(path)
            if reply is not None:
                with self._guard:
                    self.found += 1
            else:
                reply = self._insist(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
                keep(path, reply)
            self._has_answered = True
        return reply

    @contextlib.contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """Equal questions go one after the other, so that the second finds the answer to the first."""
        with self._guard:
            lock = self._asked.setdefault(path, threading.Lock())
        with lock:
            yield

    def _insist(self, data: bytes) -> Reply:
        """Send a question until it is answered.

        Raises:
            Spent, Refused, Malformed: as said there.
            GradingError: it was sent as often as it may be.
        """
        most, failures = len(data) + self.judge.max_tokens, 0
        while True:
            self._wait(self._quiet_until - time.monotonic())
            try:
                return self._once(data, most)
            except Transient as transient:
                failures += 1
                self._pause(transient, failures)

    def _once(self, data: bytes, most: int) -> Reply:
        """Send a question, which costs `most` tokens or less."""
        self.spending.reserve(most)
        used = most  # what is lost, or answered without saying what it cost, may have cost as much
        try:
            reply = read_reply(self._connection.post(data))
            used = most if reply.tokens is None else reply.tokens
            return attrs.evolve(reply, text=self._connection.clean(reply.text))
        except (Transient, Refused) as turned_away:
            used = most if isinstance(turned_away, Lost) else 0
            raise
        finally:
            self.spending.settle(reserved=most, used=used)

    def _pause(self, transient: Transient, failures: int) -> None:
        """Wait before a question is sent again, and let the others wait too where the server asks for it."""
        asked = transient.wait or 0.0
        if failures >= self.judge.attempts or asked > LONGEST_WAIT:
            wish = f", and the wish to be left alone for {asked:.0f} s" if asked > LONGEST_WAIT else ""
            raise self._unasked(f"{transient} ({failures} times){wish}") from None
        seconds = min(max(self.judge.backoff * 2 ** (failures - 1), asked), LONGEST_WAIT)
        with self._guard:
            self._quiet_until = max(self._quiet_until, time.monotonic() + asked)
        say(f"{self._connection.url}: {transient}; asked again in {seconds:.3g} s")
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(max(seconds, 0.0)):
            raise Spent("the grading was stopped")

    def _unasked(self, reason: object) -> GradingError:
        """The error that ends the grading; no other thread sends anything from here on."""
        self._stopped.set()
        status = reason.status if isinstance(reason, Refused) else 0
        place = self.judge.cache / "judge"
        do = f"Start the same again: what was answered is kept in {place}, and is not paid for twice."
        if status in (401, 403):
            do = f"Look whether the environment variable {self.judge.key_from} has the key of this endpoint."
        elif status in (400, 404, 405, 422):
            do = "Compare Judge's url, model, structured, limit_as and temperature with what the endpoint takes."
        return GradingError(self._connection.url, got=reason, wanted="an answer", do=do)
