"""Random linked corpora and walks, for the tests of the graph and of packing."""

import random
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np

from gptlab.graph import (
    BestFirst,
    BreadthFirst,
    DepthFirst,
    DocumentTable,
    Follow,
    PageRankPerToken,
    RandomOrder,
    RandomWalk,
    ShortestFirst,
    Split,
)
from gptlab.graph.link_graph import FLAGS
from gptlab.graph.traverse import walk_of
from gptlab.types import DocumentId, TokenizedDocument, Walk

END = 9
"""End-of-text in these corpora; all other tokens are smaller."""


def document(name: str, tokens: list[int], links: list[tuple[int, str]] = (), **more: object) -> TokenizedDocument:
    """A document written down in a test; end-of-text is added."""
    return TokenizedDocument(
        id=DocumentId(name),
        title=more.pop("title", name),
        tokens=np.array([*tokens, END], more.pop("dtype", np.uint16)),
        link_positions=np.array([position for position, _ in links], np.int32),
        link_targets=tuple(DocumentId(target) for _, target in links),
        **more,
    )


@st.composite
def corpora(draw: st.DrawFn, min_size: int = 1, max_size: int = 8, max_tokens: int = 12) -> list[TokenizedDocument]:
    """Documents that link to each other, to themselves, twice to one, and to nothing."""
    size = draw(st.integers(min_size, max_size))
    dtype = draw(st.sampled_from([np.uint16, np.uint32]))
    names = [f"D{number}" for number in range(size)]
    documents = []
    for name in names:
        tokens = draw(st.lists(st.integers(0, END - 1), max_size=max_tokens))
        positions = sorted(draw(st.lists(st.integers(0, len(tokens) - 1), max_size=6))) if tokens else []
        targets = [draw(st.sampled_from([*names, "Nowhere", "Void"])) for _ in positions]
        flags = draw(st.frozensets(st.sampled_from(FLAGS)))
        title = draw(st.sampled_from(["", "T", "Ünï"]))
        links = list(zip(positions, targets, strict=True))
        documents.append(document(name, tokens, links, dtype=dtype, flags=flags, title=title))
    return documents


follows = st.builds(
    Follow,
    st.sampled_from(["out", "in", "both"]),
    max_in_degree=st.none() | st.integers(0, 3),
    exclude=st.frozensets(st.sampled_from(FLAGS)),
    shuffle=st.booleans(),
)
policies = st.one_of(
    st.builds(BreadthFirst, follows),
    st.builds(DepthFirst, follows),
    st.builds(RandomWalk, follows, restart=st.floats(0, 1), patience=st.integers(1, 20)),
    st.just(RandomOrder()),
    st.builds(
        BestFirst,
        follows,
        score=st.builds(PageRankPerToken, restart=st.floats(0.05, 1), epsilon=st.sampled_from([1e-5, 1e-3, 0.1])),
    ),
    st.builds(ShortestFirst, follows),
)
regimes = st.sampled_from([{}, {"regime": "cover_once"}, {"max_repeats": 2}, {"max_repeats": 5}])
tours = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**64 - 1),
        "budget": st.integers(1, 60),
        "fill": st.booleans(),
        "epochs": st.integers(1, 2),
        "roots": st.none() | st.builds(Split, st.just("train"), st.just(0.4)),
        "exclude": st.sampled_from([frozenset(), frozenset({"list"}), frozenset(FLAGS)]),
    }
)
"""Settings of `TraverseLinks`, apart from its regime."""


@st.composite
def walks(draw: st.DrawFn, **limits: int) -> Walk:
    """A walk over some documents of a corpus, reached in any order."""
    documents = draw(corpora(**limits))
    reached = draw(st.lists(st.integers(0, len(documents) - 1), unique=True, min_size=1))
    # Run-time checks look at a random item of a list, and a strategy may not leave `random` in another state.
    state = random.getstate()
    walk = walk_of(DocumentTable.from_documents(documents), reached)
    random.setstate(state)
    return walk


@st.composite
def edge_lists(draw: st.DrawFn, max_documents: int = 7) -> tuple[int, list[tuple[int, int, int]]]:
    """Some documents, and edges between them in any order, one per pair."""
    count = draw(st.integers(1, max_documents))
    pairs = [(linker, target) for linker in range(count) for target in range(count) if linker != target]
    chosen = draw(st.permutations(pairs))[: draw(st.integers(0, len(pairs)))]
    return count, [(linker, target, draw(st.integers(0, 5))) for linker, target in chosen]


def power_law_corpus(size: int, links: float, length: int, seed: int = 0) -> Iterator[TokenizedDocument]:
    """A corpus in which few documents get most links, as in an encyclopedia."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, size + 1) ** 0.8
    for number in range(size):
        tokens = rng.integers(0, END, max(8, int(rng.lognormal(np.log(length), 0.6)))).tolist()
        count = min(len(tokens), int(rng.poisson(links)))
        positions = np.sort(rng.choice(len(tokens), count, replace=False)).tolist()
        targets = rng.choice(size, count, p=weights / weights.sum()).tolist()
        yield document(f"D{number}", tokens, [(p, f"D{t}") for p, t in zip(positions, targets, strict=True)])
