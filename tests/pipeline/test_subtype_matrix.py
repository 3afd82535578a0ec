"""The table of annotations: got, wanted, and the answer written by hand: y(es), n(o), or ? for cannot tell."""

# ruff: noqa: E501, UP007, UP045  (a table is read in columns, and old spellings of unions are under test too)

import collections
import enum
import typing
from collections.abc import (
    Callable,
    Collection,
    Container,
    Generator,
    Hashable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MutableMapping,
    MutableSequence,
    Reversible,
    Sequence,
    Set,
    Sized,
    ValuesView,
)
from pathlib import Path, PurePath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Never,
    NewType,
    Optional,
    Protocol,
    Self,
    TypeVar,
    Union,
)

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, Integer, Num, Shaped, UInt8, UInt16, UInt32

from gptlab.pipeline import fits
from gptlab.pipeline.verdict import Answer
from gptlab.types import Batch, Document, PackedSequence, TokenArray

N = np.ndarray
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
Bounded = TypeVar("Bounded", bound=int)
Either = TypeVar("Either", int, str)
UserId = NewType("UserId", int)
AdminId = NewType("AdminId", UserId)


class Animal: ...


class Cat(Animal): ...


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    left: int
    right: str


class Box(Generic[T]): ...


class Out(Generic[T_co]): ...


class In(Generic[T_contra]): ...


class IntBox(Box[int]): ...


class Nested(Box[list[T]]): ...


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Speaks(Protocol):
    def speak(self, words: str, loud: bool = False) -> str: ...


class Compares(Protocol):
    def compare(self, other: Self) -> bool: ...


class Gives(Protocol[T_co]):
    def give(self) -> T_co: ...


class Chained(Protocol):
    def next(self) -> "Chained": ...


class Calls(Protocol):
    def __call__(self, x: int, /) -> str: ...


@attrs.frozen
class WithName:
    name: str


@attrs.frozen
class WithNumber:
    name: int


class Parrot:
    def speak(self, words: str, loud: bool = False) -> str:
        return words


class Loud:
    def speak(self, words: object, loud: object = True, extra: int = 3) -> Literal["LOUD"]:
        return "LOUD"


class Strict:
    def speak(self, words: str) -> str:
        return words


class Renamed:
    def speak(self, text: str, loud: bool = False) -> str:
        return text


class Untold:
    def speak(self, words, loud=False):  # type: ignore[no-untyped-def]
        return words


class Wrong:
    def speak(self, words: int, loud: bool = False) -> str:
        return ""


class Needy:
    def speak(self, words: str, loud: bool = False, *, more: int) -> str:
        return words


class Absorbing:
    def speak(self, *args: Any, **kwargs: Any) -> str:
        return ""


class Number:
    def compare(self, other: "Number") -> bool:
        return True


class Choosy:
    def compare(self, other: int) -> bool:
        return True


class GivesInt:
    def give(self) -> int:
        return 1


class Chain:
    def next(self) -> "Chain":
        return self


class Broken:
    def next(self) -> int:
        return 1


class CallsInt:
    def __call__(self, x: int, /) -> str:
        return ""


class CallsStr:
    def __call__(self, x: str, /) -> str:
        return ""


class OnlyIter:
    def __iter__(self) -> Iterator[int]:
        return iter(())


class BareIter:
    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(())


