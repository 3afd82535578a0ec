"""Lives of a training program: one process that has imported everything forks a child for each, so that a kill costs
no import of torch. It reads orders from its input, a line of JSON each, and answers each with a line.

A life trains in a directory from what it finds there, to the end. The clock is one that ticks the same in every life
(so `metrics.jsonl` can be compared byte by byte), and what the trainer's log reports as saved is written to a file
that a kill cannot take back.
"""

import contextlib
import json
import logging
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import torch
from failing_disk import FailingDisk
from faults_found import faults_of
from mutations import MUTATIONS
from system_calls import Event, watch_calls
from tiny_torch import Counting, TinyModel

from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from gptlab.training import data as data_module
from gptlab.training import loop as loop_module

ALLOW = ("tiny_torch",)
_PLAIN = TrainerConfig(steps=24, learning_rate=0.02, warmup_steps=2, checkpoint_every=3, keep_last=2)
SETTINGS = {
    "in the step": _PLAIN,
    "in the background": attrs.evolve(
        _PLAIN, save_in_background=True, checkpoint_every=2, ema=0.9, evaluate_every=3, keep_best=True, patience=50
    ),
    "muon, one kept": attrs.evolve(
        _PLAIN, optimizer="muon", keep_last=1, accumulate=2, evaluate_every=4, keep_best=True
    ),
    "muon in the background": attrs.evolve(_PLAIN, optimizer="muon", keep_last=1, save_in_background=True),
}


class Ticks:
    """A clock on which every step takes as long; whole parts of 1024, so that sums are exact."""

    def __init__(self) -> None:
        self._now = 0

    def perf_counter(self) -> float:
        self._now += 1
        return self._now / 1024


class Tells:
    """Hook: sign of life, for who waits for a moment to kill."""

    def __init__(self, sign: Callable[[], None]) -> None:
        self._sign = sign

    def after_step(self, state: object) -> dict[str, float]:
        self._sign()
        return {}


class ToFile(logging.Handler):
    """What the trainer reports, line by line, by one call of the system each."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        os.write(self._file, f"{record.getMessage()}\n".encode())


def live(directory: Path, setting: str, told: Path, sign: Callable[[], None], **changes: Any) -> None:
    """Train to the end from whatever is there."""
    ticks = Ticks()
    for module in (loop_module, data_module):
        module.time = SimpleNamespace(perf_counter=ticks.perf_counter)  # type: ignore[attr-defined]
    logger = logging.Logger("life", logging.INFO)
    logger.addHandler(ToFile(told))
    about: dict[str, Any] = {"logger": logger, "hooks": (Tells(sign),), "held_out": Counting(9, 2)}
    if latest_checkpoint(directory) is None:
        cfg = attrs.evolve(SETTINGS[setting], **changes)
        trainer = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory, **about)
    else:
        trainer = TorchTrainer.load_checkpoint(directory, data_source=Counting(), allow=ALLOW, **about)
    trainer.train().save_to_dir(directory)


def born(order: dict[str, Any], beat: int) -> None:
    """What the child does: get ready to die where the order says, and live."""
    directory, told = Path(order["directory"]), Path(order["told"])
    for name in order.get("mutations", ()):
        MUTATIONS[name]()

    def sign() -> None:
        os.write(beat, b".")

    if "kill_at" in order:
        number, before = order["kill_at"]

        def fall(event: Event) -> None:
            if (event.number, event.before) == (number, before):
                os.kill(os.getpid(), signal.SIGKILL)

        watch_calls(directory.parent, fall)
    elif "cuts" in order:
        watch_calls(directory.parent, _cuts(order, directory, told))
    elif "list" in order:
        listed = os.open(order["list"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        watch_calls(directory.parent, lambda event: os.write(listed, f"{event}\n".encode()))
    else:
        watch_calls(directory.parent, lambda _: sign())
    live(directory, order["setting"], told, sign, **order.get("changes", {}))


def _cuts(order: dict[str, Any], directory: Path, told: Path) -> Callable[[Event], None]:
    """The power fails at every call, so many times; what is then there is looked at, and some of it is kept."""
    disk, scratch = FailingDisk(directory.parent), Path(order["scratch"])
    found, kept = scratch / "faults.txt", 0

    def fail(event: Event) -> None:
        nonlocal kept
        if not event.before and event.call == "fsync":
            disk.synced(directory.parent / event.path)
        else:
            disk.look()
        for seed in range(order["cuts"]):
            dice = random.Random(f"{event.number} {event.before} {seed}")
            after = scratch / "after"
            disk.cut(after, dice)
            for fault in faults_of(after / directory.name, told, Path(order["reference"])):
                with found.open("a", encoding="utf-8") as file:
                    print(f"the power fails {event}, dice {seed}: {fault}", file=file)
            if event.number % order["keep_every"] == 0 and seed == 0:
                kept += 1
                shutil.copytree(after, scratch / "kept" / f"{event.number:04d}-{event.before}")
                shutil.copy(told, scratch / "kept" / f"{event.number:04d}-{event.before}.told")
            shutil.rmtree(after)

    return fail


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a life, kill it after so many signs of life and so many seconds where that is asked; how it ended."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(ours)
            born(order, theirs)
            status = 0
        except BaseException as error:  # noqa: BLE001 - told to who ordered it
            Path(order["told"]).with_suffix(".error").write_text("".join(traceback.format_exception(error)))
        finally:
            os._exit(status)
    os.close(theirs)
    signs = _wait(ours, *order.get("kill_after", (10**9, 0.0)))
    if "kill_after" in order:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ours)
    return {"code": os.waitstatus_to_exitcode(status), "signs": signs}


def _wait(pipe: int, signs: int, seconds: float) -> int:
    """Until so many signs have come and so many seconds more have passed, or the child has ended; signs that came."""
    count = 0
    while count < signs and (more := os.read(pipe, min(4096, signs - count))):
        count += len(more)
    until = time.monotonic() + seconds
    while count >= signs and (left := until - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
        if not os.read(pipe, 4096):
            break
    return count


def orders() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def warm_up() -> None:
    """Import what the first step of a life would: a second that is paid once."""
    for optimizer in ("adamw", "muon"):
        cfg = TrainerConfig(steps=1, optimizer=optimizer)
        TorchTrainer.instantiate(cfg, TinyModel(), Counting()).train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm_up()
    for each in orders():
        sys.stdout.write(json.dumps(obey(each)) + "\n")
        sys.stdout.flush()
