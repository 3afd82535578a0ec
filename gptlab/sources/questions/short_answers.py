"""Questions that a few words answer: a file of one's own, and the restated facts of a linked wiki."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs

from gptlab.pipeline import source_of, then
from gptlab.pipeline.observe import drop
from gptlab.pipeline.protocols import Source
from gptlab.sources.linked_facts import Fact, locate
from gptlab.sources.questions.place import content_of_own
from gptlab.sources.questions.rows import Row, read_rows
from gptlab.storage import LOCATION, FromMapping
from gptlab.types import Document, DocumentId, ShortAnswer

_TEXTS = ("title", "cluster")


@attrs.frozen
class ShortAnswerFile:
    """Questions from a file of yours.

    JSON Lines: `{"prompt": "Q: Who sings?\\nA:", "answers": ["a lark", "larks"]}`, or `"answer"` where there is one
    alone. CSV: a header with `prompt` and columns whose names begin with `answer`; an empty one is no answer. `title`
    and `cluster` may be given (see `ShortAnswer`). A question without answers is one for a grader.

    Attributes:
        path: `.jsonl`, `.csv` or `.parquet`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "birds.csv"
    >>> _ = path.write_text("prompt,answer,answer 2\\nWho sings?,a lark,larks\\nWho swims?,a grebe,\\n")
    >>> [question.answers for question in ShortAnswerFile(path).get_data_generator()]
    [('a lark', 'larks'), ('a grebe',)]
    """

    path: Path = attrs.field(converter=Path, metadata=LOCATION, eq=False)

    def get_data_generator(self) -> Iterator[ShortAnswer]:
        """The questions, in the order of the file.

        Raises:
            SourceError: there is no such file, or a row does not fit.
        """
        for row in read_rows(self.path):
            prompt = row.get("prompt", str)
            if not prompt.strip():
                raise row.wrong(got="an empty prompt", wanted="a question, or the beginning of a text")
            yield ShortAnswer(
                prompt=prompt,
                answers=_answers(row),
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


def _answers(row: Row) -> tuple[str, ...]:
    if "answers" in row.fields and not isinstance(row.fields["answers"], str):
        return row.texts("answers")
    named = [name for name in row.fields if str(name).startswith("answer")]
    return tuple(text for name in named if (text := row.get(name, str)))


@attrs.frozen(kw_only=True)
class RestatedQuestions:
    """One question for each restated fact of a linked wiki: the linker's text before the answer, its links and all.

    A model that follows links looks the linked page up when it reads the prompt, as in training; another has to
    guess. Questions that one page answers are one cluster: whoever reads it knows them all.

    Attributes:
        facts: as their source lists them (`LinkedFacts(wiki)`); those of other documents are passed over.
        documents: the linkers that are asked about: held-out ones, say.

    >>> import tempfile
    >>> from gptlab.sources import LinkedFacts, LinkedFactsWiki
    >>> wiki = LinkedFactsWiki(pages=12, seed=1, cache=Path(tempfile.mkdtemp()))
    >>> question = next(RestatedQuestions(facts=LinkedFacts(wiki), documents=wiki).get_data_generator())
    >>> question.prompt.endswith(" "), len(question.answers)
    (False, 1)
    """

    facts: Source[Fact] = attrs.field(validator=source_of(Fact))
    documents: Source[Document] = attrs.field(validator=source_of(Document))

    def get_data_generator(self) -> Iterator[ShortAnswer]:
        """The questions in the order of the documents; a fact that its page lost on the way is dropped, counted."""
        by_linker: dict[DocumentId, list[Fact]] = defaultdict(list)
        for fact in self.facts.get_data_generator():
            by_linker[fact.linker].append(fact)
        for document in self.documents.get_data_generator():
            for fact in by_linker.get(document.id, ()):
                place = locate(fact, document)
                if place is None:
                    drop("restated answer not in its document", example=f"{document.id}: {fact.answer}")
                    continue
                yield ShortAnswer(
                    prompt=document.text[: place[0]].rstrip(),
                    answers=(fact.answer,),
                    title=document.title,
                    cluster=fact.target,
                )

    __or__ = then
    initialize = FromMapping()
