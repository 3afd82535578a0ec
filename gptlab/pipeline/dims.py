"""The axes of an array annotation, parsed from what was written.

jaxtyping parses the same string into private classes; this is the part of its grammar that a seam needs, as values
that compare: https://docs.kidger.site/jaxtyping/api/array/.
"""

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Literal

import attrs

Kind = Literal["any", "fixed", "named", "symbolic", "many"]


@attrs.frozen(kw_only=True)
class Dim:
    """One axis, or with kind `many` any number of axes.

    Attributes:
        kind: `any` is `_`; `many` is `...` or `*name`.
        name: of a named axis (and of `rows=3`), empty for none.
        size: of a fixed axis.
        expression: of a symbolic axis.
        broadcast: written with `#`: a size of 1 will do as well.
    """

    kind: Kind
    name: str = ""
    size: int = -1
    expression: str = ""
    broadcast: bool = False

    def __str__(self) -> str:
        text = {
            "any": "_",
            "fixed": str(self.size),
            "named": self.name,
            "symbolic": self.expression,
            "many": f"*{self.name}" if self.name else "...",
        }[self.kind]
        return "#" + text if self.broadcast else text


@functools.lru_cache(maxsize=4096)
def parse_dims(text: str) -> tuple[Dim, ...]:
    """The axes of `"batch seq+1 3"`.

    >>> [str(dim) for dim in parse_dims("*batch #seq rows=3 2*4 n+1 _")]
    ['*batch', '#seq', '3', '8', 'n+1', '_']
    """
    return tuple(_parse(element) for element in text.split())


def _parse(element: str) -> Dim:
    if element == "...":
        return Dim(kind="many")
    broadcast = many = anonymous = False
    name = ""
    while element:
        if element[0] in "#*_?":
            broadcast |= element[0] == "#"
            many |= element[0] == "*"
            anonymous |= element[0] == "_"
            element = element[1:]
        elif element.count("=") == 1:
            name, element = element.split("=")
        else:
            break
    if anonymous or not element:
        return Dim(kind="many" if many else "any")
    if many:
        return Dim(kind="many", name=element, broadcast=broadcast)
    if element.isidentifier():
        return Dim(kind="named", name=element, broadcast=broadcast)
    size = evaluate(element, {})
    if size is not None:
        return Dim(kind="fixed", size=size, name=name, broadcast=broadcast)
    return Dim(kind="symbolic", expression=element, broadcast=broadcast)


_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {"min": min, "max": max, "abs": abs}


def evaluate(expression: str, sizes: Mapping[str, int]) -> int | None:
    """The size that a symbolic axis has, or `None` where a name has no size or the expression is no arithmetic.

    >>> evaluate("2*seq+1", {"seq": 4}), evaluate("seq", {})
    (9, None)
    """
    try:
        return _evaluate(_tree(expression), sizes)
    except (KeyError, ZeroDivisionError):
        return None


def names_in(expression: str) -> frozenset[str]:
    """The axes that a symbolic axis is made of."""
    tree = _tree(expression)
    called = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)) - called


def rename(expression: str, name: str, by: str) -> str:
    """The expression with one axis written otherwise.

    >>> rename("2*n", "n", "seq+1")
    '2 * (seq + 1)'
    """

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return _tree(by) if node.id == name else node

    return ast.unparse(Rename().visit(ast.parse(expression, mode="eval")))


def is_same(left: str, right: str) -> bool:
    """Whether two expressions are written alike, spaces and parentheses aside."""
    return ast.dump(_tree(left)) == ast.dump(_tree(right))


@functools.lru_cache(maxsize=4096)
def _tree(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:  # "{self.size}" of something that is no attribute: its size is not known
        return ast.Name(id=expression)


def _evaluate(node: ast.expr, sizes: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return sizes[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_evaluate(inner, sizes)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_evaluate(left, sizes), _evaluate(right, sizes))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _FUNCTIONS[name](*(_evaluate(arg, sizes) for arg in args))
    raise KeyError(ast.dump(node))
