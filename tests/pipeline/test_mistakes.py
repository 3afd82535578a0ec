"""What people get wrong, and what they are told: the whole text, kept in `mistakes.txt` beside this file.

Lines of this file are written LINE there. To take over texts after a change that is meant, run
`GPTLAB_TAKE_SNAPSHOTS=1 pytest tests/pipeline/test_mistakes.py` and read the difference.
"""

import functools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import attrs
import numpy as np
import pytest
from jaxtyping import Float32, Int32, UInt16, UInt32

from gptlab.pipeline import AtMost, ContractError, SourcePipeline, StagePipeline, pipeline, takes
from gptlab.types import Batch, Document, PackedSequence, TokenizedDocument, Walk

SNAPSHOTS = Path(__file__).with_name("mistakes.txt")
T = TypeVar("T")
N = np.ndarray


@attrs.frozen
class Articles:
    def get_data_generator(self) -> Iterator[Document]:
        yield from ()


@attrs.frozen
class Tokenise:
    vocab_size: int = 8192

    def axes(self) -> Mapping[str, int]:
        return {"vocab": self.vocab_size}

    def __call__(self, documents: Iterator[Document]) -> Iterator[TokenizedDocument]:
        yield from ()


@attrs.frozen
class Traverse:
    barrier: ClassVar[bool] = True

    def __call__(self, documents: Iterator[TokenizedDocument]) -> Iterator[Walk]:
        yield from ()


@attrs.frozen
class Fill:
    seq_len: int = 1024

    def axes(self) -> Mapping[str, int]:
        return {"seq": self.seq_len}

    def __call__(self, walks: Iterator[Walk]) -> Iterator[PackedSequence]:
        yield from ()


@attrs.frozen
class Stack:
    batch_size: int = 8

    def axes(self) -> Mapping[str, int]:
        return {"batch": self.batch_size}

    def __call__(self, rows: Iterator[PackedSequence]) -> Iterator[Batch]:
        yield from ()


class Network:
    def axes(self) -> Mapping[str, AtMost]:
        return {"vocab": AtMost(8192), "seq": AtMost(1024)}

    def forward(self, batches: Iterator[Batch]) -> Iterator[Float32[N, "batch seq"]]:
        yield from ()


def batched(items: Iterator[T]) -> Iterator[list[T]]:
    yield from ()


def short_tokens(documents: Iterator[Document]) -> Iterator[UInt16[N, "tokens"]]:
    yield from ()


def embed(rows: Iterator[Int32[N, "batch seq"]]) -> Iterator[Float32[N, "batch seq width"]]:
    yield from ()


def rows_of_512(rows: Iterator[Float32[N, "batch 512"]]) -> Iterator[int]:
    yield from ()


def sequence_first(rows: Iterator[Float32[N, "seq batch"]]) -> Iterator[int]:
    yield from ()


def squares(rows: Iterator[Float32[N, "n n"]]) -> Iterator[int]:
    yield from ()


def integers(rows: Iterator[Int32[N, "batch seq"]]) -> Iterator[int]:
    yield from ()


def flat(rows: Iterator[Float32[N, "batch"]]) -> Iterator[int]:
    yield from ()


def no_input(documents) -> Iterator[int]:  # type: ignore[no-untyped-def]
    yield 1


def no_output(documents: Iterator[Document]):  # type: ignore[no-untyped-def]
    yield 1


def bare_input(documents: Iterator) -> Iterator[int]:  # type: ignore[type-arg]
    yield 1


def one_document(document: Document) -> int:
    return 1


def whole_list(documents: list[Document]) -> Iterator[int]:
    yield 1


def returns_list(documents: Iterator[Document]) -> list[int]:
    return []


async def asynchronous(documents: Iterator[Document]) -> AsyncIterator[int]:
    yield 1


def anything(documents: Iterator[Document]) -> Iterator[Any]:
    yield 1


def takes_anything(documents: Iterator[Any]) -> Iterator[int]:
    yield 1


def wants_limit(documents: Iterator[Document], limit: int) -> Iterator[Document]:
    yield from ()


def no_parameters() -> Iterator[int]:
    yield 1


def misspelt(documents: "Iterator[Docment]") -> Iterator[int]:  # type: ignore[name-defined]
    yield 1


def unbound(documents: Iterator[Document]) -> Iterator[T]:
    yield from ()


