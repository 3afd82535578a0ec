r"""Any folder of Markdown (an Obsidian vault, a project's documentation) as linked documents.

A document is a file; its title is the file's name, with folders before it where two files share a name, as wikis
and Obsidian have it. Links are found here, once: `[[Note]]`, `[[Note#Heading|text]]`, `![[embed]]`,
`[text](other.md#part)` and `[text][reference]`. Those that lead to a file of the folder are rewritten to the
canonical notation and carried as spans; what leads elsewhere leaves its anchor as plain text. Fenced blocks and
inline code are opaque (code that is marked by indentation alone is read as prose).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.sources.errors import SourceError
from gptlab.sources.text_files import files_fingerprint, folder_files, free_identity
from gptlab.storage import FromMapping
from gptlab.types import Document, DocumentId, Link, render_link
from gptlab.types.links import escape_code, escape_prose

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_DEFINITION = re.compile(r"^ {0,3}\[([^\]\n^]+)\]:[ \t]*(<[^>\n]*>|\S+)[^\n]*\n?", re.MULTILINE)
_HEADING = re.compile(r"\A\s*# +(.+?) *#*\n+")
_TOKEN = re.compile(
    r"(?P<escaped>\\[\[\]`\\!])"
    r"|(?P<ticks>`+)"
    r"|(?P<embed>!?)\[\[(?P<wiki>[^\[\]\n]+)\]\]"
    r"|(?P<image>!?)\["
)
_INLINE_TARGET = re.compile(
    r"\(\s*(?:<(?P<angled>[^<>\n]*)>|(?P<bare>(?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_REFERENCE = re.compile(r"\[([^\[\]\n]*)\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_LONGEST_LABEL = 1000  # CommonMark's own limit
_BRACKET = re.compile(r"\\.|[\[\]]|\n[ \t]*\n")


@attrs.frozen
class MarkdownFolder:
    """The Markdown files below a folder, linked by their links, in the order of their paths.

    Front matter is left out, and so is a first heading that repeats the title. Hidden folders (`.obsidian`,
    `.git`) are not read.

    Attributes:
        path: the folder.
    """

    path: Path = attrs.field(converter=Path)

    def get_data_generator(self) -> Iterator[Document]:
        """The documents. Files that are no UTF-8 or cannot be read, and links to no file, are counted drops.

        Raises:
            SourceError: there is no such folder, it holds no Markdown, or no document in it links to another,
                which shows when all have been read.
        """
        paths = self._paths()
        vault = Vault.of([PurePosixPath(path.relative_to(self.path).as_posix()) for path in paths])
        links = 0
        for path in track(paths, "read markdown", total=len(paths), unit="files"):
            name = PurePosixPath(path.relative_to(self.path).as_posix())
            try:
                content = path.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                drop("file is not UTF-8", example=f"{name}, byte {error.start}")
                continue
            except OSError as error:
                drop("file cannot be read", example=f"{name}: {error.strerror}")
                continue
            document = read_markdown(content, name, vault)
            links += len(document.links)
            yield document
        if not links:
            raise SourceError(
                f"MarkdownFolder({self.path})",
                got=f"{len(paths)} files, none with a link to another",
                wanted="links such as [[Note]] or [text](other.md)",
                do="To train without links use TextFiles(path, pattern='**/*.md').",
            )

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """Every file's path, size and time."""
        return files_fingerprint(self._paths())

    def _paths(self) -> list[Path]:
        paths = folder_files(self.path, "**/*", user="MarkdownFolder")
        paths = [path for path in paths if path.suffix.lower() in (".md", ".markdown")]
        if not paths:
            raise SourceError(
                f"MarkdownFolder({self.path})",
                got="no .md file",
                wanted="one or more",
                do="Check the path, or use TextFiles for files of another kind.",
            )
        return paths


