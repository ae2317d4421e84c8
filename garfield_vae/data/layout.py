"""How many panels a picture has, counted from its gutters.

A gutter is a straight band of one colour over the whole height, with something else right beside
it; all gutters of a picture have one colour. Tried are white, black, the colour around the panels,
and those of the plainest columns and rows. Since pictures are left out for it, the count errs on
the side of three: it is another only where clear bands say so, where there is a band at every place
at which four, five or six panels of one width would have one, or where nothing at all separates
panels at a daily's usual places.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ROWS, COLUMNS = 96, 600  # of the grid of pixels that is looked at, at least
SAME = 40  # difference of a channel, of 255, up to which two pixels count as one colour
PLACES = (0.338, 0.659)  # where a daily's gutters are, as fractions of the width
REACH = 0.06  # how far from there they may be
CERTAIN, LITTLE = 0.8, 0.5  # evidence for a gutter; the least of 209 real dailies is 0.9
WHITE, BLACK = np.array((255, 255, 255)), np.array((0, 0, 0))
NARROWEST_PANEL = 0.08  # of the width
MARGIN = 0.97  # share of a row that has the gutters' colour, from which on it is margin
MOST = 0.5  # of the height, that a picture keeps between its margins at least
PLAINEST = 3  # colours that are tried of the plainest columns, and of the plainest rows


@dataclass(frozen=True)
class Band:
    """A straight band of one colour, from edge to edge of the picture."""

    start: float  # as a fraction of the picture's width, or height
    end: float
    plain: float  # share of its middle that has its colour
    edges: tuple[float, float]  # share that has another colour right beside it, on each side

    @property
    def centre(self) -> float:
        return (self.start + self.end) / 2

    @property
    def clear(self) -> bool:
        return self.plain >= 0.93 and min(self.edges) >= 0.6 and max(self.edges) >= 0.85

    @property
    def unbroken(self) -> bool:
        """Clear, or so plain that weaker edges do, as of a black gutter beside a night scene."""
        return self.clear or (self.plain >= 0.985 and sum(self.edges) >= 1.1)


@dataclass(frozen=True)
class Layout:
    """`other` completes "left out: 10 of …", such as "two panels"; None: three, or in doubt."""

    panels: int
    tiers: int
    other: str | None


class _Bands:
    """The bands of one colour in a picture. mask: bool [r, c], where the picture has the colour."""

    def __init__(self, mask: np.ndarray):
        ones = mask.view(np.uint8)  # whose sums take half the time of a mean
        rows = ones.sum(1, np.uint16).astype(np.float32)
        top, bottom = _inside_margin(rows / mask.shape[1])
        columns = ones[top:bottom].sum(0, np.uint16).astype(np.float32)
        self.upright = list(_bands(columns / (bottom - top), 0.05))
        self.level = list(_bands(rows / len(columns), 0.06))
        self.clear = _apart([band for band in self.upright if band.clear])
        self.tiers = _apart(
            [band for band in self.level if band.unbroken and 0.2 < band.centre < 0.8]
        )

    def support(self, place: float, reach: float = REACH) -> float:
        """The evidence for a gutter near a place, from 0 to 1."""
        near = [band for band in self.upright if abs(band.centre - place) <= reach]
        return max((band.plain * max(band.edges) for band in near), default=0.0)

    @property
    def three(self) -> bool:
        """Whether both gutters of a daily are there."""
        return min(map(self.support, PLACES)) >= CERTAIN

    @property
    def many(self) -> int:
        """How many panels there are if they are four or more, else 0."""
        if len(self.clear) >= 3:
            return len(self.clear) + 1
        for count in (4, 5, 6):
            places = np.arange(1, count) / count
            if all(self.support(place, 0.15 / count) >= CERTAIN for place in places):
                return count
        return 0


def on_grid(height: int, width: int) -> tuple[slice, slice]:
    """Takes the pixels that are looked at, ROWS × COLUMNS or a few more, of a picture [h, w]."""
    return slice(None, None, max(1, height // ROWS)), slice(None, None, max(1, width // COLUMNS))


def plainly_three(white: np.ndarray) -> bool:
    """A quick look: whether white gutters show three panels, as in most strips.

    white: bool [h, w], whether a pixel is lighter than 255 − SAME in every channel.
    """
    bands = _Bands(white)
    return bands.three and not bands.many and not bands.tiers


def count_panels(pixels: np.ndarray) -> Layout:
    """Counts the panels of a picture, uint8 [h, w, 3 or more]; further channels are ignored.

    Its pixels `on_grid` are enough.
    """
    planes = np.moveaxis(pixels[..., :3], -1, 0).astype(np.int16, order="C")  # [3, h, w]
    found = [
        _Bands((np.abs(planes - colour[:, None, None].astype(np.int16)) <= SAME).all(axis=0))
        for colour in _gutter_colours(planes)
    ]
    rows = 1
    for bands in found:
        # The edge of a table crosses all three panels too, but not the gutters between them.
        if bands.three or not any(other.three for other in found):
            rows = max(rows, len(bands.tiers) + 1)
    panels = max(bands.many for bands in found) or 3
    if panels == 3:
        clear = max(len(bands.clear) for bands in found)
        supports = [
            max(_jump(planes, place), *(bands.support(place) for bands in found))
            for place in PLACES
        ]
        if clear == 1 and min(supports) < LITTLE:
            panels = 2
        elif clear == 0 and max(supports) < LITTLE:
            panels = 1
    other = None
    if rows > 1:
        other = f"{_word(rows)} tiers of panels"
    elif panels != 3:
        other = f"{_word(panels)} panel{'s' if panels > 1 else ''}"
    return Layout(panels, rows, other)


def _word(count: int) -> str:
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(count, str(count))


def _gutter_colours(planes: np.ndarray) -> list[np.ndarray]:
    """Colours that gutters may have, each [3], of a picture's channels [3, r, c]."""
    frame = np.concatenate([planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]], axis=1)
    colours = [WHITE, BLACK]

    def add(candidates: np.ndarray, most: int) -> None:
        for colour in candidates:
            if most and all(np.abs(colour - other).max() > SAME / 2 for other in colours):
                colours.append(colour)
                most -= 1

    add([np.median(frame, axis=1)], 1)
    for lines, rim in ((planes[:, ::4], NARROWEST_PANEL), (planes[:, :, ::8].swapaxes(1, 2), 0.2)):
        edge = int(rim * lines.shape[2])
        lines = lines[:, :, edge:-edge]
        plainest = np.argsort(lines.std(axis=1).sum(axis=0))[: lines.shape[2] // 8]
        add(np.median(lines[:, :, plainest], axis=1).T, PLAINEST)
    return colours


def _inside_margin(plain: np.ndarray) -> tuple[int, int]:
    """The first row that is not of one colour and the one past the last, but all rows where those
    make less than MOST: it is no margin then, but the ground of a title.

    A margin continues each panel above and below in the colour of the gutters, which hides that
    something else stands beside them.
    """
    top, bottom = extent(plain >= MARGIN)
    return (top, bottom) if bottom - 1 - top >= MOST * len(plain) else (0, len(plain))


def extent(paper: np.ndarray) -> tuple[int, int]:
    """The first line that is no paper, and the one past the last; all lines where all are."""
    lines = np.flatnonzero(~paper)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, len(paper))


