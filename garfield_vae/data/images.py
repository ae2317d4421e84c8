"""Opens a strip's picture: completely decoded, upright, within limits of size."""

import errno
import io
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from garfield_vae.util.console import printable
from garfield_vae.util.errors import HARDLY_ANY, UserError, can_have
from garfield_vae.util.files import open_regular

# The formats that are opened, by Pillow's names, and their extensions.
FORMATS = {
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
TIFF = (b"II*\0", b"MM\0*")
SIGNATURES = (b"GIF8", b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", *TIFF)

# The largest strips sold are 2,800 pixels wide.
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 16_000_000
MAX_SIDE = 10_000
MIN_WIDTH, MIN_HEIGHT = 240, 60
MAX_FRAMES = 100  # of an animation, searched for one that is not blank
# A progressive JPEG is decoded once for each of its scans, of which encoders write about ten.
MAX_SCANS, MAX_SCANNED = 100, 20 * MAX_PIXELS
# Markers that a length follows, and the one that ends the picture. Those of restarts stand in coded
# pixels, where no other marker can.
SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
START_OF_SCAN, END_OF_JPEG = b"\xff\xda", b"\xff\xd9"

ORIENTATION = 0x0112  # the EXIF tag
# Tags of TIFF: the lowest bit of REDUCED marks a page as a smaller copy of another.
REDUCED, PHOTOMETRIC, SAMPLE_FORMAT = 254, 262, 339
WHITE_IS_ZERO, UNSIGNED = 0, (1,)

# Large pictures are refused below, with a sentence.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class BrokenImage(UserError):
    """A picture that is no strip. `reason` says why without the picture's name."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{printable(name)} cannot be used as a strip: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


class UnreadFile(BrokenImage):
    """A file that the system refused to read. It may be whole: the next build tries it again."""


def is_refusal(error: Exception) -> bool:
    """Whether the system refused to read; readers that find damage raise OSError without a number,
    or with that of an invalid argument, such as a place before the beginning of the file."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def read_strip(path: Path) -> bytes:
    """The bytes of a picture file. Raises BrokenImage when it cannot be read or is too large."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            # A buffer of MAX_BYTES for every strip would be slow.
            content = file.read(min(size, MAX_BYTES + 1))
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise _unread(path, error) from error
    if len(content) > MAX_BYTES:
        raise BrokenImage(path.name, f"it is larger than {MAX_BYTES // 2**20} MiB")
    return content


def read_start(path: Path) -> bytes:
    """A file's first bytes. Raises BrokenImage when it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(32)
    except (OSError, ValueError) as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: Exception) -> BrokenImage:
    kind = UnreadFile if is_refusal(error) else BrokenImage
    reason = getattr(error, "strerror", None) or error
    return kind(path.name, f"it cannot be read ({reason})")


def seems_a_picture(start: bytes) -> bool:
    """Whether a file's first bytes are those of one of FORMATS."""
    return start.startswith(SIGNATURES) or start[4:12] == b"ftypavif" or start[8:12] == b"WEBP"


def has_more_pages(content: bytes) -> bool:
    """Whether a picture is a TIFF with pages after the first, which `open_strip` passes over."""
    if not content.startswith((b"II", b"MM")):
        return False
    try:
        with Image.open(io.BytesIO(content), formats=["TIFF"]) as image:
            image.seek(1)
            return not image.tag_v2.get(REDUCED, 0) & 1
    except Exception:  # EOFError: there is no second page; others: it is damaged
        return False


def open_strip(source: Path | bytes, least_width: int = MIN_WIDTH) -> Image.Image:
    """Reads a picture completely, upright and as RGB, with white for what is transparent.

    A picture with a palette and nothing transparent, as most strips are, stays mode P, which
    `cut_panels` cuts faster.

    source: a file of one of FORMATS, or its bytes. Of an animation the first frame that is not
    blank is taken. Sizes are checked in the header, before anything is decoded. CMYK is converted
    without its colour profile: the C library that parses profiles is not for untrusted files.

    Raises BrokenImage for a file that is missing, no picture, truncated, too large or too small,
    and MemoryError.
    """
    name = "the picture"
    if isinstance(source, Path):
        name, source = source.name, read_strip(source)
    try:
        with Image.open(io.BytesIO(source), formats=list(FORMATS)) as image:
            width, height = image.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise BrokenImage(name, f"{width}×{height} pixels are more than a strip has")
            if max(width, height) < least_width or min(width, height) < MIN_HEIGHT:
                raise BrokenImage(name, f"{width}×{height} pixels are too few for a strip")
            if image.format in ("JPEG", "MPO"):
                scans = _scans(source)
                if scans > MAX_SCANS or scans * width * height > MAX_SCANNED:
                    raise BrokenImage(name, f"it is coded in {scans} scans, more than any strip")
            image.load()
            # is_animated walks through a whole GIF: it is asked last. MPO is a JPEG with others of
            # the same view behind it, whose scans are not counted.
            if image.format != "MPO" and _is_blank(image) and getattr(image, "is_animated", False):
                image = _first_frame(image)
            tags = _tags(image)
            image = _upright(image)
            if image.width < least_width:
                size = f"{image.width}×{image.height}"
                raise BrokenImage(name, f"{size} pixels are too few for a strip")
            return _opaque(image, tags)
    except BrokenImage:
        raise
    except Image.DecompressionBombError as error:
        raise BrokenImage(name, "it declares more pixels than a strip has") from error
    except Image.UnidentifiedImageError as error:
        if source.startswith(TIFF):
            reason = "it is a TIFF that is damaged or of a kind that cannot be read"
            raise BrokenImage(name, reason) from error
        raise BrokenImage(
            name, "it is not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF picture"
        ) from error
    except Exception as error:  # Pillow's readers raise a dozen types for a damaged file
        # Some of them where there is no memory for it, too.
        if isinstance(error, MemoryError) or not can_have(HARDLY_ANY):
            raise MemoryError from error
        reason = printable(str(error) or type(error).__name__, 100)
        raise BrokenImage(name, f"it is damaged ({reason})") from error


def _scans(jpeg: bytes) -> int:
    """The number of scans, without what looks like the start of one in a comment or profile."""
    scans = place = 0
    while (marker := SEGMENT.search(jpeg, place)) and marker[0] != END_OF_JPEG:
        scans += marker[0] == START_OF_SCAN
        place = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return scans


def _is_blank(image: Image.Image) -> bool:
    """Whether every eighth pixel, across and down, has about the same grey."""
    sample = image.resize((image.width // 8, image.height // 8), Image.Resampling.NEAREST)
    low, high = _opaque(sample, _tags(image)).convert("L").getextrema()
    return high - low < 32


def _first_frame(image: Image.Image) -> Image.Image:
    """The first frame that is not blank, or the first of all."""
    first = image.copy()
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        if number == MAX_FRAMES:
            break
        if frame.size == first.size and not _is_blank(frame):
            return frame
    return first


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # damaged EXIF; the picture itself is whole
        return image
    return ImageOps.exif_transpose(image) if turned else image


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """A TIFF's."""
    return getattr(image, "tag_v2", {})


def _opaque(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _grey(image, tags).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("RGB")
    return image if image.mode in ("P", "RGB") else image.convert("RGB")


def _grey(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Grey of 16 or 32 bits or floating point, scaled to 8 bits, where Pillow would clip it."""
    deep = np.asarray(image)
    if image.mode == "I" and tags.get(SAMPLE_FORMAT, UNSIGNED) == UNSIGNED:
        deep = deep.view(np.uint32)  # which Pillow has no mode for
    deep = np.nan_to_num(deep.astype(np.float64))
    most = deep.max()
    if "16" in image.mode or 255 < most <= 65535:
        deep /= 257
    elif most > 65535:
        deep /= 2**24 + 2**16 + 257
    elif most <= 1:
        deep *= 255
    grey = np.clip(deep, 0, 255).astype(np.uint8)
    # Pillow turns only 8 bits and fewer around.
    return Image.fromarray(255 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey)
