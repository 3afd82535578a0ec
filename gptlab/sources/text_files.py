"""Plain text: a folder of files, or the language reference that Python itself carries.

The plain case, without links. A machine without network has no corpus, but every Python has its reference
documentation in `pydoc_data.topics` (about half a million characters of English; what `help("while")` shows).
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.sources.errors import SourceError
from gptlab.storage import FromMapping
from gptlab.types import Document, DocumentId, document_id
from gptlab.types.validators import at_least, satisfies

LONGEST_DOCUMENT = 1_000_000
"""Characters of one document; a longer file becomes several, cut after a line."""


def _is_below(pattern: str) -> bool:
    return bool(pattern) and not Path(pattern).is_absolute() and ".." not in Path(pattern).parts


@attrs.frozen
class TextFiles:
    """The text files of a folder, in the order of their paths: no links, nothing taken away.

    A file of more than `longest` characters becomes several documents, titled `notes.txt`, `notes.txt (2)` and so
    on, each cut after a line; joined they are the file. Memory holds one document at a time.

    Attributes:
        path: a folder, or one file.
        pattern: which files of the folder; `**` is any depth.
        longest: most characters of one document.
    """

    path: Path = attrs.field(converter=Path)
    pattern: str = attrs.field(
        default="**/*.txt",
        validator=satisfies(
            _is_below,
            "a pattern for files below the folder",
            "Write it like '**/*.txt' or '*.md'.",
            error=SourceError,
        ),
    )
    longest: int = attrs.field(default=LONGEST_DOCUMENT, validator=at_least(1, error=SourceError))

    def get_data_generator(self) -> Iterator[Document]:
        """The documents. A file that is no UTF-8 is dropped from the first bad byte's part on, and counted.

        Raises:
            SourceError: there is no such folder, or no file in it fits the pattern.
        """
        paths = self._paths()
        taken: set[DocumentId] = set()
        for path in track(paths, "read text", total=len(paths), unit="files"):
            name = path.name if path == self.path else path.relative_to(self.path).as_posix()
            try:
                with path.open(encoding="utf-8", newline="") as lines:
                    for number, text in enumerate(_parts(lines, self.longest), 1):
                        title = f"{name} ({number})" if number > 1 else name
                        yield Document(id=free_identity(title, taken), title=title, text=text)
            except UnicodeDecodeError:
                drop("file is not UTF-8", example=name)
            except OSError as error:
                drop("file cannot be read", example=f"{name}: {error.strerror}")

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """Every file's path, size and time."""
        return files_fingerprint(self._paths())

    def _paths(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        paths = folder_files(self.path, self.pattern, user="TextFiles")
        if not paths:
            raise SourceError(
                f"TextFiles({self.path})",
                got=f"no file that fits {self.pattern!r}",
                wanted="one or more",
                do="Give another pattern, such as '**/*' for all files.",
            )
        return paths


@attrs.frozen
class PythonDocumentation:
    """Python's reference documentation, one document per topic: text that a machine without network has.

    >>> any("while" in document.text for document in PythonDocumentation().get_data_generator())
    True
    """

    def get_data_generator(self) -> Iterator[Document]:
        """The topics in the order of their names.

        Raises:
            SourceError: this Python was packaged without its documentation.
        """
        if importlib.util.find_spec("pydoc_data.topics") is None:
            raise SourceError(
                "PythonDocumentation",
                got=f"no module pydoc_data.topics in {sys.executable}",
                wanted="a Python with its reference documentation, as most are",
                do="Give a folder of text files instead: TextFiles(path).",
            )
        from pydoc_data.topics import topics  # noqa: PLC0415  # half a megabyte, for those who ask

        for topic in sorted(topics):
            yield Document(id=document_id(topic, "case-sensitive"), title=topic, text=topics[topic])

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """The version of Python, whose documentation it is."""
        return ".".join(str(part) for part in sys.version_info[:3])


def folder_files(folder: Path, pattern: str, *, user: str) -> list[Path]:
    """The files below a folder that fit a pattern, in the order of their paths; hidden ones are left out.

    Raises:
        SourceError: `folder` is missing, not a folder, or unreadable; the message opens with `user`.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise SourceError(f"{user}({folder})", got=found, wanted="a folder", do="Check the path.")
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise SourceError(
            f"{user}({folder})",
            got=str(error.strerror),
            wanted="a folder that can be read",
            do="Check its permissions.",
        ) from error
    files = (path for path in folder.glob(pattern) if path.is_file())
    visible = (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(visible, key=lambda path: path.relative_to(folder).parts)


def files_fingerprint(paths: list[Path]) -> str:
    """Changes when a file comes, goes, grows or is written."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def free_identity(title: str, taken: set[DocumentId]) -> DocumentId:
    """The identity of a title, numbered where an earlier document has it (`_a` and `a` share one); now taken.

    >>> taken: set[DocumentId] = set()
    >>> free_identity("notes", taken), free_identity("_notes", taken)
    ('Notes', 'Notes_(2)')
    """
    identity = base = document_id(title) or DocumentId("_")
    number = 1
    while identity in taken:
        number += 1
        identity = document_id(f"{base} ({number})")
    taken.add(identity)
    return identity


def _parts(lines: TextIO, longest: int) -> Iterator[str]:
    """Pieces of at most about `longest` characters, cut after a line where there is one within reach."""
    while part := lines.read(longest):
        yield part + (lines.readline(longest) if not part.endswith("\n") else "")
