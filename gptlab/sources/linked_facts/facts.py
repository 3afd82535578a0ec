"""A fact that a linked document states and the linker repeats, and where the repetition stands in the linker."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs

from gptlab.types import Document, DocumentId

FactKind = Literal["one_key", "two_key", "two_hop"]


@attrs.frozen(kw_only=True)
class Fact:
    """One restatement: after its link to `via`, `linker` writes `context` and then `answer`.

    Attributes:
        linker: the document that restates.
        target: the document that states it.
        via: the document that the linker links to: the target itself, except for `two_hop`, where it is the
            document between the two.
        kind: `one_key`: found by the target's name; `two_key`: by its name and an attribute; `two_hop`: through a
            link of the linked document.
        context: the text between the end of the link and the answer.
        answer: one word.
        choices: the closed class that the answer was drawn from, each with the same chance.
    """

    linker: DocumentId
    target: DocumentId
    via: DocumentId
    kind: FactKind
    context: str
    answer: str
    choices: tuple[str, ...]


def locate(fact: Fact, document: Document) -> tuple[int, int] | None:
    """Where the restated answer stands in the linker's text, as (start, end) in characters.

    Args:
        fact: what is looked for.
        document: the fact's linker as its source yields it, links carried.

    Returns:
        The span of the answer after the first link to `fact.via` that the fact's context and answer follow;
        None when the document has no such place, or is another document.

    >>> from gptlab.types import Link
    >>> fact = Fact(linker=DocumentId("A"), target=DocumentId("B"), via=DocumentId("B"), kind="one_key",
    ...             context=" ", answer="heron", choices=("heron", "otter"))
    >>> document = Document(id=DocumentId("A"), title="A", text="the [B](B) heron",
    ...                     links=(Link(start=4, end=10, target=DocumentId("B")),))
    >>> locate(fact, document)
    (11, 16)
    """
    if document.id != fact.linker:
        return None
    stated = fact.context + fact.answer
    for link in document.links:
        if link.target == fact.via and document.text.startswith(stated, link.end):
            start = link.end + len(fact.context)
            return start, start + len(fact.answer)
    return None


def fact_to_line(fact: Fact, class_name: str) -> str:
    """One line of `facts.jsonl`; the closed class goes by name, written out once in the file's first line."""
    record = attrs.asdict(fact, filter=attrs.filters.exclude("choices")) | {"class": class_name}
    return json.dumps(record, ensure_ascii=False) + "\n"


def read_facts(path: Path) -> Iterator[Fact]:
    """The facts of a `facts.jsonl`, lazily.

    Its first line holds the closed classes by name, each other line one fact.
    """
    with path.open(encoding="utf-8") as lines:
        classes = {name: tuple(words) for name, words in json.loads(next(lines)).items()}
        for line in lines:
            record = json.loads(line)
            yield Fact(choices=classes[record.pop("class")], **record)
