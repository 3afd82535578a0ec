"""The observer keeps runs apart; the catalogue of stages is read from gptlab's source; parts are named and placed."""

import functools
import logging
import multiprocessing
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

import gptlab.pipeline as public
from gptlab.pipeline import Drops, drop, pipeline, progress, say, track, watching
from gptlab.pipeline.nearest import catalogue, stages_between
from gptlab.pipeline.observe import note
from gptlab.pipeline.place import location, name_of


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def drop(self, reason: str, count: int, example: str) -> None:
        self.lines.append(f"{reason} {count} {example}")

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.lines.append(f"{task} {done:g}/{total} {unit}")


def test_drops_count_and_pass_on() -> None:
    log = Log()
    with watching(Drops(onward=log)) as drops:
        drop("empty", example="A")
        drop("empty", count=2, example="B")
        drop("never", count=0)
        say("hello")
        progress("read", 1, 2)
    assert drops.counts == {"empty": 3}
    assert drops.examples == {"empty": "A"}
    assert log.lines == ["empty 1 A", "empty 2 B", "hello", "read 1/2 items"]


def test_notes_reach_whoever_can_show_them_and_nobody_else() -> None:
    class Shows(Log):
        def note(self, task: str, text: str) -> None:
            seen.append((task, text))

    seen = list[tuple[str, str]]()
    for onward in (Shows(), Log(), None):
        with watching(Drops(onward)):
            note("train", "loss 2.5")
    with watching(Log()):
        note("train", "nobody shows it")
    note("train", "nobody watches")
    assert seen == [("train", "loss 2.5")]


def test_watching_ends_with_its_block_and_nests() -> None:
    outer, inner = Log(), Log()
    with watching(outer):
        with pytest.raises(KeyError), watching(inner):
            say("in")
            raise KeyError
        say("out")
    assert (outer.lines, inner.lines) == (["out"], ["in"])


def test_unwatched_drops_and_messages_go_to_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gptlab"):
        drop("empty", example="A")
        say("hello")
    assert caplog.messages == ["dropped 1: empty (A)", "hello"]


def test_a_thread_in_a_copy_of_the_context_is_heard_and_another_is_not() -> None:
    log = Log()
    with watching(log):
        for target in (functools.partial(copy_context().run, say, "copied"), functools.partial(say, "bare")):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert log.lines == ["copied"]


@pytest.mark.parametrize(("count", "reports"), [(0, 2), (2, 3), (5, 4)])
def test_track_yields_all_and_ends_at_the_total(count: int, reports: int) -> None:
    log = Log()
    with watching(log):
        assert list(track(range(count), "read", every=2)) == list(range(count))
    assert len(log.lines) == reports
    assert log.lines[-1] == f"read {count}/{count} items"


def test_the_catalogue_lists_the_library_and_no_torch_is_needed() -> None:
    names = {stage.name for stage in catalogue()}
    assert {"Pack", "Collate", "TraverseLinks"} <= names
    assert stages_between("Walk", "PackedSequence") == ("Pack",)
    assert "Pack, then Collate" in stages_between("Walk", "Batch")
    assert stages_between("Walk", "Nothing") == ()


def triple(numbers: Iterator[int]) -> Iterator[int]:
    yield from (3 * number for number in numbers)


class Model:
    def forward(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from numbers


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (triple, "triple"),
        (functools.partial(triple), "partial(triple)"),
        (Model().forward, "Model.forward"),
        (Model, "Model"),
        (Model(), "Model"),
        (lambda: None, "a lambda"),
        (None, "None"),
        (len, "len"),
    ],
)
def test_names_and_places(part: object, name: str) -> None:
    assert name_of(part) == name
    here = name not in ("None", "len")
    assert location(part).startswith("test_observing_and_suggesting.py:" if here else "(no source file)")


def run_in_worker(stages: public.StagePipeline[int, int]) -> list[int]:
    return list(stages(iter([1, 2])))


def test_a_pipeline_reaches_a_spawned_worker() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(run_in_worker, (pipeline(triple, triple),)) == [9, 18]


def test_the_public_names_are_a_list_under_test() -> None:
    assert sorted(public.__all__) == [
        *("AtMost", "ContractError", "Drops", "Observer", "Pipeline", "SourcePipeline", "StagePipeline"),
        *("drop", "fits", "need_source_of", "pipeline", "progress", "say", "source_of"),
        *("takes", "then", "track", "watching", "yields"),
    ]
    assert all(hasattr(public, name) for name in public.__all__)