PLAIN = [
    (int, int, "y"), (bool, int, "y"), (int, bool, "n"), (int, float, "y"), (bool, float, "y"), (float, int, "n"),
    (int, complex, "y"), (float, complex, "y"), (int, str, "n"), (str, bytes, "n"), (int, object, "y"),
    (object, int, "n"), (Cat, Animal, "y"), (Animal, Cat, "n"), (None, None, "y"), (type(None), None, "y"),
    (int, None, "n"), (Path, PurePath, "y"), (Path, str, "n"), (Never, int, "y"), (int, Never, "?"),
    (Any, int, "?"), (int, Any, "?"), (Any, Any, "?"), (Any, object, "?"), ("Document", int, "?"),
    (Annotated[int, "metres"], int, "y"), (int, Annotated[float, "metres"], "y"), (Document, Document, "y"),
    (Document, Batch, "n"), (PackedSequence, object, "y"),
]  # fmt: skip
UNIONS = [
    (int, int | str, "y"), (int | str, int, "n"), (int | str, str | int, "y"), (int | str, int | str | None, "y"),
    (int | None, int, "n"), (int, Optional[int], "y"), (bool | int, int, "y"), (Cat | Animal, Animal, "y"),
    (bytes, int | str, "n"), (Union[int, str], object, "y"), (list[int] | int, int | list[int], "y"),
    (list[Any] | int, int | list[int], "?"), (int | Any, int, "?"), (int, str | Any, "?"), (int, int | Any, "y"),
    (Literal["a"], str, "y"), (Literal["a"], int, "n"), (str, Literal["a"], "n"),
    (Literal["a"], Literal["a", "b"], "y"), (Literal["a", "b"], Literal["a"], "n"), (Literal["a", 1], str | int, "y"),
    (Literal["a", 1], str, "n"), (Literal[1], Literal[True], "n"), (Literal[True], Literal[1], "n"),
    (bool, Literal[True, False], "y"), (bool, Literal[True], "n"), (Color, Literal[Color.RED, Color.BLUE], "y"),
    (Color, Literal[Color.RED], "n"), (Literal[Color.RED], Color, "y"), (None, Literal["a", None], "y"),
    (Literal["a"], Literal["a"] | int, "y"), (str, Literal["a"] | int, "n"), (Literal["a", None], str | None, "y"),
    (Literal[1], float, "y"), (Literal["a"] | int, int | str, "y"), (int, Literal[1] | int, "y"),
]  # fmt: skip
NEW_TYPES = [
    (UserId, int, "y"), (int, UserId, "n"), (UserId, UserId, "y"), (AdminId, UserId, "y"), (UserId, AdminId, "n"),
    (AdminId, int, "y"), (AdminId, float, "y"), (UserId, str, "n"), (list[UserId], list[int], "n"),
    (Sequence[UserId], Sequence[int], "y"), (Sequence[int], Sequence[UserId], "n"), (UserId | None, int | None, "y"),
    (Literal[1], UserId, "n"), (UserId, object, "y"),
]  # fmt: skip
CONTAINERS = [
    (list[int], list[int], "y"), (list[bool], list[int], "n"), (list[int], list[float], "n"), (list, list[int], "?"),
    (list[int], list, "?"), (list[int], list[Any], "?"), (list[int], Sequence[int], "y"),
    (list[bool], Sequence[int], "y"), (list[bool], MutableSequence[int], "n"), (list[int], Iterable[float], "y"),
    (list[int], int, "n"), (int, list[int], "n"), (list[int], Iterator[int], "n"), (Sequence[int], list[int], "n"),
    (set[int], frozenset[int], "n"), (set[int], Set[int], "y"), (frozenset[bool], Set[int], "y"),
    (frozenset[bool], frozenset[int], "y"), (set[bool], set[int], "n"), (dict[str, int], Mapping[str, int], "y"),
    (dict[str, bool], Mapping[str, int], "y"), (dict[str, bool], dict[str, int], "n"),
    (dict[bool, str], Mapping[int, str], "n"), (dict[str, int], Iterable[str], "y"),
    (dict[str, int], Iterable[int], "n"), (dict[str, int], Collection[str], "y"),
    (dict[str, int], MutableMapping[str, int], "y"), (collections.Counter[str], Mapping[str, int], "y"),
    (collections.Counter[str], dict[str, int], "y"), (collections.defaultdict[str, int], dict[str, int], "y"),
    (collections.deque[int], Sequence[int], "y"), (collections.deque[int], list[int], "n"), (str, Sequence[str], "y"),
    (str, Iterable[int], "n"), (bytes, Sequence[int], "y"), (range, Sequence[int], "y"), (range, Iterable[str], "n"),
    (Generator[int, None, None], Iterator[int], "y"), (Generator[int, None, None], Iterable[float], "y"),
    (Iterator[int], Generator[int, None, None], "n"),
    (Generator[bool, int, None], Generator[int, bool, None], "y"),
    (Generator[int, bool, None], Generator[int, int, None], "n"), (Iterator[bool], Iterator[int], "y"),
    (Iterator[int], Iterable[int], "y"), (Iterable[int], Iterator[int], "n"), (KeysView[str], Set[str], "y"),
    (ItemsView[str, int], Iterable[tuple[str, int]], "y"), (ValuesView[int], Iterable[int], "y"),
    (list[int], Sized, "y"), (list[int], Container[int], "y"), (list[int], Reversible[int], "y"),
    (int, Hashable, "y"), (OnlyIter, Iterable[int], "y"), (OnlyIter, Iterable[str], "n"),
    (BareIter, Iterable[int], "?"), (list[list[bool]], list[list[int]], "n"),
    (Sequence[Sequence[bool]], Sequence[Sequence[int]], "y"), (Mapping[str, list[int]], Mapping[str, list[int]], "y"),
    (type[Cat], type[Animal], "y"), (type[Animal], type[Cat], "n"),
]  # fmt: skip
TUPLES = [
    (tuple[int, str], tuple[int, str], "y"), (tuple[bool, str], tuple[int, str], "y"),
    (tuple[int, str], tuple[str, int], "n"), (tuple[int], tuple[int, int], "n"), (tuple[int, int], tuple[int], "n"),
    (tuple[int, int], tuple[int, ...], "y"), (tuple[int, str], tuple[int, ...], "n"),
    (tuple[int, ...], tuple[int, int], "n"), (tuple[bool, ...], tuple[int, ...], "y"), (tuple[()], tuple[()], "y"),
    (tuple[()], tuple[int, ...], "y"), (tuple[int], tuple[()], "n"), (tuple, tuple[int], "?"),
    (tuple[int], tuple, "?"), (tuple[int, str], Sequence[int | str], "y"), (tuple[int, str], Sequence[int], "n"),
    (tuple[int, ...], Sequence[float], "y"), (tuple[int, ...], list[int], "n"), (tuple[Any, int], tuple[int, int], "?"),
    (Pair, tuple[int, str], "y"), (Pair, tuple[int, int], "n"), (Pair, Sequence[int | str], "y"), (Pair, Pair, "y"),
    (tuple[list[int], ...], tuple[list[int], ...], "y"),
]  # fmt: skip
CALLABLES = [
    (Callable[[int], str], Callable[[int], str], "y"), (Callable[[float], int], Callable[[int], float], "y"),
    (Callable[[int], int], Callable[[float], int], "n"), (Callable[[int], float], Callable[[int], int], "n"),
    (Callable[[], int], Callable[[int], int], "n"), (Callable[[int, int], int], Callable[[int], int], "n"),
    (Callable[..., int], Callable[[int], int], "?"), (Callable[[int], int], Callable[..., int], "?"),
    (Callable[[int], Any], Callable[[int], int], "?"), (Callable, Callable[[int], int], "?"),
    (CallsInt, Callable[[int], str], "y"), (CallsInt, Callable[[bool], object], "y"),
    (CallsStr, Callable[[int], str], "n"), (int, Callable[[int], str], "n"), (CallsInt, Calls, "y"),
    (CallsStr, Calls, "n"), (Callable[[int], str], Calls, "y"), (Callable[[str], str], Calls, "n"),
    (Callable[[object], str], Calls, "y"), (Callable[[Callable[[int], int]], int], Callable[[Callable[[bool], int]], int], "n"),
    (Callable[[Callable[[bool], int]], int], Callable[[Callable[[int], int]], int], "y"),
]  # fmt: skip
PROTOCOLS = [
    (WithName, Named, "y"), (WithNumber, Named, "n"), (int, Named, "n"), (Parrot, Speaks, "y"), (Loud, Speaks, "y"),
    (Strict, Speaks, "n"), (Renamed, Speaks, "n"), (Untold, Speaks, "?"), (Wrong, Speaks, "n"), (Needy, Speaks, "n"),
    (Absorbing, Speaks, "?"), (Number, Compares, "y"), (Choosy, Compares, "n"), (GivesInt, Gives[int], "y"),
    (GivesInt, Gives[float], "y"), (GivesInt, Gives[str], "n"), (GivesInt, Gives, "?"), (Chain, Chained, "y"),
    (Broken, Chained, "n"), (Gives[bool], Gives[int], "y"), (Gives[int], Gives[bool], "n"), (Speaks, Speaks, "y"),
    (list[Parrot], Sequence[Speaks], "y"), (list[Wrong], Sequence[Speaks], "n"), (Parrot | None, Speaks, "n"),
]  # fmt: skip
GENERICS = [
    (Box[int], Box[int], "y"), (Box[bool], Box[int], "n"), (Out[bool], Out[int], "y"), (Out[int], Out[bool], "n"),
    (In[int], In[bool], "y"), (In[bool], In[int], "n"), (Box, Box[int], "?"), (Box[int], Box, "?"),
    (IntBox, Box[int], "y"), (IntBox, Box[str], "n"), (Nested[int], Box[list[int]], "y"),
    (Nested[int], Box[list[str]], "n"), (Box[int], object, "y"), (Box[Any], Box[int], "?"), (T, int, "?"),
    (int, T, "?"), (list[T], list[int], "?"), (Bounded, int, "y"), (Bounded, str, "n"), (Either, int | str, "y"),
    (Either, int, "n"), (T, object, "?"),
]  # fmt: skip
ARRAYS = [
    (Float32[N, "a b"], Float32[N, "a b"], "y"), (Float32[N, "a b"], Float[N, "a b"], "y"),
    (Float[N, "a b"], Float32[N, "a b"], "n"), (Float32[N, "a"], Float64[N, "a"], "n"), (Int32[N, "a"], Int[N, "a"], "y"),
    (Int32[N, "a"], Integer[N, "a"], "y"), (UInt8[N, "a"], Integer[N, "a"], "y"), (UInt8[N, "a"], Int[N, "a"], "n"),
    (Integer[N, "a"], Num[N, "a"], "y"), (Num[N, "a"], Integer[N, "a"], "n"), (Bool[N, "a"], Num[N, "a"], "n"),
    (Bool[N, "a"], Shaped[N, "a"], "y"), (Shaped[N, "a"], Bool[N, "a"], "n"), (Shaped[N, "a"], Shaped[N, "a"], "y"),
    (Float32[N, "a"], Float32[Any, "a"], "?"), (Float32[N, "a"], N, "y"), (N, Float32[N, "a"], "?"),
    (Float32[N, "a"], object, "y"), (Float32[N, "a"], list[int], "n"), (list[int], Float32[N, "a"], "n"),
    (Float32[N, "a"], Float32[bytes, "a"], "n"), (UInt16[N, "t"], TokenArray, "y"), (TokenArray, UInt16[N, "t"], "n"),
    (TokenArray, TokenArray, "y"), (UInt16[N, "n"] | UInt32[N, "m"], TokenArray, "y"),
    (UInt16[N, "n"] | UInt32[N, "m"], Integer[N, "t"], "y"), (Float32[N, "a b"], Float32[N, "x y"], "y"),
    (Float32[N, "a b"], Float32[N, "b a"], "n"), (Float32[N, "a b"], Float32[N, "a"], "n"),
    (Float32[N, ""], Float32[N, ""], "y"), (Float32[N, "a"], Float32[N, ""], "n"), (Float32[N, "a a"], Float32[N, "x y"], "y"),
    (Float32[N, "a b"], Float32[N, "n n"], "?"), (Float32[N, "a a"], Float32[N, "n n"], "y"),
    (Float32[N, "3 3"], Float32[N, "n n"], "y"), (Float32[N, "3 4"], Float32[N, "n n"], "n"),
    (Float32[N, "3"], Float32[N, "3"], "y"), (Float32[N, "3"], Float32[N, "4"], "n"), (Float32[N, "3"], Float32[N, "n"], "y"),
    (Float32[N, "n"], Float32[N, "3"], "?"), (Float32[N, "rows=3"], Float32[N, "3"], "y"),
    (Float32[N, "3"], Float32[N, "1+2"], "y"), (Float32[N, "4"], Float32[N, "1+2"], "n"),
    (Float32[N, "n+1"], Float32[N, "n+1"], "y"), (Float32[N, "n n+1"], Float32[N, "m m+1"], "y"),
    (Float32[N, "n n+1"], Float32[N, "m m+2"], "?"), (Float32[N, "n"], Float32[N, "n+1"], "n"),
    (Float32[N, "n+1"], Float32[N, "m"], "y"), (Float32[N, "n"], Float32[N, "m+1"], "?"),
    (Float32[N, "3 4"], Float32[N, "n n+1"], "y"), (Float32[N, "3 5"], Float32[N, "n n+1"], "n"), (Float32[N, "a"], Float32[N, "_"], "y"),
    (Float32[N, "_"], Float32[N, "n"], "y"), (Float32[N, "_"], Float32[N, "3"], "?"), (Float32[N, "_ _"], Float32[N, "n n"], "?"),
    (Float32[N, "a b c"], Float32[N, "..."], "y"), (Float32[N, "a b"], Float32[N, "... b"], "y"),
    (Float32[N, "b"], Float32[N, "... a b"], "n"), (Float32[N, "..."], Float32[N, "..."], "y"),
    (Float32[N, "..."], Float32[N, "a b"], "?"), (Float32[N, "... b"], Float32[N, "... b"], "y"),
    (Float32[N, "... a b"], Float32[N, "... b"], "y"), (Float32[N, "... b"], Float32[N, "... a b"], "?"),
    (Float32[N, "*batch b"], Float32[N, "*batch b"], "y"), (Float32[N, "x y b"], Float32[N, "*batch b"], "y"),
    (Float32[N, "*batch b"], Float32[N, "x b"], "?"), (Float32[N, "... 3"], Float32[N, "*batch 4"], "n"),
    (Float32[N, "#n"], Float32[N, "#n"], "y"), (Float32[N, "n"], Float32[N, "#n"], "y"), (Float32[N, "#n"], Float32[N, "n"], "n"),
    (Float32[N, "1"], Float32[N, "#n"], "y"), (Float32[N, "1"], Float32[N, "#3"], "y"), (Float32[N, "3"], Float32[N, "#3"], "y"),
    (Float32[N, "2"], Float32[N, "#3"], "n"), (list[Float32[N, "a"]], list[Float32[N, "a"]], "y"),
    (list[Float32[N, "a"]], list[Float[N, "a"]], "n"), (Sequence[Float32[N, "a"]], Sequence[Float[N, "a"]], "y"),
    (tuple[Float32[N, "a"], Float32[N, "b"]], tuple[Float32[N, "n"], Float32[N, "n"]], "?"),
    (tuple[Float32[N, "a"], Float32[N, "a"]], tuple[Float32[N, "n"], Float32[N, "n"]], "y"),
    (tuple[Float32[N, "3"], Float32[N, "4"]], tuple[Float32[N, "n"], Float32[N, "n"]], "n"),
    (Float[float, ""], float, "y"), (Float32[N, "*a"] | None, Float32[N, "..."] | None, "y"),
]  # fmt: skip

