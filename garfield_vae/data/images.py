"""Opens a strip's picture, whoever made it: completely decoded, within limits, as RGB or P."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from garfield_vae.util.errors import UserError
from garfield_vae.util.files import open_regular

# What is accepted as a strip at all. The largest strips sold are 2,800 pixels wide.
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 16_000_000
MAX_SIDE = 10_000
MIN_WIDTH, MIN_HEIGHT = 240, 60

# Pillow's warning about large pictures; they are refused here, with a sentence.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class BrokenImage(UserError):
    """A picture that is no strip. `reason` says why without the picture's name."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name} cannot be used as a strip: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


def read_strip(path: Path) -> bytes:
    """The bytes of a picture file. Raises BrokenImage when it cannot be read or is too large."""
    try:
        with open_regular(path) as file:
            # A strip fits the first part: asking for all at once sets 64 MiB aside for each.
            content = file.read(2**20)
            if len(content) == 2**20:
                content += file.read(MAX_BYTES + 1 - 2**20)
    except OSError as error:
        raise BrokenImage(path.name, f"it cannot be read ({error.strerror or error})") from error
    if len(content) > MAX_BYTES:
        raise BrokenImage(path.name, f"it is larger than {MAX_BYTES // 2**20} MiB")
    return content


def open_strip(source: Path | bytes) -> Image.Image:
    """Reads a GIF, JPEG or PNG completely and gives it as RGB, transparent parts white.

    Or as P, when it has a palette and nothing transparent, as most strips do: `cut_panels` is
    faster on it, by a quarter of the time that a strip of 1,200 pixels takes from file to panels.

    source: a file, or the bytes of one. An animation gives its first frame. Sizes are checked
    against the header, before a pixel is decoded, with limits far below Pillow's own; Pillow's
    global limits stay as they are. CMYK is converted without its colour profile, which is a
    stranger's program for a parser in C.

    Raises BrokenImage for whatever stands in the way: no such file, not a picture, truncated,
    too large, too small.
    """
    name = "the picture"
    if isinstance(source, Path):
        name, source = source.name, read_strip(source)
    try:
        with Image.open(io.BytesIO(source), formats=["GIF", "JPEG", "PNG"]) as image:
            width, height = image.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise BrokenImage(name, f"{width}×{height} pixels are more than a strip has")
            if width < MIN_WIDTH or height < MIN_HEIGHT:
                raise BrokenImage(name, f"{width}×{height} pixels are too few for a strip")
            image.load()
            return _opaque(image)
    except BrokenImage:
        raise
    except Image.DecompressionBombError as error:
        raise BrokenImage(name, "it declares more pixels than a strip has") from error
    except Image.UnidentifiedImageError as error:
        raise BrokenImage(name, "it is not a GIF, JPEG or PNG picture") from error
    except Exception as error:  # Pillow's readers raise a dozen kinds for one cause: a damaged file
        raise BrokenImage(name, f"it is damaged ({error or type(error).__name__})") from error


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
        grey = np.clip(np.asarray(image, dtype=np.int64) // 257, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("RGB")
    return image if image.mode == "P" else image.convert("RGB")
