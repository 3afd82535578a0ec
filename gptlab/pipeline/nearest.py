"""Which stages of gptlab would fill a gap.

The library's source is read, not imported: an error must not load torch, and a stage that fails to import is still
one that exists. Read once, when the first error is built.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import attrs


@attrs.frozen
class Listed:
    """A stage as its source shows it."""

    name: str
    takes: str
    yields: str


def stages_between(got: str, wanted: str) -> tuple[str, ...]:
    """The stages, or else the pairs of stages, from one type of item to another.

    Args:
        got: the annotation of what there is, as `hints.show` writes it.
        wanted: the annotation of what is asked for.

    >>> stages_between("Nothing", "Nothing else")
    ()
    """
    stages = catalogue()
    direct = tuple(stage.name for stage in stages if (stage.takes, stage.yields) == (got, wanted))
    if direct:
        return direct
    return tuple(
        f"{first.name}, then {second.name}"
        for first in stages
        if first.takes == got and first.yields != got
        for second in stages
        if second.takes == first.yields and second.yields == wanted
    )


@functools.cache
def catalogue() -> tuple[Listed, ...]:
    """Every stage in gptlab's source, by name."""
    found: list[Listed] = []
    root = Path(__file__).parents[1]
    for file in sorted(root.rglob("*.py")):
        if file.parent.name not in ("pipeline", "types", "testing"):
            found.extend(_stages_in(ast.parse(file.read_text(encoding="utf-8"))))
    return tuple(sorted(set(found), key=lambda stage: stage.name))


def _stages_in(module: ast.Module) -> Iterator[Listed]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and len(node.args.args) == 1:
            yield from _listed(node.name, node, node.args.args)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _is_protocol(node):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name in ("__call__", "forward"):
                    name = node.name if method.name == "__call__" else f"{node.name}.forward"
                    yield from _listed(name, method, method.args.args[1:] or method.args.posonlyargs[1:])


def _is_protocol(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(base) for base in node.bases)


def _listed(name: str, function: ast.FunctionDef, parameters: list[ast.arg]) -> Iterator[Listed]:
    takes = _item(parameters[0].annotation) if parameters else None
    yields = _item(function.returns)
    if takes is not None and yields is not None:
        yield Listed(name, takes, yields)


def _item(annotation: ast.expr | None) -> str | None:
    """`A` of `Iterator[A]`, as written."""
    if not isinstance(annotation, ast.Subscript):
        return None
    if ast.unparse(annotation.value).split(".")[-1] not in ("Iterator", "Iterable", "Generator"):
        return None
    inner = annotation.slice
    return ast.unparse(inner.elts[0] if isinstance(inner, ast.Tuple) else inner).strip("'\"")
