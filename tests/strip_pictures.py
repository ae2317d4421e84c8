"""Strips drawn in three rectangles, whose gutters are known, for the tests of panels and store."""

import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def strip_picture(
    width: int = 600,
    height: int = 175,
    gutters: tuple[tuple[int, int], ...] = ((198, 206), (391, 399)),
    colours: tuple = ((230, 120, 60), (90, 200, 90), (80, 110, 220)),
    margin: int = 3,
) -> Image.Image:
    """Panels 1 and 3 have a black border, the middle one none; gutters in pixels of 600."""
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    scale = width / 600
    (end_1, start_2), (end_2, start_3) = [[round(x * scale) for x in pair] for pair in gutters]
    bottom = height - margin - 1
    line = max(1, round(1.5 * scale))
    for panel, (start, end) in enumerate(
        [(margin, end_1), (start_2, end_2), (start_3, width - margin)]
    ):
        border = None if panel == 1 else "black"
        box = (start, margin, end - 1, bottom)
        pen.rectangle(box, fill=colours[panel], outline=border, width=line)
    return image


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def save_strips(folder: Path, count: int, first: date = date(2001, 1, 1)) -> list[Path]:
    """Strips of different colours, one a day, named YYYY/YYYY-MM-DD.gif."""
    paths = []
    for number in range(count):
        day = first + timedelta(number)
        path = folder / f"{day.year}" / f"{day}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        colours = tuple(tuple(int(v) for v in rng.integers(0, 180, 3)) for _ in range(3))
        strip_picture(colours=colours).save(path)
        paths.append(path)
    return paths
