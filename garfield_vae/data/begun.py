"""Pictures of one strip that somebody brings: their panels, of a strip that is only begun too."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from garfield_vae.data.images import MIN_WIDTH, BrokenImage, open_strip
from garfield_vae.data.layout import count_panels, on_grid
from garfield_vae.data.panels import Accept, Picture, cut_picture, gutter_score
from garfield_vae.geometry import PANELS

# Width by height. One panel has 1.1, two have 2.2 and a daily has 3.4: the least of one, what is
# too wide for it, and too wide for two. Gutters decide between these.
LEAST, ONE_PANEL, TWO_PANELS = 0.7, 1.6, 2.8
# In 209 real and 300 drawn strips the gutter between two panels scores 1.81 or more, and what looks
# like one within a panel 1.59 or less (benchmarks/gutters).
CLEAR_GUTTER = 1.7


def open_panels(source: Path | bytes, height: int, width: int, begun: bool = False) -> np.ndarray:
    """The panels of a strip's picture, a file or its bytes: uint8 [3, 3, height, width].

    With `begun`, a picture may have only one or two panels, and those are given: [n, 3, height,
    width]. Raises BrokenImage, with the file's name, for what is no such picture.
    """
    try:
        image = open_strip(source, MIN_WIDTH // PANELS if begun else MIN_WIDTH)
        picture = Picture(image)
        count = begun_panels(picture) if begun else PANELS
        accept = Accept.WIDE if count == PANELS else Accept.ANY
        return cut_picture(picture, height, width, accept, count)
    except BrokenImage as error:
        raise BrokenImage(getattr(source, "name", error.name), error.reason) from error


def begun_panels(picture: Picture) -> int:
    """How many of a strip's three panels a picture has side by side. One of another shape counts
    as three. Raises BrokenImage for more."""
    height, width = picture.pixels.shape
    layout = count_panels(picture.colours(*on_grid(height, width)))
    # One panel alone may have two tiers: a table from side to side looks like a gutter.
    if layout.panels > PANELS or (layout.tiers > 1 and layout.panels > 1):
        raise BrokenImage("the picture", f"it has {layout.other}")
    shape = width / height
    if not LEAST <= shape < TWO_PANELS:
        return PANELS
    score = gutter_score(picture, 2)
    if shape < ONE_PANEL:
        return 2 if score > CLEAR_GUTTER else 1
    return 2 if score > gutter_score(picture, PANELS) else PANELS


def on_paper(panels: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """A strip [3, 3, H, W] with panels [n, 3, H, W] at these places, and white paper at others."""
    strip = np.full((PANELS, *panels.shape[1:]), 255, np.uint8)
    strip[list(places)] = panels
    return strip