def bare_lists(documents: Iterator[Document]) -> Iterator[list]:  # type: ignore[type-arg]
    yield []


def lists_of_documents(groups: Iterator[list[Document]]) -> Iterator[int]:
    yield 1


def titles(titles: Iterator[str]) -> Iterator[int]:
    yield 1


def maybe(documents: Iterator[Document]) -> Iterator[Document | None]:
    yield None


@attrs.frozen
class Window:
    def __call__(self, rows: Iterator[Int32[N, "{self.size}"]]) -> Iterator[int]:
        yield 1


@attrs.frozen
class Cut:
    size: int

    def __call__(self, rows: Iterator[Int32[N, "tokens"]]) -> Iterator[Int32[N, "{self.size}"]]:
        yield from ()


@attrs.frozen
class Expect:
    size: int

    def __call__(self, rows: Iterator[Int32[N, "{self.size}+1"]]) -> Iterator[int]:
        yield 1


@attrs.frozen
class Apply(Generic[T]):
    function: Callable[[Document], T]

    def __call__(self, documents: Iterator[Document]) -> Iterator[T]:
        yield from map(self.function, documents)


def title_of(document: Document) -> str:
    return document.title


class Narrow:
    def axes(self) -> Mapping[str, AtMost]:
        return {"context": AtMost(512)}

    def __call__(self, rows: Iterator[Float32[N, "rows context"]]) -> Iterator[int]:
        yield 1


ok = (Articles(), Tokenise(), Traverse(), Fill(), Stack())
model = Network()

MISTAKES: Mapping[str, Callable[[], Any]] = {
    "a stage is left out": lambda: pipeline(Articles(), Tokenise(), Fill()),
    "the library has what is missing": lambda: pipeline(Traverse(), Stack()),
    "two stages are exchanged": lambda: pipeline(Articles(), Traverse(), Tokenise(), Fill()),
    "two stages are exchanged at the end": lambda: pipeline(Articles(), Tokenise(), Fill(), Traverse()),
    "a source stands second": lambda: pipeline(Tokenise(), Articles()),
    "two sources": lambda: pipeline(Articles(), Articles()),
    "a stage stands twice": lambda: pipeline(Articles(), Tokenise(), Tokenise()),
    "the class and not a value": lambda: pipeline(Articles(), Tokenise),
    "the class of a source": lambda: pipeline(Articles, Tokenise()),
    "the model and not its method": lambda: pipeline(*ok, model),
    "a running generator": lambda: pipeline(Articles().get_data_generator(), Tokenise()),
    "a list for a source": lambda: pipeline([1, 2, 3], titles),
    "None for a stage": lambda: pipeline(Articles(), None),
    "no part at all": pipeline,
    "input without annotation": lambda: pipeline(Articles(), no_input),
    "output without annotation": lambda: pipeline(Articles(), no_output),
    "a bare Iterator": lambda: pipeline(Articles(), bare_input),
    "a function of one item": lambda: pipeline(Articles(), one_document),
    "a function of a list": lambda: pipeline(Articles(), whole_list),
    "returns a list": lambda: pipeline(Articles(), returns_list),
    "an asynchronous stage": lambda: pipeline(Articles(), asynchronous),
    "a lambda": lambda: pipeline(Articles(), lambda documents: documents),
    "yields Any": lambda: pipeline(Articles(), anything, titles),
    "takes Any": lambda: pipeline(Articles(), takes_anything),
    "a required setting": lambda: pipeline(Articles(), wants_limit),
    "a setting bound by position": lambda: pipeline(Articles(), functools.partial(wants_limit, iter(()))),
    "no parameter": lambda: pipeline(Articles(), no_parameters),
    "a misspelt annotation": lambda: pipeline(Articles(), misspelt),
    "a type variable bound to nothing": lambda: pipeline(Articles(), unbound, titles),
    "a bare list": lambda: pipeline(Articles(), bare_lists, lists_of_documents),
    "lists where items are wanted": lambda: pipeline(Articles(), batched, Tokenise()),
    "items where lists are wanted": lambda: pipeline(Articles(), lists_of_documents),
    "an optional item": lambda: pipeline(Articles(), maybe, Tokenise()),
    "another text type": lambda: pipeline(Articles(), titles),
    "rows longer than the context": lambda: pipeline(
        Articles(), Tokenise(), Traverse(), Fill(2048), Stack(), model.forward
    ),
    "vocabulary larger than the embedding": lambda: pipeline(
        Articles(), Tokenise(9000), Traverse(), Fill(), Stack(), model.forward
    ),
    "two sizes of a batch": lambda: pipeline(*ok, model.forward, Bound(16)),
    "a vocabulary too large for 16 bits": lambda: pipeline(Articles(), Vocabulary(70_000), short_tokens),
    "a fixed axis of another size": lambda: pipeline(*ok, model.forward, rows_of_512),
    "axes in another order": lambda: pipeline(*ok, model.forward, sequence_first),
    "a square where a matrix comes": lambda: pipeline(*ok, model.forward, squares),
    "another dtype": lambda: pipeline(*ok, model.forward, integers),
    "another number of axes": lambda: pipeline(*ok, model.forward, flat),
    "an array where a record is wanted": lambda: pipeline(*ok, model.forward, Stack()),
    "axes that name no field": lambda: pipeline(Window()),
    "sizes of two stages": lambda: pipeline(Cut(8), Expect(8)),
    "an axis under two names": lambda: pipeline(*ok, model.forward, Narrow()),
    "a function's result": lambda: pipeline(Articles(), Apply(title_of), Tokenise()),
    "asking what a source takes": lambda: takes(Articles()),
    "the wrong class by hand": lambda: SourcePipeline((Tokenise(),)),
    "the other wrong class by hand": lambda: StagePipeline((Articles(), Tokenise())),
    "an empty slice": lambda: pipeline(*ok)[:0],
    "a source after a slice": lambda: pipeline(pipeline(*ok)[1:], Articles()),
    "an unknown setting of the check": lambda: checks_from_environment(),  # noqa: PLW0108  (defined below)
}


