"""Pictures of one strip that somebody brings: their panels, of a strip that is only begun too."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from garfield_vae.data.images import MIN_WIDTH, BrokenImage, open_strip
from garfield_vae.data.layout import count_panels, on_grid
from garfield_vae.data.panels import GUTTER_CENTRES, GUTTER_WIDTH, MIN_ASPECT, cut_panels
from garfield_vae.geometry import PANELS

# Width by height: the least and the most of one panel, which has 1.1, and the most of two, which
# have 2.2. A daily has 3.4; between, the gutters decide.
LEAST, ONE_PANEL, TWO_PANELS = 0.7, 1.6, 2.8


def open_panels(source: Path | bytes, height: int, width: int, begun: bool = False) -> np.ndarray:
    """The panels of a strip's picture, a file or its bytes: uint8 [3, 3, height, width].

    With `begun`, a picture may have only one or two panels, and those are given: [n, 3, height,
    width]. Raises BrokenImage, with the file's name, for what is no such picture.
    """
    try:
        image = open_strip(source, MIN_WIDTH // PANELS if begun else MIN_WIDTH)
        count = begun_panels(image) if begun else PANELS
        return cut_panels(with_paper(image, count), height, width)[:count]
    except BrokenImage as error:
        raise BrokenImage(getattr(source, "name", error.name), error.reason) from error


def begun_panels(image: Image.Image) -> int:
    """How many of a strip's three panels a picture has side by side. One of another shape counts
    as three. Raises BrokenImage for more."""
    pixels = np.asarray(image.convert("RGB"))
    layout = count_panels(pixels[on_grid(image.height, image.width)])
    # One panel alone may have two tiers: a table from side to side looks like a gutter.
    if layout.panels > PANELS or (layout.tiers > 1 and layout.panels > 1):
        raise BrokenImage("the picture", f"it has {layout.other}")
    shape = image.width / image.height
    if not LEAST <= shape < TWO_PANELS:
        return PANELS
    if layout.panels == 2 or ONE_PANEL <= shape < MIN_ASPECT:
        return 2
    return 1 if shape < ONE_PANEL else PANELS


def on_paper(panels: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """A strip [3, 3, H, W] with panels [n, 3, H, W] at these places, and white paper at others."""
    strip = np.full((PANELS, *panels.shape[1:]), 255, np.uint8)
    strip[list(places)] = panels
    return strip


def with_paper(image: Image.Image, count: int) -> Image.Image:
    """A picture of the first `count` panels, with white paper where the others belong."""
    if count == PANELS:
        return image
    whole = round(image.width / (GUTTER_CENTRES[count - 1] - GUTTER_WIDTH / 2))
    page = Image.new("RGB", (whole, image.height), "white")
    page.paste(image)
    return page
