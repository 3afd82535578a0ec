"""Exams as questions: ARC and MMLU, with the words of lm-evaluation-harness; see `gptlab.sources.questions.tasks`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs

from gptlab.pipeline import then
from gptlab.sources.errors import SourceError
from gptlab.sources.questions.place import Published, content_of, place_of
from gptlab.sources.questions.rows import Row, read_rows
from gptlab.storage import LOCATION, FromMapping
from gptlab.types import Question
from gptlab.types.validators import one_of

LETTERS = "ABCD"


@attrs.frozen(kw_only=True)
class Arc:
    """Questions of science from school, three to five choices (https://arxiv.org/abs/1803.05457).

    Attributes:
        level: `easy`, or `challenge`: what retrieval and co-occurrence get wrong.
        path: `ARC-Easy-Test.jsonl` and its like, or the hub's Parquet; None: fetched from the hub.
        split: of the hub's.
        revision: of `allenai/ai2_arc`.
    """

    level: Literal["easy", "challenge"] = attrs.field(
        default="easy", validator=one_of(("easy", "challenge"), error=SourceError)
    )
    path: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path), metadata=LOCATION, eq=False
    )
    split: Literal["train", "validation", "test"] = attrs.field(
        default="test", validator=one_of(("train", "validation", "test"), error=SourceError)
    )
    revision: str = "210d026faf9955653af8916fad021475a3f00453"

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the file.

        Raises:
            SourceError: the file is not to be had, or a row does not fit.
        """
        for row in read_rows(self._place()):
            asked, texts, labels = _arc_fields(row)
            key = row.get("answerKey", str)
            if key not in labels or len(labels) != len(texts):
                raise row.wrong(
                    got=f"answerKey {key!r}, labels {labels}", wanted="a label for each choice, and one of them"
                )
            yield row.question(
                context=f"Question: {asked}\nAnswer:",
                choices=texts,
                answer=labels.index(key),
                id=str(row.fields.get("id", "")),
            )

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the file holds."""
        return content_of([self._place()])

    def _place(self) -> Path:
        level = f"ARC-{self.level.capitalize()}"
        elsewhere = f"{level}-{self.split.capitalize()}.jsonl of https://allenai.org/data/arc"
        file = f"{level}/{self.split}-00000-of-00001.parquet"
        return place_of(
            self.path,
            Published(task="Arc", repo="allenai/ai2_arc", revision=self.revision, file=file, elsewhere=elsewhere),
        )


def _arc_fields(row: Row) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Question, choices and labels: the authors nest them in one way, the hub in another."""
    asked = row.fields.get("question")
    if isinstance(asked, dict):
        inner = Row(row.place, asked)
        choices = [Row(row.place, choice) for choice in inner.get("choices", list) if isinstance(choice, dict)]
        return (
            inner.get("stem", str),
            tuple(choice.get("text", str) for choice in choices),
            tuple(choice.get("label", str) for choice in choices),
        )
    choices_of_hub = Row(row.place, row.get("choices", dict))
    return row.get("question", str), choices_of_hub.texts("text"), choices_of_hub.texts("label")


@attrs.frozen(kw_only=True)
class Mmlu:
    """Exams of 57 subjects, four choices, answered by a letter (https://arxiv.org/abs/2009.03300).

    The usual five examples are of the split `dev`, and a stage: `FewShot(examples=Mmlu(split="dev"), shots=5)`.

    Attributes:
        subject: one, such as `anatomy`; `all` for all.
        path: the authors' folder of `anatomy_test.csv` and its like, one such file, or the hub's Parquet; None:
            fetched from the hub.
        split: of the hub's; in a folder, the end of the files' names (`val` for validation).
        revision: of `cais/mmlu`.
    """

    subject: str = "all"
    path: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path), metadata=LOCATION, eq=False
    )
    split: Literal["dev", "validation", "test"] = attrs.field(
        default="test", validator=one_of(("dev", "validation", "test"), error=SourceError)
    )
    revision: str = "c30699e8356da336a370243923dbaf21066bb9fe"

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the files.

        Raises:
            SourceError: the files are not to be had, or a row does not fit.
        """
        for file in self._files():
            columns = ("question", *LETTERS, "answer") if file.suffix == ".csv" else None
            for row in read_rows(file, columns):
                own = row.fields.get("subject") or _subject(file)
                if self.subject in ("all", own):
                    yield _mmlu_question(row, own)

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the files hold."""
        return content_of(self._files())

    def _files(self) -> list[Path]:
        elsewhere = "the folders of CSV files in https://people.eecs.berkeley.edu/~hendrycks/data.tar"
        file = f"{self.subject}/{self.split}-00000-of-00001.parquet"
        place = place_of(
            self.path,
            Published(task="Mmlu", repo="cais/mmlu", revision=self.revision, file=file, elsewhere=elsewhere),
        )
        if not place.is_dir():
            return [place]
        ending = "val" if self.split == "validation" else self.split
        name = f"{'*' if self.subject == 'all' else self.subject}_{ending}.csv"
        found = sorted(place.rglob(name))
        if not found:
            raise SourceError(
                f"Mmlu.path {place}",
                got=f"no file {name}",
                wanted="the authors' CSV files",
                do="Check subject and split, or fetch data.tar again.",
            )
        return found


def _subject(file: Path) -> str:
    """`high_school_physics` of `high_school_physics_test.csv`."""
    return file.stem.rpartition("_")[0]


def _mmlu_question(row: Row, subject: str) -> Question:
    answer = row.fields.get("answer")
    if "choices" in row.fields:
        texts = row.texts("choices")
    else:
        texts = tuple(row.get(letter, str) for letter in LETTERS)
        answer = LETTERS.find(str(answer)) if len(str(answer)) == 1 else answer
    if len(texts) != len(LETTERS) or not isinstance(answer, int) or not 0 <= answer < len(LETTERS):
        raise row.wrong(
            got=f"{len(texts)} choices and the answer {row.fields.get('answer')!r}",
            wanted="four, and which of them is right",
        )
    lines = [
        row.get("question", str).strip(),
        *(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=True)),
    ]
    about = subject.replace("_", " ")
    return row.question(
        preamble=f"The following are multiple choice questions (with answers) about {about}.\n\n",
        context="\n".join([*lines, "Answer:"]),
        choices=tuple(LETTERS),
        answer=answer,
        group=subject,
    )
