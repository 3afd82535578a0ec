"""Building a store: parts, then the merge, then the parts go. A kill at any point costs one part at most.

While a build goes on, its finished parts lie in `<directory>.parts`, beside a note of what they are parts of; the
store itself appears in one step, and so does the removal of the parts. Two builders of one store take turns, and the
second finds it finished.
"""

import contextlib
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import attrs

from gptlab.graph.store.merge import write_store
from gptlab.graph.store.parts import KIND as PART
from gptlab.graph.store.parts import Part, PartSize, write_parts
from gptlab.graph.store.summary import KIND, StoreSummary
from gptlab.pipeline.observe import Drops, observer, say, watching
from gptlab.pipeline.protocols import Source
from gptlab.storage import (
    StorageError,
    fingerprint,
    is_complete,
    new_directory,
    pretty_json,
    tell_drops,
    write_atomically,
)
from gptlab.storage.kept_drops import write_drops
from gptlab.storage.temporaries import hold, temporary_sibling
from gptlab.types import TokenizedDocument

Given = Iterable[TokenizedDocument] | Source[TokenizedDocument]
_NOTE = "parts.json"


def build_store(
    sources: Sequence[Given],
    directory: Path,
    *,
    tokenizer: str = "",
    replace: bool = False,
    processes: int = 1,
    size: PartSize = PartSize(),
) -> None:
    """Write the documents of all sources, one source behind the other, as a store at `directory`; once.

    A store that is there, as another builder may have left it while this one waited, is left as it is.

    Args:
        sources: the same ones at every call.
        directory: appears when the store is whole.
        tokenizer: its fingerprint.
        replace: swap out the store that is there, in one step.
        processes: how many sources are read at once, each by a process of its own.
        size: when a part is full.

    Raises:
        StorageError: there is something else at `directory`, or the disk is full.
        ValueError: documents that are not of one tokenizer, or without tokens.
    """
    folder = _parts_folder(directory)
    with _alone(folder):
        if replace or not is_complete(directory, KIND):
            _keep_own_parts(folder, sources, tokenizer)
            parts = _write_all(sources, folder, processes, size)
            merge_parts(parts, directory, tokenizer=tokenizer, replace=replace)
    remove_parts(directory)


def merge_parts(
    parts: Sequence[Path], directory: Path, *, tokenizer: str = "", replace: bool = False
) -> StoreSummary:
    """A store of finished parts, in this order. What was dropped for each part is kept with the store.

    Raises:
        StorageError: one of them is not finished; there is something else at `directory`.
        ValueError: parts of different tokenizers.
    """
    for path in parts:
        if not is_complete(path, PART):
            raise StorageError(
                path,
                got="no finished part of a document store",
                wanted="a directory that write_parts has finished",
                do="Call write_parts for its documents again; it goes on where it stopped.",
            )
    with watching(Drops()) as drops:
        for path in parts:
            tell_drops(path)
    with new_directory(directory, kind=KIND, replace=replace) as temporary:
        with watching(Drops(onward=observer())) as own:
            summary = write_store([Part.open(path) for path in parts], temporary, tokenizer=tokenizer)
        for reason, count in own.counts.items():
            drops.drop(reason, count, own.examples[reason])
        write_drops(temporary, drops)
    say(f"Stored {summary}.")
    return summary


def remove_parts(directory: Path) -> None:
    """Remove what a build left beside the store at `directory`; a kill meanwhile leaves what the next one sweeps."""
    folder = _parts_folder(directory)
    doomed = temporary_sibling(folder)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _parts_folder(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.parts")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of the parts, so that two builders of one store take turns."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            hold(descriptor)
            # The builder that we waited for has removed its folder: then the name means another, or none.
            if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                break
            os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def _keep_own_parts(folder: Path, sources: Sequence[Given], tokenizer: str) -> None:
    """Parts of other documents, left by a build that never ended, are no use to this one."""
    note = pretty_json({"tokenizer": tokenizer, "sources": [_name_of(source) for source in sources]})
    path = folder / _NOTE
    if path.exists() and path.read_text(encoding="utf-8") != note:
        say(f"The parts in {folder} are of other documents; they are made again.")
        for part in folder.glob("source-*"):
            shutil.rmtree(part)
    write_atomically(path, note)


def _name_of(source: Given) -> str:
    """What tells one source from another; an iterable says nothing of itself."""
    return fingerprint(source) if attrs.has(type(source)) else ""


def _write_all(sources: Sequence[Given], folder: Path, processes: int, size: PartSize) -> list[Path]:
    """The parts of all sources, in order."""
    folders = [folder / f"source-{number:04d}" for number in range(len(sources))]
    if processes == 1 or len(sources) == 1:
        paths = [write_parts(source, place, size=size) for source, place in zip(sources, folders, strict=True)]
    else:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = [
                pool.submit(write_parts, source, place, size=size)
                for source, place in zip(sources, folders, strict=True)
            ]
            paths = [future.result() for future in waiting]
        for path in (part for some in paths for part in some):
            tell_drops(path)  # nobody watches in the processes that wrote them
    return [part for some in paths for part in some]
