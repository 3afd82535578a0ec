"""What all pictures share: colours that all can tell apart, figures without global state, text that has glyphs."""

from gptlab.pictures.style import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILION,
    drawable,
    families,
    new_figure,
    plain_axes,
    save,
)

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "HAIR",
    "INK",
    "ORANGE",
    "PALETTE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "drawable",
    "families",
    "new_figure",
    "plain_axes",
    "save",
]
