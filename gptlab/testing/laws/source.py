"""The laws of sources. A source has no input, so there is nothing to draw: every position is tried."""

import gc
import inspect
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gptlab.pipeline.chain import check_chain
from gptlab.pipeline.check import checked_items
from gptlab.pipeline.errors import ContractError
from gptlab.testing.errors import broken
from gptlab.testing.example import Example
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, check
from gptlab.testing.laws.running import chance, crashing, quietly
from gptlab.testing.laws.saving import saved
from gptlab.testing.snapshots import Held as Content
from gptlab.testing.snapshots import difference, snapshot, snapshot_list

_DESCRIPTORS = Path("/dev/fd")


def taken(source: Any, most: int, **start: int) -> list[Content]:
    """What a source yields first."""
    with quietly():
        return [snapshot(item) for item in itertools.islice(source.get_data_generator(**start), most)]


def is_seekable(source: Any) -> bool:
    """Whether it can begin at item k."""
    return "start" in inspect.signature(source.get_data_generator).parameters


def type_true(law: Law, example: Example, most: int) -> None:
    """The run-time check of a pipeline, on every item."""
    source = example.value
    with crashing(law, source, None), quietly():
        chain = check_chain([source])
        try:
            for _ in itertools.islice(checked_items(source.get_data_generator(), chain, 0, "all"), most):
                pass
        except ContractError as error:
            raise broken(
                law.sentence,
                source,
                got=str(error).replace("\n", "\n          "),
                wanted="items of that type",
                do="Correct what it yields, or what it is annotated to yield.",
            ) from error


def lazy(law: Law, example: Example, most: int) -> None:
    """An iterator, and a fresh one for each call."""
    source = example.value
    with crashing(law, source, None), quietly():
        first, second = source.get_data_generator(), source.get_data_generator()
    if not isinstance(first, Iterator) or first is second:
        raise broken(
            law.sentence,
            source,
            got=f"a {type(first).__name__}" if not isinstance(first, Iterator) else "the same iterator twice",
            wanted="a fresh iterator for each call",
            do="Write get_data_generator as a generator, with `yield`.",
        )


def deterministic(law: Law, example: Example, most: int) -> None:
    """Twice from the beginning, with other global random states."""
    runs = []
    for seed in (1, 2):
        with chance(seed), crashing(law, example.value, None):
            runs.append(taken(example.value, most))
    _same(
        law, example.value, runs[0], runs[1], "the first pass and the second", "Begin anew in each call; seed chance."
    )


def _same(  # noqa: PLR0917
    law: Law, source: Any, left: list[Content], right: list[Content], what: str, do: str
) -> None:
    if left == right:
        return
    got = difference(snapshot_list(left), snapshot_list(right), "item ")
    if len(left) != len(right):
        got = f"{len(left)} items and {len(right)}"
    raise broken(law.sentence, source, got=got, wanted=f"the same in {what}", do=do)


def yields_kept(law: Law, example: Example, most: int) -> None:
    """Every item is kept, and looked at again when all are there."""
    kept, then = [], []
    with crashing(law, example.value, None), quietly():
        for item in itertools.islice(example.value.get_data_generator(), most):
            kept.append(item)
            then.append(snapshot(item))
    _same(
        law,
        example.value,
        then,
        [snapshot(item) for item in kept],
        "an item and later",
        "Make a new array each time.",
    )


def independent(law: Law, example: Example, most: int) -> None:
    """Two passes in turn."""
    whole = taken(example.value, most)
    with crashing(law, example.value, None), quietly():
        passes = [example.value.get_data_generator() for _ in range(2)]
        turns: list[list[Content]] = [[], []]
        for pair in itertools.islice(zip(*passes, strict=False), most):
            for seen, item in zip(turns, pair, strict=True):
                seen.append(snapshot(item))
    for seen in turns:
        _same(
            law, example.value, whole, seen, "a pass alone and one of two in turn", "Keep no position in the value."
        )


def close(law: Law, example: Example, most: int) -> None:
    """Files and threads, before and after."""
    source = example.value
    with crashing(law, source, None):
        taken(source, 1)  # what is done once (caches) is done now
        gc.collect()
        files, threads = _files(), threading.active_count()
        with quietly(), closing(_closable(source.get_data_generator())) as items:
            next(items, None)
            next(items, None)
        del items
    deadline = time.monotonic() + 1
    while (left := _files() - files) or threading.active_count() > threads:
        gc.collect()
        if time.monotonic() > deadline:
            got = f"{', '.join(sorted(left))} still open" if left else "a thread that still runs"
            raise broken(
                law.sentence,
                source,
                got=got,
                wanted="as many open files and threads as before",
                do="Open files in a `with` block inside the generator; end threads in `finally`.",
            )
        time.sleep(0.01)


