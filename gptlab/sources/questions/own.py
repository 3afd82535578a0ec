"""Questions of one's own: a file of them, examples before them, and those that the fictional encyclopedia answers."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import attrs

from gptlab.pipeline import source_of, then
from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Source
from gptlab.sources.errors import SourceError
from gptlab.sources.linked_facts import Fact, LinkedFactsWiki, locate
from gptlab.sources.questions.place import content_of_own
from gptlab.sources.questions.rows import Row, read_rows
from gptlab.storage import LOCATION, FromMapping
from gptlab.types import Document, DocumentId, Question
from gptlab.types.validators import at_least, satisfies

_TEXTS = ("delimiter", "preamble", "group", "id")


@attrs.frozen
class QuestionFile:
    """Questions from a file of yours.

    JSON Lines: `{"context": "2 + 2 =", "choices": ["3", "4"], "answer": 1}`. CSV: a header with `context`, `answer`
    and, for the choices, columns whose names begin with `choice`; an empty one is no choice. `answer` is the index of
    the right choice, from 0 on, or its text. `delimiter`, `preamble`, `group` and `id` may be given (see `Question`).

    Attributes:
        path: `.jsonl`, `.csv` or `.parquet`.
    """

    path: Path = attrs.field(converter=Path, metadata=LOCATION, eq=False)

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the file.

        Raises:
            SourceError: there is no such file, or a row does not fit.
        """
        for row in read_rows(self.path):
            choices = row.texts("choices") if "choices" in row.fields else _choices(row)
            yield row.question(
                context=row.get("context", str),
                choices=choices,
                answer=_answer(row, choices),
                **{name: row.get(name, str) for name in _TEXTS if name in row.fields},
            )

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the file holds.

        Raises:
            SourceError: there is no such file.
        """
        return content_of_own(self.path)


def _choices(row: Row) -> tuple[str, ...]:
    return tuple(text for name, text in row.fields.items() if str(name).startswith("choice") and text)


def _answer(row: Row, choices: tuple[str, ...]) -> int:
    """By its text first: a choice may be a number."""
    answer = row.fields.get("answer")
    if choices.count(str(answer)) == 1 and not isinstance(answer, int):
        return choices.index(str(answer))
    if isinstance(answer, bool) or not str(answer).isdecimal():
        raise row.wrong(
            got=f"answer: {json.dumps(answer, default=str)}", wanted="the index of a choice, or the text of one"
        )
    return int(str(answer))


@attrs.frozen(kw_only=True)
class FewShot:
    """The stage: worked examples before each question, the first `shots` of its group.

    That is the harness's `first_n`, which MMLU is defined with; where it draws examples by chance, figures differ.

    Attributes:
        examples: questions with their answers, such as `Mmlu(split="dev")`.
        shots: examples before a question.
        separator: between them.
    """

    examples: Source[Question] = attrs.field(validator=source_of(Question))
    shots: int = attrs.field(default=5, validator=at_least(1, error=SourceError))
    separator: str = "\n\n"

    def __call__(self, questions: Iterator[Question]) -> Iterator[Question]:
        """Each question, its preamble longer.

        Raises:
            SourceError: its group has too few examples.
        """
        by_group: dict[str, list[Question]] = defaultdict(list)
        for example in self.examples.get_data_generator():
            if len(by_group[example.group]) < self.shots:
                by_group[example.group].append(example)
        for question in questions:
            examples = by_group[question.group]
            if len(examples) < self.shots:
                raise SourceError(
                    f"FewShot, question {question.id or question.context[:40]!r}",
                    got=f"{len(examples)} examples of the group {question.group!r}",
                    wanted=f"{self.shots}",
                    do="Give more examples, or ask for fewer shots.",
                )
            told = "".join(f"{each.context}{each.delimiter}{each.right}{self.separator}" for each in examples)
            yield attrs.evolve(question, preamble=question.preamble + told)

    __or__ = then


_KINDS = ("one_key", "two_key", "two_hop")


@attrs.frozen(kw_only=True)
class LinkedFactsQuestions:
    """What the fictional encyclopedia's pages restate, as questions: which word of the class follows?

    The context is the linker's text up to the answer. Nobody can know the answer from that alone, and accuracy is
    at chance, unless the documents that state it stand before it: the known-answer test of a benchmark.

    Attributes:
        wiki: the encyclopedia.
        kinds: of the facts asked for.
        is_open_book: the documents along the path of links stand in the preamble, the one that states the fact first.
        most: questions; None: all.

    >>> wiki = LinkedFactsWiki(pages=9)
    >>> LinkedFactsQuestions(wiki=wiki, kinds=("one_key",)).is_open_book
    True
    """

    wiki: LinkedFactsWiki
    kinds: tuple[str, ...] = attrs.field(
        default=_KINDS,
        validator=satisfies(
            lambda kinds: bool(kinds) and set(kinds) <= set(_KINDS), f"some of {', '.join(_KINDS)}", error=SourceError
        ),
    )
    is_open_book: bool = True
    most: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(1, error=SourceError)))

    def pre_cache(self) -> None:
        """Write the encyclopedia where it is missing."""
        self.wiki.pre_cache()

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the facts; a fact that its page lost on the way is dropped and counted.

        The encyclopedia's documents are held in memory.
        """
        documents = {document.id: document for document in self.wiki.get_data_generator()}
        facts = (fact for fact in self.wiki.facts() if fact.kind in self.kinds)
        yield from islice(self._asked(facts, documents), self.most)

    def _asked(self, facts: Iterable[Fact], documents: dict[DocumentId, Document]) -> Iterator[Question]:
        for fact in facts:
            linker = documents.get(fact.linker)
            place = None if linker is None else locate(fact, linker)
            path = [documents.get(id) for id in dict.fromkeys((fact.target, fact.via))]
            if linker is None or place is None or None in path:
                drop("fact without its documents", example=f"{fact.linker}: {fact.answer}")
                continue
            read = path if self.is_open_book else []
            yield Question(
                preamble="".join(f"{_text(document)}\n\n" for document in read if document is not None),
                context=_text(linker)[: place[0] - len(linker.text)],
                choices=fact.choices,
                answer=fact.choices.index(fact.answer),
                delimiter="",
                group=fact.kind,
                id=f"{fact.linker}: {fact.target}",
            )

    __or__ = then
    initialize = FromMapping()


def _text(document: Document) -> str:
    """As it is tokenized: the title as a heading, then the text."""
    return f"# {document.title}\n\n{document.text}"
