"""The world: pure functions of an index, unique names, honest links, values drawn evenly."""

import itertools
import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.sources.linked_facts import words
from gptlab.sources.linked_facts.names import SYLLABLES, fictional_name, mix, permuted
from gptlab.sources.linked_facts.world import World
from gptlab.types import document_id

WORLD = World(pages=1500, seed=7)


@given(size=st.integers(1, 400), seed=st.integers(0, 1000))
def test_the_permutation_permutes(size: int, seed: int) -> None:
    assert sorted(permuted(index, size, seed) for index in range(size)) == list(range(size))


def test_the_permutation_has_no_simple_pattern() -> None:
    steps = Counter((permuted(index + 1, 4096, 0) - permuted(index, 4096, 0)) % 4096 for index in range(4095))
    assert steps.most_common(1)[0][1] < 12  # a multiplicative "shuffle" would have one step only


def test_mix_is_the_same_on_every_machine() -> None:
    assert [mix(), mix(0), mix(1, 2, 3)] == [0, 16294208416658607535, mix(1, 2, 3)]
    assert len({mix(a, b) for a in range(50) for b in range(50)}) == 2500


@pytest.mark.parametrize("pages", [1, 64, 4096, 4097, 20_000])
def test_names_are_unique_and_short(pages: int) -> None:
    names = {fictional_name(index, pages, 0) for index in range(pages)}
    assert len(names) == pages
    longest = 2 if pages <= 64**2 else 3
    assert all(len(name) <= 4 * longest for name in names)


def test_syllables_are_distinct_and_none_begins_another() -> None:
    assert len(set(SYLLABLES)) == len(SYLLABLES) == 64
    assert not [(a, b) for a in SYLLABLES for b in SYLLABLES if a != b and b.startswith(a)]


def test_titles_are_unique_and_differ_in_case_on_purpose() -> None:
    titles = [WORLD.traits(index).title for index in range(WORLD.pages)]
    assert len({document_id(title) for title in titles}) == WORLD.pages
    redirects = [WORLD.traits(index).redirect for index in range(WORLD.pages)]
    assert not set(filter(None, redirects)) & set(titles)
    twice = [title for title, count in Counter(title.lower() for title in titles).items() if count > 1]
    assert len(twice) == len(range(21, WORLD.pages, 512))


def test_links_are_near_few_and_never_to_oneself() -> None:
    counts, distances = Counter[int](), []
    for index in range(200, WORLD.pages):
        targets = WORLD.targets(index)
        assert len(set(targets)) == len(targets) and index not in targets and WORLD.twin(index) not in targets
        assert all(WORLD.traits(target).role == "facts" for target in targets)
        counts[len(targets)] += 1
        distances += [index - target for target in targets]
    assert set(counts) == {2, 3, 4}
    assert sum(0 < distance <= 64 for distance in distances) > 0.85 * len(distances)


def test_some_pages_are_linked_to_much_more_than_others() -> None:
    linked_to = Counter(target for index in range(WORLD.pages) for target in WORLD.targets(index))
    hubs = [linked_to[index] for index in range(0, WORLD.pages, 16)]
    assert sum(hubs) / len(hubs) > 2.5 * sum(linked_to.values()) / WORLD.pages


@pytest.mark.parametrize("pages", [1, 2, 3, 17, 70])
def test_the_smallest_worlds_hold_together(pages: int) -> None:
    world = World(pages=pages, seed=1)
    for index in range(pages):
        assert all(0 <= target < pages for target in world.targets(index))


def test_values_are_drawn_evenly() -> None:
    """Chi-squared over the 32 values: with 31 degrees of freedom, 70 is passed once in ten thousand worlds."""
    counts = Counter(WORLD.traits(index).emblem for index in range(WORLD.pages))
    mean = WORLD.pages / len(words.EMBLEMS)
    assert sum((counts[value] - mean) ** 2 / mean for value in words.EMBLEMS) < 70


def test_a_value_says_nothing_about_the_name_or_the_neighbour() -> None:
    traits = [WORLD.traits(index) for index in range(WORLD.pages)]
    pairs = itertools.pairwise(traits)
    same = sum(one.emblem == next_one.emblem for one, next_one in pairs)
    expected = WORLD.pages / 32
    assert abs(same - expected) < 5 * math.sqrt(expected)
    by_syllable = Counter((each.name.rpartition(" ")[2][:3], each.emblem) for each in traits)
    assert by_syllable.most_common(1)[0][1] < 8


def test_no_sentence_uses_a_value_or_is_shared_by_two_classes() -> None:
    templates = [
        *words.LEADS, *words.STATEMENTS, *words.RESTATEMENTS, *words.ATTRIBUTE_STATEMENTS, *words.TWINS,
        *words.ATTRIBUTE_RESTATEMENTS, *words.TWIN_RESTATEMENTS, *words.PLAIN_LINKS, *words.FILLERS,
        *words.ADJECTIVES, *words.PLACES, *words.PARTS, *words.GROUPS, *words.ACTS, *words.THINGS, *words.GIVEN_NAMES,
        *(word for kind in words.KINDS.values() for word in kind),
    ]  # fmt: skip
    used = set(re.findall(r"[a-z]+", " ".join(templates).lower()))
    values = [value for values in words.CLASSES.values() for value in values]
    assert len(values) == len(set(values)) and not used & set(values)
    assert not [(a, b) for a in values for b in values if a != b and b.startswith(a)]
    assert len(words.EMBLEMS) == 32 and all(len(values) == 8 for values in words.ATTRIBUTES.values())


def test_every_statement_and_restatement_puts_the_value_after_the_name() -> None:
    assert all("the {name} {value}" in template.lower() for template in words.STATEMENTS)
    assert all("the {name} {value}" in template.lower() for template in words.RESTATEMENTS)