def _bands(plain: np.ndarray, widest: float) -> Iterator[Band]:
    """Every band that is mostly of one colour; plain: its share of each column, or row."""
    inside = plain >= 0.8
    size, beside = len(plain), max(2, len(plain) // 150)
    changes = 1 + np.flatnonzero(inside[1:] != inside[:-1])
    changes = changes[int(inside[0]) :].tolist()  # what touches a side is a margin
    for start, end in zip(changes[::2], changes[1::2], strict=False):
        if end - start > widest * size:
            continue
        edges = (
            float(1 - plain[max(0, start - beside) : start].min()),
            float(1 - plain[end : end + beside].min()),
        )
        middle = plain[start + (end - start) // 4 : end - (end - start) // 4]
        yield Band(start / size, end / size, float(middle.mean()), edges)


def _apart(bands: list[Band]) -> list[Band]:
    """Bands in order, without those that leave no room for a panel beside the one before."""
    kept: list[Band] = []
    for band in sorted(bands, key=lambda band: band.start):
        last = kept[-1].end if kept else 0.0
        if band.start - last >= NARROWEST_PANEL and 1 - band.end >= NARROWEST_PANEL:
            kept.append(band)
    return kept


def _jump(planes: np.ndarray, place: float) -> float:
    """The evidence for an upright edge near a place, from 0 to 1: panels that touch without a
    gutter have a border or a change of colour between them."""
    width = planes.shape[2]
    part = planes[:, :, round((place - REACH) * width) : round((place + REACH) * width)]
    jumps = (np.abs(part[:, :, 2:] - part[:, :, :-2]) > SAME).any(axis=0).mean(axis=0)
    return float(jumps.max(initial=0))
