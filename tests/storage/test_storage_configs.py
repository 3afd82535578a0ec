"""Configurations: what is written is read back equal, and nothing is coerced, guessed or trusted."""

import enum
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Literal, NewType, Protocol, TypeVar

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline.protocols import Source
from gptlab.storage import (
    LOCATION,
    StorageError,
    canonical_json,
    describe,
    fingerprint,
    from_config,
    import_from_nested_path,
    name_of,
    to_config,
)
from gptlab.storage.jsonfiles import parse_json, read_json
from gptlab.types import Document, DocumentId, Prompt

HERE = (__name__,)
T = TypeVar("T")
Name = NewType("Name", str)


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Speaks(Protocol):
    def speak(self, times: int) -> str: ...


@attrs.frozen
class Dog:
    name: str = "Rex"

    def speak(self, times: int) -> str:
        return "woof " * times

    def walk(self, items: Iterator[int]) -> Iterator[int]:
        return items


@attrs.frozen
class Cat:
    lives: int = 9

    def speak(self, times: int) -> str:
        return "meow " * times


@attrs.frozen
class Puppy(Dog):
    age: int = 0


@attrs.frozen
class Stone:
    weight: float = 1.0


@attrs.frozen
class Numbers:
    """A source, generic as sources are."""

    upto: int

    def get_data_generator(self) -> Iterator[int]:
        yield from range(self.upto)


@attrs.frozen
class Box(Generic[T]):
    content: T


def double(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        yield 2 * item


@attrs.frozen(kw_only=True)
class Everything:
    whole: int = 1
    real: float = 0.5
    flag: bool = False
    text: str = ""
    nothing: None = None
    maybe: int | None = None
    either: int | str = 0
    number: float | int = 0
    path: Path = Path()
    colour: Colour = Colour.RED
    mode: Literal["fast", "slow", 3] = "fast"
    name: Name = Name("n")
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()
    unique: frozenset[str] = frozenset()
    listed: list[float] = attrs.field(factory=list)
    table: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    dog: Dog = Dog()
    pet: Dog | Cat = Cat()
    speaker: Speaks = Dog()
    numbers: Source[int] = Numbers(3)
    anything: Any = None
    parts: tuple[Any, ...] = ()
    box: Box[int] = Box(1)
    function: Callable[[Iterator[int]], Iterator[int]] = double
    _private: int = 7


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
wholes = st.integers(-(2**63), 2**64 - 1)
reals = st.floats(allow_nan=False)
animals = st.one_of(st.builds(Dog, texts), st.builds(Puppy, texts, wholes), st.builds(Cat, wholes))
plain = st.one_of(st.none(), st.booleans(), wholes, reals, texts, st.sampled_from(Colour), texts.map(Path), animals)
anything = st.recursive(
    st.one_of(plain, st.frozensets(st.one_of(wholes, texts, st.sampled_from(Colour))), st.just(double)),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.builds(Box, inner)),
    max_leaves=6,
)
everything = st.builds(
    Everything,
    whole=wholes,
    real=reals,
    flag=st.booleans(),
    text=texts,
    maybe=st.none() | wholes,
    either=wholes | texts,
    number=wholes | reals,
    path=texts.map(Path),
    colour=st.sampled_from(Colour),
    mode=st.sampled_from(["fast", "slow", 3]),
    name=texts.map(Name),
    pair=st.tuples(wholes, texts),
    many=st.lists(wholes, max_size=3).map(tuple),
    unique=st.frozensets(texts),
    listed=st.lists(reals, max_size=3),
    table=st.dictionaries(texts, st.lists(reals, max_size=2).map(tuple), max_size=2),
    dog=st.one_of(st.builds(Dog, texts), st.builds(Puppy, texts, wholes)),
    pet=st.one_of(st.builds(Dog, texts), st.builds(Cat, wholes)),
    speaker=animals,
    anything=anything,
    parts=st.lists(anything, max_size=3).map(tuple),
    private=wholes,
)


