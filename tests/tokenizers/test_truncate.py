"""Cutting keeps a prefix, end-of-text, and exactly the links that are complete within it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlab.pipeline import Drops, watching
from gptlab.tokenizers import TokenizerError, Truncate
from gptlab.types import DocumentId, TokenizedDocument


@st.composite
def documents(draw: st.DrawFn) -> TokenizedDocument:
    length = draw(st.integers(1, 40))
    positions = sorted(draw(st.sets(st.integers(0, length - 1), max_size=6)))
    return TokenizedDocument(
        id=DocumentId("A"),
        title="A",
        tokens=np.append(np.arange(length), 999).astype(np.uint16),
        link_positions=np.array(positions, np.int32),
        link_targets=tuple(DocumentId(f"T{position}") for position in positions),
    )


@given(documents(), st.integers(2, 50))
def test_a_cut_document_is_a_prefix_and_every_lost_link_is_counted(document: TokenizedDocument, limit: int) -> None:
    with watching(Drops()) as drops:
        [cut] = Truncate(limit)(iter([document]))
    assert len(cut.tokens) == min(limit, len(document.tokens))
    assert cut.tokens[-1] == 999
    assert cut.tokens[:-1].tolist() == document.tokens[: len(cut.tokens) - 1].tolist()
    inside = [place for place in document.link_positions.tolist() if place < len(cut.tokens) - 1]
    assert cut.link_positions.tolist() == inside
    assert cut.link_targets == document.link_targets[: len(inside)]
    lost = len(document.link_targets) - len(inside)
    assert drops.counts["link cut off with the end of its document"] == lost
    assert drops.counts["end of a long document (it is cut)"] == (len(document.tokens) > limit)


def test_a_cut_to_nothing_is_refused() -> None:
    with pytest.raises(TokenizerError, match="a whole number of at least 2\n  One is end-of-text"):
        Truncate(1)
