"""Which tokens a token may see: one dense definition, from which every kernel is an optimisation.

A row holds documents back to back, targets before their linkers. A query sees its own document up to itself,
and the documents that its own document links to: once the link is complete (`from_link`), or from the linker's
first token on (`whole_document`). So between two tokens of one document where no link completes, nothing changes
but the causal edge; such a run of tokens is a *segment*, and what it sees besides its own document is one row of
a small boolean table, `reach[segment, document]`. `dense_mask` is that table, spread out over tokens.
"""

from typing import Literal, get_args

import attrs
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gptlab.types.errors import refusal
from gptlab.types.validators import one_of

MaskKind = Literal["causal", "document", "from_link", "whole_document"]


@attrs.frozen
class MaskSpec:
    """What a token may see, besides its own document up to itself.

    Attributes:
        kind: `document`: nothing else. `causal`: everything earlier in the row, whatever document it is in.
            `from_link`: all of a document that its own links to, once the link is complete.
            `whole_document`: the same, for every token of the linker.
        ancestors: a document that is seen through a link also shows what it can reach itself by its own
            links, and they by theirs, all of each.

    >>> MaskSpec("from_link", ancestors=True)
    MaskSpec(kind='from_link', ancestors=True)
    """

    kind: MaskKind = attrs.field(
        default="from_link",
        validator=one_of(get_args(MaskKind), "Links of links are given by ancestors=True."),
    )
    ancestors: bool = False

    def __attrs_post_init__(self) -> None:
        if self.ancestors and not self.follows_links:
            raise refusal(
                "MaskSpec.ancestors",
                got=f"True with kind {self.kind!r}",
                wanted="a kind that follows links: from_link or whole_document",
                do="Leave ancestors out, or choose such a kind.",
            )

    @property
    def follows_links(self) -> bool:
        """Whether edges change what is seen."""
        return self.kind in ("from_link", "whole_document")


def dense_mask(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Bool[Tensor, "batch seq seq"]:
    """The definition: `mask[b, query, key]` is whether the query sees the key.

    Padding (document -1) sees itself alone, so that no softmax is over nothing, and nobody sees it.

    Args:
        documents: number of each token's document within its row; -1 for padding, which ends the row.
        edges: (linker, target, position) as in `Batch`; rows of -1 are no edges.
        spec: which of the masks.

    >>> two_documents = torch.tensor([[0, 0, 1, 1]])
    >>> dense_mask(two_documents, torch.tensor([[[1, 0, 3]]]), MaskSpec("from_link"))[0].int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    index = torch.arange(documents.shape[1], device=documents.device)
    earlier = index[:, None] >= index
    real = documents >= 0
    both_real = real[:, :, None] & real[:, None, :]
    if spec.kind == "causal":
        seen = earlier & both_real
    else:
        seen = earlier & both_real & (documents[:, :, None] == documents[:, None, :])
    if spec.follows_links and edges.shape[1] > 0 and documents.numel() > 0:
        reach = reach_by_token(documents, edges, spec)
        key_document = documents.clamp(min=0)[:, None, :].expand(-1, documents.shape[1], -1)
        seen = seen | (reach.gather(2, key_document.long()) & both_real)
    return seen | (index[:, None] == index)


def reach_by_token(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Bool[Tensor, "batch seq documents"]:
    """Which documents each query sees through links: the reach table with the row of its segment for every token.

    >>> reach_by_token(torch.tensor([[0, 1, 1]]), torch.tensor([[[1, 0, 2]]]), MaskSpec("from_link"))[0].int()
    tensor([[0, 0],
            [0, 0],
            [1, 0]], dtype=torch.int32)
    """
    count = int(documents.max()) + 1
    linker, target, position = edges.unbind(-1)
    is_edge = linker >= 0
    index = torch.arange(documents.shape[1], device=documents.device)
    opened = (documents[:, :, None] == linker[:, None, :]) & is_edge[:, None, :]
    if spec.kind == "from_link":
        opened = opened & (index[:, None] >= position[:, None, :])
    numbers = torch.arange(count, device=documents.device)
    to_document = (target[:, :, None] == numbers) & is_edge[:, :, None]
    reach = _any_product(opened, to_document)
    if spec.ancestors:
        from_document = (linker[:, :, None] == numbers) & is_edge[:, :, None]
        links_to = _any_product(from_document.transpose(1, 2), to_document)
        reach = reach | _any_product(reach, _closure(links_to))
    return reach


def _closure(links_to: Bool[Tensor, "batch documents documents"]) -> Bool[Tensor, "batch documents documents"]:
    """What each document comes to by one link or more: squaring doubles the length of the paths known."""
    longest = 1
    while longest < links_to.shape[-1]:
        links_to = links_to | _any_product(links_to, links_to)
        longest *= 2
    return links_to


def _any_product(left: Bool[Tensor, "batch a b"], right: Bool[Tensor, "batch b c"]) -> Bool[Tensor, "batch a c"]:
    """`any over b of left[a, b] and right[b, c]`; floats, for matrix products know no booleans."""
    return torch.bmm(left.float(), right.float()) > 0