@given(everything)
def test_what_is_written_is_read_back_equal_through_a_file(value: Everything) -> None:
    text = json.dumps(to_config(value), allow_nan=False)
    back = from_config(parse_json(text), allow=HERE)
    assert back == value and type(back) is Everything
    # Equality takes 1 for 1.0 and for True; types may not change either.
    assert canonical_json(to_config(back)) == canonical_json(to_config(value))
    assert repr(back) == repr(value) or "frozenset" in repr(value) or "-0.0" in repr(value)
    assert fingerprint(back) == fingerprint(value)


@given(everything, everything)
def test_fingerprints_are_equal_exactly_when_values_are(first: Everything, second: Everything) -> None:
    same = attrs.evolve(second, whole=first.whole)
    assert (fingerprint(first) == fingerprint(same)) == (
        canonical_json(to_config(first)) == canonical_json(to_config(same))
    )
    assert fingerprint(first) != fingerprint(attrs.evolve(first, text=first.text + "!"))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks(value: float) -> None:
    back = from_config(json.loads(json.dumps(to_config(Stone(value)), allow_nan=False)), allow=HERE).weight
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_an_int_in_a_float_field_is_a_float_in_both_directions() -> None:
    assert fingerprint(Stone(1)) == fingerprint(Stone(1.0)) and fingerprint(Stone(-0.0)) == fingerprint(Stone(0.0))
    weight = from_config({"class": f"{__name__}.Stone", "weight": 2}, allow=HERE).weight
    assert type(weight) is float and weight == 2.0


def everything_with(**fields: Any) -> Any:
    return {"class": f"{__name__}.Everything", **fields}


