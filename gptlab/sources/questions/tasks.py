r"""The usual benchmarks as questions, with the words of lm-evaluation-harness 0.4.13, so that figures compare.

What its tasks do to a row is done here, and nothing else: `tests/sources/questions` holds the two together through
the harness's own task files. Rows come from the hub at a pinned commit, or from a file in the format in which the
authors published them. All of them are meant for models that were not trained on them: a corpus from the web may
hold them.
"""

import re
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


@attrs.frozen(kw_only=True)
class HellaSwag:
    """How a description of an everyday scene goes on: four endings (https://arxiv.org/abs/1905.07830).

    Attributes:
        path: `hellaswag_val.jsonl`, or the hub's Parquet; None: fetched from the hub.
        split: of the hub's; the test split has no answers.
        revision: of `Rowan/hellaswag`.
    """

    path: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path), metadata=LOCATION, eq=False
    )
    split: Literal["train", "validation"] = attrs.field(
        default="validation", validator=one_of(("train", "validation"), error=SourceError)
    )
    revision: str = "218ec52e09a7e7462a5400043bb9a69a41d06b76"

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the file.

        Raises:
            SourceError: the file is not to be had, or a row does not fit.
        """
        for row in read_rows(self._place()):
            label = row.fields.get("label")
            if not str(label).isdigit():
                raise row.wrong(got=f"label: {label!r}", wanted="label: the number of an ending")
            scene = f"{row.get('ctx_a', str)} {row.get('ctx_b', str).capitalize()}"
            yield row.question(
                context=without_brackets(f"{row.get('activity_label', str)}: {scene}"),
                choices=tuple(without_brackets(ending) for ending in row.texts("endings")),
                answer=int(str(label)),
                id=str(row.fields.get("ind", "")),
            )

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the file holds."""
        return content_of([self._place()])

    def _place(self) -> Path:
        file = f"data/{self.split}-00000-of-00001.parquet"
        elsewhere = "hellaswag_val.jsonl from https://github.com/rowanz/hellaswag/tree/master/data"
        return place_of(
            self.path,
            Published(
                task="HellaSwag", repo="Rowan/hellaswag", revision=self.revision, file=file, elsewhere=elsewhere
            ),
        )


def without_brackets(text: str) -> str:
    """Marks of WikiHow taken out, as the harness does it.

    >>> without_brackets(" Pour [step] the tea [title] Stir it.")
    'Pour the tea. Stir it.'
    """
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


@attrs.frozen(kw_only=True)
class Piqa:
    """Which of two ways to a goal works in the physical world (https://arxiv.org/abs/1911.11641).

    Attributes:
        path: `valid.jsonl`, with `valid-labels.lst` beside it, or rows with a `label`; None: fetched from the hub.
        split: of the hub's; the test split has no answers.
        revision: of `baber/piqa`, which the harness reads.
    """

    path: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path), metadata=LOCATION, eq=False
    )
    split: Literal["train", "validation"] = attrs.field(
        default="validation", validator=one_of(("train", "validation"), error=SourceError)
    )
    revision: str = "142f6d7367fd9877f0fb3b5734ea6a545f54cdd1"

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the file.

        Raises:
            SourceError: the file is not to be had, a row does not fit, or there are not as many labels as rows.
        """
        place = self._place()
        labels = _labels_beside(place)
        count = 0
        for count, row in enumerate(read_rows(place), 1):
            answer = labels[count - 1] if count <= len(labels) else row.get("label", int)
            yield row.question(
                context=f"Question: {row.get('goal', str)}\nAnswer:",
                choices=(row.get("sol1", str), row.get("sol2", str)),
                answer=answer,
                id=str(row.fields.get("id", "")),
            )
        if labels and len(labels) != count:
            raise SourceError(
                _labels_file(place),
                got=f"{len(labels)} labels",
                wanted=f"{count}, one a row",
                do="Fetch both files again.",
            )

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the files hold."""
        place = self._place()
        return content_of([each for each in (place, _labels_file(place)) if each.exists()])

    def _place(self) -> Path:
        file = f"piqa_{self.split}.parquet"
        elsewhere = "valid.jsonl and valid-labels.lst from https://yonatanbisk.com/piqa/data/"
        return place_of(
            self.path,
            Published(
                task="Piqa",
                repo="baber/piqa",
                revision=self.revision,
                file=file,
                elsewhere=elsewhere,
            ),
        )


def _labels_file(place: Path) -> Path:
    return place.with_name(f"{place.stem}-labels.lst")


def _labels_beside(place: Path) -> list[int]:
    file = _labels_file(place)
    lines = file.read_text(encoding="utf-8").split() if file.exists() else []
    for number, line in enumerate(lines, 1):
        if line not in ("0", "1"):
            raise Row(f"{file}, line {number}", {}).wrong(got=repr(line), wanted="0 or 1")
    return [int(line) for line in lines]


@attrs.frozen(kw_only=True)
class Lambada:
    """The last word of a passage, to be completed: one choice a question (https://arxiv.org/abs/1606.06031).

    It is OpenAI's version of the text, as the harness's `lambada_openai`.

    Attributes:
        path: `lambada_test.jsonl`; None: fetched from the hub.
        revision: of `EleutherAI/lambada_openai`.
    """

    path: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path), metadata=LOCATION, eq=False
    )
    revision: str = "900124bf3b8235c6daf21033af9948b3f07346c4"

    def get_data_generator(self) -> Iterator[Question]:
        """The questions, in the order of the file.

        Raises:
            SourceError: the file is not to be had, or a row does not fit.
        """
        for row in read_rows(self._place()):
            text = row.get("text", str)
            context, _, word = text.rpartition(" ")
            if not word or not context:
                raise row.wrong(got=f"text: {text[-40:]!r}", wanted="words, and a last one")
            yield row.question(context=context, choices=(word,), answer=0)

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What the file holds."""
        return content_of([self._place()])

    def _place(self) -> Path:
        elsewhere = "lambada_test.jsonl from https://openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl"
        file = "data/lambada_test_en.jsonl"
        return place_of(
            self.path,
            Published(
                task="Lambada",
                repo="EleutherAI/lambada_openai",
                revision=self.revision,
                file=file,
                elsewhere=elsewhere,
            ),
        )
