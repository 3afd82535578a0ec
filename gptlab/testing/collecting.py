"""From a marked module to one test for each law of each part in it."""

import inspect
import tempfile
import traceback
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from gptlab.pipeline.errors import ContractError
from gptlab.pipeline.hints import is_protocol
from gptlab.pipeline.place import name_of
from gptlab.pipeline.signature import read
from gptlab.testing.errors import LawBroken
from gptlab.testing.example import Example
from gptlab.testing.laws import LAWS, Law, NotApplicable

EXAMPLES = "gptlab_examples"
"""The function by which a module says what its parts need."""

_STREAMS = (typing.Iterator, typing.Iterable, typing.Generator)


def kind_of(value: Any) -> str:
    """Which laws a value is put to: a key of `LAWS`, or nothing. A class is asked about its values.

    >>> def shout(words: Iterator[str]) -> Iterator[str]: ...
    >>> kind_of(shout), kind_of(len)
    ('stage', '')
    """
    if is_protocol(value) or isinstance(value, ModuleType):
        return ""
    if inspect.isroutine(value):
        return "stage" if _looks_like_a_stage(value) else ""
    for kind, methods in _METHODS.items():
        if all(callable(getattr(value, method, None)) for method in methods):
            return kind
    call = vars(value if inspect.isclass(value) else type(value)).get("__call__")
    if not inspect.isclass(value) and hasattr(value, "item_types"):
        return "stage"
    return "stage" if call is not None and _looks_like_a_stage(call) else ""


_METHODS: Mapping[str, tuple[str, ...]] = {
    "trainer": ("train", "instantiate"),
    "benchmark": ("calculate",),
    "source": ("get_data_generator",),
    "tokenizer": ("encode", "token_bytes"),
    "model": ("forward", "save_to_dir"),
}


def _looks_like_a_stage(function: Any) -> bool:
    """Whether it is meant as one: it takes and gives streams, rightly annotated or not."""
    hints = getattr(function, "__annotations__", {})
    taken = [hint for name, hint in hints.items() if name != "return"]
    return bool(taken) and _is_stream(taken[0]) and _is_stream(hints.get("return"))


def _is_stream(hint: Any) -> bool:
    origins = {typing.get_origin(stream) for stream in _STREAMS}
    return typing.get_origin(hint) in origins or hint in origins


class MarkedModule(pytest.Module):
    """A module with `__test__ = True`."""

    def collect(self) -> Iterator[pytest.Collector]:
        """One node for each part."""
        module: ModuleType = self.obj
        if not isinstance(getattr(module, "__test_name__", None), str):
            raise self.CollectError(
                f"{self.path.name} has no name\n  got     __test__ = True alone\n"
                f'  wanted  __test_name__ = "..." beside it\n  Write what the report shall call this module.'
            )
        seen: dict[str, int] = {}
        for example in self._examples(module):
            name = example.name or name_of(example.value)
            seen[name] = seen.get(name, 0) + 1
            label = name if seen[name] == 1 else f"{name} {seen[name]}"
            yield Part.from_parent(self, name=f"{module.__test_name__} {label}", example=example)

    def _examples(self, module: ModuleType) -> Iterator[Example]:
        given = self._given(module)
        yield from given
        known = {type(example.value) for example in given}
        values = [example.value for example in given]
        for name, value in vars(module).items():
            if name.startswith("_") or name == EXAMPLES or not kind_of(value):
                continue
            is_code = inspect.isclass(value) or inspect.isroutine(value)
            if is_code and value.__module__ != module.__name__:
                continue
            if inspect.isclass(value):
                if value not in known:
                    yield Example(value, name=name)
            elif not any(value is one for one in values):
                yield Example(value, name="" if is_code else name)

    def _given(self, module: ModuleType) -> list[Example]:
        function = getattr(module, EXAMPLES, None)
        if function is None:
            return []
        arguments: list[Path] = []
        if inspect.signature(function).parameters:
            folder = tempfile.TemporaryDirectory(prefix="gptlab-")
            self.config.add_cleanup(folder.cleanup)
            arguments = [Path(folder.name)]
        return list(as_examples(function(*arguments)))


def as_examples(given: Iterable[Any] | Mapping[str, Any]) -> Iterator[Example]:
    """What `gptlab_examples` returns, each as an `Example`.

    >>> [example.name for example in as_examples({"shout": str.upper})]
    ['shout']
    """
    pairs = given.items() if isinstance(given, Mapping) else [("", value) for value in given]
    for name, value in pairs:
        example = value if isinstance(value, Example) else Example(value)
        yield attrs.evolve(example, name=example.name or name)


class Part(pytest.Collector):
    """A part of a marked module."""

    def __init__(self, *, example: Example, **more: Any) -> None:
        super().__init__(**more)
        self.example = example

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each law; a class that cannot be made by itself is one test that fails."""
        example = self.example
        if inspect.isclass(example.value):
            required = _required(example.value)
            if required:
                yield NoExample.from_parent(self, name="example", kind=example.value, required=required)
                return
            example = attrs.evolve(example, value=example.value())
        kind = kind_of(example.value)
        if not kind:
            yield NoKind.from_parent(self, name="kind", value=example.value)
        for law in LAWS.get(kind, ()):
            yield LawTest.from_parent(self, name=law.name, law=law, example=example)


def _required(kind: type) -> list[str]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError:
        return []
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


class LawTest(pytest.Item):
    """One law of one part."""

    def __init__(self, *, law: Law, example: Example, **more: Any) -> None:
        super().__init__(**more)
        self.law, self.example = law, example

    def runtest(self) -> None:
        """Put the part to the law."""
        try:
            self.law.put(self.example, self.config.getoption("--gptlab-examples"))
        except NotApplicable as reason:
            pytest.skip(str(reason))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any, **more: Any) -> Any:
        """The message of the law, without the kit's own frames; of what the part raised, its traceback too."""
        if not isinstance(excinfo.value, LawBroken | ContractError):
            return super().repr_failure(excinfo, *rest, **more)
        cause = excinfo.value.__cause__
        if cause is None or isinstance(cause, ContractError):
            return str(excinfo.value)
        frames = [frame for frame in _frames(cause) if "/gptlab/testing/" not in frame]
        return "\n".join([str(excinfo.value), "  raised at", *frames[-3:]])

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the part's module is, and which law of what."""
        return self.path, None, f"{self.parent.name if self.parent else ''}: {self.law.sentence}"


def _frames(error: BaseException) -> list[str]:
    return [
        f"    {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]


class NoExample(pytest.Item):
    """A class whose values nobody can make."""

    def __init__(self, *, kind: type, required: list[str], **more: Any) -> None:
        super().__init__(**more)
        self.kind, self.required = kind, required

    def runtest(self) -> None:
        """Fail, and say what to write."""
        name = self.kind.__name__
        raise LawBroken(
            f"{name} has no example\n  got     a class that asks for {', '.join(self.required)}\n"
            f"  wanted  a value to put to the laws\n"
            f"  Write def {EXAMPLES}(): return [{name}({', '.join(f'{field}=...' for field in self.required)})] in "
            f"{self.path.name}."
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any, **more: Any) -> Any:
        """The message."""
        return str(excinfo.value)


class NoKind(pytest.Item):
    """An example that is no part."""

    def __init__(self, *, value: Any, **more: Any) -> None:
        super().__init__(**more)
        self.value = value

    def runtest(self) -> None:
        """Say why it is no stage: as nothing else it is recognised."""
        read(self.value)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any, **more: Any) -> Any:
        """The message."""
        return str(excinfo.value)
