"""How a page is written: real wikitext around short prose, and the facts that the page restates of its targets.

Infoboxes, references, comments, tables, categories and files are all there for the reader to take away; what
remains is about ninety tokens. A restatement keeps name, link and value side by side, whatever form the link
takes: plain, piped, with a trail, with an anchor, with a lower first letter or through a redirect.
"""

import re
from collections.abc import Iterator

import attrs

from gptlab.sources.linked_facts import words
from gptlab.sources.linked_facts.facts import Fact, FactKind
from gptlab.sources.linked_facts.world import Chance, Traits, World
from gptlab.types import document_id

_LINK_FIELD = re.compile(r"\{(?:link|trailed)\}")


@attrs.frozen(kw_only=True)
class WrittenPage:
    """One page of the export: `redirect` names the page it leads to, `facts` go with the name of their class."""

    title: str
    wikitext: str
    redirect: str = ""
    facts: tuple[tuple[Fact, str], ...] = ()


def written_pages(world: World, index: int, extra_sentences: int) -> Iterator[WrittenPage]:
    """Page `index` of the world, and after it the redirect to it where it has one."""
    traits = world.traits(index)
    if traits.role == "facts":
        yield _facts_page(world, traits, extra_sentences)
    else:
        yield _plain_page(world, traits)
    if traits.redirect:
        yield WrittenPage(title=traits.redirect, wikitext=f"#REDIRECT [[{traits.title}]]", redirect=traits.title)


def _facts_page(world: World, traits: Traits, extra_sentences: int) -> WrittenPage:
    chance = world.chance(traits.index, 3)
    statements = [
        template.format(name=traits.name, value=traits.emblem, year=_year(chance))
        for template in chance.shuffled(words.STATEMENTS)[:3]
    ]
    linked = [_restate(world, traits, target, chance) for target in world.targets(traits.index)]
    body = [sentence for sentence, _ in linked] + statements[1:]
    twin = world.twin(traits.index)
    if twin is not None:
        body.append(chance.pick(words.TWINS).format(link=wiki_link(world.traits(twin), chance)))
    if traits.attributes:
        (first, first_value), (second, second_value) = traits.attributes
        body.append(
            chance.pick(words.ATTRIBUTE_STATEMENTS).format(
                name=traits.name, first=first, first_value=first_value, second=second, second_value=second_value
            )
        )
    body += [_filler(chance) for _ in range(extra_sentences)]
    body = chance.shuffled(body)
    body[0] += _reference(traits, chance)
    lead = f"{_lead(traits, chance)} {statements[0]}"
    half = len(body) // 2
    heading = "\n\n== History ==\n" if chance.happens(0.25) else "\n\n"
    prose = f"{lead} {' '.join(body[:half])}{heading}{' '.join(body[half:])}"
    text = f"{_infobox(traits, chance)}{prose}{_ending(traits, chance)}"
    return WrittenPage(title=traits.title, wikitext=text, facts=tuple(fact for _, fact in linked if fact))


def _restate(world: World, linker: Traits, index: int, chance: Chance) -> tuple[str, tuple[Fact, str] | None]:
    """A sentence with a link to page `index`, and the fact in it with the name of the fact's class, if any."""
    via = world.traits(index)
    draw = chance.below(100)
    twin = world.twin(index)
    link = wiki_link(via, chance)
    if draw < 10:
        return chance.pick(words.PLAIN_LINKS).format(link=link), None
    if draw < 40 and via.attributes:
        attribute, value = chance.pick(via.attributes)
        sentence = chance.pick(words.ATTRIBUTE_RESTATEMENTS).format(link=link, attribute=attribute, value=value)
        restated = Restated(kind="two_key", context=f" the {attribute} is ", answer=value, choices=attribute)
        return sentence, restated.fact(linker, via=via, target=via)
    if draw < 70 and twin is not None and twin not in (linker.index, *world.targets(linker.index)):
        target = world.traits(twin)
        sentence = chance.pick(words.TWIN_RESTATEMENTS).format(link=link, value=target.emblem)
        restated = Restated(kind="two_hop", context=" has the ", answer=target.emblem)
        return sentence, restated.fact(linker, via=via, target=target)
    template = chance.pick(words.RESTATEMENTS)
    sentence = template.format(
        link=link, trailed=_trailed(link, chance), name=via.name, value=via.emblem, year=_year(chance)
    )
    between = _LINK_FIELD.split(template)[1].partition("{value}")[0]
    restated = Restated(kind="one_key", context=between.format(name=via.name), answer=via.emblem)
    return sentence, restated.fact(linker, via=via, target=via)


