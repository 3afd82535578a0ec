"""Bugs to break the code with, by name: each is one that a harness of this folder must find."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gptlab.storage.directories as directories
import gptlab.storage.manifest as manifest
import gptlab.training.checkpoint as checkpoint
import gptlab.training.loop as loop
import gptlab.training.metrics as metrics
import gptlab.training.saver as saver
import gptlab.training.trainer as trainer


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    pass


def files_are_not_flushed() -> None:
    manifest.flush = _nothing


def names_are_not_flushed() -> None:
    """The rename is not forced to the disk, nor are the folders that were made for it."""
    directories.flush = _nothing


def metrics_are_not_flushed() -> None:
    metrics.MetricsFile.sync = metrics.MetricsFile.length  # type: ignore[method-assign]


def renamed_before_the_manifest() -> None:
    @contextlib.contextmanager
    def new_directory(path: Path, *, kind: str, replace: bool = False) -> Iterator[Path]:
        path.parent.mkdir(exist_ok=True)
        with directories.locked_directory(path) as temporary:
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            temporary.rename(path)
            manifest.write_manifest(path, kind)
        directories.flush([path.parent])

    checkpoint.new_directory = new_directory


def written_in_place() -> None:
    """And believed without its hashes: a half written one is taken for whole."""

    @contextlib.contextmanager
    def new_directory(path: Path, *, kind: str, replace: bool = False) -> Iterator[Path]:
        path.mkdir(parents=True, exist_ok=True)
        yield path
        manifest.write_manifest(path, kind)

    checkpoint.new_directory = new_directory
    checkpoint.verify = _nothing


def reported_before_it_is_written() -> None:
    real = saver.write_checkpoint

    def write(path: Path, **parts: Any) -> Path:
        LOGGERS[-1].info("saved %s", path)
        return real(path, **parts)

    saver.write_checkpoint = write
    init = saver.Saver.__init__

    def remembers(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        LOGGERS.append(kwargs["logger"])

    saver.Saver.__init__ = remembers  # type: ignore[method-assign]


LOGGERS: list[logging.Logger] = []


def old_ones_go_first() -> None:
    """With one kept, there is none while the next is written."""
    real = saver.write_checkpoint

    def write(path: Path, **parts: Any) -> Path:
        for old in checkpoint.checkpoints(path.parents[1]):
            shutil.rmtree(old)
        return real(path, **parts)

    saver.write_checkpoint = write


def the_background_writes_what_is_at_work() -> None:
    """No copy of the optimiser's state: later steps change it while it is written."""
    saver.Saver._copied = lambda self, group, tensors: dict(tensors)  # type: ignore[method-assign,assignment]


def metrics_are_not_cut_back() -> None:
    real = metrics.MetricsFile.__init__
    metrics.MetricsFile.__init__ = lambda self, path, length=0: real(  # type: ignore[method-assign]
        self, path, path.stat().st_size if path.exists() else 0
    )


def data_begin_anew() -> None:
    real = loop.Reader
    loop.Reader = lambda source, start: real(source, 0)


def random_numbers_go_on() -> None:
    """The generator is seeded once in a life, not for each step."""
    seeds: list[int] = []

    def step_seed(seed: int, step: int, rank: int) -> int:
        seeds.append(seed)
        return len(seeds)

    loop.step_seed = step_seed


def optimizer_begins_anew() -> None:
    trainer.Optimizers.restore = _nothing  # type: ignore[method-assign]


def all_are_kept() -> None:
    """No bug: what a reference run does."""
    saver.remove_old = trainer.remove_old = _nothing


MUTATIONS: dict[str, Callable[[], None]] = {
    function.__name__.replace("_", " "): function
    for function in (
        files_are_not_flushed,
        names_are_not_flushed,
        metrics_are_not_flushed,
        renamed_before_the_manifest,
        written_in_place,
        reported_before_it_is_written,
        old_ones_go_first,
        the_background_writes_what_is_at_work,
        metrics_are_not_cut_back,
        data_begin_anew,
        random_numbers_go_on,
        optimizer_begins_anew,
        all_are_kept,
    )
}
