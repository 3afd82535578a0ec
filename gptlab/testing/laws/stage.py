"""The laws of stages. Inputs are drawn from the stage's own annotation, or are given."""

import gc
import itertools
from typing import Any

from hypothesis import strategies as st

from gptlab.pipeline.chain import check_chain
from gptlab.pipeline.check import checked_items
from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.signature import read
from gptlab.testing.draw import Draw, composite
from gptlab.testing.drawing import bound_variables
from gptlab.testing.errors import broken, shown
from gptlab.testing.example import Example, Items
from gptlab.testing.laws.inputs import Stage, inputs_of
from gptlab.testing.laws.law import MAX_EXAMPLES, Held, Law, NotApplicable, axes_of, check, search
from gptlab.testing.laws.laziness import lazy
from gptlab.testing.laws.running import MOST, Feed, chance, crashing, fresh, outputs, quietly
from gptlab.testing.laws.saving import saved
from gptlab.testing.snapshots import Held as Content
from gptlab.testing.snapshots import difference, snapshot, snapshot_list
from gptlab.testing.streaming import streams


class PlantedError(RuntimeError, ValueError, KeyError, OSError):
    """What an input raises in the law about exceptions: of many kinds, so that whoever catches any is seen."""

    __str__ = Exception.__str__


def type_true(law: Law, example: Example, max_examples: int) -> None:
    """The run-time check of a pipeline, on every item."""
    stage = example.value
    taken = read(stage).takes

    def tried(items: list[Any], kind: Any) -> None:
        with crashing(law, stage, items), quietly():
            chain = check_chain([Items(items, kind), stage])
            stream = checked_items(iter(stage(Feed(fresh(items)).stream())), chain, 1, "all")
            try:
                for _ in itertools.islice(stream, MOST):
                    pass
            except ContractError as error:
                raise broken(
                    law.sentence,
                    stage,
                    got=str(error).replace("\n", "\n          "),
                    wanted="items of that type",
                    items=items,
                    do="Correct what it yields, or what it is annotated to yield.",
                ) from error

    if example.inputs is not None:
        inputs = st.tuples(example.inputs, bound_variables(taken))
    else:
        inputs = _typed(taken, axes_of(stage))
    search(inputs, lambda pair: tried(*pair), max_examples)


@composite
def _typed(draw: Draw, taken: Any, axes: Any) -> tuple[list[Any], Any]:
    """An input and the type of its items, which a generic stage takes over."""
    kind = draw(bound_variables(taken))
    return draw(streams(kind, axes=axes)), kind


def deterministic(law: Law, example: Example, max_examples: int) -> None:
    """Twice, with other global random states."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        runs = []
        for seed in (1, 2):
            with chance(seed):
                runs.append(outputs(law, stage, stage, items))
        _same(law, stage, items, runs[0], runs[1], "the first run", "the second", _SEED)

    search(inputs_of(example), tried, max_examples)


_SEED = "Draw chance from a generator that is made from a seed of its own, and keep no state between runs."


def _same(  # noqa: PLR0917
    law: Law, stage: Any, items: Any, left: list[Content], right: list[Content], one: str, other: str, do: str
) -> None:
    if left == right:
        return
    where = difference(snapshot_list(left), snapshot_list(right), "output ")
    got = where if len(left) == len(right) else f"{len(left)} outputs in {one}, {len(right)} in {other}"
    raise broken(law.sentence, stage, got=got, wanted=f"the same in {one} and in {other}", items=items, do=do)


def input_untouched(law: Law, example: Example, max_examples: int) -> None:
    """The content of the input before and after."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        before = [snapshot(item) for item in items]
        was = Shown(shown(items))
        with crashing(law, stage, items), quietly():
            for _ in itertools.islice(iter(stage(iter(items))), MOST):
                pass
        after = [snapshot(item) for item in items]
        if before != after:
            raise broken(
                law.sentence,
                stage,
                got=difference(snapshot_list(before), snapshot_list(after), "input "),
                wanted="the input as it was",
                items=was,
                do="Work on a copy: others hold the same items.",
            )

    search(inputs_of(example), tried, max_examples)