class _closable:  # noqa: N801
    """An iterator that may not have `close`."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        if hasattr(self._items, "close"):
            self._items.close()
        del self._items


def _files() -> set[str]:
    """What is open: descriptor and path."""
    found = set()
    for link in list(_DESCRIPTORS.iterdir()) if _DESCRIPTORS.exists() else []:
        try:
            found.add(f"{link.name} {link.readlink()}")
        except OSError:  # the listing's own, closed by now
            continue
    return found


def save_and_load(law: Law, example: Example, most: int) -> None:
    """By configuration and by directory: an equal value that yields the same."""
    before = taken(example.value, most)
    for way, twin in saved(law, example.value):
        _same(
            law, example.value, before, taken(twin, most), f"the value and the one from {way}", "Save all it needs."
        )


def resume(law: Law, example: Example, most: int) -> None:
    """Every start, against skipping."""
    source = example.value
    if not is_seekable(source):
        raise NotApplicable("get_data_generator has no parameter start, so it begins at its beginning")
    with crashing(law, source, None):
        whole = taken(source, most)
        for start in range(len(whole) + 1):
            rest = taken(source, len(whole) - start, start=start)
            _same(
                law,
                source,
                whole[start:],
                rest,
                f"get_data_generator(start={start}) and a pass that skips {start}",
                "Make item k a function of the value and k alone.",
            )


def shards(law: Law, example: Example, most: int) -> None:
    """Every item once over all ranks; of an endless source, item i of rank r is item i * world + r."""
    source = example.value
    if not hasattr(source, "shard"):
        raise NotApplicable("it has no method shard(rank, world)")
    with crashing(law, source, None):
        whole = taken(source, most + 1)
        is_endless = len(whole) > most
        for world in (1, 2, 3):
            ranks = [taken(source.shard(rank, world), most + 1) for rank in range(world)]
            if is_endless:
                merged = [ranks[number % world][number // world] for number in range(most)]
                _same(law, source, whole[:most], merged, f"all items and those of {world} ranks in turn", _PARTITION)
            else:
                merged = sorted((item for rank in ranks for item in rank), key=repr)
                _same(
                    law, source, sorted(whole, key=repr), merged, f"all items and those of {world} ranks", _PARTITION
                )


_PARTITION = "Give rank r the items r, r + world, r + 2 * world and so on."


def cached(law: Law, example: Example, most: int) -> None:
    """`pre_cache` again, and again."""
    source = example.value
    if not hasattr(source, "pre_cache"):
        raise NotApplicable("it has no pre_cache")
    with crashing(law, source, None), quietly():
        source.pre_cache()
        before = taken(source, most)
        source.pre_cache()
    _same(
        law, source, before, taken(source, most), "before and after another pre_cache()", "Find what is made already."
    )


SOURCE_LAWS = tuple(
    Law(name=name, sentence=sentence, check=function)
    for name, sentence, function in (
        ("types", "Every item that is yielded is what the annotation promises.", type_true),
        ("lazy", "Each call gives a fresh iterator.", lazy),
        ("deterministic", "Every pass gives the same items, whatever happened before.", deterministic),
        ("yields_kept", "What was yielded never changes afterwards.", yields_kept),
        ("independent", "Two passes at once do not disturb each other.", independent),
        ("close", "Closing a pass releases its files and threads.", close),
        ("save_and_load", "Saved and loaded, it is an equal value that yields the same.", save_and_load),
        ("resume", "Begun at item k, it gives what follows when k items are skipped.", resume),
        ("shards", "The shares of all ranks together are the whole, each item once.", shards),
        ("pre_cache", "What is done once is found again.", cached),
    )
)


def check_source(source: Any, *, leave_out: dict[str, str] | None = None, max_examples: int = MAX_EXAMPLES) -> Held:
    """Put a source to all laws of sources.

    Args:
        source: anything with `get_data_generator`.
        leave_out: law to the reason why it does not apply.
        max_examples: items to look at; a source that ends before is looked at whole.

    Raises:
        LawBroken: with the item or the position that shows it.

    >>> from gptlab.testing import Items
    >>> check_source(Items([1, 2], int), leave_out={"save_and_load": "it holds a list"}).laws[-1]
    'resume'
    """
    return check(SOURCE_LAWS, Example(source, leave_out=leave_out or {}), max_examples)
