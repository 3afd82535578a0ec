"""The contracts, in one place. Nothing inherits from them: a class that has the methods is one.

Each Protocol holds only what its caller uses and shows a complete implementation. The vocabulary is the promised
one (`get_data_generator`, `pre_cache`, `forward`, `inference`, `train`, `calculate`, `save_to_dir`); what a part
takes and yields is read from its annotations (`gptlab.pipeline.takes`, `gptlab.pipeline.yields`), never said twice.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

T_co = TypeVar("T_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)


@runtime_checkable
class Source(Protocol[T_co]):
    """Where items come from; each call starts over.

    >>> import attrs
    >>> @attrs.frozen
    ... class Countdown:
    ...     start: int
    ...     def get_data_generator(self) -> Iterator[int]:
    ...         yield from range(self.start, 0, -1)
    >>> isinstance(Countdown(3), Source), list(Countdown(3).get_data_generator())
    (True, [3, 2, 1])
    """

    def get_data_generator(self) -> Iterator[T_co]:
        """A fresh iterator over all items."""


@runtime_checkable
class SeekableSource(Protocol[T_co]):
    """A source whose item `k` is a pure function of (value, k), so that resuming costs O(1).

    >>> class Squares:
    ...     def get_data_generator(self, start: int = 0) -> Iterator[int]:
    ...         while True:
    ...             yield start * start
    ...             start += 1
    >>> next(Squares().get_data_generator(start=7))
    49
    """

    def get_data_generator(self, start: int = 0) -> Iterator[T_co]:
        """The items from index `start` on."""


@runtime_checkable
class Stage(Protocol[A_contra, B_co]):
    """From a stream to a stream: any callable so annotated, a generator as a rule.

    >>> def double(numbers: Iterator[int]) -> Iterator[int]:
    ...     for number in numbers:
    ...         yield 2 * number
    >>> list(double(iter([1, 2])))
    [2, 4]
    """

    def __call__(self, items: Iterator[A_contra], /) -> Iterator[B_co]:
        """Yield lazily: read no more of `items` than the next yield needs."""


@runtime_checkable
class Joining(Protocol):
    """A stage that can read some sources without their items in between, as `Collate` does packed rows.

    Asked by a pipeline that begins with such a source and this stage, unless every seam is checked.

    >>> class Total:
    ...     def __init__(self, chunks: Source[range]) -> None:
    ...         self.chunks = chunks
    ...     def get_data_generator(self, start: int = 0) -> Iterator[int]: ...
    >>> class Sum:
    ...     def __call__(self, chunks: Iterator[range]) -> Iterator[int]:
    ...         yield from map(sum, chunks)
    ...     def joined(self, source: object) -> Source[int] | None:
    ...         return Total(source) if isinstance(source, Source) else None
    """

    def joined(self, source: object, /) -> Source[Any] | None:
        """A seekable source that yields what this stage yields behind `source`; None where it knows of none."""


@runtime_checkable
class PreCached(Protocol):
    """A part with work to do once: a download, a training of a tokenizer, packed rows on disk.

    >>> class Greeting:
    ...     path = Path("greeting.txt")
    ...     def pre_cache(self) -> None:
    ...         if not self.path.exists():
    ...             self.path.write_text("hello")
    """

    def pre_cache(self) -> None:
        """Make what is missing; return at once when nothing is. Called again when the cache is gone."""


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back. Bytes are the smallest:

    >>> class Bytes:
    ...     vocab_size = 257
    ...     end_of_text = 256
    ...     def encode(self, text: str) -> list[int]:
    ...         return list(text.encode())
    ...     def token_bytes(self, token: int) -> bytes:
    ...         return bytes([token]) if token < 256 else b""
    """

    @property
    def vocab_size(self) -> int:
        """One more than the largest id that `encode` or `end_of_text` can give."""

    @property
    def end_of_text(self) -> int:
        """The id that closes a document; `encode` never gives it."""

    def encode(self, text: str) -> list[int]:
        """Ids whose `token_bytes`, joined, are the UTF-8 of `text`."""

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; empty for end-of-text."""


S = TypeVar("S")  # not typing.Self, which run-time checks refuse in a class that they wrap method by method


@runtime_checkable
class Saveable(Protocol):
    """A part with more than a configuration (weights, ranks). Plain frozen attrs values need neither method:
    `gptlab.storage.save_to_dir` writes their fields.

    >>> class Weights:
    ...     def __init__(self, numbers: bytes) -> None:
    ...         self.numbers = numbers
    ...     def save_to_dir(self, directory: Path) -> None:
    ...         (directory / "numbers.bin").write_bytes(self.numbers)
    ...     @classmethod
    ...     def load_from_dir(cls, directory: Path) -> "Weights":
    ...         return cls((directory / "numbers.bin").read_bytes())
    """

    def save_to_dir(self, directory: Path) -> None:
        """Write everything below `directory`."""

    @classmethod
    def load_from_dir(cls: type[S], directory: Path) -> S:
        """The same value, from what `save_to_dir` wrote."""


@runtime_checkable
class Model(Protocol[A_contra, B_co]):
    """What a trainer returns and a benchmark reads: a stage that can be saved.

    >>> class CountWords:
    ...     def forward(self, texts: Iterator[str]) -> Iterator[int]:
    ...         for text in texts:
    ...             yield len(text.split())
    ...     def save_to_dir(self, directory: Path) -> None:
    ...         (directory / "config.json").write_text("{}")
    """

    def forward(self, items: Iterator[A_contra], /) -> Iterator[B_co]:
        """What training and scoring need: batches in, losses or scores out."""

    def save_to_dir(self, directory: Path) -> None:
        """Write everything that `load_from_dir` needs."""


M_co = TypeVar("M_co", covariant=True)


@runtime_checkable
class Trainer(Protocol[M_co]):
    """Makes a new model from an old one and data.

    >>> class CountOnce:
    ...     def __init__(self, texts: list[str]) -> None:
    ...         self.texts = texts
    ...     def train(self) -> dict[str, int]:
    ...         return {text: self.texts.count(text) for text in self.texts}
    """

    def train(self) -> M_co:
        """A trained model of the same class; the one that was given is left alone."""


D_contra = TypeVar("D_contra", contravariant=True)
M_contra = TypeVar("M_contra", contravariant=True)


@runtime_checkable
class Benchmark(Protocol[D_contra, M_contra]):
    """Computes figures from data and a model.

    >>> class Length:
    ...     def calculate(self, data: list[str], model: object) -> Mapping[str, float]:
    ...         return {"items": float(len(data))}
    """

    def calculate(self, data: D_contra, model: M_contra) -> Mapping[str, float]:
        """Named figures; a standard error is named `<figure>_stderr`."""


@runtime_checkable
class HasAxes(Protocol):
    """A part that fixes or bounds axes which its annotations only name.

    An `int` fixes the axis; `AtMost(n)` accepts any size up to `n`.

    >>> class PackTo2048:
    ...     def axes(self) -> Mapping[str, int]:
    ...         return {"seq": 2048}
    >>> isinstance(PackTo2048(), HasAxes)
    True
    """

    def axes(self) -> Mapping[str, Any]:
        """Axis name to `int` or `AtMost`."""