@pytest.mark.parametrize(
    ("fields", "where", "got", "wanted"),
    [
        ({"whole": 3.7}, "whole", "float 3.7", "an int within 64 bits"),
        ({"whole": 3.0}, "whole", "float 3.0", "an int within 64 bits"),
        ({"whole": "5"}, "whole", "str '5'", "an int within 64 bits"),
        ({"whole": True}, "whole", "bool True", "an int within 64 bits"),
        ({"whole": None}, "whole", "NoneType None", "an int within 64 bits"),
        ({"whole": 2**64}, "whole", "int 18446744073709551616", "an int within 64 bits"),
        ({"real": "0.5"}, "real", "str '0.5'", "a float"),
        ({"real": True}, "real", "bool True", "a float"),
        ({"real": "Infinity"}, "real", "str 'Infinity'", "a float"),
        ({"flag": 1}, "flag", "int 1", "true or false"),
        ({"flag": "yes"}, "flag", "str 'yes'", "true or false"),
        ({"text": 5}, "text", "int 5", "a string"),
        ({"nothing": 0}, "nothing", "int 0", "null"),
        ({"maybe": "1"}, "maybe", "str '1'", "an int within 64 bits"),
        ({"either": 1.5}, "either", "float 1.5", "int or str"),
        ({"path": 1}, "path", "int 1", "a path as a string"),
        ({"colour": "GREEN"}, "colour", "str 'GREEN'", "one of RED, BLUE"),
        ({"colour": "r"}, "colour", "str 'r'", "one of RED, BLUE"),
        ({"mode": "fats"}, "mode", "str 'fats'", "one of fast, slow, 3"),
        ({"mode": True}, "mode", "bool True", "one of fast, slow, 3"),
        ({"mode": 3.0}, "mode", "float 3.0", "one of fast, slow, 3"),
        ({"name": 1}, "name", "int 1", "a string"),
        ({"pair": [1]}, "pair", "1 items", "2 items"),
        ({"pair": [1, 2]}, "pair.1", "int 2", "a string"),
        ({"many": "123"}, "many", "str '123'", "a list"),
        ({"many": {"0": 1}}, "many", "dict {'0': 1}", "a list"),
        ({"many": [1, 2, 3.5]}, "many.2", "float 3.5", "an int within 64 bits"),
        ({"unique": ["a", 1]}, "unique.1", "int 1", "a string"),
        ({"listed": ["x"]}, "listed.0", "str 'x'", "a float"),
        ({"table": {"a": [1, "x"]}}, "table.a.1", "str 'x'", "a float"),
        ({"table": []}, "table", "list []", "an object"),
        ({"dog": {"name": 1}}, "dog.name", "int 1", "a string"),
        ({"dog": "Rex"}, "dog", "str 'Rex'", f"an object with the fields of {__name__}.Dog"),
        ({"dog": {"class": f"{__name__}.Cat"}}, "dog", f"{__name__}.Cat", f"{__name__}.Dog, made by attrs"),
        ({"dog": {"class": 5}}, "dog", "int 5", "an import path"),
        ({"dog": {"class": f"{__name__}.double"}}, "dog", f"{__name__}.double, a function", "a class"),
        ({"dog": {"class": f"{__name__}.Colour"}}, "dog", f"{__name__}.Colour", f"{__name__}.Dog, made by attrs"),
        ({"pet": {"class": f"{__name__}.Stone"}}, "pet", f"dict {{'class': '{__name__}.Stone'}}", "Dog or Cat"),
        ({"speaker": {"class": f"{__name__}.Stone"}}, "speaker", "Stone, which has no speak", "a Speaks"),
        ({"speaker": 7}, "speaker", "int, which has no speak", "a Speaks"),
        ({"numbers": {"class": f"{__name__}.Dog"}}, "numbers", "Dog, which has no get_data_generator", "a Source"),
        ({"box": {"class": f"{__name__}.Box", "content": "x"}}, "box.content", "str 'x'", "an int within 64 bits"),
        ({"box": {"content": "x"}}, "box.content", "str 'x'", "an int within 64 bits"),
        ({"anything": {"function": f"{__name__}.Dog"}}, "anything", f"{__name__}.Dog, a type", "a function"),
        ({"anything": {"enum": f"{__name__}.Dog", "name": "RED"}}, "anything", "type <class", "an enum"),
        ({"parts": [1, {"class": f"{__name__}.Cat", "lives": 0.5}]}, "parts.1.lives", "float 0.5", "an int"),
        (
            {"anything": {"class": "gptlab.types.Prompt", "saved": "x"}},
            "anything",
            "a reference to saved",
            "by itself",
        ),
        ({"anything": {"array": "x.npy"}}, "anything", "a reference to saved files", "a configuration by itself"),
    ],
)
def test_nothing_is_coerced_and_the_path_is_named(fields: Any, where: str, got: str, wanted: str) -> None:
    with pytest.raises(StorageError) as caught:
        from_config(everything_with(**fields), allow=HERE)
    error = caught.value
    assert error.where == f"config.{where}" and error.got.startswith(got) and wanted in error.wanted
    assert str(error).startswith(f"config.{where}\n  got     {got}") and error.do


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(StorageError) as caught:
        from_config(everything_with(dog={"nmae": "Rex"}), allow=HERE)
    assert str(caught.value) == (
        f"config.dog.nmae\n  got     an unknown field\n  wanted  a field of {__name__}.Dog\n  Did you mean `name`?"
    )
    with pytest.raises(StorageError, match="Known: name"):
        from_config(everything_with(dog={"zzz": 1}), allow=HERE)
    with pytest.raises(StorageError, match="private"):
        from_config(everything_with(_private=1), allow=HERE)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(StorageError) as caught:
        from_config({"class": "gptlab.types.Document", "title": "A", "text": ""})
    assert str(caught.value) == "config.id\n  got     nothing\n  wanted  a value: the field has no default\n  Add it."


@attrs.frozen
class Even:
    value: int = attrs.field()

    @value.validator
    def _check(self, attribute: object, value: int) -> None:
        if value % 2:
            raise ValueError("an odd number")


