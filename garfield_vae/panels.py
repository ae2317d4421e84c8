"""A strip image becomes three panels, and three panels become a strip image again.

A newspaper daily is three panels with white gutters between them. The gutters are not at one third
and two thirds, and they are not always clean: balloons, tails and the upright copyright line cross
them. So each one is looked for as the whitest band near its usual place, of about its usual
width, with ink right beside it. The cut is tight (gutters and the white margin around the strip
are left out), so that the panels' frames fall on the same pixels in every strip and a network need
not learn where the paper shows; `join_panels` puts white gutters of the usual width back.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from garfield_vae.images import BrokenImage

PANEL_HEIGHT, PANEL_WIDTH = 176, 200

# Fractions of the strip's width, the medians of 209 Garfield dailies of 1985 (benchmarks/gutters).
GUTTER_CENTRES = (0.338, 0.659)
GUTTER_WIDTH = 0.0125

MIN_ASPECT, MAX_ASPECT = 2.0, 6.0  # a daily has about 3.4, a Sunday page 1.4, one panel about 1


# ---------------------------------------------------------------------------------------------
# Gutters


def _ink(pixels: np.ndarray, axis: int) -> np.ndarray:
    """How much of each line along `axis` is not white, 0 to 1, for uint8 pixels [h, w, 3].

    A pixel counts by its darkest channel: not at all from 245 (JPEG noise on paper), fully at 185.
    """
    # The least of every three neighbouring bytes, of which each third is a pixel's: whole rows of
    # bytes are worked on at once, several times as fast as a channel at a time.
    values = np.ascontiguousarray(pixels).reshape(-1)
    darkest = np.minimum(np.minimum(values[:-2], values[1:-1]), values[2:])
    soft = np.clip(darkest, 185, 245)[::3].reshape(pixels.shape[:2])
    return (245 - soft.sum(axis=axis, dtype=np.uint32) / pixels.shape[axis]) / 60


@lru_cache(maxsize=64)
def _bands(width: int, columns: int, centre: float) -> tuple[np.ndarray, ...]:
    """Every band that may be a gutter, among some columns of a strip `width` wide.

    columns: how many there are; centre: where among them the gutter is expected. Gives first [p, 1]
    and past [p, w], the bands' ends, and prior [p, w]: what a band's width and place speak
    against it, and for it by its number of columns. Bands are a third to three times as wide as
    the usual gutter.
    """
    usual, beside = GUTTER_WIDTH * width, _beside(width)
    widths = np.arange(max(2, round(usual / 3)), round(usual * 3) + 1)
    first = np.arange(beside, columns - beside - widths[0] + 1)[:, None]
    past = first + widths
    stretch = np.where(widths > usual, 1.0, 0.25) * (widths / usual - 1) ** 2
    away = ((first + past) / 2 - centre) / (0.02 * width)
    prior = np.where(past + beside <= columns, widths / usual - stretch - 0.7 * away**2, -np.inf)
    return first, np.minimum(past, columns - beside), prior


def _beside(width: int) -> int:
    return max(1, round(GUTTER_WIDTH * width / 4))


def find_gutters(pixels: np.ndarray) -> list[tuple[int, int]]:
    """The two gutters of a strip, uint8 [h, w, 3], as (first, past the last) column.

    Each is the band, of all near its usual place, with the highest score: its whiteness in usual
    widths (a column counts 1 when white, −1 when all ink; the copyright line covers at most 45 %
    of one), plus the ink in the quarter width beside each edge (a panel's border or colour), less
    how far its width and place are from the usual. Without the last two, a band grows into the
    white wall of a panel that has no border, or jumps to a white refrigerator near one.
    """
    width = pixels.shape[1]
    beside, gutters = _beside(width), []
    for centre in GUTTER_CENTRES:
        start, stop = round((centre - 0.045) * width), round((centre + 0.045) * width)
        ink = _ink(pixels[:, start:stop], axis=0)
        first, past, prior = _bands(width, stop - start, centre * width - start)
        total = np.concatenate([[0.0], np.cumsum(ink)])
        before, after = total[first], total[past]
        edges = before - total[first - beside] + total[past + beside] - after
        score = prior - (after - before) * (2 / (GUTTER_WIDTH * width)) + edges / beside
        row, column = np.unravel_index(score.argmax(), score.shape)
        gutters.append((start + int(first[row, 0]), start + int(past[row, column])))
    return gutters


def find_frame(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """The strip without the white margin around it, uint8 [h, w, 3]: (left, top, right, bottom).

    A side ends at its first line that is more than a third ink (the frame of two panels covers two
    thirds of a row). A side without one near the edge is taken as it is.
    """
    height, width = pixels.shape[:2]
    rows, columns = max(2, round(0.08 * height)), max(2, round(0.025 * width))
    across = np.concatenate([pixels[:rows], pixels[: -rows - 1 : -1]])  # both ends, from outside in
    down = np.concatenate([pixels[:, :columns], pixels[:, : -columns - 1 : -1]], axis=1)

    # argmax gives the first line, and 0 when there is no such line.
    top, bottom = (_ink(across, axis=1) > 1 / 3).reshape(2, rows).argmax(axis=1)
    left, right = (_ink(down, axis=0) > 1 / 3).reshape(2, columns).argmax(axis=1)
    return int(left), int(top), width - int(right), height - int(bottom)


# ---------------------------------------------------------------------------------------------
# Cutting and joining


def cut_panels(
    image: Image.Image, height: int = PANEL_HEIGHT, width: int = PANEL_WIDTH
) -> np.ndarray:
    """Cuts a strip into its panels: uint8 [3, 3, height, width] (panel, channel, y, x).

    image: RGB, as `open_strip` gives it. Each panel is stretched to the same size.
    Raises BrokenImage when the picture cannot be a strip of three panels side by side.
    """
    if not MIN_ASPECT <= image.width / image.height <= MAX_ASPECT:
        size = f"{image.width}×{image.height} pixels"
        raise BrokenImage("the picture", f"{size} is not the shape of three panels side by side")
    pixels = np.asarray(image)
    left, top, right, bottom = find_frame(pixels)
    (end_1, start_2), (end_2, start_3) = find_gutters(pixels)
    panels = np.empty((3, 3, height, width), np.uint8)
    for panel, (start, end) in enumerate([(left, end_1), (start_2, end_2), (start_3, right)]):
        # The triangle filter averages halftone dots, which sharper ones turn into noise that no
        # model can learn: on real strips a PCA of 50 components leaves 9 % less than with bicubic.
        # On bytes torch's is about three times as fast as Pillow's.
        # The batch axis comes first and not last: torch would take the strides for another layout.
        cut = torch.from_numpy(pixels[None, top:bottom, start:end].copy()).permute(0, 3, 1, 2)
        cut = F.interpolate(cut, (height, width), mode="bilinear", antialias=True)
        panels[panel] = cut[0].numpy()
    if int(panels.max()) - int(panels.min()) < 32:
        raise BrokenImage("the picture", "it is one flat colour")
    return panels


def join_panels(panels: np.ndarray) -> np.ndarray:
    """Lays panels side by side as a strip: uint8 [..., 3, 3, H, W] → uint8 [..., h, w, 3].

    The gutters between and the margin around are white and as wide as the usual gutter, so that
    h = H + 2·g and w = 3·W + 4·g with g = W / 26, rounded: 192 × 632 for 176 × 200.
    """
    *batch, _, _, height, width = panels.shape
    gutter = max(1, round(width * GUTTER_WIDTH * 3.08))  # a panel is 1 / 3.08 of a strip's width
    strip = np.full((*batch, height + 2 * gutter, 3 * width + 4 * gutter, 3), 255, np.uint8)
    for panel in range(3):
        start = gutter + panel * (width + gutter)
        pixels = np.moveaxis(panels[..., panel, :, :, :], -3, -1)
        strip[..., gutter : gutter + height, start : start + width, :] = pixels
    return strip


def to_unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 0 … 255 → float32 -1 … 1."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_uint8(values: torch.Tensor) -> torch.Tensor:
    """float -1 … 1 (values beyond are clipped) → uint8 0 … 255, rounded to the nearest."""
    return values.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
