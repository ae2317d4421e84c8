"""A strip image becomes three panels, and three panels become a strip image again.

A newspaper daily is three panels with white gutters between them. The gutters are not exactly at
one third and two thirds, and balloons, tails and the upright copyright line cross them. So each is
searched for as the whitest band near its usual place, of about its usual width, with ink right
beside it; on yellowed paper, and where gutters are black, as the band most like the picture's rim.
The cut is tight (without gutters and the strip's white margin), so that the panels' frames fall on
the same pixels in every strip and a network need not learn where the paper shows; `join_panels`
puts white gutters of the usual width back.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from garfield_vae.data.images import BrokenImage
from garfield_vae.data.layout import MARGIN, SAME, count_panels, extent, on_grid, plainly_three
from garfield_vae.geometry import PANEL_HEIGHT, PANEL_WIDTH, PANELS

# Fractions of the strip's width, the medians of 209 Garfield dailies of 1985 (benchmarks/gutters).
GUTTER_CENTRES = (0.338, 0.659)
GUTTER_WIDTH = 0.0125
NEAR = 0.02  # deviation of a gutter from its usual place
# The places and their deviation, by the number of panels: two may be any two of the three.
USUAL = {1: ((), NEAR), 2: ((0.5,), 1.5 * NEAR), 3: (GUTTER_CENTRES, NEAR)}

LEAST_INSIDE = 0.4  # of a page's height and width, that a strip has on it
EMPTY_SPREAD = 16  # grey levels: a panel whose middle 98 % of values lie closer is empty
MIN_ASPECT, MAX_ASPECT = 2.0, 6.0  # a daily has about 3.4, a Sunday page 1.4, one panel about 1


class Accept(Enum):
    """Which pictures are cut."""

    ANY = "any"
    WIDE = "those of a daily's shape"
    THREE = "those of a daily's shape but for those that clearly have no three panels"


class OtherLayout(BrokenImage):
    """A picture that does not have three panels side by side; `kind` says what it has instead."""

    def __init__(self, name: str, reason: str, kind: str):
        super().__init__(name, reason)
        self.kind = kind

    def __reduce__(self):
        return type(self), (self.name, self.reason, self.kind)


# ---------------------------------------------------------------------------------------------
# Gutters


def whiteness(pixels: np.ndarray, paper: np.ndarray | None = None) -> np.ndarray:
    """How white each pixel is, from 185 (ink) to 245 (paper): uint8 [h, w, 3 or 4] → uint8 [h, w].

    It is the darkest of the first three channels, limited to that range: above 245 is JPEG noise.
    paper: the colour of the gutters, [3], where it is not white; it is 245 then, and what differs
    by 60 in a channel is 185.
    """
    if paper is not None:
        away = np.abs(pixels[..., :3].astype(np.int16) - paper).max(axis=-1)
        return (255 - away).clip(185, 245).astype(np.uint8)
    # The minimum of every three neighbouring bytes, of which each pixel's first is its own: several
    # times as fast as a channel at a time.
    values = pixels.reshape(-1)
    darkest = np.minimum(values[:-2], values[1:-1])
    np.minimum(darkest, values[2:], out=darkest)
    return darkest.clip(185, 245, out=darkest)[:: pixels.shape[2]].reshape(pixels.shape[:2])


class Whiteness:
    """The whiteness of a picture, [h, w], computed only where it is sliced: cutting asks for half.

    pixels: [h, w]; of: from a part of them to its whiteness.
    """

    def __init__(self, pixels: np.ndarray, of: Callable[[np.ndarray], np.ndarray]):
        self._pixels, self._of, self.shape = pixels, of, pixels.shape

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        return self._of(self._pixels[part])


@lru_cache(maxsize=64)
def _bands(
    width: int, columns: int, centre: float, deviation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Every band that may be a gutter in a range of `columns` columns of a strip `width` wide.

    centre: the column of the range where the gutter is expected; deviation: from there, in widths.
    Returns past [p, w], the bands' ends (those of row p begin at column `_beside(width)` + p), and
    prior [p, w], their log-prior up to a constant: it rewards width, and penalises the squared
    deviation from the usual width and place. Bands are a third to three times as wide as the usual
    gutter.
    """
    usual, beside = GUTTER_WIDTH * width, _beside(width)
    widths = np.arange(max(2, round(usual / 3)), round(usual * 3) + 1)
    first = np.arange(beside, columns - beside - widths[0] + 1)[:, None]
    past = first + widths
    stretch = np.where(widths > usual, 1.0, 0.25) * (widths / usual - 1) ** 2
    away = ((first + past) / 2 - centre) / (deviation * width)
    prior = np.where(past + beside <= columns, widths / usual - stretch - 0.7 * away**2, -np.inf)
    return np.minimum(past, columns - beside), prior


