"""Sources are made from plain settings too: as strictly as from a file, and equal to what Python makes."""

from pathlib import Path

import pytest

from gptlab.packing import Concatenate, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import (
    ArticleFolder,
    LinkedFactsWiki,
    MarkdownFolder,
    PythonDocumentation,
    PythonPackages,
    SourceError,
    TextFiles,
    WikipediaDump,
)
from gptlab.sources.linked_facts import LinkedFacts
from gptlab.storage import StorageError, to_config
from gptlab.tokenizers import ByteTokenizer, Tokenize

WIKI = LinkedFactsWiki(pages=3, seed=1)
ROWS = PackedRows(pipeline(WIKI, Tokenize(ByteTokenizer()), Concatenate(8)))
SOURCES = [
    TextFiles(Path("notes"), longest=100),
    MarkdownFolder(Path("vault")),
    PythonPackages(("attrs",)),
    PythonDocumentation(),
    ArticleFolder(WIKI),
    WikipediaDump(path=Path("wiki.xml.bz2"), namespaces={0, 14}),
    WIKI,
    LinkedFacts(WIKI),
    ROWS,
    Shuffled(ROWS, seed=3),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_settings_make_the_same_source_with_and_without_its_name(source: object) -> None:
    config = to_config(source)
    kind = type(source)
    assert kind.initialize(config) == source
    assert kind.initialize({name: value for name, value in config.items() if name != "class"}) == source
    assert source.initialize(config) == source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "a", "longest": 3.7}, "TextFiles.longest\n  got     float 3.7\n  wanted  an int within 64 bits\n"),
        (
            {"pth": "a"},
            "TextFiles.pth\n  got     an unknown field\n  wanted  a field of gptlab.sources.TextFiles\n"
            "  Did you mean `path`?",
        ),
        ({}, "TextFiles.path\n  got     nothing\n  wanted  a value: the field has no default\n  Add it."),
        (
            {"class": "gptlab.sources.MarkdownFolder", "path": "a"},
            "TextFiles\n  got     gptlab.sources.MarkdownFolder\n  wanted  gptlab.sources.TextFiles",
        ),
        (
            {"path": "a", "longest": 0},
            "TextFiles\n  got     TextFiles.longest: 0\n  wanted  a whole number of at least 1\n"
            "  Set longest; the default is 1000000.",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StorageError) as error:
        TextFiles.initialize(settings)
    assert str(error.value).startswith(message)


def test_python_itself_is_told_by_the_source() -> None:
    with pytest.raises(SourceError, match=r"TextFiles\.longest\n  got     0\n  wanted  a whole number of at least 1"):
        TextFiles(Path("a"), longest=0)
