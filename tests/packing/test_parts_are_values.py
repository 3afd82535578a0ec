"""Every part is its configuration: it can be written down, read again, compared and fingerprinted."""

import attrs
import pytest

from gptlab.graph import BreadthFirst, DepthFirst, Follow, RandomOrder, RandomWalk, Split, TraverseLinks
from gptlab.packing import BestFit, Collate, Concatenate, FitRest, Pack
from gptlab.storage import fingerprint, from_config, to_config
from gptlab.storage.jsonfiles import parse_json, pretty_json

PARTS = [
    Split("held_out", fraction=0.25, seed=3),
    TraverseLinks(BreadthFirst(Follow("both", max_in_degree=100, exclude=frozenset({"list"}))), seed=1, budget=256),
    TraverseLinks(DepthFirst(Follow(shuffle=True)), fill=False, epochs=3),
    TraverseLinks(RandomWalk(restart=0.3, patience=9), roots=Split("train")),
    TraverseLinks(RandomOrder()),
    Pack(256, min_document=4),
    Pack(256, excess=FitRest(), max_document=64),
    BestFit(256, window=8),
    Concatenate(1024),
    Collate(8, drop_last=True),
]


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_part_is_the_same_after_it_was_written_down(part):
    assert from_config(parse_json(pretty_json(to_config(part)))) == part


def test_parts_that_differ_have_other_fingerprints():
    assert len({fingerprint(part) for part in PARTS}) == len(PARTS)
    first = PARTS[1]
    assert fingerprint(first) != fingerprint(attrs.evolve(first, seed=2))


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_part_cannot_be_changed(part):
    field = attrs.fields(type(part))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(part, field, None)