class Shown(str):
    """Text that prints as itself: the input as it was before it was changed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def yields_kept(law: Law, example: Example, max_examples: int) -> None:
    """Every output is kept, and looked at again when all are there."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        kept, then = [], []
        with crashing(law, stage, items), quietly():
            for item in itertools.islice(iter(stage(Feed(fresh(items)).stream())), MOST):
                kept.append(item)
                then.append(snapshot(item))
        now = [snapshot(item) for item in kept]
        if now != then:
            raise broken(
                law.sentence,
                stage,
                got=difference(snapshot_list(then), snapshot_list(now), "output "),
                wanted="outputs that stay what they were",
                items=items,
                do="Make a new array for each item instead of filling one again.",
            )

    search(inputs_of(example), tried, max_examples)


def chunking(law: Law, example: Example, max_examples: int) -> None:
    """Lists, chunks and single items; and two runs in turn."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        whole = outputs(law, stage, stage, items)
        own = fresh(items)
        in_chunks = itertools.chain(own[:1], own[1:3], [], own[3:])
        with crashing(law, stage, items), quietly():
            chunked = [snapshot(item) for item in itertools.islice(iter(stage(in_chunks)), MOST)]
            _same(law, stage, items, whole, chunked, "one piece", "chunks", _NO_STATE)
            first, second = iter(stage(iter(fresh(items)))), iter(stage(iter(fresh(items))))
            turns: tuple[list[Content], list[Content]] = ([], [])
            for pair in itertools.islice(itertools.zip_longest(first, second), MOST):
                for seen, item in zip(turns, pair, strict=True):
                    seen.append(snapshot(item))
        for seen in turns:
            _same(law, stage, items, whole, seen, "a run alone", "one of two runs in turn", _NO_STATE)

    search(inputs_of(example), tried, max_examples)


_NO_STATE = "Keep what a run remembers in local variables of the generator, not in the value."


def exceptions(law: Law, example: Example, max_examples: int) -> None:
    """An input that ends with an error instead of its end."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        expected = outputs(law, stage, stage, items)
        for size in range(len(items) + 1):
            error = PlantedError("planted by the kit")
            feed, seen, raised = Feed(fresh(items[:size]), error), [], None
            try:
                with quietly():
                    for item in itertools.islice(iter(stage(feed.stream())), MOST):
                        seen.append(snapshot(item))
            except PlantedError as planted:
                raised = planted
            except Exception as other:
                raise _passed(law, stage, items, size, f"{type(other).__name__}: {other}") from other
            if feed.failed and raised is not error:
                raise _passed(law, stage, items, size, "no exception: the run ended as if the input had ended")
            if seen != expected[: len(seen)]:
                raise _passed(law, stage, items, size, "other outputs before it than without it")

    search(inputs_of(example), tried, max_examples)


def _passed(law: Law, stage: Any, items: list[Any], size: int, got: str) -> Exception:
    return broken(
        law.sentence,
        stage,
        got=got,
        wanted=f"the exception that the input raises after {size} items, itself, and before it the usual outputs",
        items=items,
        do="Catch only what your own calls raise, around them alone, never around the loop over the input.",
    )


def close(law: Law, example: Example, max_examples: int) -> None:
    """Closed after each number of outputs, with nothing else that holds the input."""
    stage: Stage = example.value

    def tried(items: list[Any]) -> None:
        for taken in range(1, 3):
            feed = Feed(fresh(items))
            with crashing(law, stage, items), quietly():
                stream = iter(stage(feed.stream()))
                got = sum(1 for _ in itertools.islice(stream, taken))
                read = feed.reads
                if hasattr(stream, "close"):
                    stream.close()
            del stream
            if not feed.closed and feed.reads:
                gc.collect()
            if got == taken and feed.reads and (not feed.closed or feed.reads != read):
                raise broken(
                    law.sentence,
                    stage,
                    got=f"{feed.reads - read} more items read" if feed.reads != read else "the input still held",
                    wanted=f"after {taken} outputs and close(), nobody holds the input",
                    items=items,
                    do="Keep the input in local variables of the generator, and end threads in `finally`.",
                )

    search(inputs_of(example), tried, max_examples)


