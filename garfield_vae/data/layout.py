"""How many panels a picture has, counted from its gutters, and whether that is beyond doubt.

A gutter is a straight band of one colour over the whole height, with something else right beside
it. Its colour may be any: white and black are tried, the colour around the panels, and that of the
plainest column. Pictures are left out on this evidence, so it errs on the side of three panels: a
picture counts as something else only when bands that nobody could take for part of a drawing say
so, or when nothing at all separates panels where a daily has its gutters.
"""

from dataclasses import dataclass

import numpy as np

ROWS, COLUMNS = 96, 600  # a picture is looked at on a grid of about so many of its pixels
SAME = 40  # difference of a channel, of 255, up to which two pixels count as one colour
PLACES = (0.338, 0.659)  # where a daily's gutters are, as fractions of the width
REACH = 0.06  # how far from there they may be
CERTAIN, LITTLE = 0.8, 0.5  # what speaks for a gutter; the least of 209 real dailies is 0.9
WHITE, BLACK = np.array((255, 255, 255)), np.array((0, 0, 0))
NARROWEST_PANEL = 0.08  # of the width


@dataclass(frozen=True)
class Band:
    """A straight band of one colour, from edge to edge of the picture. Shares of its length."""

    start: float  # fractions of the picture's side that it crosses
    end: float
    plain: float  # how much of its middle has its colour
    edges: tuple[float, float]  # how much has another colour right beside it, on each side

    @property
    def centre(self) -> float:
        return (self.start + self.end) / 2

    @property
    def clear(self) -> bool:
        return self.plain >= 0.93 and min(self.edges) >= 0.6 and max(self.edges) >= 0.85


@dataclass(frozen=True)
class Layout:
    """What a picture looks like. `other` says what it is instead of three panels side by side,
    in words for "left out: 10 of …", or is None where it has three or it is in doubt."""

    panels: int
    tiers: int
    other: str | None


def count_panels(pixels: np.ndarray) -> Layout:
    """Counts the panels of a picture, uint8 [h, w, 3 or more] (further channels are ignored).

    Every n-th row and column will do, so that about ROWS × COLUMNS are left.
    """
    planes = np.moveaxis(pixels[..., :3], -1, 0).astype(np.int16, order="C")  # [3, h, w]
    # Most strips are seen to be three panels by their white gutters alone.
    layout, supports = _judge(planes, [WHITE])
    if layout.other or min(supports) < CERTAIN:
        layout, _ = _judge(planes, _gutter_colours(planes))
    return layout


def _judge(planes: np.ndarray, colours: list[np.ndarray]) -> tuple[Layout, list[float]]:
    """The layout by gutters of some colours, and what speaks for each of a daily's two gutters."""
    masks = [
        (np.abs(planes - colour[:, None, None].astype(np.int16)) <= SAME).all(axis=0)
        for colour in colours
    ]
    # A picture of two tiers may have any columns at all: look for tiers first.
    tiers = [band for band in _bands(masks, 1, 0.06) if band.clear and 0.2 < band.centre < 0.8]
    bands = _bands(masks, 0, 0.05)
    clear = _apart([band for band in bands if band.clear])
    supports = [_support(planes, bands, place) for place in PLACES]
    panels, rows = 3, len(_apart(tiers)) + 1
    if len(clear) >= 3:
        panels = len(clear) + 1
    elif len(clear) == 1 and min(supports) < LITTLE:
        panels = 2
    elif not clear and max(supports) < LITTLE:
        panels = 1
    other = None
    if rows > 1:
        other = f"{_word(rows)} tiers of panels"
    elif panels != 3:
        other = f"{_word(panels)} panel{'s' if panels > 1 else ''}"
    return Layout(panels, rows, other), supports


def _word(count: int) -> str:
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(count, str(count))


def _gutter_colours(planes: np.ndarray) -> list[np.ndarray]:
    """Colours that gutters may have, each [3], of a picture's channels [3, r, c]."""
    frame = np.concatenate([planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]], axis=1)
    sixth = planes.shape[2] // 6
    inner = planes[:, :, sixth:-sixth]
    plainest = inner[:, ::4].std(axis=1).sum(axis=0).argmin()
    candidates = [np.median(frame, axis=1), np.median(inner[:, :, plainest], axis=1)]
    colours = [WHITE, BLACK]
    for colour in candidates:
        if all(np.abs(colour - other).max() > SAME / 2 for other in colours):
            colours.append(colour)
    return colours


def _bands(masks: list[np.ndarray], axis: int, widest: float) -> list[Band]:
    """Every band across `axis` that is mostly of one of the gutters' colours.

    masks: for each colour, bool [r, c], where the sample has it.
    """
    found = []
    for mask in masks:
        plain = mask.mean(axis=axis)
        inside = np.flatnonzero(np.diff(np.pad(plain >= 0.8, 1).astype(np.int8)))
        beside = max(2, len(plain) // 150)
        for start, end in inside.reshape(-1, 2).tolist():
            if start == 0 or end == len(plain) or end - start > widest * len(plain):
                continue
            edges = (
                1 - plain[max(0, start - beside) : start].min(),
                1 - plain[end : end + beside].min(),
            )
            middle = plain[start + (end - start) // 4 : end - (end - start) // 4]
            size = len(plain)
            found.append(Band(start / size, end / size, float(middle.mean()), edges))
    return found


def _apart(bands: list[Band]) -> list[Band]:
    """Bands in order, without those that leave no room for a panel beside the one before."""
    kept: list[Band] = []
    for band in sorted(bands, key=lambda band: band.start):
        last = kept[-1].end if kept else 0.0
        if band.start - last >= NARROWEST_PANEL and 1 - band.end >= NARROWEST_PANEL:
            kept.append(band)
    return kept


def _support(planes: np.ndarray, bands: list[Band], place: float) -> float:
    """What speaks for a gutter near a usual place, from 0 to 1: a band, or an upright edge.

    Where panels touch without a gutter, a border or a change of colour runs down the picture.
    """
    near = [band for band in bands if abs(band.centre - place) <= REACH]
    best = max((band.plain * max(band.edges) for band in near), default=0.0)
    if best >= CERTAIN:
        return best
    width = planes.shape[2]
    part = planes[:, :, round((place - REACH) * width) : round((place + REACH) * width)]
    jumps = (np.abs(part[:, :, 2:] - part[:, :, :-2]) > SAME).any(axis=0).mean(axis=0)
    return max(best, float(jumps.max(initial=0)))
