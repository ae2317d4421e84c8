"""Strips of three rectangles whose gutters are known, and strips of noise, for several tests."""

import io
import struct
import zlib
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


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and has almost no pixels."""
    return _png(width, height, 2, zlib.compress(b"\0" * 1000))


def png_bomb(width: int, height: int) -> bytes:
    """A whole PNG, black: a thousandth of the bytes that it unpacks to."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height))
    return _png(width, height, 0, rows + packer.flush())


def _png(width: int, height: int, colours: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def broken_palette(length: int) -> bytes:
    """A PNG whose palette declares a length that it does not have."""
    whole = encoded(strip_picture().quantize(16), "PNG")
    start = whole.index(b"PLTE")
    return whole[: start - 4] + struct.pack(">I", length) + whole[start:]


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


def random_strips(count: int, seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """uint8 [count, 3, 3, height, width]: random squares of 8 pixels, with noise on them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 3, height // 8, width // 8))
    fine = rng.integers(-20, 20, (count, 3, 3, height, width))
    return (coarse.repeat(8, axis=3).repeat(8, axis=4) + fine).clip(0, 255).astype(np.uint8)
