import os
import pickle
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from strip_pictures import broken_palette, encoded, png_header, strip_picture

from garfield_vae.data.images import BrokenImage, open_strip
from garfield_vae.data.panels import cut_panels

COLOURS = ((230, 120, 60), (90, 200, 90), (80, 110, 220))


@pytest.mark.parametrize("format", ["GIF", "JPEG", "PNG"])
def test_each_format_opens_with_its_colours(format):
    image = open_strip(encoded(strip_picture(), format))
    assert (image.mode, image.size) == ("P" if format == "GIF" else "RGB", (600, 175))
    assert np.abs(np.array(image.convert("RGB").getpixel((300, 80)), int) - COLOURS[1]).max() <= 6


def test_a_file_opens_as_its_bytes_do(tmp_path):
    path = tmp_path / "strip.png"
    path.write_bytes(encoded(strip_picture(), "PNG"))
    assert open_strip(path).tobytes() == open_strip(path.read_bytes()).tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_kind_of_png_becomes_rgb_or_keeps_its_palette(mode):
    image = open_strip(encoded(strip_picture().convert(mode), "PNG"))
    assert image.mode == ("P" if mode == "P" else "RGB")
    assert image.convert("RGB").getpixel((202, 80)) == (255, 255, 255)


def test_a_cmyk_jpeg_keeps_its_colours():
    image = open_strip(encoded(strip_picture().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.array(image.getpixel((300, 80)), int) - COLOURS[1]).max() <= 12


def test_sixteen_bit_grey_is_scaled_not_clipped():
    deep = np.full((175, 600), 32896, np.uint16)  # 128 · 257
    image = open_strip(encoded(Image.fromarray(deep), "PNG"))
    assert image.getpixel((10, 10)) == (128, 128, 128)


def grey_tiff(dtype, value, tag, was, now):
    """A flat TIFF in one of whose tags a number was replaced."""
    content = encoded(Image.fromarray(np.full((175, 600), value, dtype)), "TIFF")
    entry = struct.pack("<HHIH", tag, 3, 1, was)
    assert content.count(entry) == 1
    return content.replace(entry, struct.pack("<HHIH", tag, 3, 1, now))


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 50), (np.uint16, 50 * 257)])
def test_a_tiff_whose_zero_is_white_is_no_negative(dtype, value):
    image = open_strip(grey_tiff(dtype, value, 262, 1, 0))
    assert image.getpixel((10, 10)) == (205, 205, 205)


def test_a_tiff_of_32_bits_without_a_sign_is_scaled():
    content = grey_tiff(np.int32, (200 * 16_843_009) - 2**32, 339, 2, 1)
    assert open_strip(content).getpixel((10, 10)) == (200, 200, 200)


def test_a_tiff_that_pillow_cannot_read_is_not_called_something_else():
    with pytest.raises(BrokenImage, match="TIFF that is damaged or of a kind that cannot be read"):
        open_strip(grey_tiff(np.int32, 7, 262, 1, 0))


def test_transparent_parts_are_white_paper():
    image = strip_picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (198, 0, 206, 175))
    assert open_strip(encoded(image, "PNG")).getpixel((202, 80)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["GIF", "PNG"])
def test_a_transparent_colour_of_a_palette_is_white_paper(format):
    image = strip_picture().quantize(16)
    colour = image.getpixel((300, 80))
    opened = open_strip(encoded(image, format, transparency=colour))
    assert (opened.mode, opened.getpixel((300, 80))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "BMP", "TIFF"])
def test_formats_of_today_and_of_scanners_open_too(format):
    image = open_strip(encoded(strip_picture(), format))
    assert image.size == (600, 175)
    assert np.abs(np.array(image.getpixel((300, 80)), int) - COLOURS[1]).max() <= 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "angle"), [(3, 180), (6, 90), (8, -90)])
def test_a_scan_that_lies_on_its_side_is_turned_upright(format, orientation, angle):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = strip_picture().rotate(angle, expand=True)
    image = open_strip(encoded(turned, format, exif=exif))
    assert image.size == (600, 175)
    for x, colour in zip((100, 300, 500), COLOURS, strict=True):
        assert np.abs(np.array(image.getpixel((x, 80)), int) - colour).max() <= 12


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_that_begins_blank_the_first_frame_that_shows_something_is_taken(format):
    blank = Image.new("RGB", (600, 175), "white")
    last = Image.new("RGB", (600, 175), "red")
    content = encoded(blank, format, save_all=True, append_images=[blank, strip_picture(), last])
    colour = open_strip(content).convert("RGB").getpixel((300, 80))
    assert np.abs(np.array(colour, int) - COLOURS[1]).max() <= 12


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded():
    content = encoded(strip_picture(), "JPEG", progressive=True)
    open_strip(content)
    place = content.index(b"\xff\xda")
    with pytest.raises(BrokenImage, match="scans"):
        open_strip(content[:place] + content[place:-2] * 60 + content[-2:])


