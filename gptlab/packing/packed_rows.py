"""Rows that are packed once, kept on disk, found again by the next run, and read at random.

The directory is named by the fingerprint of all that leads to the rows (dump, tokenizer, policy, seed, seq_len), so
another setting is another directory and nothing stale can be read. It appears whole or not at all.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
from jaxtyping import Int64

from gptlab.packing.packed_shards import PackedShards, write_rows
from gptlab.pipeline import source_of, then
from gptlab.pipeline.observe import say, track
from gptlab.pipeline.protocols import HasAxes, PreCached, Source
from gptlab.storage import LOCATION, FromMapping, fingerprint, is_complete, keeping_drops, new_directory, tell_drops
from gptlab.types import Batch, PackedSequence

_KIND = "packed-rows-4"  # the number goes up when packing changes, so that old rows are made again


@runtime_checkable
class Kept(Protocol):
    """A part of the rows' source that is kept by itself, as `StoredDocuments` is.

    >>> class Notes:
    ...     def tell_found(self) -> None:
    ...         tell_drops(Path("notes"))
    >>> isinstance(Notes(), Kept)
    True
    """

    def tell_found(self) -> None:
        """Tell again what was dropped when it was made, where it is still there; make nothing."""


@attrs.frozen
class PackedRows:
    """The rows of a source, kept on disk: a seekable source, and a sequence.

    What was dropped while the rows were made is kept beside them and told again when they are found, so that a run
    that reuses them shows the same table.

    Args:
        rows: where they come from; read once. It must end.
        cache: where they are kept.
    """

    rows: Source[PackedSequence] = attrs.field(validator=source_of(PackedSequence))
    cache: Path = attrs.field(default=Path(".gptlab/cache"), metadata=LOCATION, eq=False, kw_only=True)

    @cached_property
    def directory(self) -> Path:
        """Where the rows are, or will be."""
        return self.cache / f"{_KIND}-{fingerprint(self)}"

    def pre_cache(self) -> None:
        """Make the rows where they are missing: all of them or, when interrupted, none."""
        if is_complete(self.directory, _KIND):
            if not self._opened:
                self._find()
            return
        self._opened.clear()
        if isinstance(self.rows, PreCached):
            self.rows.pre_cache()
        with new_directory(self.directory, kind=_KIND) as directory, keeping_drops(directory):
            rows = track(self.rows.get_data_generator(), "pack rows", unit="rows")
            summary = write_rows(rows, directory)
        say(f"Packed {summary}.")
        self._opened.append(PackedShards.open(self.directory))

    def get_data_generator(self, start: int = 0) -> Iterator[PackedSequence]:
        """The rows from number `start` on, in the order in which they were made."""
        store = self._store()
        for number in range(start, len(store)):
            yield store[number]

    __or__ = then
    initialize = FromMapping()

    def __len__(self) -> int:
        """How many rows there are; makes them where they are missing."""
        return len(self._store())

    def __getitem__(self, number: int) -> PackedSequence:
        """Row `number`; negative numbers count from the end.

        Raises:
            IndexError: there are fewer rows.
        """
        return self._store()[number]

    def batch_at(self, numbers: Int64[np.ndarray, "batch"]) -> Batch:
        """The rows of these numbers, from 0 on, as one batch; none of them is made.

        Raises:
            IndexError: there are fewer rows.
        """
        return self._store().batch_at(numbers)

    def batch_of(self, first: int, last: int) -> Batch | None:
        """Rows `first` to `last - 1`, or those of them that there are; None: no row."""
        numbers = np.arange(first, min(last, len(self)), dtype=np.int64)
        return self.batch_at(numbers) if len(numbers) else None

    def axes(self) -> Mapping[str, Any]:
        """The axes of the rows, as far as their source claims any."""
        return self.rows.axes() if isinstance(self.rows, HasAxes) else {}

    @cached_property
    def _opened(self) -> list[PackedShards]:
        """The open store, once there is one: no part of the value."""
        return []

    def _store(self) -> PackedShards:
        if not self._opened:
            self.pre_cache()
        return self._opened[0]

    def _find(self) -> None:
        """Open rows that an earlier run made, and tell again what it dropped."""
        store = PackedShards.open(self.directory)
        say(f"Found {store.summary}, in {self.directory}.")
        for part in getattr(self.rows, "parts", ()):
            if isinstance(part, Kept):
                part.tell_found()
        tell_drops(self.directory)
        self._opened.append(store)
