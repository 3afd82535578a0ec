"""Read by mypy, never run: every line that ends in `# bad` must be an error, and no other line may be one."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import attrs

from gptlab.pipeline import SourcePipeline, StagePipeline, pipeline, takes, then
from gptlab.pipeline.protocols import SeekableSource, Source, Stage
from gptlab.types import Batch, Document, PackedSequence, TokenizedDocument, Walk

T = TypeVar("T")
U = TypeVar("U")


@attrs.frozen
class Articles:
    def get_data_generator(self) -> Iterator[Document]:
        yield from ()

    __or__ = then


@attrs.frozen
class Rows:
    def get_data_generator(self, start: int = 0) -> Iterator[PackedSequence]:
        yield from ()


@attrs.frozen
class Tokenize:
    name: str = ""

    def __call__(self, documents: Iterator[Document]) -> Iterator[TokenizedDocument]:
        yield from ()

    __or__ = then


@attrs.frozen
class Traverse:
    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[Walk]:
        yield from ()

    __or__ = then


@attrs.frozen
class Pack:
    seq_len: int

    def __call__(self, walks: Iterator[Walk]) -> Iterator[PackedSequence]:
        yield from ()

    __or__ = then


@attrs.frozen
class Collate:
    batch_size: int

    def __call__(self, rows: Iterator[PackedSequence]) -> Iterator[Batch]:
        yield from ()

    __or__ = then


@attrs.frozen
class Take:
    count: int

    def __call__(self, items: Iterator[T]) -> Iterator[T]:
        yield from items

    __or__ = then


@attrs.frozen
class Map(Generic[T, U]):
    function: Callable[[T], U]

    def __call__(self, items: Iterator[T]) -> Iterator[U]:
        yield from map(self.function, items)

    __or__ = then


class Model:
    def forward(self, batches: Iterator[Batch]) -> Iterator[float]:
        yield 0.0


def batched(items: Iterator[T]) -> Iterator[list[T]]:
    for item in items:
        yield [item]


def count(groups: Iterator[list[Document]]) -> Iterator[int]:
    yield from map(len, groups)


def lengths(documents: Iterable[Document]) -> Iterator[int]:
    yield from (len(document.text) for document in documents)


def floats(numbers: Iterator[float]) -> Iterator[float]:
    yield from numbers


def text_of(document: Document) -> str:
    return document.text


def limited(documents: Iterator[Document], limit: int) -> Iterator[Document]:
    yield from ()


model = Model()

# A whole chain, and what it is.
whole: SourcePipeline[Batch] = pipeline(Articles(), Tokenize(), Traverse(), Pack(8), Collate(2))
closed: SourcePipeline[float] = pipeline(Articles(), Tokenize(), Traverse(), Pack(8), Collate(2), model.forward)
stages: StagePipeline[Document, Walk] = pipeline(Tokenize(), Traverse())
cached: SourcePipeline[Batch] = pipeline(Rows(), Collate(2), checks="all")
ten = pipeline(
    Articles(), Take(1), Take(2), Take(3), Take(4), Tokenize(), Traverse(), Pack(8), Collate(2), model.forward
)

# Nested, sliced, with bars.
nested: SourcePipeline[float] = pipeline(pipeline(Articles(), stages), pipeline(Pack(8), Collate(2)), model.forward)
barred: SourcePipeline[Batch] = Articles() | Tokenize() | Traverse() | Pack(8) | Collate(2)
bars: StagePipeline[Document, PackedSequence] = Tokenize() | Traverse() | Pack(8)
both: SourcePipeline[Batch] = Articles() | (Tokenize() | Traverse()) | (Pack(8) | Collate(2))
method: SourcePipeline[float] = Rows() | pipeline(Collate(2), model.forward)
loose: SourcePipeline[Batch] = whole.checked("off")

# Generic stages, functions, partials.
taken: SourcePipeline[TokenizedDocument] = pipeline(Articles(), Take(2), Tokenize())
lists: SourcePipeline[int] = pipeline(Articles(), batched, count)
taken_lists: SourcePipeline[int] = pipeline(Articles(), Take(2), batched, count)
mapped: SourcePipeline[str] = pipeline(Articles(), Map(text_of))
counted: SourcePipeline[float] = pipeline(Articles(), lengths, floats)
partial: SourcePipeline[TokenizedDocument] = pipeline(Articles(), functools.partial(limited, limit=3), Tokenize())
generic_first: StagePipeline[Document, TokenizedDocument] = pipeline(Take(2), Tokenize())

# What is composed is a source or a stage.
as_source: Source[Batch] = whole
as_seekable: SeekableSource[Batch] = whole
as_stage: Stage[Document, Walk] = stages
items: Iterator[Batch] = whole.get_data_generator(start=3)
walks: Iterator[Walk] = stages(iter([Document(id=takes(stages), title="", text="")]))

# Left out, exchanged, mistyped.
pipeline(Articles(), Traverse())  # bad
pipeline(Articles(), Tokenize(), Pack(8))  # bad
pipeline(Articles(), Tokenize(), Traverse(), Collate(2))  # bad
pipeline(Articles(), Traverse(), Tokenize(), Pack(8))  # bad
pipeline(Articles(), Tokenize(), Traverse(), Pack(8), model.forward)  # bad
pipeline(Articles(), Tokenize(), Tokenize())  # bad
pipeline(Tokenize(), Pack(8))  # bad
pipeline(Traverse(), Tokenize())  # bad
pipeline(Rows(), Tokenize())  # bad
pipeline(pipeline(Articles(), Tokenize()), Pack(8))  # bad
pipeline(Articles(), pipeline(Traverse(), Pack(8)))  # bad
pipeline(Articles(), Take(1), Take(2), Take(3), Take(4), Take(5), Take(6), Take(7), Pack(8), Collate(2))  # bad
Articles() | Traverse()  # bad
Tokenize() | Pack(8)  # bad
Articles() | Tokenize() | Pack(8)  # bad
Articles() | (Traverse() | Pack(8))  # bad
whole | Tokenize()  # bad
stages | Collate(2)  # bad
Rows() | stages  # bad

# Not parts at all, or not in that place.
pipeline(Tokenize(), Articles())  # bad
pipeline(Articles(), Articles())  # bad
pipeline(Articles(), Tokenize)  # bad
pipeline(Rows(), Collate(2), model)  # bad
pipeline(Articles(), text_of)  # bad
pipeline(Articles(), limited)  # bad
pipeline([1, 2, 3], floats)  # bad
pipeline(Articles(), None)  # bad
pipeline(Articles(), checks="sometimes")  # bad
pipeline()  # bad

# Lists and items, and generic stages that do not fit.
pipeline(Articles(), count)  # bad
pipeline(Articles(), batched, Tokenize())  # bad
pipeline(Articles(), batched, batched, count)  # bad
pipeline(Articles(), Take(2), Traverse())  # bad
pipeline(Articles(), Map(text_of), Tokenize())  # bad
pipeline(Rows(), Map(text_of))  # bad

# What comes out is not what is said.
wrong_items: SourcePipeline[Walk] = pipeline(Articles(), Tokenize())  # bad
wrong_kind: StagePipeline[Document, Walk] = pipeline(Articles(), Tokenize(), Traverse())  # bad
stages.get_data_generator()  # bad
whole(iter(()))  # bad
stages(iter([1, 2]))  # bad
