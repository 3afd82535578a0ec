"""Rows of a published data set, whatever its format, each with the place that an error names.

JSON Lines and CSV need nothing; Parquet, in which the hub keeps most of them, is read by pyarrow, which comes with
the extra `eval` and is imported only here. A row that does not fit ends the work: a figure over the rest would not
compare.
"""

import csv
import importlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from gptlab.sources.errors import SourceError
from gptlab.types import Question
from gptlab.types.errors import FourPartError

T = TypeVar("T")

SUFFIXES = (".jsonl", ".csv", ".parquet")
"""Formats that are read, by the end of the name."""

_SHOWN = 80  # characters of a wrong value in an error


@attrs.frozen
class Row:
    """One row, and where it stands.

    Attributes:
        place: for an error: the file, and the line or the number of the row.
        fields: by name.
    """

    place: str
    fields: Mapping[str, Any]

    def get(self, name: str, kind: type[T]) -> T:
        """The field of a name.

        Raises:
            SourceError: there is none, or it is of another type.

        >>> Row("a.jsonl, line 3", {"label": "1"}).get("label", int)
        Traceback (most recent call last):
        gptlab.sources.errors.SourceError: a.jsonl, line 3
          got     label: '1'
          wanted  label: int
          ...
        """
        value = self.fields.get(name)
        if isinstance(value, kind) and not (isinstance(value, bool) and kind is int):
            return value
        has = f"{name}: {value!r:.{_SHOWN}}" if name in self.fields else f"fields {', '.join(map(str, self.fields))}"
        raise self.wrong(got=has, wanted=f"{name}: {kind.__name__}")

    def texts(self, name: str) -> tuple[str, ...]:
        """The field of a name, which is a list of texts.

        Raises:
            SourceError: it is not.
        """
        values = self.fields.get(name)
        if isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(v, str) for v in values):
            return tuple(values)
        raise self.wrong(got=f"{name}: {values!r:.{_SHOWN}}", wanted=f"{name}: a list of texts")

    def wrong(self, *, got: object, wanted: object) -> SourceError:
        """The error of this row."""
        return SourceError(
            self.place,
            got=got,
            wanted=wanted,
            do="Look whether it is the right file of the right data set, unchanged; fetch it again, or mend the row.",
        )

    def question(self, **fields: Any) -> Question:
        """The question that it makes.

        Raises:
            SourceError: it makes none, as when the answer is none of the choices.
        """
        try:
            return Question(**fields)
        except FourPartError as error:
            raise self.wrong(got=error.got, wanted=error.wanted) from error


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """The rows of a file, read lazily.

    Args:
        path: `.jsonl`, `.csv` or `.parquet`.
        columns: names of a CSV file's columns, where it has no header.

    Raises:
        SourceError: there is no such file, it is of another format, or a line of it is not whole.
    """
    if path.suffix not in SUFFIXES:
        raise SourceError(
            path,
            got=f"a file that ends in {path.suffix or 'nothing'}",
            wanted=" or ".join(SUFFIXES),
            do="Give the file in one of these formats.",
        )
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _jsonl_rows(path, file) if path.suffix == ".jsonl" else _csv_rows(path, file, columns)
    except OSError as error:
        raise SourceError(path, got=error.strerror, wanted="a file to read", do="Check the path.") from error
    except UnicodeDecodeError as error:
        raise SourceError(path, got=str(error), wanted="UTF-8", do="Convert it to UTF-8.") from error


def _jsonl_rows(path: Path, lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Row(place, {}).wrong(got=f"{line.strip():.{_SHOWN}} ({error})", wanted="one JSON object") from error
        if not isinstance(fields, dict):
            raise Row(place, {}).wrong(got=f"{line.strip():.{_SHOWN}}", wanted="one JSON object")
        yield Row(place, fields)


def _csv_rows(path: Path, lines: Iterator[str], columns: Sequence[str] | None) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    names = columns
    try:
        for values in reader:
            place = f"{path}, line {reader.line_num}"
            if names is None:
                names = values
            elif values and len(values) != len(names):
                raise Row(place, {}).wrong(
                    got=f"{len(values)} columns", wanted=f"{len(names)} columns: {', '.join(names)}"
                )
            elif values:
                yield Row(place, dict(zip(names, values, strict=True)))
    except csv.Error as error:
        raise Row(f"{path}, line {reader.line_num}", {}).wrong(got=str(error), wanted="CSV") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    if importlib.util.find_spec("pyarrow") is None:
        raise SourceError(
            path,
            got="a Parquet file, and no pyarrow to read it",
            wanted="pyarrow, or the data as JSON Lines",
            do="pip install 'gptlab[eval]', or give the .jsonl in which the data were first published.",
        )
    # An extra, for those who read Parquet.
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}, row {number}", fields)
    except (OSError, arrow.ArrowException) as error:
        raise SourceError(
            path, got=f"{error}".splitlines()[0], wanted="a Parquet file", do="Check the path, or fetch it again."
        ) from error
