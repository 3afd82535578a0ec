"""The processes of one run: who this one is, and the few things they tell each other besides gradients.

`torchrun --nproc-per-node N -m recipes.dagseq_wiki` starts N processes; nothing in the recipe differs. What they
exchange here goes through gloo on the CPU, whatever carries the gradients, so no device is waited for.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import attrs
import torch
from torch import distributed

from gptlab.training.errors import TrainingError

LONGEST_WAIT = timedelta(hours=24)
"""How long the others wait while one prepares data. A process that dies is noticed at once, by torchrun."""


@attrs.frozen
class Ranks:
    """This process among those of its run.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        local: its number on this machine, which is that of its GPU.

    >>> Ranks().total(2.0, 3.0), Ranks().any(False), Ranks().from_first(lambda: "a")
    ([2.0, 3.0], False, 'a')
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def total(self, *numbers: int | float) -> list[float]:
        """Each number summed over all ranks; every rank gets the same bits."""
        if self.world == 1:
            return [float(number) for number in numbers]
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def any(self, asked: bool) -> bool:
        """Whether any rank says so."""
        return self.total(asked)[0] > 0

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on the first rank, told to all as JSON. Where it fails there, the others end quietly."""
        if self.world == 1:
            return make()
        if self.is_first:
            try:
                made = make()
            except BaseException:
                self._told(None)
                raise
            self._told(json.dumps(made))
            return made
        text = self._told(None)
        if text is None:
            raise SystemExit(2)  # the first one says why
        return json.loads(text)

    def one_by_one(self, prepare: Callable[[], None]) -> None:
        """Do on the first rank of each machine, then on the others, what finds finished work and leaves it be."""
        if self.world == 1:
            prepare()
            return
        failure: BaseException | None = None
        if self.local == 0:
            try:
                prepare()
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised again below, when all know
                failure = error
        if self.any(failure is not None):
            raise failure if failure is not None else SystemExit(2)
        if self.local != 0:
            prepare()

    def _told(self, text: str | None) -> str | None:
        """What the first rank says; `None` says that it has failed."""
        data = (text or "").encode() if self.is_first else b""
        (length,) = self.total(len(data))
        if length == 0:
            return None
        box = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first:
            box.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        distributed.broadcast(box, src=0)
        return bytes(box.numpy()).decode()


def current_ranks() -> Ranks:
    """This process among those that have joined; alone where none have."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Join the other processes that torchrun started, and leave them at the end; alone, do nothing.

    Raises:
        TrainingError: torchrun's environment is there by half.

    >>> with joined() as ranks:
    ...     ranks.world
    1
    """
    if os.environ.get("WORLD_SIZE", "1") == "1" or distributed.is_initialized():
        yield current_ranks()
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise TrainingError(
            "the environment of a run with WORLD_SIZE",
            got=f"no {', '.join(missing)}",
            wanted="all that torchrun sets",
            do="Start it with torchrun --nproc-per-node N -m ..., or unset WORLD_SIZE.",
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        yield current_ranks()
    finally:
        distributed.destroy_process_group()
