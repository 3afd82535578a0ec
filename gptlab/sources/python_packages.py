"""Installed Python packages as linked documents: a module is a document, an import of another module is a link.

Real linked data that every machine has. The text is the source unchanged, so a link is a span of it (the module's
name in an `import` statement) and is in no notation. Files are those that the installer recorded; nothing is
imported and no code runs.
"""

import ast
import hashlib
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import attrs

from gptlab.pipeline import then
from gptlab.pipeline.observe import drop, track
from gptlab.sources.errors import SourceError
from gptlab.storage import FromMapping
from gptlab.types import Document, DocumentId, Link

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_DOTTED = re.compile(r"\w+(?:\s*\.\s*\w+)*")
_FROM = re.compile(r"from(?:\s|\\)*(\.(?:[\s.]|\\)*(?=\S)|)(\w+(?:\s*\.\s*\w+)*)?")
_TEST_FILE = re.compile(r"test_.*|.*_test|conftest")


@attrs.frozen
class PythonPackages:
    """The modules of installed distributions, linked by their imports, in the order of their names.

    An identity is the dotted name (`attr._make`), exactly: the rules for titles of wikis would fold `_pytest`
    into `pytest`. An import links to the module that it names where the set holds it, and
    `from package import name` links to the submodule `package.name` too. Modules outside the set are no links.

    Attributes:
        packages: names of distributions, as `pip install` takes them; empty for all that are installed.
        with_tests: keep test modules (`tests/`, `test_*.py`, `conftest.py`), which are dropped else.

    >>> modules = list(PythonPackages(("attrs",)).get_data_generator())
    >>> [link.target for module in modules if module.id == "attrs.setters" for link in module.links]
    ['attr.setters']
    """

    packages: tuple[str, ...] = ()
    with_tests: bool = False

    def get_data_generator(self) -> Iterator[Document]:
        """The documents. Modules that cannot be read or parsed are dropped and counted.

        Raises:
            SourceError: a package is not installed, or none of them holds Python files.
        """
        files, repeated = self._files()
        for name in repeated:
            drop("second module of one name", example=name)
        kept = sorted(name for name in files if self.with_tests or not _is_test(name))
        drop("test module", count=len(files) - len(kept), example=next(filter(_is_test, files), ""))
        names = frozenset(kept)
        for name in track(kept, "read modules", total=len(kept), unit="modules"):
            source = _read(files[name])
            if source is None:
                continue
            try:
                links = import_links(source, name, names, is_package=files[name].name == "__init__.py")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                drop("module does not parse", example=name)
                continue
            yield Document(id=DocumentId(name), title=name, text=source, links=links)

    __or__ = then
    initialize = FromMapping()

    def content_fingerprint(self) -> str:
        """What is installed: every module's name, size and time."""
        digest = hashlib.sha256()
        for name, path in sorted(self._files()[0].items()):
            status = path.stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:32]

    def _files(self) -> tuple[dict[str, Path], list[str]]:
        """Module name to file, and the names that a second distribution has as well."""
        files: dict[str, Path] = {}
        repeated = []
        for distribution in self._distributions():
            for recorded in distribution.files or ():
                name = _module_name(recorded)
                if name is None:
                    continue
                path = Path(str(distribution.locate_file(recorded)))
                if files.setdefault(name, path) != path:
                    repeated.append(name)
        files = {name: path for name, path in files.items() if path.is_file()}
        if not files:
            asked = ", ".join(self.packages) or "all installed packages"
            raise SourceError(
                "PythonPackages",
                got=f"no Python files in {asked}",
                wanted="one or more",
                do="Name packages that are installed from a wheel (an editable install records no files).",
            )
        return files, repeated

    def _distributions(self) -> list[metadata.Distribution]:
        if not self.packages:
            return sorted(metadata.distributions(), key=lambda distribution: distribution.name or "")
        try:
            return [metadata.distribution(package) for package in self.packages]
        except metadata.PackageNotFoundError as error:
            raise SourceError(
                "PythonPackages",
                got=f"{error.name!r}, which is not installed",
                wanted="names of installed packages",
                do="Run `pip list` to see them.",
            ) from error


def import_links(source: str, module: str, modules: frozenset[str], *, is_package: bool = False) -> tuple[Link, ...]:
    """The imports of a module that lead to others of the set, as spans of its source, in order.

    Args:
        source: the whole module.
        module: its dotted name, from which relative imports start.
        modules: the names that may be linked to.
        is_package: the module is an `__init__.py`.

    Raises:
        SyntaxError: the source is no Python of this interpreter.

    >>> import_links("import a.b as c", "m", frozenset({"a.b"}))
    (Link(start=7, end=10, target='a.b'),)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old module's invalid escapes are no concern of ours
        tree = ast.parse(source)
    place = _Places(source)
    package = module if is_package else module.rpartition(".")[0]
    found: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append((*place.name(alias), alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base is None:
                continue
            found.append((*place.module(node), base))
            found += [(*place.name(alias), f"{base}.{alias.name}") for alias in node.names if alias.name != "*"]
    return tuple(
        Link(start=start, end=end, target=DocumentId(target))
        for start, end, target in sorted(found)
        if target in modules and target != module
    )


class _Places:
    """From the parser's places, lines and UTF-8 bytes, to characters of the source."""

    def __init__(self, source: str) -> None:
        self._source = source
        # not splitlines: Python ends lines at \n, \r and \r\n alone
        self._lines = [found.span() for found in _LINE.finditer(source)]

    def _at(self, line: int, byte: int) -> int:
        start, end = self._lines[line - 1]
        return start + len(self._source[start:end].encode()[:byte].decode())

    def name(self, alias: ast.alias) -> tuple[int, int]:
        """The span of an imported name, without its `as`."""
        start = self._at(alias.lineno, alias.col_offset)
        found = _DOTTED.match(self._source, start)
        return start, found.end() if found else start

    def module(self, node: ast.ImportFrom) -> tuple[int, int]:
        """The span of the module's name between `from` and `import`, dots included."""
        found = _FROM.match(self._source, self._at(node.lineno, node.col_offset))
        if found is None:
            raise AssertionError(f"line {node.lineno} does not begin with `from`")
        dots, name = found.span(1), found.span(2)
        if node.module is None:
            return dots[0], dots[0] + len(found[1].rstrip(" \t\\\r\n\f"))
        return (dots[0] if node.level else name[0]), name[1]


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    """The dotted name that a `from` imports from; None for one that climbs out of the package."""
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    kept = len(parts) - node.level + 1
    if kept < 1:
        return None
    return ".".join([*parts[:kept], *([node.module] if node.module else [])])


def _module_name(recorded: PurePosixPath) -> str | None:
    """The dotted name of a recorded file, or None where it is no importable module."""
    if recorded.suffix != ".py":
        return None
    parts = [*recorded.parts[:-1], recorded.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def _is_test(name: str) -> bool:
    *folders, last = name.split(".")
    return not {"tests", "test"}.isdisjoint([*folders, last]) or _TEST_FILE.fullmatch(last) is not None


def _read(path: Path) -> str | None:
    """The source as text by its own coding line, newlines as they are; None, and counted, where it is unreadable."""
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except OSError:
        drop("module cannot be read", example=str(path))
    except (SyntaxError, UnicodeDecodeError):
        drop("module is in an unknown encoding", example=str(path))
    return None
