"""Text as it really comes: what Unicode allows and people forget.

Half surrogate pairs are left out unless asked for: they are no Unicode text, no file holds them, and most libraries
refuse them. Everything else is fair: combining marks, both directions, zero-width characters, letters whose upper
case is two letters, emoji of several code points, line ends that are not `\\n`.
"""

import functools

from hypothesis import strategies as st

from gptlab.types import DocumentId, document_id

NASTY = (
    "",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\u2028",  # ends a line for `splitlines`, and for nobody else
    "\u00a0",  # a space that is no ASCII space
    "e\u0301",  # an accent of its own: two characters that NFC makes one
    "\u00e9",
    "\u0130i\u0131I",  # whose lower case depends on the language, and is longer than they are
    "\u00df",  # whose upper case is two letters
    "\ufb01",  # a ligature
    "\u200b\u200d\ufeff",  # nothing to see
    "\u202ecba\u202c",  # right to left by force
    "\u05e9\u05dc\u05d5\u05dd",
    "\u6f22\u5b57",
    "\U0001f469\u200d\U0001f4bb",  # one picture, three characters, eleven bytes
    "\U0010ffff",
    "[a](B)",
    "](",
    "\\",
    "%28",
    "<|endoftext|>",
    "# ",
    "../../etc/passwd",
)
"""Pieces that each have broken some program."""

HALVES = ("\ud83d", "\udc69")
"""Halves of a surrogate pair, which are no text without each other."""


@functools.cache  # making a strategy costs more than drawing from it
def nasty_text(*, max_size: int = 40, surrogates: bool = False) -> st.SearchStrategy[str]:
    """Any text, rich in its nasty parts; shrinks to the empty one.

    Args:
        max_size: characters in the parts that are drawn one by one.
        surrogates: whether half surrogate pairs may stand in it.
    """
    characters = st.characters() if surrogates else st.characters(codec="utf-8")
    plain = st.text(characters, max_size=max_size)
    known = (*NASTY, *HALVES) if surrogates else NASTY  # one character in 500 would be a half by chance alone
    pieces = st.lists(st.sampled_from(known) | st.text(characters, max_size=3), max_size=6).map("".join)
    return st.text(st.sampled_from("ab \n"), max_size=max_size) | pieces | plain


@functools.cache
def titles() -> st.SearchStrategy[str]:
    """Titles whose identity is not empty; shrink to `A`."""
    return (st.sampled_from(["A", "Cat", "WHO", "Mercury (planet)", "C++", "100%"]) | nasty_text(max_size=12)).filter(
        document_id
    )


@functools.cache
def document_ids() -> st.SearchStrategy[DocumentId]:
    """Identities as `document_id` makes them."""
    return titles().map(document_id)
