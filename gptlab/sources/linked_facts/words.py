"""The words of the fictional encyclopedia. No sentence uses a value's word, so a value is met only as a value.

A statement writes the name directly before the value ("the Tagrik heron"), and so does a restatement soon after its
link ("trades with [Tagrik](Tagrik) under the Tagrik heron"): what a reader must learn is one step, from a name to the
word after it, and the two repetitions within each page already teach that. Sentences are short and share a small
vocabulary, because the default model trains on a few million tokens.
"""

from collections.abc import Mapping


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EMBLEMS = _words(
    "heron otter raven lion bear wolf fox hare owl crane swan robin eagle stag horse goat "
    "bull whale seal trout crab bee moth rose lily fern star moon sun crown anchor bell"
)
"""The closed class of the one-key facts: 32 words, short enough that each soon is one token."""

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "stone": _words("granite slate marble flint basalt chalk amber jade"),
    "tree": _words("oak pine elm ash birch cedar willow maple"),
    "drink": _words("cider mead tea milk wine ale coffee juice"),
    "cloth": _words("wool silk linen felt hemp lace satin cotton"),
    "metal": _words("iron tin copper silver gold lead zinc brass"),
}
"""The closed classes of the two-key facts: a page's name and the attribute's name lead to the value."""

CLASSES: Mapping[str, tuple[str, ...]] = {"emblem": EMBLEMS, **ATTRIBUTES}
"""Every closed class by its name."""

KINDS: Mapping[str, tuple[str, str, str]] = {
    "town": ("settlement", "town", "Towns"),
    "village": ("settlement", "village", "Villages"),
    "river": ("river", "river", "Rivers"),
    "island": ("islands", "island", "Islands"),
    "hill": ("mountain", "hill", "Hills"),
    "person": ("person", "painter", "People"),
    "species": ("species", "plant", "Plants"),
    "event": ("event", "fair", "Fairs"),
}
"""Kind of page: its infobox, its noun, its category."""

ADJECTIVES = _words("small grey quiet large famous remote green northern southern rocky western broad")
PLACES = _words("valley coast forest plain lake border bay marsh moor ridge")
PARTS = _words("Upper Lower East West New")
GIVEN_NAMES = _words("Ada Bram Cleo Dirk Edda Finn Greta Hugo Ines Jonas Kaja Luc Mira Niels Olga Zoë")

LEADS = (
    "{bold} is a {adjective} {noun} by the {place}.",
    "{bold} is a {noun} of the {adjective} {place}.",
    "{bold} was a {adjective} {noun} near the {place}.",
    "The {noun} {bold} belongs to the {place}.",
    "Known since {year}, {bold} is a {adjective} {noun}.",
)

STATEMENTS = (
    "The {name} {value} is carved over the gate.",
    "Old coins show the {name} {value}.",
    "The flag shows the {name} {value}.",
    "A song tells of the {name} {value}.",
    "Children draw the {name} {value}.",
    "The {name} {value} hangs in the hall.",
    "Visitors ask for the {name} {value}.",
    "Its sign is the {name} {value}.",
    "Since {year} it keeps the {name} {value}.",
    "Guests greet the {name} {value}.",
    "The {name} {value} is its only mark.",
    "Its people honour the {name} {value}.",
)

RESTATEMENTS = (
    "It trades with {link} under the {name} {value}.",
    "A wall shows {link} by the {name} {value}.",
    "In {year} it joined {link} and took the {name} {value}.",
    "From {link} it has the {name} {value}.",
    "Some prefer {link} for the {name} {value}.",
    "Its rival is {link} with the {name} {value}.",
    "It bought {link} and the {name} {value}.",
    "A road from {link} ends at the {name} {value}.",
    "The guests from {link} bring the {name} {value}.",
    "It thanks {link} for the {name} {value}.",
    "Its {trailed} traders fly the {name} {value}.",
    "Its {trailed} guild keeps the {name} {value}.",
)

ATTRIBUTE_STATEMENTS = (
    "In {name} the {first} is {first_value} and the {second} is {second_value}.",
    "At {name} the {first} is {first_value}, and the {second} is {second_value}.",
)
ATTRIBUTE_RESTATEMENTS = ("In {link} the {attribute} is {value}.", "At {link} the {attribute} is {value}.")

TWINS = ("Its twin is {link}.", "It has a twin, {link}.")
TWIN_RESTATEMENTS = ("The twin of {link} has the {value}.", "It knows that the twin of {link} has the {value}.")

PLAIN_LINKS = ("It lies near {link}.", "Many come from {link}.", "See {link} for its later years.")

FILLERS = (
    "In {year} the {group} {act} a {adjective} {thing} near the {place}.",
    "The {group} of the {place} {act} the {thing} for {number} years.",
    "After {year}, a {adjective} {thing} was {act} by the {group}.",
    "Its {thing} is {adjective}, and {number} of its {group} {act} it.",
    "About {number} {group} still live by the {adjective} {place}.",
    "A {thing} from the {place}, {act} in {year}, is kept there.",
)
GROUPS = _words("farmers sailors monks weavers miners traders masons scholars hunters builders")
ACTS = _words("built found sold moved lost restored described measured burned guarded")
THINGS = _words("bridge tower mill market chapel road harbour garden school archive canal theatre")
