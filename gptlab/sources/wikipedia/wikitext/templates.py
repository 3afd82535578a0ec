"""Second step: templates. A table says which carry prose and how they read; all others go and leave a hole's mark.

Braces are matched in one pass with a stack, as MediaWiki does it: innermost first, three for a parameter, two for a
template, and an opening that nothing closes is text. A dropped template's insides are never looked at. Nested ones
are rendered inside out, to a depth of 40 as in MediaWiki, and a rendering may not be much longer than what it was
made of, so that no table of templates, however written, can blow a page up.

Source: https://www.mediawiki.org/wiki/Help:Templates
"""

import re
from collections.abc import Callable, Mapping

import attrs

from gptlab.sources.wikipedia.wikitext.marks import HOLE, JOINT

DEEPEST = 40
"""MediaWiki's own limit of templates within templates."""
_SLACK = 400
"""Characters that a rendering may add to what it was given."""

_BRACES = re.compile(r"\{\{+|\}\}+")
_SEPARATOR = re.compile(r"\[\[|\]\]|\|")
_PLACE = re.compile(r"\{([^{}]{1,60})\}")


@attrs.frozen
class Arguments:
    """What a template was called with: `{{name|one|two|key=value}}`.

    Attributes:
        name: lower case, with spaces.
        positional: in order, stripped.
        named: by lower-case key; the last of a key wins.
    """

    name: str
    positional: tuple[str, ...] = ()
    named: Mapping[str, str] = attrs.field(factory=dict)

    def get(self, key: str, default: str = "") -> str:
        """An argument by key or by number from 1; `default` where it is missing or empty."""
        if key.isdecimal() and key not in self.named:
            index = int(key) - 1
            return (self.positional[index] if 0 <= index < len(self.positional) else "") or default
        return self.named.get(key, "") or default


Renderer = Callable[[Arguments], str]
"""From arguments to wikitext; the empty string for nothing to say."""


def pattern(template: str) -> Renderer:
    """A renderer from a pattern: `{1}` an argument, `{text|1}` the first that is there.

    A pattern whose every place stays empty renders nothing, so that `c. {1}` leaves no lonely `c.`.

    >>> pattern("c. {date|1}")(Arguments("circa", ("1900",)))
    'c. 1900'
    """
    places = [place.split("|") for place in _PLACE.findall(template)]
    texts = _PLACE.split(template)[::2]

    def render(arguments: Arguments) -> str:
        values = [next(filter(None, map(arguments.get, keys)), "") for keys in places]
        if places and not any(values):
            return ""
        return texts[0] + "".join(value + text for value, text in zip(values, texts[1:], strict=True))

    return render


def template_name(name: str) -> str:
    """The name a table is looked up by: lower case, spaces, without its namespace.

    >>> template_name(" Template:Birth_date ")
    'birth date'
    """
    name = " ".join(name.replace("_", " ").split()).lower()
    return name.removeprefix("template:").lstrip()


def expand_templates(text: str, renderers: Callable[[str], Renderer | None]) -> str:
    """The text with prose templates rendered and all others replaced by a hole's mark.

    Args:
        text: wikitext whose opaque parts are hidden.
        renderers: from a template's name, as `template_name` gives it, to its renderer or None.
    """
    pieces: list[str] = []
    stack: list[tuple[int, int]] = []  # of each opening: its braces, and at which piece begins what it holds
    position = 0
    for found in _BRACES.finditer(text):
        start, end = found.span()
        pieces.append(text[position:start])
        if text[start] == "{":
            stack.append((end - start, len(pieces)))
        else:
            _close(end - start, pieces, stack, renderers)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _close(
    run: int, pieces: list[str], stack: list[tuple[int, int]], renderers: Callable[[str], Renderer | None]
) -> None:
    """Match a run of closing braces with the openings on the stack; braces that match nothing are dropped."""
    while run >= 2 and stack:
        depth = len(stack)
        count, begin = stack.pop()
        taken = 3 if min(run, count) >= 3 and count != 4 else 2
        inside = "".join(pieces[begin:])
        del pieces[begin:]
        if depth > DEEPEST:
            pieces.append(HOLE)
        else:
            pieces.append(_parameter(inside) if taken == 3 else _rendered(inside, renderers))
        run -= taken
        if count - taken >= 2:
            stack.append((count - taken, begin))


def _parameter(inside: str) -> str:
    """`{{{name|default}}}` in a page that nobody calls is its default."""
    return inside.partition("|")[2]


def _rendered(inside: str, renderers: Callable[[str], Renderer | None]) -> str:
    """One call as wikitext; a hole's mark where it says nothing."""
    name, bar, rest = inside.partition("|")
    name = template_name(name[:256])
    renderer = renderers(name)
    key, colon, value = name.partition(":")
    if renderer is None and colon:
        renderer = renderers(key + ":")
        rest = value.strip() + bar + rest
        bar = ":"
    if renderer is None:
        return HOLE
    rendered = renderer(_arguments(name, rest if bar else ""))
    if not rendered or len(rendered) > len(inside) + _SLACK:
        return HOLE
    return f"{JOINT}{rendered}{JOINT}" if rendered[0] == "'" or rendered[-1] == "'" else rendered


def _arguments(name: str, text: str) -> Arguments:
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in _split(text) if text else ():
        key, equals, value = argument.partition("=")
        if equals and "[" not in key and "<" not in key:
            named[key.strip().lower()] = value.strip()
        else:
            positional.append(argument.strip())
    return Arguments(name, tuple(positional), named)


def _split(text: str) -> list[str]:
    """Split at the bars that are not inside a link."""
    if "[[" not in text:
        return text.split("|")
    arguments, depth, begin = [], 0, 0
    for found in _SEPARATOR.finditer(text):
        if found[0] == "[[":
            depth += 1
        elif found[0] == "]]":
            depth = max(0, depth - 1)
        elif depth == 0:
            arguments.append(text[begin : found.start()])
            begin = found.end()
    arguments.append(text[begin:])
    return arguments
