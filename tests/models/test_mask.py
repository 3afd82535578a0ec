"""The dense mask against three loops, and what must hold of any mask."""

import pytest
import torch
from hypothesis import given, settings
from packs import SPECS, batches, plain_mask

from gptlab.models import MaskSpec, dense_mask
from gptlab.models.mask import reach_by_token
from gptlab.types import Batch


def mask_of(batch: Batch, spec: MaskSpec) -> torch.Tensor:
    return dense_mask(torch.from_numpy(batch.documents), torch.from_numpy(batch.edges), spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches())
@settings(max_examples=25)
def test_mask_is_its_definition_in_plain_loops(spec: MaskSpec, batch: Batch) -> None:
    mask = mask_of(batch, spec)
    for row in range(len(mask)):
        edges = [(int(a), int(b), int(c)) for a, b, c in batch.edges[row] if a >= 0]
        assert mask[row].tolist() == plain_mask(batch.documents[row].tolist(), edges, spec)


@given(batch=batches())
def test_each_mask_shows_at_least_what_the_stricter_one_shows(batch: Batch) -> None:
    document, from_link, whole, causal = (
        mask_of(batch, MaskSpec(kind)) for kind in ("document", "from_link", "whole_document", "causal")
    )
    ancestors = mask_of(batch, MaskSpec("from_link", ancestors=True))
    assert (document <= from_link).all()
    assert (from_link <= whole).all()
    assert (from_link <= ancestors).all()
    assert (whole <= causal).all()
    assert (ancestors <= causal).all()


@pytest.mark.parametrize("spec", SPECS, ids=str)
@given(batch=batches())
@settings(max_examples=25)
def test_nobody_sees_the_future_or_padding_and_everybody_sees_itself(spec: MaskSpec, batch: Batch) -> None:
    mask = mask_of(batch, spec)
    seq = mask.shape[1]
    assert not mask.triu(1).any()
    assert mask[:, range(seq), range(seq)].all()
    padding = torch.from_numpy(batch.documents) < 0
    off_diagonal = mask & ~torch.eye(seq, dtype=torch.bool)
    assert not off_diagonal[padding].any()
    assert not off_diagonal.transpose(1, 2)[padding].any()


@given(batch=batches())
def test_within_a_segment_the_reach_does_not_change(batch: Batch) -> None:
    documents, edges = torch.from_numpy(batch.documents), torch.from_numpy(batch.edges)
    if not (documents >= 0).any():
        return
    reach = reach_by_token(documents, edges, MaskSpec("from_link"))
    for row in range(len(reach)):
        completes = set(batch.edges[row][:, 2].tolist())
        for token in range(1, reach.shape[1]):
            if token not in completes and documents[row, token] == documents[row, token - 1]:
                assert torch.equal(reach[row, token], reach[row, token - 1])


def test_a_link_opens_its_target_at_the_token_that_completes_it() -> None:
    documents, edges = torch.tensor([[0, 1, 1, 1]]), torch.tensor([[[1, 0, 2]]])
    assert dense_mask(documents, edges, MaskSpec("from_link"))[0, :, 0].tolist() == [True, False, True, True]
    assert dense_mask(documents, edges, MaskSpec("whole_document"))[0, :, 0].tolist() == [True, True, True, True]


def test_ancestors_come_whole_through_a_chain_of_links() -> None:
    documents = torch.tensor([[0, 1, 1, 2, 2, 3]])
    edges = torch.tensor([[[1, 0, 2], [2, 1, 4], [3, 2, 5]]])
    direct = dense_mask(documents, edges, MaskSpec("from_link"))[0]
    through = dense_mask(documents, edges, MaskSpec("from_link", ancestors=True))[0]
    assert direct[5].int().tolist() == [0, 0, 0, 1, 1, 1]
    assert through[5].int().tolist() == [1, 1, 1, 1, 1, 1]
    assert through[3].int().tolist() == [0, 0, 0, 1, 0, 0]


def test_ancestors_come_through_a_chain_of_any_length() -> None:
    documents = torch.arange(20)[None]
    chain = torch.tensor([[(number, number - 1, number) for number in range(1, 20)]])
    assert dense_mask(documents, chain, MaskSpec("from_link", ancestors=True))[0].equal(
        torch.ones(20, 20, dtype=torch.bool).tril()
    )


def test_refuses_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="Links of links are given") as caught:
        MaskSpec("ancestors")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "MaskSpec.kind\n"
        "  got     'ancestors'\n"
        "  wanted  one of 'causal', 'document', 'from_link', 'whole_document'\n"
        "  Links of links are given by ancestors=True."
    )


def test_refuses_ancestors_where_no_link_is_followed() -> None:
    with pytest.raises(ValueError, match="True with kind 'document'"):
        MaskSpec("document", ancestors=True)