@attrs.frozen
class Vault:
    """Which documents a folder holds, and what a link's target means in it.

    Attributes:
        titles: file to title: the name alone where it is the only one, else with its folders.
        identities: file to identity.
        by_key: what a wiki link may write, in lower case (`note`, `folder/note`), to the file; where several files
            share a name, the one with the shortest path has the bare name.
    """

    titles: Mapping[PurePosixPath, str]
    identities: Mapping[PurePosixPath, DocumentId]
    by_key: Mapping[str, PurePosixPath]

    @classmethod
    def of(cls, paths: list[PurePosixPath]) -> "Vault":
        """The vault of these files, given relative to its folder."""
        names: dict[str, int] = {}
        for path in paths:
            names[path.stem.lower()] = names.get(path.stem.lower(), 0) + 1
        titles = {
            path: path.stem if names[path.stem.lower()] == 1 else path.with_suffix("").as_posix() for path in paths
        }
        taken: set[DocumentId] = set()
        by_key: dict[str, PurePosixPath] = {}
        for path in sorted(paths, key=lambda path: (len(path.parts), path)):
            parts = path.with_suffix("").parts
            for first in range(len(parts)):
                by_key.setdefault("/".join(parts[first:]).lower(), path)
        return cls(titles, {path: free_identity(titles[path], taken) for path in paths}, by_key)

    def wiki_target(self, written: str) -> DocumentId | None:
        """The document that `[[written]]` means, or None."""
        key = written.strip().removesuffix(".md").strip("/").lower()
        path = self.by_key.get(key)
        return None if path is None else self.identities[path]

    def path_target(self, written: str, base: PurePosixPath) -> DocumentId | None:
        """The document that the link target `written` in the file `base` means, or None."""
        name = unquote(written.partition("#")[0])
        if not name or _SCHEME.match(written):
            return None
        parts: list[str] = [] if name.startswith("/") else list(base.parent.parts)
        for part in name.split("/"):
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        path = PurePosixPath(*parts)
        for candidate in (path, path.with_name(path.name + ".md") if path.name else path):
            if candidate in self.identities:
                return self.identities[candidate]
        return None


def read_markdown(content: str, path: PurePosixPath, vault: Vault) -> Document:
    """One file as a document.

    Args:
        content: the file's text.
        path: the file, relative to the vault's folder.
        vault: what its links may lead to.

    >>> a, b = PurePosixPath("a.md"), PurePosixPath("b.md")
    >>> read_markdown("to [[b|the *other*]]", a, Vault.of([a, b])).text
    'to [the *other*](B)'
    """
    body = _FRONT_MATTER.sub("", content.replace("\r\n", "\n").replace("\r", "\n"))
    heading = _HEADING.match(body)
    if heading and heading[1].strip().lower() == vault.titles[path].lower():
        body = body[heading.end() :]
    references = {
        _label(found[1]): found[2].strip("<>") for run, is_code in _blocks(body) if not is_code
        for found in _DEFINITION.finditer(run)
    }  # fmt: skip
    reader = _Reader(path, vault, references)
    for run, is_code in _blocks(body.strip("\n")):
        if is_code:
            reader.code(run)
        else:
            reader.prose(_DEFINITION.sub("", run))
    reader.flush()
    return Document(
        id=vault.identities[path], title=vault.titles[path], text="".join(reader.parts), links=tuple(reader.links)
    )


