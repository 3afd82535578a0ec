"""The kernels: one contract, made once per batch and shared by all layers.

`dense` is PyTorch's attention under the dense mask, and the definition.
"""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from gptlab.models.mask import MaskSpec, dense_mask

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries `[batch heads seq size]`, keys and values `[batch key_heads seq size]` to outputs like the queries."""


def dense_attention(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Attend:
    """Attention with every pair of tokens computed and the unseen ones thrown away.

    >>> import torch
    >>> no_edges = torch.zeros(1, 0, 3, dtype=torch.int32)
    >>> attend = dense_attention(torch.tensor([[0, 1]]), no_edges, MaskSpec("document"))
    >>> values = torch.tensor([[[[1.0], [3.0]]]])
    >>> attend(values, values, values).flatten().tolist()
    [1.0, 3.0]
    """
    is_causal = spec.kind == "causal" and not bool((documents < 0).any())
    mask = None if is_causal else dense_mask(documents, edges, spec)[:, None]

    def attend(
        queries: Float[Tensor, "batch heads seq size"],
        keys: Float[Tensor, "batch key_heads seq size"],
        values: Float[Tensor, "batch key_heads seq size"],
    ) -> Float[Tensor, "batch heads seq size"]:
        return scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=is_causal,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )

    return attend
