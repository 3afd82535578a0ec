"""The law of laziness: what output k needs is found out by trying what could follow a part of the input.

Nobody can read from a stage's code how much it must read. But an output that is the same whatever comes after the
first n items, their end included, needs no more than n; whoever has read more by then has read ahead. A stage that
groups equal neighbours reads one item more than a group, and rightly: another equal one would have joined it.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from gptlab.testing.errors import broken
from gptlab.testing.example import Example
from gptlab.testing.laws.inputs import Stage, inputs_of
from gptlab.testing.laws.law import Law, NotApplicable, search
from gptlab.testing.laws.running import MOST, Feed, crashing, fresh, quietly
from gptlab.testing.snapshots import Held as Content
from gptlab.testing.snapshots import snapshot


def is_barrier(stage: Any) -> bool:
    """Whether a stage, or one within a pipeline, reads everything first."""
    return bool(getattr(stage, "barrier", False)) or any(map(is_barrier, getattr(stage, "parts", ())))


def lazy(law: Law, example: Example, max_examples: int) -> None:
    """What output k needs is the shortest part of the input that settles it, whatever comes after."""
    stage: Stage = example.value
    if is_barrier(stage):
        raise NotApplicable("it is a barrier: it says that it reads all of its input first")

    def tried(items: list[Any]) -> None:
        reads, expected = _reads(law, stage, items)
        if reads and reads[0] > example.reads_ahead:
            raise broken(
                law.sentence,
                stage,
                got=f"{reads[0]} items read when it was called, before anybody asked for an item",
                wanted="none: a generator begins with the first `next`",
                items=items,
                do="Write it as a generator, with `yield`.",
            )
        needed = _needed(stage, items, expected)
        for number, (read_by_then, least) in enumerate(zip(reads[1:], needed, strict=True)):
            if read_by_then - least > example.reads_ahead:
                raise broken(
                    law.sentence,
                    stage,
                    got=f"{read_by_then} items read for output {number}",
                    wanted=f"{least}: whatever follows them, output {number} is the same",
                    items=items,
                    do="Yield each item as soon as it is settled, or say `barrier = True` where all must be read.",
                )

    search(inputs_of(example), tried, max_examples)


def _reads(law: Law, stage: Stage, items: Sequence[Any]) -> tuple[list[int], list[Content]]:
    """How much was read at the call and at each output, and the outputs."""
    feed = Feed(fresh(items))
    with crashing(law, stage, items), quietly():
        stream = iter(stage(feed.stream()))
        reads, seen = [feed.reads], []
        for item in itertools.islice(stream, MOST):
            reads.append(feed.reads)
            seen.append(snapshot(item))
    return reads, seen


def _needed(stage: Stage, items: Sequence[Any], expected: list[Content]) -> list[int]:
    """For each output the least part of the input after which nothing can change it any more.

    "Nothing" is tried out: the end, and other items than those that come.
    """
    needed = [len(items)] * len(expected)
    for size in reversed(range(len(items))):
        start = list(items[:size])
        tails: list[list[Any]] = [[], start[-1:], start[-1:] * 3, list(items[:1]), list(reversed(items[size:]))]
        results = [_as_far_as_it_goes(stage, start + tail) for tail in tails]
        for number, content in enumerate(expected):
            settled = all(number < len(result) and result[number] == content for result in results)
            if settled and needed[number] == size + 1:
                needed[number] = size
    return needed


def _as_far_as_it_goes(stage: Stage, items: Sequence[Any]) -> list[Content]:
    """Outputs for an input that nobody has promised to be a sensible one: until it ends or is refused."""
    seen: list[Content] = []
    try:
        with quietly():
            for item in itertools.islice(iter(stage(iter(fresh(items)))), MOST):
                seen.append(snapshot(item))
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError):
        return seen
    return seen
