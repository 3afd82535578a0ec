# ruff: noqa: UP028, PLW2901, RUF012, SIM115, B007
"""For each law one part that breaks it, and only in the way that the law is about."""

import copy
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from jaxtyping import Float32
from safetensors.numpy import load_file, save_file

Numbers = Float32[np.ndarray, "n"]


def yields_text(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        yield str(number) if number > 3 else number


def fails_on_empty(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        yield word[0]


def reads_one_ahead(numbers: Iterator[int]) -> Iterator[int]:
    waiting = next(numbers, None)
    while waiting is not None:
        after = next(numbers, None)
        yield waiting
        waiting = after


def reads_everything(numbers: Iterator[int]) -> Iterator[int]:
    yield from list(numbers)


def reads_when_called(numbers: Iterator[int]) -> Iterator[int]:
    first = next(numbers, None)

    def rest() -> Iterator[int]:
        if first is not None:
            yield first
        yield from numbers

    return rest()


def draws_global_chance(numbers: Iterator[int]) -> Iterator[float]:
    for number in numbers:
        yield number + random.random()


def changes_its_input(rows: Iterator[Numbers]) -> Iterator[Numbers]:
    for row in rows:
        row += 1
        yield row.copy()


def fills_one_buffer(numbers: Iterator[int]) -> Iterator[Numbers]:
    buffer = np.zeros(2, np.float32)
    for number in numbers:
        buffer[:] = number % 100
        yield buffer


@attrs.frozen(eq=False)
class KeepsStateInTheValue:
    last: list[int] = attrs.field(factory=list)

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        self.last.clear()
        for number in numbers:
            self.last.append(number)
            yield len(self.last)


def swallows_exceptions(numbers: Iterator[int]) -> Iterator[int]:
    try:
        for number in numbers:
            yield number
    except ValueError:
        return


def wraps_exceptions(numbers: Iterator[int]) -> Iterator[int]:
    try:
        yield from numbers
    except OSError as error:
        raise TypeError("something went wrong") from error


_held: list[Iterator[int]] = []


def holds_its_input(numbers: Iterator[int]) -> Iterator[int]:
    _held[:] = [numbers]
    for number in numbers:
        yield number


def reads_on_when_closed(numbers: Iterator[int]) -> Iterator[int]:
    try:
        for number in numbers:
            yield number
    finally:
        for _ in numbers:
            pass


@attrs.frozen
class ForgetsAField:
    step: int = 1
    _cache: Any = attrs.field(factory=lambda: [7], eq=True)

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            yield number + self._cache[0]


class IsNoValue:
    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from numbers


@attrs.frozen
class SavedOtherwise:
    """Equal after loading, but not in what it does."""

    step: int = attrs.field(default=0, eq=False, metadata={"gptlab.location": True})
    twin: Any = attrs.field(default=None, eq=False, init=False)

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            yield number + self.step

    def save_to_dir(self, directory: Path) -> None:
        (directory / "nothing").write_text("")

    @classmethod
    def load_from_dir(cls, directory: Path) -> "SavedOtherwise":
        return cls()


class CountsAcrossYields:
    items_per_yield = 1

    def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from (index for index, _ in enumerate(numbers))


STAGES: list[tuple[str, Callable[..., Any]]] = [
    ("types", yields_text),
    ("types", fails_on_empty),
    ("lazy", reads_one_ahead),
    ("lazy", reads_everything),
    ("lazy", reads_when_called),
    ("deterministic", draws_global_chance),
    ("input_untouched", changes_its_input),
    ("yields_kept", fills_one_buffer),
    ("chunking", KeepsStateInTheValue()),
    ("exceptions", swallows_exceptions),
    ("exceptions", wraps_exceptions),
    ("close", holds_its_input),
    ("close", reads_on_when_closed),
    ("save_and_load", IsNoValue()),
    ("save_and_load", SavedOtherwise(step=3)),
    ("resume", CountsAcrossYields()),
]


class Base:
    """A source of ten numbers that obeys; offenders change one thing. Not a value: saving is not asked of it."""

    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        yield from range(start, 10)


class YieldsText(Base):
    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        yield from map(str, range(start, 10))


class OneIterator(Base):
    def __init__(self) -> None:
        self._all = iter(range(100))

    def get_data_generator(self) -> Iterator[int]:
        return self._all


class ShufflesByChance(Base):
    def get_data_generator(self) -> Iterator[int]:
        numbers = list(range(10))
        random.shuffle(numbers)
        yield from numbers


class OneBuffer(Base):
    def get_data_generator(self) -> Iterator[Numbers]:
        buffer = np.zeros(1, np.float32)
        for number in range(3):
            buffer[:] = number
            yield buffer


class SharedPosition(Base):
    def get_data_generator(self) -> Iterator[int]:
        self.position = 0
        while self.position < 5:
            yield self.position
            self.position += 1


class LeavesAFileOpen(Base):
    files: list[Any] = []

    def get_data_generator(self) -> Iterator[int]:
        self.files.append(Path(__file__).open())
        yield 1


class LeavesAThread(Base):
    go_on = threading.Event()

    def get_data_generator(self) -> Iterator[int]:
        threading.Thread(target=self.go_on.wait, args=(5,), daemon=True).start()
        yield 1


class StartsElsewhere(Base):
    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        yield from range(max(0, start - 1), 10)


class ShardsOverlap(Base):
    def __init__(self, skip: int = 0) -> None:
        self.skip = skip

    def get_data_generator(self) -> Iterator[int]:
        yield from range(self.skip, 10)

    def shard(self, rank: int, world: int) -> "ShardsOverlap":
        return ShardsOverlap(rank)


class EndlessInAnotherOrder(Base):
    def __init__(self, rank: int = 0) -> None:
        self.rank = rank

    def get_data_generator(self) -> Iterator[int]:
        number = self.rank
        while True:
            yield number
            number += 1

    def shard(self, rank: int, world: int) -> "EndlessInAnotherOrder":
        return EndlessInAnotherOrder(100 * rank)


class CachesAnew(Base):
    made = 0

    def pre_cache(self) -> None:
        self.made += 1

    def get_data_generator(self) -> Iterator[int]:
        yield self.made


SOURCES = [
    ("types", YieldsText()),
    ("lazy", OneIterator()),
    ("deterministic", ShufflesByChance()),
    ("yields_kept", OneBuffer()),
    ("independent", SharedPosition()),
    ("close", LeavesAFileOpen()),
    ("close", LeavesAThread()),
    ("save_and_load", Base()),
    ("resume", StartsElsewhere()),
    ("shards", ShardsOverlap()),
    ("shards", EndlessInAnotherOrder()),
    ("pre_cache", CachesAnew()),
]


class Bytes:
    """A tokenizer that obeys."""

    vocab_size, end_of_text = 257, 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


class TooSmall(Bytes):
    vocab_size, end_of_text = 200, 199


class GivesTheEnd(Bytes):
    def encode(self, text: str) -> list[int]:
        return [256 if byte == 32 else byte for byte in text.encode()]


class Lowers(Bytes):
    def encode(self, text: str) -> list[int]:
        return list(text.lower().encode())


class SkipsByChance(Bytes):
    def encode(self, text: str) -> list[int]:
        return [byte for byte in text.encode() if random.random() > 0.1]


class ArraysDiffer(Bytes):
    def encode_array(self, text: str) -> np.ndarray:
        return np.array(self.encode(text)[:3], np.uint32)


class Replaces(Bytes):
    def encode(self, text: str) -> list[int]:
        return list(text.encode(errors="replace"))


TOKENIZERS = [
    ("ids", TooSmall()),
    ("ids", GivesTheEnd()),
    ("round_trip", Lowers()),
    ("deterministic", SkipsByChance()),
    ("arrays", ArraysDiffer()),
    ("refuses", Replaces()),
    ("save_and_load", Bytes()),
]


class Sums:
    """A model that obeys: it adds a weight to the sum of each list."""

    def __init__(self, weight: int = 1) -> None:
        self.weight = [weight]

    def forward(self, lists: Iterator[list[int]]) -> Iterator[int]:
        for numbers in lists:
            yield sum(numbers) + self.weight[0]

    def copy(self) -> "Sums":
        return copy.deepcopy(self)

    def save_to_dir(self, directory: Path) -> None:
        (directory / "weight").write_text(str(self.weight[0]))

    @classmethod
    def load_from_dir(cls, directory: Path) -> Any:
        return cls(int((directory / "weight").read_text()))


class LearnsWhileReading(Sums):
    def forward(self, lists: Iterator[list[int]]) -> Iterator[int]:
        for numbers in lists:
            self.weight[0] += 1
            yield 0


class CopiesAnother(Sums):
    def copy(self) -> "Sums":
        return type(self)(self.weight[0] + 1)


class SavesNothing(Sums):
    def save_to_dir(self, directory: Path) -> None:
        (directory / "weight").write_text("1")


class SaysAnotherType(Sums):
    def fwd_input_type(self) -> Any:
        return str


MODELS = [
    ("forward_changes_nothing", LearnsWhileReading()),
    ("copies", CopiesAnother()),
    ("save_and_load", SavesNothing(5)),
    ("type_methods", SaysAnotherType()),
]


@attrs.frozen
class Adds:
    """A trainer that obeys."""

    model: Sums = attrs.field(factory=Sums)

    def train(self) -> Any:
        trained = self.model.copy()
        trained.weight[0] += 3
        return trained

    def train_output_type(self) -> Any:
        return Sums


class TrainsTheGivenOne(Adds):
    def train(self) -> Any:
        self.model.weight[0] += 3
        return self.model


class TrainsByChance(Adds):
    def train(self) -> Any:
        trained = self.model.copy()
        trained.weight[0] += random.randrange(1 << 40)
        return trained


class ReturnsSomethingElse(Adds):
    def train(self) -> Any:
        return {"weight": 3}


@attrs.frozen
class Gathers:
    """A trainer with momentum that obeys: what the next item adds depends on all before, and all of it is kept."""

    data_source: Any
    directory: Path | None = None
    model: Sums = attrs.field(factory=Sums)
    step: int = 0
    momentum: int = 0

    def train(self) -> Any:
        trained, momentum = self.model.copy(), self.momentum
        for step, number in enumerate(
            itertools.islice(self.data_source.get_data_generator(self.step), 5 - self.step)
        ):
            momentum += number
            trained.weight[0] += momentum
            if self.directory is not None:
                self.directory.mkdir(exist_ok=True)
                kept = np.array([trained.weight[0], *self.keeps(self.step + step + 1, momentum)])
                save_file({"kept": kept}, self.directory / "state.safetensors")
        return trained

    def keeps(self, step: int, momentum: int) -> tuple[int, int]:
        return step, momentum

    @classmethod
    def load_checkpoint(cls, directory: Path, *, data_source: Any) -> Any:
        weight, step, momentum = load_file(directory / "state.safetensors")["kept"].tolist()
        return cls(data_source, None, Sums(weight), step, momentum)


class ForgetsItsMomentum(Gathers):
    def keeps(self, step: int, momentum: int) -> tuple[int, int]:
        return step, 0


class ReadsTheDataAgain(Gathers):
    def keeps(self, step: int, momentum: int) -> tuple[int, int]:
        return 0, momentum


@attrs.frozen
class Odd:
    """The odd numbers, without end."""

    def get_data_generator(self, start: int = 0) -> Iterator[int]:
        yield from itertools.count(2 * start + 1, 2)


TRAINERS = [
    ("resume", ForgetsItsMomentum(Odd())),
    ("resume", ReadsTheDataAgain(Odd())),
    ("types", ReturnsSomethingElse()),
    ("leaves_the_model", TrainsTheGivenOne()),
    ("deterministic", TrainsByChance()),
]
