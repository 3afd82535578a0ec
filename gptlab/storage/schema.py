"""The version of what is written, and the way from every older one to it.

Each configuration on disk is an envelope, `{"schema": 2, "gptlab": "0.1.0", "value": ...}`. An older one is brought
up to date by a chain of pure functions, each from one version to the next, so that a change of a format costs one
function and no reader ever has an `if` for the past. A file of a newer gptlab is refused, not guessed at.

    0   the bare value, as models and run directories wrote it
    1   {"format": 1, "gptlab": ..., "value": ...}, as `save_to_dir` wrote it
    2   {"schema": 2, ...}

`tests/storage/old_versions/` holds files of each version; what they mean may never change.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gptlab import __version__
from gptlab.storage.errors import StorageError

SCHEMA = 2
Migration = Callable[[Any], Any]
"""From the whole content of a file of version n to that of version n + 1; it leaves its argument as it is."""


def envelope(value: Any) -> dict[str, Any]:
    """What is written for a value that is JSON already.

    >>> envelope({"width": 8})["schema"] == SCHEMA
    True
    """
    return {"schema": SCHEMA, "gptlab": __version__, "value": value}


def opened(content: Any, where: str, *, bare: bool = True) -> Any:
    """The value in a file's content, brought to the present schema.

    Args:
        content: what `read_json` gave.
        where: the file, for errors.
        bare: whether a value without an envelope may stand there, as before version 1.

    Raises:
        StorageError: of a newer schema, or no configuration at all.

    >>> opened({"format": 1, "gptlab": "0.1.0", "value": {"width": 8}}, "config.json")
    {'width': 8}
    """
    version = version_of(content)
    if version == 0 and not bare:
        raise StorageError(
            where,
            got="no saved value: the file has no schema",
            wanted="what save_to_dir writes",
            do="Look whether the folder is the right one.",
        )
    if version > SCHEMA:
        raise StorageError(
            where,
            got=f"schema {version}, written by gptlab {str(content.get('gptlab'))[:40]}",
            wanted=f"schema {SCHEMA} or older, which gptlab {__version__} reads",
            do="Install that gptlab or a newer one: pip install -U gptlab",
        )
    return migrated(content, version)["value"]


def migrated(content: Any, version: int, migrations: Mapping[int, Migration] | None = None) -> Any:
    """A file's content as the newest version has it.

    Args:
        content: of version `version`.
        version: where to begin.
        migrations: version to the function that leads on from it; gptlab's own when None.
    """
    migrations = MIGRATIONS if migrations is None else migrations
    while version in migrations:
        content = migrations[version](content)
        version += 1
    return content


def version_of(content: Any) -> int:
    """Which schema a file's content has; 0 where it is a value without an envelope.

    >>> [version_of(each) for each in ({"class": "x"}, {"format": 1, "value": 5}, {"schema": 7, "value": 5})]
    [0, 1, 7]
    """
    if isinstance(content, dict) and "value" in content and content.keys() <= {"schema", "format", "gptlab", "value"}:
        schema = content.get("schema", content.get("format"))
        if type(schema) is int and schema >= 1:
            return schema
    return 0


def renamed(value: Any, classes: Mapping[str, str], fields: Mapping[tuple[str, str], str]) -> Any:
    """A value with classes and their fields renamed, at any depth: the usual body of a migration.

    Args:
        value: JSON.
        classes: old import path to new.
        fields: (old import path of the class, old name) to the new name.

    >>> old = {"class": "gptlab.a.Old", "size": 3}
    >>> renamed(old, {"gptlab.a.Old": "gptlab.a.New"}, {("gptlab.a.Old", "size"): "seq_len"})
    {'class': 'gptlab.a.New', 'seq_len': 3}
    """
    if isinstance(value, list):
        return [renamed(item, classes, fields) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class")
    kind = kind if isinstance(kind, str) else ""
    made = {fields.get((kind, name), name): renamed(item, classes, fields) for name, item in value.items()}
    return {**made, "class": classes.get(kind, kind)} if kind else made


def _bare_to_1(content: Any) -> Any:
    return {"format": 1, "gptlab": "0.1.0", "value": content}


def _1_to_2(content: Any) -> Any:
    return {"schema": 2, "gptlab": content.get("gptlab"), "value": content["value"]}


MIGRATIONS: Mapping[int, Migration] = {0: _bare_to_1, 1: _1_to_2}
