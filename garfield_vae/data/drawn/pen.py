"""A pen for flat, thickly outlined comic art: filled curves, limbs, lettering.

Art is drawn at twice its final size into an image of colour numbers, without blending; `develop`
makes of four dots one pixel, with a colour and an amount of ink from 0 to 4. All pairs of them fit
into a palette of 256, so that lines and letters have smooth edges in a palette image.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DOTS = 2  # dots drawn per pixel, each way
INK = 0  # the colour number of every line and letter; it must be the lowest
MOST_COLOURS = 51  # 51 colours × 5 amounts of ink = 255 palette entries
LINE = 2.4  # pixels, the width of an outline

_TURN = np.arange(1, 6)[:, None] * (np.pi / 6)
HALF_TURN = np.cos(_TURN), np.sin(_TURN)

Points = Sequence[tuple[float, float]] | np.ndarray


@lru_cache(maxsize=64)
def circle(corners: int) -> np.ndarray:
    """A unit circle, float [corners, 2]."""
    angle = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def squarish(points: np.ndarray, power: float) -> np.ndarray:
    """Points of a circle moved outwards, all the more towards the corners the lower `power` is."""
    return np.sign(points) * np.abs(points) ** power


@lru_cache(maxsize=256)
def smooth(points: tuple[tuple[float, float], ...], steps: int = 5) -> np.ndarray:
    """A closed Catmull-Rom curve through `points`, float [len(points) · steps, 2]."""
    p1 = np.array(points, dtype=float)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (p0, p1, p2, p3))
    curve = p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return curve.reshape(-1, 2)


@lru_cache(maxsize=8)
def _bernstein(steps: int) -> np.ndarray:
    t = np.linspace(0, 1, steps)
    return np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)


def bend(start: tuple, middle: tuple, end: tuple, steps: int = 7) -> np.ndarray:
    """A quadratic Bézier curve from `start` to `end` pulled towards `middle`, float [steps, 2]."""
    return _bernstein(steps) @ np.array((start, middle, end), dtype=float)


class Pen:
    """Draws on `image` (mode L, colour numbers, DOTS dots a pixel) in coordinates of its own.

    The point (px, py) falls on the pixel (x ± scale·(px + lean·py), y − scale·squash·py): y points
    up, `mirrored` turns the drawing to the left. With the defaults that is the pixel (px, −py).
    Widths of lines are in pixels, whatever the scale.
    """

    def __init__(self, image, x=0.0, y=0.0, scale=1.0, mirrored=False, lean=0.0, squash=1.0):
        self.image, self.x, self.y, self.scale = image, x, y, scale
        self.draw = ImageDraw.Draw(image)
        across = -scale if mirrored else scale
        self._matrix = DOTS * np.array([[across, 0.0], [across * lean, -scale * squash]])
        self._origin = DOTS * np.array([x, y])

    def place(self, points: Points) -> np.ndarray:
        """Points of this pen as dots of the image, float32 [n, 2] (what Pillow reads as it is)."""
        return (np.asarray(points, dtype=float) @ self._matrix + self._origin).astype(np.float32)

    def fill(self, points: Points, colour: int) -> None:
        self.draw.polygon(self.place(points), fill=colour)

    def line(self, points: Points, width: float = LINE, colour: int = INK) -> None:
        self.draw.line(self.place(points), fill=colour, width=round(DOTS * width))

    def shape(self, points: Points, colour: int, width: float = LINE) -> None:
        """A filled, outlined, closed shape."""
        dots = self.place(points)
        self.draw.polygon(dots, fill=colour)
        if width:
            closed = np.concatenate([dots, dots[:2]])  # one corner further, so that no notch stays
            self.draw.line(closed, fill=INK, width=round(DOTS * width))

    def oval(self, x, y, across, up, colour: int, turn: float = 0.0, width: float = LINE) -> None:
        """An ellipse with half-axes `across` and `up`, turned by `turn` radians."""
        self.shape(oval(x, y, across, up, turn, 28 if up * self.scale > 12 else 16), colour, width)

    def limb(self, path: Points, thickness: float, colour: int, width: float = LINE) -> None:
        """A tube of `thickness` (in this pen's units) with round ends along `path`."""
        edge = width / 2 / self.scale
        outline, radii = tube(np.asarray(path, dtype=float))
        self.fill(outline + (thickness / 2 + edge) * radii, INK)
        self.fill(outline + (thickness / 2 - edge) * radii, colour)

    def rectangle(self, left, top, right, bottom, colour: int, width: float = LINE) -> None:
        """An upright box in pixels of the image, y down, whatever this pen's scale."""
        box = [DOTS * left, DOTS * top, DOTS * right - 1, DOTS * bottom - 1]
        if right > left and bottom > top:
            outline = {"outline": INK, "width": round(DOTS * width)} if width else {}
            self.draw.rectangle(box, fill=colour, **outline)

    def letter(self, x: float, y: float, text: str, size: int) -> None:
        """Letters one line in ink; its middle top is at the pixel (x, y)."""
        mask = lettered(text, size)
        self.image.paste(INK, (round(DOTS * x - mask.width / 2), round(DOTS * y)), mask)


def oval(x, y, across, up, turn: float = 0.0, corners: int = 28) -> np.ndarray:
    """The corners of an ellipse, float [corners, 2]."""
    points = circle(corners) * (across, up)
    if turn:
        cos, sin = np.cos(turn), np.sin(turn)
        points = points @ np.array([[cos, sin], [-sin, cos]])
    return points + np.array((x, y))


def tube(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A round-ended tube along `path` [n, 2]: `middle` and `outwards`, float [2n + 10, 2] each.

    The outline of the tube with radius r is middle + r · outwards.
    """
    along = np.empty_like(path)
    along[1:-1], along[0], along[-1] = path[2:] - path[:-2], path[1] - path[0], path[-1] - path[-2]
    along /= np.sqrt((along * along).sum(axis=1, keepdims=True))
    normal = along[:, ::-1] * (-1, 1)
    end = HALF_TURN[0] * normal[-1] + HALF_TURN[1] * along[-1]
    start = -HALF_TURN[0] * normal[0] - HALF_TURN[1] * along[0]
    caps = np.ones((5, 1))
    middle = np.concatenate([path, caps * path[-1], path[::-1], caps * path[0]])
    return middle, np.concatenate([normal, end, -normal[::-1], start])


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(DOTS * size)


@lru_cache(maxsize=4096)
def lettered(text: str, size: int) -> Image.Image:
    """One line of slightly slanted bold lettering, mode 1, DOTS dots a pixel."""
    font, height, slant, apart = _font(size), round(DOTS * size * 1.1), 0.12, 0.06 * DOTS * size
    width = sum(font.getlength(letter) + apart for letter in text)
    mask = Image.new("L", (round(width + slant * height) + 2, height))
    x = 1.0
    for letter in text:  # one by one, a little apart: bold letters must not run together
        bold = 0.0 if letter == "!" else 0.6  # or its dot would be lost
        ImageDraw.Draw(mask).text((x, 0), letter, fill=255, font=font, stroke_width=bold)
        x += font.getlength(letter) + apart
    shear = (1, slant, -slant * height, 0, 1, 0)
    mask = mask.transform(mask.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    return mask.point(lambda value: 255 * (value > 110)).convert("1")


def develop(dots: Image.Image, colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    """The image of colour numbers `dots` at half its size, as a palette image.

    `colours` are RGB by number, the first being the ink, at most MOST_COLOURS. Where a pixel's four
    dots differ in colour the highest number wins, so only ink has soft edges.
    """
    if len(colours) > MOST_COLOURS:
        raise ValueError(f"{len(colours)} colours do not fit: {MOST_COLOURS} is the most")
    numbers = np.asarray(dots)
    corners = [numbers[y::DOTS, x::DOTS] for y in range(DOTS) for x in range(DOTS)]
    colour, ink = corners[0].copy(), (corners[0] == INK).astype(np.uint8)
    for corner in corners[1:]:
        np.maximum(colour, corner, out=colour)
        ink += corner == INK
    rgb = np.array(colours, dtype=float)
    share = (np.arange(5) / 4)[None, :, None]
    mixed = (1 - share) * rgb[:, None] + share * rgb[INK]  # [colours, 5, RGB]
    image = Image.fromarray(colour * 5 + ink)
    image.putpalette(np.rint(mixed).astype(np.uint8).tobytes())
    return image
