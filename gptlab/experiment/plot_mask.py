"""One row of a batch as a picture: what each token may see, and beside it the documents and their links.

Both halves share the vertical axis, so a link's arc begins on the line of tokens from which on its target is seen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from rich.text import Text

from gptlab.experiment.errors import ExperimentError
from gptlab.pictures import BLUE, FAINT, HAIR, INK, VERMILION, drawable, families, new_figure, save

# Inches: the picture, the square of the mask, and where the other half begins. They are set by hand because both
# halves must be equally high, which a layout engine gives up for the square's sake.
_WIDTH, _HEIGHT, _SIDE, _SIDE_END = 10.6, 6.4, 5.1, 6.0
_OWN, _LINKED, _PADDING = BLUE, VERMILION, "#EFEFEF"
_TITLE_WIDTH = 34


def plot_mask(
    mask: Bool[np.ndarray, "seq seq"],
    starts: Integer[np.ndarray, "documents"],
    titles: Sequence[str],
    edges: Integer[np.ndarray, "edges 3"],
    out: Path,
    *,
    length: int | None = None,
) -> Path:
    """Draw the mask of one row, its documents as blocks in the order of the row, and its links as arcs.

    Args:
        mask: `mask[query, key]` is whether the query token sees the key token.
        starts: where each document begins; ascending, the first is 0.
        titles: one per document; any script, an escape stands for what no font has.
        edges: (linker, target, position), as in `PackedSequence`; rows of -1 are padding.
        out: the PNG.
        length: tokens before the padding; all when None.

    Raises:
        ExperimentError: the parts do not belong to one row.
    """
    seq = mask.shape[0]
    length = seq if length is None else length
    edges = edges[edges[:, 0] >= 0]
    _check(seq, length, starts, titles, edges)
    figure = new_figure(_WIDTH, _HEIGHT)
    below = (_HEIGHT - _SIDE - 0.35) / _HEIGHT
    left = figure.add_axes((0.75 / _WIDTH, below, _SIDE / _WIDTH, _SIDE / _HEIGHT))
    right = figure.add_axes(
        (_SIDE_END / _WIDTH, below, 1 - (_SIDE_END + 0.05) / _WIDTH, _SIDE / _HEIGHT), sharey=left
    )
    ends = np.append(starts[1:], length)
    _draw_mask(left, mask, starts, ends, length)
    _draw_documents(right, starts, ends, titles, edges, seq)
    shown = [Patch(color=_OWN, label="own document, earlier tokens")]
    if (mask & ~_same_document(starts, ends, seq)).any():
        shown.append(Patch(color=_LINKED, label="other document, by a link"))
    shown.append(Patch(facecolor="white", edgecolor=FAINT, label="not seen"))
    if length < seq:
        shown.append(Patch(facecolor=_PADDING, edgecolor=FAINT, label="padding"))
    corner = (0.6 / _WIDTH, 0.0)
    figure.legend(handles=shown, ncols=len(shown), frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=corner)
    return save(figure, out)


def _check(
    seq: int,
    length: int,
    starts: Integer[np.ndarray, "documents"],
    titles: Sequence[str],
    edges: Integer[np.ndarray, "edges 3"],
) -> None:
    problem = ""
    if len(starts) == 0 or starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= length or length > seq:
        problem = f"documents starting at {starts[:8].tolist()} in {length} of {seq} tokens"
    elif len(titles) != len(starts):
        problem = f"{len(titles)} titles for {len(starts)} documents"
    elif len(edges) and (edges[:, :2].max() >= len(starts) or edges[:, 2].max() >= length):
        problem = f"an edge {edges[edges.max(axis=1).argmax()].tolist()} among {len(starts)} documents"
    if problem:
        raise ExperimentError(
            "plot_mask",
            got=problem,
            wanted="mask, starts, titles and edges of one row",
            do="Take all four from the same PackedSequence.",
        )


def _same_document(
    starts: Integer[np.ndarray, "documents"], ends: Integer[np.ndarray, "documents"], seq: int
) -> Bool[np.ndarray, "seq seq"]:
    numbers = np.searchsorted(starts, np.arange(seq), side="right")
    numbers[ends[-1] :] = -1
    return np.asarray(numbers[:, None] == numbers[None, :])


def _draw_mask(
    axes: Axes,
    mask: Bool[np.ndarray, "seq seq"],
    starts: Integer[np.ndarray, "documents"],
    ends: Integer[np.ndarray, "documents"],
    length: int,
) -> None:
    seq = mask.shape[0]
    own = _same_document(starts, ends, seq)
    picture = np.full((seq, seq, 3), 255, dtype=np.uint8)
    picture[length:, :] = picture[:, length:] = _rgb(_PADDING)
    picture[mask & own] = _rgb(_OWN)
    picture[mask & ~own] = _rgb(_LINKED)
    axes.imshow(picture, extent=(0, seq, seq, 0), interpolation="auto", aspect="equal")
    hair = float(np.clip(6 / len(starts), 0.1, 0.6))
    for start in starts[1:]:
        axes.plot([0, start], [start, start], color=FAINT, linewidth=hair)
        axes.plot([start, start], [start, length], color=FAINT, linewidth=hair)
    axes.set_xlabel("key: token that is seen", color=INK)
    axes.set_ylabel("query: token that sees", color=INK)
    axes.set_title("mask", fontsize=11, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def _rgb(colour: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(colour)]


def _draw_documents(  # noqa: PLR0917 - the parts of one row, in the order of `plot_mask`
    axes: Axes,
    starts: Integer[np.ndarray, "documents"],
    ends: Integer[np.ndarray, "documents"],
    titles: Sequence[str],
    edges: Integer[np.ndarray, "edges 3"],
    seq: int,
) -> None:
    """Blocks at x from 0 to 0.06, arcs to their left down to -0.5, titles to their right up to 1."""
    axes.set_xlim(-0.46, 1.0)
    axes.set_title("documents and links", fontsize=11, color=INK)
    axes.axis("off")
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        fill = HAIR if index % 2 else "#BFBFBF"
        axes.add_patch(Rectangle((0, start), 0.06, end - start, facecolor=fill, edgecolor="white", linewidth=0.8))
    width = 1.2 if len(edges) < 30 else 0.6
    for _, target, position in edges:
        middle = (starts[target] + ends[target]) / 2
        bow = -4 / 3 * min(0.44, 0.05 + 0.4 * (position - middle) / seq)
        curve = [(0.0, position), (bow, position), (bow, middle), (-0.012, middle)]
        path = MplPath(curve, [MplPath.MOVETO, MplPath.CURVE4, MplPath.CURVE4, MplPath.CURVE4])
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor=_LINKED, linewidth=width, alpha=0.85))
        axes.plot([0], [position], marker=".", markersize=3, color=_LINKED)
        axes.plot([-0.012], [middle], marker=">", markersize=4, color=_LINKED)
    _write_titles(axes, starts, ends, titles, seq)


def _write_titles(
    axes: Axes,
    starts: Integer[np.ndarray, "documents"],
    ends: Integer[np.ndarray, "documents"],
    titles: Sequence[str],
    seq: int,
) -> None:
    """Titles beside their blocks, moved apart where blocks are short; of too many, the longest documents have one."""
    points = _font_size(len(titles))
    line = _line(points, seq)
    most = int(seq / line) - 1
    by_length = np.argsort(starts - ends, kind="stable")
    kept = np.sort(by_length[:most]) if len(titles) > most else np.arange(len(titles))
    floor = seq - line if len(kept) < len(titles) else float(seq)
    middles = (starts[kept] + ends[kept]) / 2
    for index, middle, y in zip(kept, middles, spread(middles.tolist(), line, 0.0, floor), strict=True):
        axes.plot([0.065, 0.1, 0.135], [middle, y, y], color=FAINT, linewidth=0.5)
        style: dict[str, Any] = {
            "va": "center",
            "fontsize": points,
            "color": INK,
            "fontfamily": list(families()),
            "parse_math": False,
        }
        axes.text(0.18, y, str(index + 1), ha="right", **style)
        axes.text(0.2, y, _cut(titles[index]), ha="left", **style)
    if len(kept) < len(titles):
        note = f"and {len(titles) - len(kept)} shorter documents"
        axes.text(0.2, seq - line / 2, note, va="center", fontsize=points, color=FAINT)


def _cut(title: str) -> str:
    """A title as wide as there is room; Chinese characters count twice."""
    text = Text(drawable(title))
    text.truncate(_TITLE_WIDTH, overflow="ellipsis")
    return text.plain


def _font_size(documents: int) -> float:
    """The largest size, from 9 down to 5.5 points, at which so many lines fit."""
    return float(np.clip(_SIDE * 72 / (1.3 * (documents + 1)), 5.5, 9.0))


def _line(points: float, seq: int) -> float:
    """The height of a line of text in tokens."""
    return 1.3 * points / 72 / _SIDE * seq


def spread(places: list[float], least: float, low: float, high: float) -> list[float]:
    """Move ascending `places` apart until neighbours are `least` apart, within `low` to `high` where they fit.

    Overlapping places are gathered into groups that are centred on their mean, so each moves as little as needed.

    >>> spread([1.0, 1.0, 9.0], least=2.0, low=0.0, high=10.0)
    [1.0, 3.0, 9.0]
    """
    groups: list[tuple[float, int]] = []
    for place in places:
        centre, number = place, 1
        while True:
            half = least * number / 2
            centre = min(max(centre, low + half), high - half)
            if not groups or centre - half >= groups[-1][0] + least * groups[-1][1] / 2:
                break
            before, others = groups.pop()
            centre, number = (before * others + centre * number) / (others + number), others + number
        groups.append((centre, number))
    return [centre + least * (i - (number - 1) / 2) for centre, number in groups for i in range(number)]
