"""Identity and link notation: laws that every other layer leans on."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.types import CaseRule, DocumentId, Link, document_id, render_link, scan_links
from gptlab.types.links import escape_code, escape_prose

titles = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
ids = titles.map(document_id).filter(bool)
# Nasty on purpose: text made of what the notation itself is made of.
prose = st.lists(st.sampled_from(["[", "]", "(", ")", "\\", "](", "a", " ", "\n", "é", "%28"])).map("".join)


@given(titles)
def test_identity_is_idempotent_and_canonical(title: str) -> None:
    once = document_id(title)
    assert document_id(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert " " not in once and not once.startswith("_")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("who", "Who"),
        ("WHO", "WHO"),
        ("alan  turing_", "Alan_turing"),
        ("éclair", "Éclair"),
        ("e\u0301clair", "Éclair"),
        ("ßx", "ßx"),
        ("\u200eCat", "Cat"),
        (" ", ""),
    ],
)
def test_identity_of_known_titles(title: str, expected: str) -> None:
    assert document_id(title) == expected


@given(st.text("ab Z_\t\n\r\x0b\x1f:'", max_size=12), st.sampled_from(["first-letter", "case-sensitive"]))
def test_titles_of_plain_letters_are_read_as_all_others(title: str, rule: CaseRule) -> None:
    """With a mark of direction, which goes, a title takes the way of those that must be composed."""
    assert document_id(title + "\u200e", rule) == document_id(title, rule)


def test_case_sensitive_wikis_fold_nothing() -> None:
    assert document_id("cat", "case-sensitive") != document_id("Cat", "case-sensitive")


@given(st.lists(st.one_of(prose, st.tuples(prose, ids)), max_size=8))
def test_scanning_what_was_rendered_gives_the_carried_links(
    pieces: list[str | tuple[str, DocumentId]],
) -> None:
    text, carried, run = "", [], ""
    for piece in pieces:
        if isinstance(piece, str):
            run += piece
            continue
        text, run = text + escape_prose(run), ""
        link = render_link(*piece)
        carried.append(Link(start=len(text), end=len(text) + len(link), target=piece[1]))
        text += link
    assert scan_links(text + escape_prose(run)) == tuple(carried)


@given(prose)
def test_literal_prose_and_code_hold_no_links(text: str) -> None:
    assert scan_links(escape_prose(text)) == ()
    assert scan_links(escape_code(text)) == ()


@given(st.text(alphabet="[]()\\a\n %", max_size=300))
def test_scanning_anything_gives_ordered_disjoint_spans(text: str) -> None:
    previous = 0
    for link in scan_links(text):
        assert previous <= link.start < link.end <= len(text)
        assert text[link.start] == "[" and text[link.end - 1] == ")"
        previous = link.end


def test_scanning_is_linear_on_hostile_text() -> None:
    assert scan_links("[a](" * 250_000) == ()
    assert scan_links("[" * 1_000_000) == ()