def _beside(width: int) -> int:
    return max(1, round(GUTTER_WIDTH * width / 4))


def find_gutters(white: np.ndarray | Whiteness, count: int = PANELS) -> list[tuple[int, int]]:
    """The gutters in the `whiteness` [h, w] of `count` panels, as (first, past the last) column."""
    return _scored_gutters(white, count)[1]


def _scored_gutters(
    white: np.ndarray | Whiteness, count: int
) -> tuple[float, list[tuple[int, int]]]:
    """The sum of the gutters' scores, and the gutters.

    Each is the band near its usual place with the highest score: its whiteness in usual widths (a
    column counts 1 when white, −1 when all ink; the copyright line covers at most 45 % of one),
    plus the ink in the quarter width beside each edge (a panel's border or colour), plus the
    log-prior of `_bands`. Without the last two, a band grows into the white wall of a panel without
    a border, or jumps to a white refrigerator near one.
    """
    height, width = white.shape
    whole = round(width * PANELS / count)  # of three panels
    places, deviation = USUAL[count]
    beside, gutters, sum_of_scores = _beside(whole), [], 0.0
    for place in places:
        centre, reach = place * width, 2.25 * deviation * whole
        start, stop = round(centre - reach), round(centre + reach)
        past, prior = _bands(whole, stop - start, centre - start, deviation)
        # A band's ink and the ink beside it are differences of sums: each edge has its own share.
        total = np.zeros(stop - start + 1)
        lightness = white[:, start:stop].sum(axis=0, dtype=np.uint32) / height
        np.cumsum((245 - lightness) / 60, out=total[1:])
        border = (total[beside:] - total[:-beside]) / beside  # from each column on
        inside = total * (2 / (GUTTER_WIDTH * whole))
        begins = border[: len(past)] + inside[beside : beside + len(past)]
        ends = border - inside[: len(border)]
        score = prior + begins[:, None] + ends[past]
        row, column = divmod(int(score.argmax()), score.shape[1])
        gutters.append((start + beside + row, start + int(past[row, column])))
        sum_of_scores += float(score[row, column])
    return sum_of_scores, gutters


def find_frame(white: np.ndarray | Whiteness, count: int = PANELS) -> tuple[int, int, int, int]:
    """The strip within its white margin, of the `whiteness` [h, w] of `count` panels: left, top,
    right, bottom.

    A margin ends at the first line that is more than a third ink (the frames of two panels cover
    two thirds of a row). A side without such a line near the edge has no margin. Of one panel or
    two, whose frame may not be straight enough for that, it ends where a twentieth is ink.
    """
    height, width = white.shape
    rows, columns = max(2, round(0.08 * height)), max(2, round(0.025 * width * PANELS / count))

    # On average, of 185 (ink) to 245: a third, and a twentieth.
    limit = 225 if count == PANELS else 242

    def margin(lines: np.ndarray, axis: int) -> int:
        # argmax gives the first such line, and 0 when there is none.
        return int((lines.sum(axis=axis, dtype=np.uint32) < limit * lines.shape[axis]).argmax())

    left, right = margin(white[:, :columns], 0), margin(white[:, : -columns - 1 : -1], 0)
    top, bottom = margin(white[:rows], 1), margin(white[: -rows - 1 : -1], 1)
    return left, top, width - right, height - bottom


# ---------------------------------------------------------------------------------------------
# Cutting and joining


def cut_panels(
    image: Image.Image,
    height: int = PANEL_HEIGHT,
    width: int = PANEL_WIDTH,
    accept: Accept = Accept.WIDE,
) -> np.ndarray:
    """Cuts a strip into its panels: uint8 [3, 3, height, width] (panel, channel, y, x).

    image: RGB or P, as `open_strip` gives it. Each panel is stretched to the same size.
    Raises BrokenImage when the picture is blank, and OtherLayout when it is not acceptable.
    """
    return cut_picture(Picture(image), height, width, accept)