def test_what_a_class_refuses_is_told_with_its_place() -> None:
    with pytest.raises(
        StorageError, match=r"config.anything\n  got     an odd number\n  wanted  a value that its cl"
    ):
        from_config(everything_with(anything={"class": f"{__name__}.Even", "value": 3}), allow=HERE)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os",
        "builtins.eval",
        "subprocess.Popen",
        "gptlab.storage.saving.os.system",
        "gptlab.storage.saving.os",
        "gptlab.storage.saving.np.load",
        "gptlab.storage.directories.contextlib.ExitStack",
        "gptlab.storage.decode.Path",
        "gptlab.storage.decode.Converter",
        "gptlab.types.Document.__init__",
        "gptlab.types.Document.__init__.__globals__",
        "gptlab.__builtins__.eval",
        "gptlab.types.records.__dict__",
        "gptlab.storage",
        "gptlab",
        "gptlabevil.Thing",
        "gptlab..os",
        ".gptlab.types.Document",
        "../gptlab/types",
        "gptlab.types.Document()",
        "gptlab.storage.LOCATION",
        "",
        "gptlab.types.DocumentId",
        "x" * 100_000,
        "gptlab." + "a." * 5_000 + "b",
    ],
)
def test_hostile_names_are_refused(name: str) -> None:
    for data in ({"class": name}, {"function": name}, {"enum": name, "name": "A"}):
        with pytest.raises(StorageError):
            from_config(data)
    with pytest.raises(StorageError) as caught:
        import_from_nested_path(name)
    assert len(str(caught.value)) < 3000


def test_a_refused_name_says_what_to_do() -> None:
    with pytest.raises(StorageError) as caught:
        import_from_nested_path("os.system", allow=("recipes",))
    assert str(caught.value) == (
        "os.system\n  got     a name that may not be called from a file\n"
        "  wanted  a class or function defined in gptlab or recipes\n"
        '  If you trust that package, say allow=("os",); otherwise do not load this.'
    )
    with pytest.raises(StorageError, match="Did you mean `Document`"):
        import_from_nested_path("gptlab.types.Docment")
    with pytest.raises(StorageError, match="got     no nowhere in gptlab"):
        import_from_nested_path("gptlab.nowhere.Thing")


def test_a_package_must_be_allowed() -> None:
    config = to_config(Dog())
    with pytest.raises(StorageError, match="may not be called from a file"):
        from_config(config)
    assert from_config(config, allow=HERE) == Dog()


def test_public_names_are_the_shortest_and_lead_back() -> None:
    assert name_of(Document) == "gptlab.types.Document"
    for thing in (Document, document_id_function(), Dog, double):
        assert import_from_nested_path(name_of(thing), allow=HERE) is thing


def document_id_function() -> Any:
    from gptlab.types import document_id

    return document_id


@pytest.mark.parametrize("depth", [70, 900, 100_000])
def test_json_bombs_are_refused(depth: int) -> None:
    for bomb in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        with pytest.raises(StorageError, match="nested deeper than 64"):
            parse_json(bomb)
    deep: Any = 1
    for _ in range(min(depth, 900)):
        deep = [deep]
    with pytest.raises(StorageError, match="nested deeper than 64"):
        from_config(deep)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        ("NaN", "the number NaN"),
        ("[-Infinity]", "the number -Infinity"),
        ("9" * 5_000, "a number of 5000 digits"),
        ("-" + "9" * 21, "a number of 22 digits"),
        ("18446744073709551616", "a number of 20 digits"),
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
        (b"\xff\xfe", "invalid start byte"),
        (b'"\xed\xa0\x80"', "invalid continuation byte"),
    ],
)
def test_json_is_read_strictly(text: str | bytes, message: str) -> None:
    with pytest.raises(StorageError) as caught:
        parse_json(text, "file.json")
    assert str(caught.value).startswith("file.json\n  got     ") and message in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    with pytest.raises(StorageError, match="more than 16,777,216 bytes"):
        read_json(tmp_path / "big.json")
    with pytest.raises(StorageError, match="No such file"):
        read_json(tmp_path / "missing.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["class", "function", "method", "of", "path", "enum", "name", "frozenset", "array", "saved", "x"]
                ),
                inner | st.sampled_from([f"{__name__}.Dog", f"{__name__}.Colour", "speak", "RED"]),
            )
        ),
    )
)
def test_whatever_the_file_says_only_storage_errors_come_out(data: Any) -> None:
    try:
        from_config(data, allow=HERE)
        from_config(everything_with(anything=data), allow=HERE)
    except StorageError as error:
        assert error.got and error.wanted and error.do


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2),
        object(),
        open,
        lambda: None,
        {1: 2},
        [1, 2],
        {"class": "x"},
        2**64,
        b"x",
        np.int64(1),
        (1, [2]),
        Box,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_configuration_is_refused(value: Any) -> None:
    with pytest.raises(StorageError) as caught:
        to_config(Box((Box(value),)))
    assert caught.value.where.startswith("config.content.0.content")