MATRIX = [*PLAIN, *UNIONS, *NEW_TYPES, *CONTAINERS, *TUPLES, *CALLABLES, *PROTOCOLS, *GENERICS, *ARRAYS]
ANSWERS = {"y": Answer.YES, "n": Answer.NO, "?": Answer.CANNOT_TELL}


def test_the_matrix_is_large() -> None:
    assert len(MATRIX) >= 200


@pytest.mark.parametrize(("got", "wanted", "answer"), MATRIX, ids=[f"{g}->{w}" for g, w, _ in MATRIX])
def test_answer(got: Any, wanted: Any, answer: str) -> None:
    verdict = fits(got, wanted)
    assert verdict.answer is ANSWERS[answer], verdict.reason
    assert bool(verdict.reason) == (answer != "y"), "an answer that is not yes says why"


# Properties over everything in the table.

HINTS = list({id(hint): hint for row in MATRIX for hint in row[:2]}.values())
SURE = [hint for hint in HINTS if fits(hint, hint).fits]
any_hint, sure_hint = st.sampled_from(HINTS), st.sampled_from(SURE)


def test_most_annotations_fit_themselves() -> None:
    unsure = [hint for hint in HINTS if not fits(hint, hint).fits]
    assert all(fits(hint, hint).answer is Answer.CANNOT_TELL for hint in unsure), "never a no to oneself"
    assert len(SURE) > 0.8 * len(HINTS)