@attrs.frozen(kw_only=True)
class Restated:
    """What a sentence says after its link; `choices` names the closed class of the answer."""

    kind: FactKind
    context: str
    answer: str
    choices: str = "emblem"

    def fact(self, linker: Traits, *, via: Traits, target: Traits) -> tuple[Fact, str]:
        """The fact and the name of its class."""
        fact = Fact(
            linker=document_id(linker.title),
            target=document_id(target.title),
            via=document_id(via.title),
            kind=self.kind,
            context=self.context,
            answer=self.answer,
            choices=words.CLASSES[self.choices],
        )
        return fact, self.choices


def wiki_link(target: Traits, chance: Chance) -> str:
    """A link to a page in one of the forms that editors use; two of three are as plain as the title allows."""
    draw = chance.below(100)
    if draw < 6:
        return f"[[{target.title}|{chance.pick(words.PARTS)} {target.name}]]"
    if draw < 12:
        return f"[[{target.title}#History|{target.name}]]"
    if draw < 17:
        return f"[[{target.title[0].lower()}{target.title[1:].replace(' ', '_')}|{target.name}]]"
    if target.redirect and draw < 60:
        return f"[[{target.redirect}]]"
    if target.title != target.name:
        return f"[[{target.title}|{target.name}]]"
    return f"[[{target.title}]]"


def _trailed(link: str, chance: Chance) -> str:
    """The link as an adjective: most often with a trail, the letters after the brackets that belong to its anchor."""
    return f"{link}ian" if chance.happens(0.8) else link


def _lead(traits: Traits, chance: Chance) -> str:
    return chance.pick(words.LEADS).format(
        bold=f"'''{traits.name}'''",
        adjective=chance.pick(words.ADJECTIVES),
        noun=words.KINDS[traits.kind][1],
        place=chance.pick(words.PLACES),
        year=_year(chance),
    )


def _filler(chance: Chance) -> str:
    return chance.pick(words.FILLERS).format(
        year=_year(chance),
        number=10 * (1 + chance.below(9)),
        group=chance.pick(words.GROUPS),
        act=chance.pick(words.ACTS),
        adjective=chance.pick(words.ADJECTIVES),
        thing=chance.pick(words.THINGS),
        place=chance.pick(words.PLACES),
    )


def _year(chance: Chance) -> int:
    return 1500 + 50 * chance.below(10)


def _infobox(traits: Traits, chance: Chance) -> str:
    if chance.happens(0.2):
        return ""
    template, _, category = words.KINDS[traits.kind]
    comment = "<!-- please cite a source -->\n" if chance.happens(0.2) else ""
    picture = f"[[File:{traits.name} view.jpg|thumb|A view]]\n" if chance.happens(0.1) else ""
    return (
        f"{{{{Infobox {template}\n| name = {traits.name}\n| category = [[:Category:{category}|{category}]]\n"
        f"| founded = {{{{start date|{_year(chance)}}}}}\n}}}}\n{comment}{picture}"
    )


def _reference(traits: Traits, chance: Chance) -> str:
    draw = chance.below(3)
    if draw == 0:
        return ""
    if draw == 1:
        title = f"Annals of {traits.name}"
        return f"<ref>{{{{cite book |title={title} |year={_year(chance)} |page={chance.below(300)}}}}}</ref>"
    return f'<ref name="survey">[https://survey.example/{traits.index} Survey]</ref><ref name="survey" />'


def _ending(traits: Traits, chance: Chance) -> str:
    table = ""
    if chance.happens(0.05):
        rows = "".join(f"|-\n| {_year(chance)} || {10 * chance.below(100)}\n" for _ in range(2))
        table = f'\n\n{{| class="wikitable"\n! Year !! Count\n{rows}|}}'
    return f"{table}\n\n[[Category:{words.KINDS[traits.kind][2]}]]"


def _plain_page(world: World, traits: Traits) -> WrittenPage:
    """A page without facts: a list, a disambiguation page, or an acronym that differs from a name in case alone."""
    chance = world.chance(traits.index, 3)
    if traits.role == "acronym":
        text = f"'''{traits.title}''' is a guild of {chance.pick(words.GROUPS)}.\n\n[[Category:Guilds]]"
        return WrittenPage(title=traits.title, wikitext=text)
    entries = "".join(f"* {wiki_link(world.traits(target), chance)}\n" for target in world.targets(traits.index))
    if traits.role == "list":
        return WrittenPage(
            title=traits.title, wikitext=f"Places near {traits.name}:\n\n{entries}\n[[Category:Lists]]"
        )
    text = f"'''{traits.name}''' may refer to:\n\n{entries}\n{{{{disambiguation}}}}"
    return WrittenPage(title=traits.title, wikitext=text)
