"""Pages and animations of strip images, uint8 [N, h, w, 3], and how they are written."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from garfield_vae.util.files import replacing

PAPER, INK = "white", "#333333"
MARGIN = 10  # pixels of paper around and between the strips of a sheet


def sheet(
    strips: np.ndarray,
    columns: int = 1,
    width: int | None = None,
    labels: Sequence[str] | None = None,
    margin: int = MARGIN,
) -> Image.Image:
    """Strip images [N, h, w, 3] row by row on one page.

    `width` of each strip in pixels (as they are if not given); `labels`, one a strip, go above.
    `margin`: pixels of paper around and between the strips.
    """
    images = [shrink(strip, width) for strip in strips]
    cell_width, cell_height = images[0].size
    line = 18 if labels is not None else 0
    rows = -(-len(images) // columns)
    page = Image.new(
        "RGB",
        (
            columns * (cell_width + margin) + margin,
            rows * (cell_height + line + margin) + margin,
        ),
        PAPER,
    )
    for i, image in enumerate(images):
        x = margin + i % columns * (cell_width + margin)
        y = margin + i // columns * (cell_height + line + margin)
        if labels is not None:
            write(page, (x, y), labels[i])
        page.paste(image, (x, y + line))
    return page


def shrink(strip: np.ndarray, width: int | None) -> Image.Image:
    """One joined strip [h, w, 3] as a picture `width` pixels wide."""
    image = Image.fromarray(strip)
    if width is None or width == image.width:
        return image
    height = round(image.height * width / image.width)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def write(page: Image.Image, position: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(page).text(position, text, fill=INK, font=ImageFont.load_default(13))


def pairs(originals: np.ndarray, reconstructions: np.ndarray, labels: Sequence[str]) -> Image.Image:
    """Each original [N, h, w, 3] with its reconstruction at its right."""
    both = np.stack([originals, reconstructions], axis=1).reshape(-1, *originals.shape[1:])
    captions = [text for label in labels for text in (label, "reconstruction")]
    return sheet(both, columns=2, labels=captions)


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # A decoder's soft pixels hardly compress: the usual level takes five times as long for an
    # eighth less.
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def save_png(path: Path, image: Image.Image) -> Path:
    with replacing(path) as file:
        file.write(png_bytes(image))
    return path


def gif_bytes(
    strips: Iterable[np.ndarray], width: int | None, seconds: float, hold: float = 0.0
) -> bytes:
    """Strip images [N, h, w, 3] as an endless animation there and back; one way takes `seconds`,
    and both ends stay for `hold` seconds, if that is longer than a frame."""
    frames = [shrink(strip, width) for strip in strips]
    # One palette for all frames, or the colours flicker.
    some = [np.asarray(frame)[::2, ::2] for frame in frames[:: max(1, len(frames) // 4)]]
    palette = Image.fromarray(np.concatenate(some)).quantize(256)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    last = len(frames) - 1
    frames += frames[-2:0:-1]
    durations = [max(20, round(1000 * seconds / len(frames) * 2))] * len(frames)
    for end in (0, last):
        durations[end] = max(durations[end], round(1000 * hold))
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0
    )
    return buffer.getvalue()


def save_gif(path: Path, strips: Iterable[np.ndarray], width: int, seconds: float) -> Path:
    """`gif_bytes` in a file."""
    with replacing(path) as file:
        file.write(gif_bytes(strips, width, seconds))
    return path
