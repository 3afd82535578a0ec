"""Items made ahead are the items, told as if they were not; nothing is left running; errors arrive."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import islice

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.packing import Prefetch
from gptlab.pipeline import Drops, drop, pipeline, say, watching, yields


@attrs.frozen
class Numbers:
    """Counts, drops every third number, and may fail."""

    size: int = 20
    fails_at: int | None = None

    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        for number in range(start, self.size):
            if number == self.fails_at:
                raise LookupError(f"no number {number}")
            if number % 3 == 0:
                drop("third", example=str(number))
            yield number

    def axes(self):
        return {"n": 3}


@attrs.frozen
class OneWay:
    """Cannot begin anywhere else."""

    def get_data_generator(self) -> Iterator[int]:
        yield from range(9)


def is_odd(numbers: Iterator[int]) -> Iterator[int]:
    yield from (number for number in numbers if number % 2)


@given(st.integers(0, 9), st.integers(0, 12), st.integers(1, 5))
def test_the_items_are_those_of_the_source_and_so_is_what_is_told(size, start, ahead):
    with watching(Drops()) as plain:
        expected = list(Numbers(size).get_data_generator(start))
    with watching(Drops()) as drops:
        assert list(Prefetch(Numbers(size), ahead=ahead).get_data_generator(start)) == expected
    assert (drops.counts, drops.examples) == (plain.counts, plain.examples)
    assert list(Prefetch(OneWay()).get_data_generator(start)) == list(range(9))[start:]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_same_items_in_the_same_order(workers):
    with watching(Drops()) as plain:
        expected = list(Numbers().get_data_generator(5))
    with watching(Drops()) as drops:
        assert list(Prefetch(Numbers(), workers=workers).get_data_generator(5)) == expected
    assert drops.counts == plain.counts
    assert multiprocessing.active_children() == []


def test_what_was_made_ahead_and_never_read_is_not_told():
    with watching(Drops()) as drops:
        items = Prefetch(Numbers(), ahead=8).get_data_generator()
        assert [next(items), next(items)] == [0, 1]
        time.sleep(0.05)
        items.close()
    assert drops.counts == {"third": 1}


def test_no_more_is_made_than_was_asked_for():
    made = []

    class Endless:
        def get_data_generator(self, start: int = 0) -> Iterator[int]:
            for number in range(start, 1000):
                made.append(number)
                yield number

    items = Prefetch(Endless(), ahead=3).get_data_generator()
    next(items)
    time.sleep(0.1)
    assert len(made) == 1 + 3
    items.close()


def test_no_thread_and_no_process_is_left_when_the_reader_stops():
    before = threading.active_count()
    for workers in (0, 1):
        items = Prefetch(Numbers(10**9), workers=workers).get_data_generator()
        assert next(items) == 0
        assert threading.active_count() == before + 1
        assert len(multiprocessing.active_children()) == workers
        items.close()
        assert threading.active_count() == before
        assert multiprocessing.active_children() == []


def test_an_error_comes_where_its_item_would_have_been_with_its_traceback():
    items = Prefetch(Numbers(fails_at=4), ahead=9).get_data_generator()
    assert list(islice(items, 4)) == [0, 1, 2, 3]
    with pytest.raises(LookupError, match="no number 4") as error:
        next(items)
    assert error.traceback[-1].name == "get_data_generator"
    assert error.traceback[-1].path.name == "test_prefetch.py"


def test_an_error_of_a_worker_comes_with_the_traceback_as_text():
    items = Prefetch(Numbers(fails_at=1), workers=1).get_data_generator()
    assert next(items) == 0
    with pytest.raises(LookupError, match="no number 1") as error:
        next(items)
    (note,) = error.value.__notes__
    assert note.startswith("In a worker of Prefetch:\nTraceback (most recent call last):\n")
    assert "test_prefetch.py" in note
    assert "LookupError" in note


def test_a_worker_that_is_killed_is_told_of():
    items = Prefetch(Numbers(10**9), ahead=1, workers=1).get_data_generator()
    next(items)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ValueError) as error:
        for _ in items:
            pass
    assert str(error.value) == (
        "a worker of Prefetch\n"
        "  got     a process that ended with -9\n"
        "  wanted  items, or an error\n"
        "  See what it printed; was it killed for want of memory, or may its source start no processes?"
    )


def test_it_looks_as_its_source_does():
    source = Prefetch(Numbers())
    assert yields(source) is int
    assert source.axes() == {"n": 3}
    assert list(pipeline(source, is_odd).get_data_generator()) == list(range(1, 20, 2))
    with watching(Drops()):
        say("nothing of this is lost")


def test_many_workers_need_a_source_that_begins_anywhere():
    for source in (OneWay(), pipeline(Numbers(), is_odd)):
        with pytest.raises(ValueError) as error:
            Prefetch(source, workers=2)
        assert str(error.value) == (
            "Prefetch.workers\n"
            f"  got     2 workers for {type(source).__name__}, which must read from its beginning\n"
            "  wanted  a source that begins anywhere at once, as Shuffled and PackedRows do, with Collate or not\n"
            "  Give workers=1, or pack the rows once (PackedRows)."
        )
        assert list(Prefetch(source, workers=1).get_data_generator())