@given(sure_hint, any_hint)
def test_a_union_is_wider_than_its_members(one: Any, other: Any) -> None:
    if not isinstance(other, str):
        assert fits(one, typing.Union[one, other]).fits


@given(any_hint, any_hint, any_hint)
def test_a_union_fits_where_both_members_do(one: Any, other: Any, wanted: Any) -> None:
    if not isinstance(one, str) and not isinstance(other, str):
        both = max(fits(one, wanted).answer, fits(other, wanted).answer)
        flattened = typing.Union[one, other]
        assert fits(flattened, wanted).answer == both


@given(any_hint, any_hint)
def test_covariant_containers_answer_as_their_elements(got: Any, wanted: Any) -> None:
    if not isinstance(got, str) and not isinstance(wanted, str):
        assert fits(tuple[got, ...], tuple[wanted, ...]).answer == fits(got, wanted).answer
        assert fits(Sequence[got], Sequence[wanted]).answer == fits(got, wanted).answer


@given(any_hint, any_hint)
def test_callables_turn_their_parameters_round(got: Any, wanted: Any) -> None:
    if not isinstance(got, str) and not isinstance(wanted, str):
        assert fits(Callable[[wanted], int], Callable[[got], int]).answer == fits(got, wanted).answer


@given(any_hint, any_hint, any_hint)
def test_plain_answers_are_transitive(one: Any, middle: Any, other: Any) -> None:
    if fits(one, middle).fits and fits(middle, other).fits:
        assert fits(one, other).answer is not Answer.NO, (one, middle, other)


@given(any_hint, any_hint)
def test_mutable_containers_want_the_same_both_ways(got: Any, wanted: Any) -> None:
    if not isinstance(got, str) and not isinstance(wanted, str) and fits(list[got], list[wanted]).fits:
        assert fits(got, wanted).fits
        assert fits(wanted, got).fits
