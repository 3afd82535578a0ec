"""What all pictures share: figures without global state, colours that everyone can tell apart, text that has glyphs.

Figures are built from `Figure` objects and never through pyplot, whose registry and backend belong to the process.
Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which differ under every common colour-vision
deficiency and in grey.
"""

import functools
from pathlib import Path
from typing import Any, Literal

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)
INK, FAINT, HAIR = "#222222", "#767676", "#D9D9D9"

_WIDE_FONTS = (
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "IPAexGothic",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """A figure of so many inches, with a canvas of its own."""
    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, x: str, y: str) -> None:
    """Labelled axes without a box, and a faint grid behind the data."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color=HAIR, linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Figure, out: Path, dpi: int = 200) -> Path:
    """Write the picture as PNG; the same picture gives the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    hidden = out.with_name(f".{out.name}.part")
    figure.savefig(hidden, format="png", dpi=dpi, metadata={"Software": None})
    return hidden.replace(out)


@functools.cache
def families() -> tuple[str, ...]:
    """DejaVu Sans, which comes with matplotlib, and those installed fonts that have the scripts it lacks."""
    installed = set(font_manager.get_font_names())
    return ("DejaVu Sans", *(name for name in _WIDE_FONTS if name in installed))


@functools.cache
def _has_glyph(character: str) -> bool:
    fonts: list[Any] = [font_manager.get_font(font_manager.findfont(name)) for name in families()]
    return any(font.get_char_index(ord(character)) for font in fonts)


def drawable(text: str) -> str:
    """`text` on one line, with every character that no font here can draw written as its escape.

    matplotlib warns about each missing glyph and draws a box, which says nothing; an escape can be looked up.

    >>> drawable("Café\\n$x$ \\U0010fffd")
    'Café $x$ \\\\U0010fffd'
    """
    line = " ".join(text.split())
    return "".join(
        c if c.isprintable() and _has_glyph(c) else c.encode("unicode_escape").decode("ascii") for c in line
    )