def test_local_functions_have_no_name_that_leads_back() -> None:
    def local(items: Iterator[int]) -> Iterator[int]:
        return items

    for value in (local, lambda items: items):
        with pytest.raises(StorageError, match="Define it at the top of a module"):
            fingerprint(value)


def test_bound_methods_come_back_bound() -> None:
    back = from_config(to_config((Dog("Rex").walk, double)), allow=HERE)
    assert back[0].__self__ == Dog("Rex") and list(back[0](iter([1]))) == [1] and back[1] is double
    for name in ("__class__", "_private", "name", "bark"):
        with pytest.raises(StorageError, match="a public method of Dog"):
            from_config({"method": name, "of": to_config(Dog())}, allow=HERE)


@attrs.frozen
class FromFile:
    path: Path = attrs.field(metadata=LOCATION)
    options: int = 0

    def content_fingerprint(self) -> str:
        return self.path.read_text()


def test_fingerprints_leave_locations_out_and_take_content_in(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    same, moved, other = (fingerprint(Box(FromFile(tmp_path / name))) for name in "abc")
    assert same == moved != other != fingerprint(Box(FromFile(tmp_path / "c", options=1)))
    assert len(same) == 16 and int(same, 16) >= 0


def test_fingerprints_of_arrays_see_type_shape_and_content() -> None:
    arrays = [np.zeros(4), np.zeros(4, np.float32), np.zeros((2, 2)), np.ones(4)]
    assert len({fingerprint(Box(array)) for array in arrays}) == 4
    assert fingerprint(np.ones((2, 3)).T) == fingerprint(np.ones((3, 2)))
    assert describe(Box(np.zeros(2)))["content"]["array"] == ["<f8", 2]


def test_fingerprints_are_the_same_in_every_process() -> None:
    """Sets and strings hash differently in each process; a cache must be found again all the same."""
    code = "from gptlab.storage import fingerprint; print(fingerprint((frozenset('abcdefgh'), 'x', 1.5)))"
    expected = fingerprint((frozenset("abcdefgh"), "x", 1.5))
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == expected, done.stderr


def test_a_recipe_run_by_python_m_has_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "myrecipe.py").write_text(
        "import attrs\n"
        "from gptlab.storage import from_config, to_config\n"
        "@attrs.frozen\nclass Part:\n    size: int = 3\n"
        "config = to_config(Part())\n"
        "assert config == {'class': 'myrecipe.Part', 'size': 3}, config\n"
        "assert from_config(config, allow=('myrecipe',)) == Part()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "myrecipe"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_records_go_through(tmp_path: Path) -> None:
    document = Document(id=DocumentId("A"), title="A", text="x", flags=frozenset({"list"}))
    assert from_config(to_config((document, Prompt(text="x")))) == (document, Prompt(text="x"))


def test_the_error_survives_a_worker_process() -> None:
    error = StorageError("a", got="b", wanted="c", do="d")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and (again.where, again.got, again.wanted, again.do) == ("a", "b", "c", "d")