def cut_picture(
    picture: "Picture", height: int, width: int, accept: Accept, count: int = PANELS
) -> np.ndarray:
    """`cut_panels` of a picture that shows `count` of a strip's panels side by side: uint8
    [count, 3, height, width]. Of one or two, only Accept.ANY makes sense."""
    h, w = picture.pixels.shape
    if accept is not Accept.ANY and not MIN_ASPECT <= w / h <= MAX_ASPECT:
        raise OtherLayout(
            "the picture",
            f"{w}×{h} pixels is not the shape of three panels side by side",
            "another shape",
        )
    if accept is Accept.THREE:
        _check_layout(picture)
    _, white, gutters = _best_gutters(picture, count)
    left, top, right, bottom = find_frame(white, count)
    starts, ends = [left, *(past for _, past in gutters)], [*(first for first, _ in gutters), right]
    panels = np.empty((count, 3, height, width), np.uint8)
    for panel, (start, end) in enumerate(zip(starts, ends, strict=True)):
        # The triangle filter averages halftone dots, which sharper ones turn into noise that no
        # model can learn: on real strips a PCA of 50 components leaves 9 % less than with bicubic.
        # Torch's is about three times as fast as Pillow's on bytes; it takes this layout for
        # channels_last only with the batch axis in front from the start.
        cut = picture.colours(slice(top, bottom), slice(start, end))
        cut = torch.from_numpy(cut)[None].permute(0, 3, 1, 2)
        cut = F.interpolate(cut, (height, width), mode="bilinear", antialias=True)
        _unpack(cut[0].permute(1, 2, 0).numpy(), panels[panel])
    if int(panels.max()) - int(panels.min()) < 32:
        raise BrokenImage("the picture", "it is one flat colour")
    return panels