@attrs.frozen
class Bound:
    batch_size: int

    def axes(self) -> Mapping[str, int]:
        return {"batch": self.batch_size}

    def __call__(self, losses: Iterable[Float32[N, "batch seq"]]) -> Iterator[Float32[N, "batch seq"]]:
        yield from ()


@attrs.frozen
class Vocabulary:
    size: int

    def axes(self) -> Mapping[str, int]:
        return {"vocab": self.size}

    def __call__(self, documents: Iterator[Document]) -> Iterator[Document]:
        yield from documents


def checks_from_environment() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTLAB_CHECKS", "sometimes")
        pipeline(Articles(), Tokenise()).get_data_generator()


def told(mistake: Callable[[], Any]) -> str:
    with pytest.raises(ContractError) as caught:
        mistake()
    return re.sub(r"(test_mistakes\.py):\d+", r"\1:LINE", str(caught.value))


def snapshots() -> dict[str, str]:
    text = SNAPSHOTS.read_text(encoding="utf-8") if SNAPSHOTS.exists() else ""
    sections = re.split(r"^=== (.*) ===\n", text, flags=re.MULTILINE)[1:]
    return {name: body.rstrip("\n") for name, body in zip(sections[::2], sections[1::2], strict=True)}


def test_there_are_enough_and_none_is_left_over() -> None:
    if os.environ.get("GPTLAB_TAKE_SNAPSHOTS"):
        texts = (f"=== {name} ===\n{told(mistake)}\n" for name, mistake in MISTAKES.items())
        SNAPSHOTS.write_text("\n".join(texts), encoding="utf-8")
    assert len(MISTAKES) >= 30
    assert snapshots().keys() == MISTAKES.keys()


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_told(name: str) -> None:
    assert told(MISTAKES[name]) == snapshots()[name]


def test_nothing_of_this_is_a_mistake() -> None:
    assert pipeline(*ok, model.forward).axes() == {"batch": 8, "seq": 1024, "vocab": 8192}
    assert isinstance(takes(functools.partial(wants_limit, limit=3)), type)
    wide: Sequence[Any] = (Articles(), Vocabulary(70_000), Tokenise(70_000))
    assert pipeline(*wide).axes() == {"vocab": 70_000}, "TokenizedDocument has room in UInt32"
    assert pipeline(Cut(8), takes_eight)


def takes_eight(rows: Iterator[Int32[N, "8"]]) -> Iterator[UInt32[N, "n"]]:
    yield from ()
