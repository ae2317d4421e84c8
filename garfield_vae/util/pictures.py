"""Pages and animations of strip images, uint8 [N, h, w, 3], and how they are written."""

import io
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont, ImageOps

from garfield_vae.util.files import replacing

PAPER, INK = 255, "#333333"  # white, dark grey
MARGIN = 10  # pixels of paper around and between the strips of a sheet
LINE = 18  # pixels of a label's height


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
    from torchvision.utils import make_grid  # a second that many programs here do without

    images = [shrink(strip, width) for strip in strips]
    if labels is not None:
        images = [labelled(image, text) for image, text in zip(images, labels, strict=True)]
    cells = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)  # [N, 3, h, w]
    # The margin is not make_grid's padding, which a page of one strip does not get.
    cells = F.pad(cells, (margin, 0, margin, 0), value=PAPER)
    page = make_grid(cells, columns, padding=0, pad_value=PAPER)
    page = F.pad(page, (0, margin, 0, margin), value=PAPER)
    return Image.fromarray(page.permute(1, 2, 0).numpy())


def shrink(strip: np.ndarray, width: int | None) -> Image.Image:
    """One joined strip [h, w, 3] as a picture `width` pixels wide."""
    image = Image.fromarray(strip)
    if width is None or width == image.width:
        return image
    height = round(image.height * width / image.width)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def labelled(image: Image.Image, text: str) -> Image.Image:
    """A picture below a line of text."""
    whole = ImageOps.expand(image, (0, LINE, 0, 0), fill=(PAPER, PAPER, PAPER))
    ImageDraw.Draw(whole).text((0, 0), text, fill=INK, font=label_font())
    return whole


@cache
def label_font() -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib: Pillow's own has no letters beyond ASCII."""
    package = Path(find_spec("matplotlib").origin).parent  # not imported, which is slow
    return ImageFont.truetype(package / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", 12)


def pairs(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    labels: Sequence[str],
    caption: str = "reconstruction",
) -> Image.Image:
    """Each original [N, h, w, 3] with its reconstruction at its right."""
    both = np.stack([originals, reconstructions], axis=1).reshape(-1, *originals.shape[1:])
    captions = [text for label in labels for text in (label, caption)]
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
