"""Trees through a `Transformer`: `Transformer.forward`, but what comes before a token is what is above it.

A sequence that is a path of a tree gets what it would get in a row of its own, for all that a token takes from
others comes by three ways, and each is told the tree here: attention by the mask, positions by the depth, the short
convolution by the parents. Logits, the largest array, are made only at nodes that something is predicted from.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import attrs
import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor
from torch.nn import functional

from gptlab.benchmarks.continuations import Continuation
from gptlab.benchmarks.prefix_trees import PrefixTree
from gptlab.models.attention import Attend
from gptlab.models.transformer import Block, ShortConv, Transformer, rotary_angles

MOST_LOGITS = 2**23
"""Numbers of logits that are there at a time (32 MiB): they are read three times, and so best from a cache."""


@attrs.frozen(kw_only=True, eq=False)
class Likelihood:
    """What a model made of one continuation.

    Attributes:
        log_probs: of each token, in nats.
        ranks: of each token how many others the model finds likelier; None for a model that gives no logits.
    """

    log_probs: Float64[np.ndarray, "tokens"]
    ranks: Int64[np.ndarray, "tokens"] | None

    @property
    def total(self) -> float:
        """The logarithm of the probability of all of it."""
        return float(self.log_probs.sum())

    def is_within(self, k: int) -> bool:
        """Whether every token is among the `k` likeliest."""
        assert self.ranks is not None
        return bool((self.ranks < k).all())


@torch.inference_mode()
def score_trees(
    network: Transformer, trees: Sequence[PrefixTree], continuations: Sequence[Continuation]
) -> list[tuple[int, Likelihood]]:
    """One batch of trees.

    Args:
        network: in evaluation mode.
        trees: of `prefix_trees`; padded to the largest.
        continuations: that they were made of.

    Returns:
        The number of each continuation in the trees, and its likelihood.
    """
    states = _states(network, trees)
    size = states.shape[1]
    asked = [
        (number, row * size + nodes.astype(np.int64))
        for row, tree in enumerate(trees)
        for number, nodes in tree.asked
    ]
    places = np.concatenate([nodes for _, nodes in asked])
    targets = np.concatenate([np.array(continuations[number].tokens, np.int64) for number, _ in asked])
    nodes, which = np.unique(places, return_inverse=True)
    log_probs, ranks = _predicted(network, states.flatten(0, 1), nodes, which, targets)
    ends = np.cumsum([len(own) for _, own in asked])
    parts = zip(asked, np.split(log_probs, ends[:-1]), np.split(ranks, ends[:-1]), strict=True)
    return [(number, Likelihood(log_probs=own, ranks=of_own)) for (number, _), own, of_own in parts]


def _states(network: Transformer, trees: Sequence[PrefixTree]) -> Float[Tensor, "trees nodes width"]:
    """The residual stream after the last block."""
    cfg, device = network.cfg, network.embedding.weight.device
    size = max(map(len, trees))
    depths = _padded([tree.depths for tree in trees], size, device)
    parents = _padded([tree.parents for tree in trees], size, device, -1)
    x: Tensor = network.embedding(_padded([tree.tokens for tree in trees], size, device))
    rotation = None
    if network.position_embedding is not None:
        x = x + network.position_embedding(depths)
    else:
        rotation = rotary_angles(depths, cfg.head_size, cfg.rope_base, cfg.rope_scaling)
    x = network.embedding_norm(x)
    attend = _attention(trees, size, device)
    above = _above(parents, cfg.short_conv - 1)
    for block in cast(Iterable[Block], network.blocks):
        normed = block.attention_norm(x)
        if block.conv is not None:
            normed = _convolved(block.conv, normed, above)
        x = x + block.attention(normed, rotation, attend)
        x = x + block.mlp(block.mlp_norm(x))
    return x


def _padded(
    arrays: Sequence[Int[np.ndarray, "_"]], size: int, device: torch.device, filler: int = 0
) -> Int64[Tensor, "trees nodes"]:
    out = np.full((len(arrays), size), filler, np.int64)
    for row, array in enumerate(arrays):
        out[row, : len(array)] = array
    return torch.as_tensor(out, device=device)


def _attention(trees: Sequence[PrefixTree], size: int, device: torch.device) -> Attend:
    """Each node sees itself and what is above it. Nobody looks at padding, which comes last and sees itself."""
    if all(tree.is_chain for tree in trees):
        return partial(_attend, None)
    ends = _padded([tree.ends for tree in trees], size, device)
    index = torch.arange(size, device=device)
    ends = torch.where(ends > 0, ends, index + 1)
    seen = (index[:, None] >= index) & (index[:, None] < ends[:, None, :])
    return partial(_attend, seen[:, None])


def _attend(
    seen: Bool[Tensor, "trees 1 nodes nodes"] | None, queries: Tensor, keys: Tensor, values: Tensor
) -> Float[Tensor, "trees heads nodes size"]:
    return functional.scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=seen,
        is_causal=seen is None,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )


def _above(parents: Int64[Tensor, "trees nodes"], most: int) -> list[Int64[Tensor, "trees nodes"]]:
    """For each distance 1 to `most` which node is so far above each, counted from 1; 0 for none."""
    first = functional.pad(parents + 1, (1, 0))  # place 0 stands for none, whose parent is none
    found = [first[:, 1:]]
    while len(found) < most:
        found.append(first.gather(1, found[-1]))
    return found[: max(most, 0)]


def _convolved(
    conv: ShortConv, x: Float[Tensor, "trees nodes width"], above: list[Int64[Tensor, "trees nodes"]]
) -> Float[Tensor, "trees nodes width"]:
    """`ShortConv` along the paths of the trees."""
    taps = conv.weight[:, 0]
    out = x * (1 + taps[0])
    with_none = functional.pad(x, (0, 0, 1, 0))
    row = torch.arange(x.shape[0], device=x.device)[:, None]
    for tap, place in zip(taps[1:], above, strict=True):
        out = torch.addcmul(out, with_none[row, place], tap)
    return out


def _predicted(
    network: Transformer,
    states: Float[Tensor, "places width"],
    nodes: Int64[np.ndarray, "nodes"],
    which: Int64[np.ndarray, "tokens"],
    targets: Int64[np.ndarray, "tokens"],
) -> tuple[Float64[np.ndarray, "tokens"], Int64[np.ndarray, "tokens"]]:
    """Log-probability and rank of each target, some nodes at a time.

    Args:
        network: whose output layer it is.
        states: of all nodes.
        nodes: that something is predicted from.
        which: of `nodes`, by index, for each target.
        targets: what is predicted.
    """
    log_probs, ranks = np.zeros(len(targets)), np.zeros(len(targets), np.int64)
    order = np.argsort(which, kind="stable")
    step = max(1, MOST_LOGITS // network.cfg.vocab_size)
    for start in range(0, len(nodes), step):
        part = torch.as_tensor(nodes[start : start + step], device=states.device)
        logits = network.logits(network.final_norm(states[part][None]))[0].float()
        first, last = np.searchsorted(which[order], [start, start + step])
        mine = order[first:last]
        row = torch.as_tensor(which[mine] - start, device=states.device)
        target = torch.as_tensor(targets[mine], device=states.device)
        own = logits[row, target]
        is_one_each = len(mine) == len(part)  # then the rows are in order, and nothing is copied
        likelier = (logits if is_one_each else logits[row]) > own[:, None]
        log_probs[mine] = (own - torch.logsumexp(logits, dim=-1)[row]).double().cpu().numpy()
        ranks[mine] = likelier.sum(dim=-1).cpu().numpy()
    return log_probs, ranks