def test_what_looks_like_a_scan_in_a_comment_or_a_profile_is_none():
    options = {"comment": b"\xff\xda" * 500, "icc_profile": b"\xff\xda" * 50_000}
    content = encoded(strip_picture(), "JPEG", progressive=True, **options)
    assert open_strip(content).size == (600, 175)
    scan = content.index(b"\xff\xda", content.index(b"\xff\xc2"))
    hidden = b"\xff\xfe\x00\x04\xff\xd9"  # no end of the picture either
    with pytest.raises(BrokenImage, match="scans"):
        open_strip(content[:scan] + hidden + content[scan:-2] * 60 + content[-2:])


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.gif")
    with pytest.raises(BrokenImage, match="not a regular file"):
        open_strip(tmp_path / "pipe.gif")


def test_an_animation_gives_its_first_frame():
    second = Image.new("RGB", (600, 175), "red")
    content = encoded(strip_picture(), "GIF", save_all=True, append_images=[second])
    colour = open_strip(content).convert("RGB").getpixel((300, 80))
    assert np.abs(np.array(colour, int) - COLOURS[1]).max() <= 6


@pytest.mark.parametrize("format", ["GIF", "JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(format, kept):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (175, 600, 3), np.uint8))
    content = encoded(noise, format)
    with pytest.raises(BrokenImage, match="damaged"):
        open_strip(content[: int(len(content) * kept)])


NO_STRIPS = {
    "nothing": (b"", "not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF"),
    "a page": (
        b"<!DOCTYPE html><html>Establishing a secure connection",
        "not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF",
    ),
    "a signature": (b"GIF89a", "not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF"),
    "another format": (
        encoded(strip_picture(), "PPM"),
        "not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF",
    ),
    "one pixel": (encoded(Image.new("RGB", (1, 1)), "GIF"), "too few"),
    "no width": (png_header(0, 175), "too few|not a GIF, JPEG, PNG, WebP, AVIF, BMP or TIFF"),
    "40,000 wide": (png_header(40_000, 100), "more than a strip has"),
    "81 megapixels": (png_header(9_000, 9_000), "more than a strip has"),
    "3.6 gigapixels": (png_header(60_000, 60_000), "more pixels than a strip has"),
}


@pytest.mark.parametrize("kind", NO_STRIPS)
def test_what_is_no_strip_is_refused_with_the_reason(kind):
    content, reason = NO_STRIPS[kind]
    with pytest.raises(BrokenImage, match=reason):
        open_strip(content)


@pytest.mark.parametrize("length", [0, 1, 7, 100_000, 2**31])
def test_a_broken_palette_is_refused(length):
    with pytest.raises(BrokenImage):
        open_strip(broken_palette(length))


def test_altered_bytes_give_a_picture_or_a_broken_image_and_nothing_else():
    rng = np.random.default_rng(1)
    for format in ("GIF", "JPEG", "PNG"):
        content = np.frombuffer(encoded(strip_picture(), format), np.uint8)
        for _ in range(100):
            altered = content.copy()
            places = rng.integers(0, min(len(altered), 900), rng.integers(1, 12))
            altered[places] = rng.integers(0, 256, len(places))
            with suppress(BrokenImage):
                cut_panels(open_strip(altered.tobytes()))


def test_a_missing_file_is_a_broken_image_that_names_it(tmp_path):
    with pytest.raises(BrokenImage, match=r"gone\.gif.*No such file"):
        open_strip(tmp_path / "gone.gif")


def test_opening_leaves_pillows_limits_as_they_are():
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(BrokenImage):
        open_strip(png_header(40_000, 100))
    open_strip(encoded(strip_picture(), "GIF"))
    assert before == Image.MAX_IMAGE_PIXELS


NO_MEMORY = """
import io, re, resource, sys
from pathlib import Path
from garfield_vae.data.images import open_strip
size = int(re.search(r"VmSize:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 30 * 2**20,) * 2)
open_strip(sys.stdin.buffer.read())
"""


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_picture_for_which_there_is_no_memory_is_not_called_damaged(format):
    content = encoded(Image.new("RGB", (4000, 3500)), format)
    command = [sys.executable, "-c", NO_MEMORY]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, input=content, capture_output=True, check=False)
    assert ended.stderr.splitlines()[-1] == b"MemoryError"


def test_a_broken_image_can_cross_to_another_process():
    error = pickle.loads(pickle.dumps(BrokenImage("a.gif", "it is odd")))
    assert (str(error), error.reason) == ("a.gif cannot be used as a strip: it is odd", "it is odd")
