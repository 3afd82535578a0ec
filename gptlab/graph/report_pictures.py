"""The pictures of a report on a link graph. Imported only when one is drawn: matplotlib takes half a second."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from jaxtyping import Bool, Integer
from matplotlib.colors import ListedColormap
from matplotlib.patches import FancyArrowPatch, Rectangle

from gptlab.graph.report_figures import RowLinks
from gptlab.pictures import BLUE, HAIR, ORANGE, SKY, VERMILION, drawable, families, new_figure, plain_axes, save
from gptlab.types import Walk

_MOST_POINTS = 1024
_MOST_TITLE = 28


def draw_degrees(into: Integer[np.ndarray, "d"], out_of: Integer[np.ndarray, "d"], path: Path) -> Path:
    """The share of documents that have at least so many links, in and out."""
    figure, axes = _figure(6.4, 4.2)
    for values, colour, label in ((into, BLUE, "links to it"), (out_of, ORANGE, "links from it")):
        degrees = np.sort(values)[::-1]
        axes.step(degrees + 1, np.arange(1, len(degrees) + 1) / len(degrees), color=colour, label=label)
    axes.set(
        xscale="log", yscale="log", xlabel="links of a document, plus 1", ylabel="share of documents with so many"
    )
    axes.legend(frameon=False)
    return _save(figure, path)


def draw_lengths(lengths: Integer[np.ndarray, "d"], path: Path) -> Path:
    """Tokens per document."""
    figure, axes = _figure(6.4, 4.2)
    bins = np.geomspace(lengths.min(), lengths.max() + 1, 50)
    axes.hist(lengths, bins=bins, color=BLUE)
    axes.axvline(float(np.median(lengths)), color=VERMILION, label=f"median {np.median(lengths):,.0f}")
    axes.set(xscale="log", xlabel="tokens of a document", ylabel="documents")
    axes.legend(frameon=False)
    return _save(figure, path)


def draw_components(weak: Integer[np.ndarray, "w"], strong: Integer[np.ndarray, "s"], path: Path) -> Path:
    """Sizes of components by rank."""
    figure, axes = _figure(6.4, 4.2)
    for sizes, colour, label in ((weak, BLUE, "links either way"), (strong, ORANGE, "links both ways (strong)")):
        axes.plot(np.arange(1, len(sizes) + 1), sizes, marker=".", color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="rank of the component", ylabel="documents in it")
    axes.legend(frameon=False)
    return _save(figure, path)


def draw_policies(found: Mapping[int, Mapping[str, RowLinks]], path: Path) -> Path:
    """What becomes of the links of the documents in a row, by policy and length of the row."""
    names = list(next(iter(found.values())))
    figure, _ = _figure(4.0 * len(found) + 2.4, 0.45 * len(names) + 1.6, panels=len(found))
    parts = (("kept", BLUE), ("cut", SKY), ("cycle", ORANGE), ("outside", HAIR))
    labels = ("kept", "cut off at the end", "would close a cycle", "target not in the row")
    for axes, (seq_len, by_policy) in zip(figure.axes, found.items(), strict=True):
        left = np.zeros(len(names))
        for (part, colour), label in zip(parts, labels, strict=True):
            shares = np.array([getattr(by_policy[name], part) / max(1, by_policy[name].edges) for name in names])
            axes.barh(names, shares, left=left, color=colour, label=label)
            left += shares
        for place, name in enumerate(names):
            axes.text(0.99, place, f"{by_policy[name].share:.1%}", ha="right", va="center", fontsize=9)
        axes.set(xlim=(0, 1), title=f"rows of {seq_len:,} tokens", xlabel="share of the links between documents")
        axes.grid(visible=False)
    figure.axes[0].invert_yaxis()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), ncols=4, frameon=False, loc="outside lower center")
    return _save(figure, path)


def draw_pack(walk: Walk, seq_len: int, path: Path) -> Path:
    """One row: who may see what, and beside it the documents as blocks and their links as arcs."""
    lengths = np.array([len(document.tokens) for document in walk.documents])
    lengths[int(walk.visited.argmax())] -= max(0, int(lengths.sum()) - seq_len)
    starts = np.cumsum(lengths) - lengths
    figure, _ = _figure(10.5, 5.8, panels=2)
    left, right = figure.axes
    seen, step = mask_of(walk, lengths)
    own, _ = mask_of(attrs.evolve(walk, edges=np.empty((0, 3), np.int32)), lengths)
    colours, end = ListedColormap(["white", BLUE, VERMILION]), len(seen) * step
    shade = seen.astype(np.int8) + (seen & ~own)
    left.imshow(shade, extent=(0, end, end, 0), cmap=colours, vmin=0, vmax=2, interpolation="nearest", aspect="auto")
    left.set(xlabel="token that is read", ylabel="token that reads")
    left.set_title("what each token reads: its own document, and what it links to", fontsize=10)
    left.grid(visible=False)
    right.set(xlim=(-1.0, 2.2), ylim=(end, 0))
    right.set_title("documents, targets first, and their links", fontsize=10)
    right.set_axis_off()
    for start, length, document in zip(starts.tolist(), lengths.tolist(), walk.documents, strict=True):
        right.add_patch(Rectangle((0, start), 0.25, length, facecolor=SKY, edgecolor="white"))
        if length > 0.012 * lengths.sum():
            title = drawable(document.title[:_MOST_TITLE])
            place = {"va": "center", "fontsize": 8, "fontfamily": list(families()), "parse_math": False}
            right.text(0.3, start + length / 2, title, **place)
    for linker, target, position in walk.edges.tolist():
        if position < lengths[linker] - 1:
            ends = (0, starts[linker] + position), (0, starts[target] + lengths[target] / 2)
            right.add_patch(
                FancyArrowPatch(
                    *ends, connectionstyle="arc3,rad=-0.5", arrowstyle="->", mutation_scale=8, color=VERMILION, lw=0.8
                )
            )
    return _save(figure, path)


def mask_of(walk: Walk, lengths: Integer[np.ndarray, "documents"]) -> tuple[Bool[np.ndarray, "points points"], int]:
    """What each token may see of the others, and of how many tokens each point is the first.

    A token sees its own document up to itself and, from the token on that completes a link, the whole target.
    """
    step = -(-int(lengths.sum()) // _MOST_POINTS)
    tokens = np.arange(0, int(lengths.sum()), step)
    owner = np.repeat(np.arange(len(lengths)), lengths)[tokens]
    starts = np.cumsum(lengths) - lengths
    seen = (owner[:, None] == owner[None, :]) & (tokens[:, None] >= tokens[None, :])
    for linker, target, position in walk.edges.tolist():
        reads = (owner == linker) & (tokens >= starts[linker] + position)
        seen |= reads[:, None] & (owner == target)[None, :]
    return seen, step


def _figure(width: float, height: float, panels: int = 1) -> tuple[Any, Any]:
    """A figure and the last of its axes; two that show different things do not share their height."""
    figure = new_figure(width, height, "constrained")
    every: Sequence[Any] = figure.subplots(1, panels, squeeze=False, sharey=panels > 1 and width != 10.5)[0]
    for axes in every:
        plain_axes(axes, "", "")
    return figure, every[-1]


def _save(figure: Any, path: Path) -> Path:
    return save(figure, path, dpi=150)