def _label(text: str) -> str:
    return " ".join(text.lower().split())


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Runs of whole lines, and whether each is a fenced block of code. An unclosed fence runs to the end."""
    run: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        found = _FENCE.match(line)
        if not fence and found:
            yield "".join(run), False
            run, fence = [line], found[1]
        elif fence and found and found[1].startswith(fence) and not line.strip(" \n`~"):
            yield "".join([*run, line]), True
            run, fence = [], ""
        else:
            run.append(line)
    yield "".join(run), bool(fence)


class _Reader:
    """Writes the document's text piece by piece, prose escaped, and notes where links come to stand."""

    def __init__(self, path: PurePosixPath, vault: Vault, references: Mapping[str, str]) -> None:
        self.parts: list[str] = []
        self.links: list[Link] = []
        self._length = 0
        self._prose: list[str] = []
        self._path, self._vault, self._references = path, vault, references

    def _write(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)

    def flush(self) -> None:
        """Write the prose that has gathered."""
        self._write(escape_prose("".join(self._prose)))
        self._prose.clear()

    def code(self, text: str) -> None:
        """Write code, in which nothing is a link."""
        self.flush()
        self._write(escape_code(text))

    def link(self, anchor: str, target: DocumentId) -> None:
        """Write a link and note its span."""
        self.flush()
        start = self._length
        self._write(render_link(anchor, target))
        self.links.append(Link(start=start, end=self._length, target=target))

    def prose(self, text: str) -> None:
        """Read a run of prose: code spans and links in it, all else as it is."""
        position = 0
        closes = _matching_brackets(text)
        unclosed: set[str] = set()  # ticks that close nowhere: looked for once
        while found := _TOKEN.search(text, position):
            self._prose.append(text[position : found.start()])
            position = found.end()
            if found["escaped"]:
                self._prose.append(found[0])
            elif found["ticks"]:
                end = 0 if found[0] in unclosed else _closing_ticks(text, position, found[0])
                if end:
                    self.code(text[found.start() : end])
                    position = end
                else:
                    unclosed.add(found[0])
                    self._prose.append(found[0])
            elif found["wiki"] is not None:
                self._wiki(found["wiki"], is_embed=bool(found["embed"]))
            else:
                position = self._inline(text, found, closes.get(found.end() - 1, 0))
        self._prose.append(text[position:])

    def _wiki(self, inside: str, *, is_embed: bool) -> None:
        written, _, shown = inside.replace("\\|", "|").partition("|")
        name, _, part = written.partition("#")
        anchor = shown.strip() if shown.strip() and not is_embed else (name.strip() or part.strip(" ^"))
        target = self._vault.wiki_target(name) if name.strip() else None
        if target is not None:
            self.link(anchor, target)
            return
        if name.strip() and not is_embed:
            drop("link to no file of the folder", example=f"{self._path}: [[{inside}]]")
        self._prose.append(anchor)

    def _inline(self, text: str, found: re.Match[str], close: int) -> int:
        """Read `[anchor](target)` or `[anchor][reference]` from its brackets; where to go on reading."""
        inside = found.end()
        target = _INLINE_TARGET.match(text, close + 1) if close else None
        reference = _REFERENCE.match(text, close + 1) if close and not target else None
        written = ""
        end = close + 1
        if target:
            written, end = target["angled"] if target["angled"] is not None else target["bare"], target.end()
        elif close and close - inside < _LONGEST_LABEL:
            label = _label((reference[1] if reference else "") or text[inside:close])
            written = self._references.get(label, "")
            end = reference.end() if reference and written else end
        if not target and not written:
            self._prose.append(found[0])  # brackets of prose
            return inside
        anchor = _plain(text[inside:close])
        leads_to = None if found["image"] else self._vault.path_target(written, self._path)
        if leads_to is not None and anchor:
            self.link(anchor, leads_to)
        else:
            if not found["image"] and written.partition("#")[0].endswith(".md") and not _SCHEME.match(written):
                drop("link to no file of the folder", example=f"{self._path}: {written}")
            self._prose.append(anchor)
        return end


def _closing_ticks(text: str, start: int, ticks: str) -> int:
    """One past the next run of exactly these ticks, or 0."""
    found = re.compile(rf"(?<!`){ticks}(?!`)").search(text, start)
    return found.end() if found else 0


def _matching_brackets(text: str) -> dict[int, int]:
    """Where each bracket closes, by where it opens, within a paragraph: one pass, as hostile text may hold many."""
    closes: dict[int, int] = {}
    open_brackets: list[int] = []
    for found in _BRACKET.finditer(text):
        if found[0] == "[":
            open_brackets.append(found.start())
        elif found[0] == "]" and open_brackets:
            closes[open_brackets.pop()] = found.start()
        elif found[0][0] == "\n":
            open_brackets.clear()
    return closes


def _plain(anchor: str) -> str:
    """An anchor without the pictures and backslashes in it."""
    anchor = re.sub(r"!\[([^\[\]]*)\]\([^()]*\)", r"\1", anchor)
    return re.sub(r"\\([\[\]\\])", r"\1", anchor).strip()
