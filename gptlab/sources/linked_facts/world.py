"""What is true in the world: every page's traits and links, each a pure function of (seed, index, pages).

No page needs another's text, so memory does not grow with the world and any page can be written alone. Links go
to pages a little before their own (nine of ten), so that a walk of a few documents holds both ends and few links
are lost to cycles; every 16th page is a hub.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal, TypeVar

import attrs

from gptlab.sources.linked_facts.names import fictional_name, mix
from gptlab.sources.linked_facts.words import ATTRIBUTES, EMBLEMS, GIVEN_NAMES, KINDS

T = TypeVar("T")
Role = Literal["facts", "list", "disambiguation", "acronym"]
_KIND_NAMES = tuple(KINDS)
_ATTRIBUTE_NAMES = tuple(ATTRIBUTES)


@attrs.frozen
class Chance:
    """Draws from `Random.random` alone, the one method whose sequence Python promises to keep."""

    _random: Random

    def below(self, count: int) -> int:
        """A number in `range(count)`."""
        return int(self._random.random() * count)

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in another order (Fisher and Yates)."""
        pool = list(items)
        for last in range(len(pool) - 1, 0, -1):
            other = self.below(last + 1)
            pool[last], pool[other] = pool[other], pool[last]
        return pool


@attrs.frozen(kw_only=True)
class Traits:
    """What other pages may say about a page.

    Attributes:
        name: as sentences call it.
        title: as the dump titles it; `name` but for people and rivers that share a word.
        emblem: the distinguishing value of the one-key facts.
        attributes: two (attribute, value) pairs where the page states them, else none.
        redirect: a second title that redirects to the page, or empty.
    """

    index: int
    role: Role
    kind: str
    name: str
    title: str
    emblem: str
    attributes: tuple[tuple[str, str], ...]
    redirect: str


@attrs.frozen(kw_only=True)
class World:
    """A world of `pages` pages."""

    pages: int
    seed: int

    def chance(self, index: int, purpose: int) -> Chance:
        """The draws of page `index` for one purpose, independent of all others."""
        return Chance(Random(mix(self.seed, index, purpose)))

    def traits(self, index: int) -> Traits:
        """Everything that other pages may say about page `index`."""
        chance = self.chance(index, 0)
        role = _role(index)
        name = fictional_name(index, self.pages, self.seed)
        kind = chance.pick(_KIND_NAMES)
        emblem = chance.pick(EMBLEMS)
        names = chance.shuffled(_ATTRIBUTE_NAMES)[:2]
        attributes = tuple((attribute, chance.pick(ATTRIBUTES[attribute])) for attribute in names)
        title = name
        if role == "list":
            title = f"List of places near {name}"
        elif role == "disambiguation":
            title = f"{name} (disambiguation)"
        elif role == "acronym":
            title = fictional_name(index - 1, self.pages, self.seed).upper()
        elif _role(index + 1) == "acronym":
            kind = "town"  # titled by its bare name, so that the pair differs in case alone
        elif kind == "person":
            title = name = f"{chance.pick(GIVEN_NAMES)} {name}"
        elif kind == "river" and chance.happens(0.2):
            title = f"{name} (river)"
        return Traits(
            index=index,
            role=role,
            kind=kind,
            name=name,
            title=title,
            emblem=emblem,
            attributes=attributes if chance.happens(0.4) else (),
            redirect=f"Old {name}" if role == "facts" and chance.happens(0.1) else "",
        )

    def twin(self, index: int) -> int | None:
        """The page that page `index` names as its twin without a word about it, if it has one."""
        if index % 4 != 1:
            return None
        chosen = self._near(index, self.chance(index, 1))
        return chosen if _role(chosen) == "facts" and chosen != index else None

    def targets(self, index: int) -> list[int]:
        """The two to four pages that page `index` restates something of; never itself, its twin or one twice."""
        chance = self.chance(index, 2)
        wanted = 2 + chance.below(3)
        found: list[int] = []
        for _ in range(4 * wanted):
            target = self._near(index, chance)
            if len(found) < wanted and target not in (index, self.twin(index), *found) and _role(target) == "facts":
                found.append(target)
        return found

    def _near(self, index: int, chance: Chance) -> int:
        """A page a little before, as a rule; small distances are likelier, and hubs get a share."""
        distance = 1 + int(48 * chance.below(1000) ** 2 / 1_000_000)
        forward = chance.happens(0.1)
        target = index + distance if forward else index - distance
        if chance.happens(0.2):
            target -= target % 16
        if not 0 <= target < self.pages:
            target = chance.below(min(self.pages, 64))
        return target


def _role(index: int) -> Role:
    """A few pages of each other role, in fixed places, so that every reader's rule for them is exercised."""
    if index % 64 == 63:
        return "list"
    if index % 128 == 77:
        return "disambiguation"
    return "acronym" if index % 512 == 21 else "facts"