class Picture:
    """The pixels of an image, RGB or P, without the margin of a page that it is on, and the colours
    and whiteness of parts of them.

    Pixels of a P image stay indices of its palette, a quarter of the bytes, and become colours only
    in the parts that are resized. Others are uint32, as Pillow keeps them: red in the lowest byte
    and the highest unused; dropping that byte takes as long again, and resizing is no slower with
    it.
    """

    def __init__(self, image: Image.Image):
        size = image.height, image.width
        self.palette = None
        if image.mode == "P":
            palette = bytes(image.getpalette("RGBX"))
            palette = palette.ljust(4 * 256, b"\0")  # what it lacks is black
            self.palette = np.frombuffer(palette, "<u4")
            self.pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(size)
        else:
            self.pixels = np.frombuffer(image.tobytes("raw", "RGBX"), "<u4").reshape(size)
        self.white = self.white_on(None)
        self.paper = self._find_paper()
        self._take_off_margin()

    def _find_paper(self) -> np.ndarray | None:
        """The colour of its rim, [3], where that is not white, as on the yellow paper of an old
        scan."""
        sides = slice(None), [0, -1]
        if (self.white[sides] < 245).mean() < 0.5:  # the median is white in every channel
            return None
        rim = np.median(self.colours(*sides)[..., :3], axis=(0, 1))
        return rim.astype(np.int16) if rim.min() < 245 else None

    def _take_off_margin(self) -> None:
        """Crops what has paper all around, wider than a gutter, as a scanned page has.

        `find_frame` looks for less: on one side alone, it could be the white wall of a panel.
        Where most would go, or what is left would be too low for a strip, it is no margin.
        """
        height, width = self.pixels.shape
        deep = min(round(GUTTER_WIDTH * width), height // 4)
        every = slice(None)
        for white in self.whitenesses():
            edges = white[[deep, -1 - deep], every], white[every, [deep, -1 - deep]].T
            if not all(_is_paper(lines, 1).all() for lines in edges):
                continue
            pixels = white[every, every]
            top, bottom = extent(_is_paper(pixels, 1))
            left, right = extent(_is_paper(pixels[top:bottom], 0))
            high, wide = bottom - top, right - left
            if (
                high >= LEAST_INSIDE * height
                and wide >= LEAST_INSIDE * width
                and wide <= MAX_ASPECT * high
            ):
                self.pixels = self.pixels[top:bottom, left:right]
                self.white = self.white_on(None)
            return

    def whitenesses(self) -> Iterator[Whiteness]:
        """Its whiteness on white, and on the colour of its paper where that is another."""
        yield self.white
        if self.paper is not None:
            yield self.white_on(self.paper)

    def colours(self, rows: slice | list[int], columns: slice | list[int]) -> np.ndarray:
        """A part of the picture: contiguous uint8 [h, w, 4]."""
        part = self.pixels[rows, columns]
        if self.palette is None:
            return _bytes(part.copy())
        return _bytes(self.palette.take(part, mode="wrap"))  # the fastest mode

    def white_on(self, paper: np.ndarray | None) -> Whiteness:
        """Its whiteness; paper: as of `whiteness`."""
        if self.palette is None:
            return Whiteness(self.pixels, lambda part: whiteness(_bytes(part.copy()), paper))
        table = whiteness(_bytes(self.palette[None]), paper).tobytes()

        def look_up(part: np.ndarray) -> np.ndarray:
            return np.frombuffer(part.tobytes().translate(table), np.uint8).reshape(part.shape)

        return Whiteness(self.pixels, look_up)


def _bytes(colours: np.ndarray) -> np.ndarray:
    """uint32 [h, w], contiguous → uint8 [h, w, 4]."""
    return colours.view(np.uint8).reshape(*colours.shape, 4)


def _is_paper(white: np.ndarray, axis: int) -> np.ndarray:
    return (white >= 215).mean(axis=axis) >= MARGIN


def _best_gutters(picture: Picture, count: int) -> tuple[float, Whiteness, list[tuple[int, int]]]:
    """The gutters between `count` panels and their score, and which whiteness shows them best."""
    found = [(*_scored_gutters(white, count), white) for white in picture.whitenesses()]
    score, gutters, white = max(found, key=lambda one: one[0])  # the first of equal ones
    return score, white, gutters


def gutter_score(picture: Picture, count: int) -> float:
    """How much a picture looks as if it had `count` panels, 2 or 3: the mean score of the gutters
    that are the best, which is 3 for a white one with frames beside it."""
    return _best_gutters(picture, count)[0] / (count - 1)


def _check_layout(picture: Picture) -> None:
    """Raises OtherLayout where there are clearly not three panels."""
    sample = on_grid(*picture.white.shape)
    if plainly_three(picture.white[sample] >= 255 - SAME):
        return
    layout = count_panels(picture.colours(*sample))
    if layout.other:
        raise OtherLayout("the picture", f"it has {layout.other}", layout.other)


def _unpack(pixels: np.ndarray, planes: np.ndarray) -> None:
    """Moves the first three channels, uint8 [h, w, 4], into planes, uint8 [3, h, w].

    Shifting pixels as little-endian numbers takes half the time of copying every fourth byte.
    """
    packed = np.ascontiguousarray(pixels).view("<u4")[..., 0]
    for plane in planes:
        plane[:] = packed  # the lowest byte of each
        packed >>= 8


def join_panels(panels: np.ndarray) -> np.ndarray:
    """Lays panels side by side as a strip: uint8 [..., 3, 3, H, W] → uint8 [..., h, w, 3].

    Gutters and margin are white and as wide as the usual gutter: h = H + 2·g and w = 3·W + 4·g with
    g = W / 26, rounded; 192 × 632 for 176 × 200.
    """
    *batch, _, _, height, width = panels.shape
    gutter = max(1, round(width * GUTTER_WIDTH * 3.08))  # a panel is 1 / 3.08 of a strip's width
    strip = np.full((*batch, height + 2 * gutter, 3 * width + 4 * gutter, 3), 255, np.uint8)
    for panel in range(3):
        start = gutter + panel * (width + gutter)
        pixels = np.moveaxis(panels[..., panel, :, :, :], -3, -1)
        strip[..., gutter : gutter + height, start : start + width, :] = pixels
    return strip


def is_empty(panel: np.ndarray) -> bool:
    """Whether a panel, uint8 [3, H, W], is one flat colour but for specks and its border."""
    y, x = (size // 8 for size in panel.shape[1:])
    inside = panel[:, y:-y, x:-x]
    low, high = np.percentile(inside, (1, 99), axis=(1, 2))
    return bool((high - low).max() < EMPTY_SPREAD)


def to_unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 0 … 255 → float32 -1 … 1."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_uint8(values: torch.Tensor) -> torch.Tensor:
    """float -1 … 1 (values beyond are clipped) → uint8 0 … 255, rounded to the nearest."""
    return values.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