def save_and_load(law: Law, example: Example, max_examples: int) -> None:
    """By configuration and by directory: an equal value that does the same."""
    stage = example.value
    loaded = saved(law, stage)

    def tried(items: list[Any]) -> None:
        before = outputs(law, stage, stage, items)
        for way, twin in loaded:
            after = outputs(law, stage, twin, items)
            _same(
                law, stage, items, before, after, "the value", f"the one from {way}", "Save all that it depends on."
            )

    search(inputs_of(example), tried, max_examples)


def resume(law: Law, example: Example, max_examples: int) -> None:
    """`items_per_yield` items are one output, at every position."""
    stage: Any = example.value
    ratio = getattr(stage, "items_per_yield", None)
    if ratio is None:
        raise NotApplicable("it has no items_per_yield, so a pipeline replays it instead of seeking")

    def tried(items: list[Any]) -> None:
        whole = outputs(law, stage, stage, items)
        for position in range(len(whole) + 1):
            rest = outputs(law, stage, stage, items[position * ratio :])
            _same(
                law,
                stage,
                items,
                whole[position:],
                rest,
                f"outputs from {position} on",
                f"a run that begins at item {position * ratio}",
                "Make each output of its own items alone, or take items_per_yield away.",
            )

    inputs = example.inputs
    if inputs is None:
        most = max(5, min(2 * ratio + 1, 17))
        inputs = streams(read(stage).takes, axes=axes_of(stage), max_size=most)
    search(inputs, tried, max_examples)


STAGE_LAWS = tuple(
    Law(name=name, sentence=sentence, check=function)
    for name, sentence, function in (
        ("types", "Every item that is yielded is what the annotation promises.", type_true),
        ("lazy", "No more of the input is read than the next output needs.", lazy),
        ("deterministic", "The same input gives the same output, whatever happened before.", deterministic),
        ("input_untouched", "The input is left as it was.", input_untouched),
        ("yields_kept", "What was yielded never changes afterwards.", yields_kept),
        ("chunking", "It makes no difference in what pieces the input comes or the output is taken.", chunking),
        ("exceptions", "An exception of the input reaches whoever asked for the next item.", exceptions),
        ("close", "Closing the output lets go of the input.", close),
        ("save_and_load", "Saved and loaded, it is an equal value that does the same.", save_and_load),
        ("resume", "Begun at any item, it goes on as if it had never stopped.", resume),
    )
)


def check_stage(
    stage: Any,
    inputs: st.SearchStrategy[list[Any]] | None = None,
    *,
    reads_ahead: int = 0,
    leave_out: dict[str, str] | None = None,
    max_examples: int = MAX_EXAMPLES,
) -> Held:
    """Put a stage to all laws of stages.

    Args:
        stage: anything that a pipeline takes as a stage.
        inputs: its input, as a strategy of lists of items; drawn from its annotation when not given.
        reads_ahead: items that it may read before it needs them.
        leave_out: law to the reason why it does not apply.
        max_examples: inputs to try for each law.

    Raises:
        LawBroken: with the smallest input that was found.

    >>> from collections.abc import Iterator
    >>> def double(numbers: Iterator[int]) -> Iterator[int]:
    ...     for number in numbers:
    ...         yield 2 * number
    >>> check_stage(double).laws[:3]
    ('types', 'lazy', 'deterministic')
    """
    example = Example(stage, inputs=inputs, reads_ahead=reads_ahead, leave_out=leave_out or {})
    return check(STAGE_LAWS, example, max_examples)
