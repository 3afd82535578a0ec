"""`pipeline(a, b, c)` and `a | b | c`, checked when they are written, by mypy as well.

The overloads spell out chains of up to ten parts, since no Python type says "each takes what the one before yields".
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar, overload

from gptlab.pipeline.check import Checks
from gptlab.pipeline.pipelines import SourcePipeline, StagePipeline, assemble
from gptlab.pipeline.protocols import Source

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
I = TypeVar("I")  # noqa: E741
J = TypeVar("J")
K = TypeVar("K")

_S: TypeAlias = Callable[[Iterator[A]], Iterable[B]]


@overload
def pipeline(source: Source[A], /, *, checks: Checks | None = None) -> SourcePipeline[A]: ...
@overload
def pipeline(source: Source[A], p1: _S[A, B], /, *, checks: Checks | None = None) -> SourcePipeline[B]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], /, *, checks: Checks | None = None
) -> SourcePipeline[C]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], /, *, checks: Checks | None = None
) -> SourcePipeline[D]: ...
@overload
def pipeline(
    source: Source[A], p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], /, *, checks: Checks | None = None
) -> SourcePipeline[E]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[F]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[G]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[H]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[I]: ...
@overload
def pipeline(
    source: Source[A],
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    /,
    *,
    checks: Checks | None = None,
) -> SourcePipeline[J]: ...
@overload
def pipeline(p1: _S[A, B], /, *, checks: Checks | None = None) -> StagePipeline[A, B]: ...
@overload
def pipeline(p1: _S[A, B], p2: _S[B, C], /, *, checks: Checks | None = None) -> StagePipeline[A, C]: ...
@overload
def pipeline(p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], /, *, checks: Checks | None = None) -> StagePipeline[A, D]: ...
@overload
def pipeline(
    p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], /, *, checks: Checks | None = None
) -> StagePipeline[A, E]: ...
@overload
def pipeline(
    p1: _S[A, B], p2: _S[B, C], p3: _S[C, D], p4: _S[D, E], p5: _S[E, F], /, *, checks: Checks | None = None
) -> StagePipeline[A, F]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, G]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, H]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, I]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, J]: ...
@overload
def pipeline(
    p1: _S[A, B],
    p2: _S[B, C],
    p3: _S[C, D],
    p4: _S[D, E],
    p5: _S[E, F],
    p6: _S[F, G],
    p7: _S[G, H],
    p8: _S[H, I],
    p9: _S[I, J],
    p10: _S[J, K],
    /,
    *,
    checks: Checks | None = None,
) -> StagePipeline[A, K]: ...


def pipeline(*parts: Any, checks: Checks | None = None) -> Any:
    """Compose parts, source first and model last, and check that they fit.

    The check is made here, before a file is opened: element types along the chain, the axes that parts fix or bound,
    and whether token ids fit their dtype. mypy checks element types of up to ten parts as well; nest for more. (A
    chain that *begins* with a generic stage needs an annotation for mypy: `StagePipeline[Document, Walk]`.)

    Args:
        parts: a source or a stage, then stages: functions, bound methods, partials, values with `__call__`,
            pipelines.
        checks: how much is checked at run time, `"off"`, `"first"` or `"all"`; `GPTLAB_CHECKS` where not given.

    Returns:
        A source where the first part is one, else a stage.

    Raises:
        ContractError: where two parts do not fit, with both annotations and what would help.

    >>> def words(lines: Iterator[str]) -> Iterator[list[str]]:
    ...     yield from (line.split() for line in lines)
    >>> def count(lists: Iterator[list[str]]) -> Iterator[int]:
    ...     yield from map(len, lists)
    >>> list(pipeline(words, count)(iter(["to be", "or"])))
    [2, 1]
    >>> pipeline(count, words)
    Traceback (most recent call last):
    gptlab.pipeline.errors.ContractError: words cannot follow count
      0  count  yields int   ...
      1  words  takes  str   ...
      count and words fit the other way round: exchange them.
    """
    return assemble(parts, checks)


@overload
def then(first: Source[A], second: _S[A, B]) -> SourcePipeline[B]: ...
@overload
def then(first: _S[A, B], second: _S[B, C]) -> StagePipeline[A, C]: ...
def then(first: Any, second: Any) -> Any:
    """`first | second`: give a stage's class `__or__ = then` and its values compose with `|`.

    >>> class Double:
    ...     def __call__(self, numbers: Iterator[int]) -> Iterator[int]:
    ...         yield from (2 * number for number in numbers)
    ...     __or__ = then
    >>> list((Double() | Double())(iter([1, 2])))
    [4, 8]
    """
    return assemble((first, second), None)
