"""Splits: a partition that depends on the identity alone, and never changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.graph import Split
from gptlab.types import Document, DocumentId


def documents(count):
    return [Document(id=DocumentId(f"D{number}"), title="", text="") for number in range(count)]


@given(st.lists(st.text(), unique=True), st.floats(0, 1), st.integers(0, 99))
def test_every_document_is_in_one_part(names, fraction, seed):
    parts = [Split(part, fraction=fraction, seed=seed) for part in ("train", "held_out")]
    for name in names:
        assert sum(part.takes(DocumentId(name)) for part in parts) == 1


def test_parts_keep_the_order_and_have_the_size_asked_for():
    everything = documents(5000)
    train = list(Split("train", fraction=0.1)(iter(everything)))
    held_out = list(Split("held_out", fraction=0.1)(iter(everything)))
    assert sorted([*train, *held_out], key=lambda each: int(each.id[1:])) == everything
    kept = {each.id for each in train}
    assert train == [each for each in everything if each.id in kept]
    assert 430 < len(held_out) < 570
    assert list(Split("held_out", fraction=0.0)(iter(everything))) == []
    assert list(Split("held_out", fraction=1.0)(iter(everything))) == everything


def test_more_held_out_includes_what_was_held_out():
    small = {each.id for each in Split("held_out", fraction=0.1)(iter(documents(500)))}
    assert small < {each.id for each in Split("held_out", fraction=0.3)(iter(documents(500)))}
    assert small != {each.id for each in Split("held_out", fraction=0.1, seed=1)(iter(documents(500)))}


def test_it_is_lazy():
    def endless():
        number = 0
        while True:
            yield Document(id=DocumentId(f"D{number}"), title="", text="")
            number += 1

    assert next(Split("train")(endless())).id.startswith("D")


def test_the_split_never_changes():
    held_out = [each.id for each in Split("held_out")(iter(documents(60)))]
    assert held_out == ["D21", "D28", "D39", "D44"]


def test_bad_settings_are_refused():
    with pytest.raises(ValueError) as error:
        Split("test")
    assert str(error.value) == (
        "Split.part\n  got     'test'\n  wanted  one of 'train', 'held_out'\n  Say which part to keep."
    )
    with pytest.raises(ValueError, match=r"Split.fraction\n  got     1.5\n  wanted  a number of at least 0.0 and at"):
        Split("train", fraction=1.5)
