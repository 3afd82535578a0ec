"""Data that do not fit a benchmark, or the model, are refused before anything is read."""

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from tiny_world import Bytes, CopiesWhatItSees, Items

from gptlab.benchmarks import HeldOutLoss, LinkAccuracy, LinkGain, RestatedFacts, check_data
from gptlab.models import LinkPairs
from gptlab.pipeline import AtMost, ContractError
from gptlab.sources import Fact
from gptlab.types import Batch, Document, PackedSequence, Walk

MODEL = CopiesWhatItSees(257)
RESTATED = RestatedFacts(facts=Items([], Fact), documents=Items([], Document), tokenizer=Bytes())


def never() -> Iterator[Any]:
    raise AssertionError("data were read before they were checked")
    yield


@attrs.frozen
class Unread:
    """A source that must not be opened."""

    kind: Any
    seq: int = 8

    def get_data_generator(self) -> Iterator[Any]:
        return never()

    def item_types(self) -> tuple[None, Any]:
        return None, self.kind

    def axes(self) -> dict[str, int]:
        return {"seq": self.seq}


class Short(CopiesWhatItSees):
    """Reads no more than four tokens."""

    def axes(self) -> dict[str, AtMost]:
        return {"seq": AtMost(4)}


@pytest.mark.parametrize(
    ("benchmark", "given", "wanted", "do"),
    [
        (HeldOutLoss(), PackedSequence, "Batch", "Put Collate behind it: pipeline(..., Collate(...))."),
        (LinkGain(), Walk, "PackedSequence", "Put Pack behind it: pipeline(..., Pack(...))."),
        (LinkGain(), Batch, "PackedSequence", "Give another source, or correct what Unread is annotated to yield."),
        (RESTATED, Walk, "PackedSequence", "Put Pack behind it: pipeline(..., Pack(...))."),
        (LinkAccuracy(), Batch, "LinkPairs", "Give another source, or correct what Unread is annotated to yield."),
    ],
)
def test_other_items_are_refused_before_any_work(benchmark: Any, given: Any, wanted: str, do: str) -> None:
    with pytest.raises(ContractError) as error:
        benchmark.calculate(Unread(given), MODEL)
    where, got, *rest = str(error.value).split("\n")
    assert where == f"{type(benchmark).__name__}.calculate(data)"
    assert got.startswith(f"  got     a source of {given.__name__}, Unread   ")
    assert rest == [f"  wanted  a source of {wanted}", f"  {do}"]


def test_data_for_another_model_are_refused() -> None:
    with pytest.raises(ContractError, match="forward cannot follow Unread"):
        LinkAccuracy().calculate(Unread(LinkPairs), MODEL)


@pytest.mark.parametrize(("benchmark", "kind"), [(HeldOutLoss(), Batch), (LinkGain(), PackedSequence)])
def test_rows_that_the_model_cannot_read_are_refused(benchmark: Any, kind: Any) -> None:
    with pytest.raises(ContractError, match="seq"):
        benchmark.calculate(Unread(kind), Short(257))
    with pytest.raises(AssertionError, match="were read"):
        benchmark.calculate(Unread(kind, seq=4), Short(257))


def test_what_does_not_say_what_it_yields_is_refused() -> None:
    with pytest.raises(ContractError, match="a source of Any, Unread"):
        HeldOutLoss().calculate(Unread(Any), MODEL)


def test_a_stage_is_no_source() -> None:
    def batches(rows: Iterator[PackedSequence]) -> Iterator[Batch]:
        yield from ()

    with pytest.raises(ContractError, match="got     a stage, which needs items, and then one of Batch, batches"):
        check_data(HeldOutLoss(), batches, MODEL)


@pytest.mark.parametrize("field", ["facts", "documents"])
def test_facts_and_documents_are_checked_when_the_benchmark_is_made(field: str) -> None:
    settings = {"facts": Items([], Fact), "documents": Items([], Document), "tokenizer": Bytes()}
    with pytest.raises(ContractError, match=rf"RestatedFacts\.{field}\n  got     a source of Walk, Items"):
        RestatedFacts(**settings | {field: Items([], Walk)})


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: HeldOutLoss(batches=0), "HeldOutLoss.batches"),
        (lambda: LinkGain(tokens=0), "LinkGain.tokens"),
        (lambda: LinkGain(batch_size=0), "LinkGain.batch_size"),
        (lambda: attrs.evolve(RESTATED, max_rows=-1), "RestatedFacts.max_rows"),
    ],
)
def test_settings_that_score_nothing_are_refused(make: Any, where: str) -> None:
    with pytest.raises(ValueError, match=rf"{where}\n  got     -?\d\n  wanted  a whole number of at least 1"):
        make()
